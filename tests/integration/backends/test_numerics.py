"""Runtimes that add in another order, choose other ones of equals, and have no complex numbers."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch.nn import functional

from pytest_cpuaccel.backends.openvino import OPENVINO
from pytest_cpuaccel.backends.ort import ORT
from pytest_cpuaccel.core.backend import Backend
from pytest_cpuaccel.core.errors import BuildError
from pytest_cpuaccel.core.inputs import Inputs
from tests.exports import built_or_skipped
from tests.promises import assert_alike, assert_parity
from tests.subjects import subject
from tests.unit.parity.test_ill_conditioned import Function

IMAGE = torch.rand(1, 4, 512, 512, generator=torch.Generator().manual_seed(0))
SIGNAL = torch.randn(2, 64, generator=torch.Generator().manual_seed(0))

LONG = {
    "mean": (lambda x: x.mean((2, 3)), IMAGE),
    "group norm": (lambda x: functional.group_norm(x + 5, 2), IMAGE),
    "cumsum": (lambda x: x.flatten(1)[:, :200_000].cumsum(1), IMAGE),
    "logsumexp": (lambda x: x.flatten(2).logsumexp(2), IMAGE),
    "tied indices": (lambda x: (8 * x).floor().topk(3).indices, SIGNAL),
}


@pytest.mark.parametrize("backend", [ORT, OPENVINO], ids=lambda backend: backend.name)
@pytest.mark.parametrize(("function", "x"), LONG.values(), ids=LONG)
def test_right_arithmetic_in_a_runtimes_own_order_passes(backend: Backend, function, x, tmp_path: Path) -> None:
    model = Function(function).eval()
    built = built_or_skipped(backend, subject(model, x=x), tmp_path)
    assert_parity(built.forward(x=x), model, Inputs(kwargs={"x": x}), backend.precision)


COMPLEX = {
    "fft": (lambda x: torch.fft.fft(x), SIGNAL),
    "beside a real one": (lambda x: {"spectrum": torch.fft.rfft(x), "power": torch.fft.rfft(x).abs()}, SIGNAL),
    "of two parts": (lambda x: torch.complex(x, x + 1), SIGNAL),
    "short-time": (lambda x: torch.stft(x, 16, window=torch.hann_window(16), return_complex=True), SIGNAL),
    "in": (lambda x: x.abs(), torch.view_as_complex(SIGNAL.reshape(2, 32, 2))),
    "in and out": (lambda x: x * x, torch.view_as_complex(SIGNAL.reshape(2, 32, 2))),
}


@pytest.mark.parametrize("backend", [ORT, OPENVINO], ids=lambda backend: backend.name)
@pytest.mark.parametrize(("function", "x"), COMPLEX.values(), ids=COMPLEX)
def test_complex_numbers_come_back_complex_or_are_refused(backend: Backend, function, x, tmp_path: Path) -> None:
    model = Function(function).eval()
    try:
        built = built_or_skipped(backend, subject(model, x=x), tmp_path)
        answer = built.forward(x=x)
    except BuildError as error:
        refusal = str(error)
    else:
        refusal = ""
    if refusal:
        assert backend is OPENVINO
        assert "\n" not in refusal
        return
    assert_alike(answer, model(x), backend.precision)
    assert_parity(answer, model, Inputs(kwargs={"x": x}), backend.precision)


@pytest.mark.parametrize("backend", [ORT, OPENVINO], ids=lambda backend: backend.name)
@pytest.mark.parametrize(("narrow", "wide"), [(torch.int32, torch.int64), (torch.uint8, torch.int64)])
def test_a_build_takes_no_wider_type_than_it_was_made_for(
    backend: Backend, narrow: torch.dtype, wide: torch.dtype, tmp_path: Path
) -> None:
    built = built_or_skipped(
        backend, subject(Function(lambda x: x * 2).eval(), x=torch.ones(4, dtype=narrow)), tmp_path
    )
    assert built.accepts(Inputs(kwargs={"x": torch.ones(4, dtype=narrow)}))
    assert not built.accepts(Inputs(kwargs={"x": torch.full((4,), 3000, dtype=wide)}))
