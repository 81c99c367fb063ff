"""Suggestions for names that no backend has."""

from __future__ import annotations

import pytest

from pytest_cpuaccel.backends.other_names import OTHER_NAMES
from pytest_cpuaccel.backends.registry import BUILTIN, no_such_backend, register
from pytest_cpuaccel.core.suggestion import suggestion


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("onnx", "'ort'"),
        ("ONNX", "'ort'"),
        ("onnxruntime", "'ort'"),
        ("onnx_runtime", "'ort'"),
        ("onxruntime", "'ort'"),
        ("ov", "'openvino'"),
        ("openvino.runtime", "'openvino'"),
        ("opnvino", "'openvino'"),
        ("compile", "'inductor'"),
        ("torch.compile", "'inductor'"),
        ("jit", "'torchscript'"),
        ("script", "'torchscript'"),
        ("bt", "'bettertransformer'"),
        ("BetterTransformer", "'bettertransformer'"),
        ("bfloat16", "'bf16' or 'autocast-bf16'"),
        ("half", "'ort-o4'"),
        ("int8", "'torch-int8', 'torchao-int8', 'ort-int8' or 'openvino-int8'"),
        ("quantized", "'torch-int8', 'torchao-int8', 'ort-int8' or 'openvino-int8'"),
        ("dynamic", "'torch-int8', 'torchao-int8', 'ort-int8' or 'openvino-int8'"),
        ("static", "'ort-int8-static' or 'openvino-int8-ptq'"),
        ("pytorch", "'eager'"),
        ("intel_extension_for_pytorch", "'ipex'"),
        ("channels_last", "'channels-last'"),
        ("torch_int8", "'torch-int8'"),
        ("nncf", "'openvino-int8' or 'openvino-int8-ptq'"),
    ],
)
def test_what_people_call_a_backend_leads_to_it(name: str, meant: str) -> None:
    assert str(no_such_backend(name, register([]))) == f"no backend named {name!r}; did you mean {meant}?"


@pytest.mark.parametrize("name", ["cuda", "xla", "tvm", "mps", "nope", "", "?", 3])
def test_where_nothing_is_near_all_names_are_listed(name: object) -> None:
    assert f"{name!r}; there are: eager, sdpa, " in str(no_such_backend(name, register([])))


def test_other_names_lead_to_backends_and_are_none_themselves() -> None:
    names = {backend.name for backend in BUILTIN}
    assert {meant for several in OTHER_NAMES.values() for meant in several} <= names
    assert not names & set(OTHER_NAMES)
    assert all(name == name.lower() and "_" not in name for name in OTHER_NAMES)


def test_a_name_that_is_not_among_the_known_ones_is_not_suggested() -> None:
    assert suggestion("onnx", ["eager", "sdpa"], OTHER_NAMES) == "there are: eager, sdpa"
