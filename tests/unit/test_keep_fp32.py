"""Which modules of a model a user's list keeps in fp32, and for which backends."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

from pytest_cpuaccel.backends import openvino_int8_ptq, ort_int8_static
from pytest_cpuaccel.backends.onnx_files import kept_nodes
from pytest_cpuaccel.backends.ort import ORT
from pytest_cpuaccel.backends.toolkit.keeping_fp32 import check_is_whole
from pytest_cpuaccel.backends.torch_int8 import TORCH_INT8
from pytest_cpuaccel.backends.torchao_int8 import TORCHAO_INT8
from pytest_cpuaccel.builder.keep_fp32 import idle, keep_fp32_of
from pytest_cpuaccel.core.backend import Subject
from pytest_cpuaccel.core.errors import BuildError, UsageError
from tests.subjects import subject


def net() -> nn.Module:
    block = nn.Sequential(nn.Linear(2, 2), nn.LayerNorm(2))
    return nn.ModuleDict({"first": block, "second": nn.Sequential(nn.Linear(2, 2)), "again": block})


@pytest.mark.parametrize(
    ("given", "paths"),
    [
        (["second"], ("second", "second.0")),
        (["*.1"], ("first.1", "again.1")),
        (("first.0",), ("first.0", "again.0")),
        ([], ()),
    ],
)
def test_a_pattern_names_modules_with_all_their_parts_under_each_of_their_names(
    given: object, paths: tuple[str, ...]
) -> None:
    assert keep_fp32_of(given, net(), "cpu_keep_fp32").paths == paths


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ("head", "'head' is no list"),
        (5, "int is no list"),
        ([5], "an item is of type int"),
        (["secnd"], "'secnd' matches no module of ModuleDict; did you mean 'second'"),
        (["x.*"], "'x.*' matches no module of ModuleDict; there are: first, "),
    ],
)
def test_what_names_no_modules_is_refused_in_one_line(given: object, complaint: str) -> None:
    with pytest.raises(UsageError) as caught:
        keep_fp32_of(given, net(), "cpu_keep_fp32")
    assert str(caught.value).startswith(f"cpu_keep_fp32: {complaint}")
    assert "\n" not in str(caught.value)


def test_backends_take_the_list_are_not_concerned_or_refuse_it() -> None:
    keep = keep_fp32_of(["second"], net(), "cpu_keep_fp32")
    assert keep.for_backend(TORCH_INT8) == {"second": ("second", "second.0")}
    assert keep.for_backend(ORT) == {}
    with pytest.raises(BuildError, match="cpu_keep_fp32 names some"):
        keep.for_backend(TORCHAO_INT8)
    assert keep_fp32_of([], net(), "cpu_keep_fp32").for_backend(TORCHAO_INT8) == {}


def test_a_pattern_without_anything_to_quantise_is_told_of() -> None:
    model = net()
    keep = keep_fp32_of(["first.1", "second"], model, "-")
    assert idle(keep.matched, model, TORCH_INT8) == ["first.1"]
    assert idle(keep.matched, model, ORT) == []


def test_modules_of_several_graphs_are_refused_and_not_quantised_all_the_same() -> None:
    asked, files = subject(nn.Tanh(), input=torch.ones(1)), [Path("encoder.onnx"), Path("decoder.onnx")]
    check_is_whole(asked, files)
    asked = replace(asked, keep_fp32=("head",))
    check_is_whole(asked, files[:1])
    with pytest.raises(BuildError, match="several graphs"):
        check_is_whole(asked, files)


def graph(*names: str) -> Any:
    """A graph as Optimum exports it: torch's older exporter names nodes after modules."""
    nodes = [SimpleNamespace(name=name, op_type=name.rpartition("/")[2], metadata_props=()) for name in names]
    return SimpleNamespace(graph=SimpleNamespace(node=nodes))


def keeping(*patterns: str) -> Subject:
    keep = keep_fp32_of(patterns, net(), "keep_fp32")
    asked = subject(nn.Tanh(), input=torch.ones(1))
    return replace(asked, fresh_module=net, keep_fp32=keep.paths, keep_fp32_patterns=keep.matched)


def test_parts_of_a_sequential_are_found_in_a_file_of_optimum() -> None:
    exported = graph("/first/first.0/Gemm", "/first/first.1/Mul", "/second/second.0/Gemm", "/Add", "")
    assert kept_nodes(exported, keeping()) == []
    assert kept_nodes(exported, keeping("second.0"))[:1] == ["/second/second.0/Gemm"]


def test_a_pattern_without_an_operation_in_the_graph_is_refused_by_name() -> None:
    asked = keeping("first.0", "second", "*.1")
    with pytest.raises(BuildError, match=r"known to come from 'second', '\*\.1' of keep_fp32; "):
        kept_nodes(graph("/first/first.0/Gemm", "/first/first.1/Mul", "/Gemm"), asked)


@pytest.mark.parametrize(("backend", "ending"), [(openvino_int8_ptq, "xml"), (ort_int8_static, "onnx")])
def test_modules_of_several_graphs_are_refused_before_data_are_run(backend: Any, ending: str, tmp_path: Path) -> None:
    for name in ("encoder", "decoder"):
        (tmp_path / f"{name}.{ending}").touch()
    asked = replace(subject(nn.Tanh(), input=torch.ones(1)), keep_fp32=("head",))
    with pytest.raises(BuildError, match="several graphs"):
        backend.quantise(None, asked, tmp_path)
