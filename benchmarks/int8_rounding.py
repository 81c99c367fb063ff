"""How far int8 backends and planted faults are off, in units of int8 rounding, on trained and on tiny models.

Run ``python -m benchmarks.int8_rounding`` (a quarter of an hour). ``--minilm FOLDER`` adds a checkpoint of MiniLM,
``--digits FOLDER`` one of the example project's digits; names of architectures run only those, ``--backends GLOBS``
only those backends: INC's and IPEX's need an environment of their own. int8 rounding is what eager is off its fp64 with
the weights and inputs of its layers rounded as ``evaluation.fake_int8`` rounds them. Each figure is the larger of two
ratios: of root mean squares, and of maxima.
"""

from __future__ import annotations

import argparse
import contextlib
import tempfile
import warnings
from collections.abc import Callable, Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import nn

from pytest_cpuaccel.backends.eager import EAGER
from pytest_cpuaccel.backends.registry import register
from pytest_cpuaccel.builder.artifact_store import ArtifactStore
from pytest_cpuaccel.builder.builder import Builder
from pytest_cpuaccel.builder.private_copy import private_copy
from pytest_cpuaccel.core.backend import Backend, BuiltModel
from pytest_cpuaccel.core.build_request import BuildRequest
from pytest_cpuaccel.core.inputs import Inputs
from pytest_cpuaccel.core.kv_cache import without_state
from pytest_cpuaccel.core.option_values import backend_names
from pytest_cpuaccel.evaluation.fake_int8 import FakeInt8
from pytest_cpuaccel.measure.parity.leaves import pair_leaves
from pytest_cpuaccel.measure.parity.mask import mask_for, valid_elements
from pytest_cpuaccel.zoo.architectures import ARCHITECTURES
from tests.faults.fault import with_module
from tests.faults.faults import (
    ignored_mask,
    mixed_rows,
    multiplied,
    positions_off_by_one,
    stale_export,
    swapped_outputs,
    truncated,
)

BACKENDS = (
    "torch-int8",
    "torchao-int8",
    "torchao-int8-weights",
    "ort-int8",
    "ort-int8-static",
    "openvino-int8",
    "openvino-int8-ptq",
    "inc-int8-dynamic",
    "inc-int8-static",
    "ipex-int8",
    "ipex-int8-dynamic",
)


class Case(NamedTuple):
    """A model, and the inputs of a call."""

    name: str
    model: nn.Module
    inputs: Inputs


class Off(NamedTuple):
    """An output's relative RMSE and relative maximum error, and the same of eager with int8 rounding."""

    rmse: float
    largest: float
    own_rmse: float
    own_largest: float
    count: int

    @property
    def ratio(self) -> float:
        """Return the larger of both ratios."""
        return max(self.rmse / max(self.own_rmse, 1e-12), self.largest / max(self.own_largest, 1e-12))


def main() -> None:
    """Print a line for each model and backend or fault."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*")
    parser.add_argument("--minilm")
    parser.add_argument("--digits")
    parser.add_argument("--backends", type=backend_names, default=("*",))
    asked = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    for case in _cases(asked):
        _examined(case, asked.backends)


def _cases(asked: argparse.Namespace) -> Iterator[Case]:
    if asked.minilm:
        yield _minilm(asked.minilm)
    if asked.digits:
        yield _digits(asked.digits)
    for architecture in ARCHITECTURES:
        if architecture.name in asked.names or not asked.names:
            model = architecture.make()
            yield Case(architecture.name, model, architecture.inputs(model, batch=4, length=12))


SENTENCES = (
    "A man is eating food.",
    "The quick brown fox jumps over the lazy dog, and nobody seems to mind.",
    "Interest rates were left unchanged by the central bank on Thursday.",
    "How do I reset my password?",
    "Photosynthesis turns light, water and carbon dioxide into sugar.",
    "Bitte senden Sie uns die Rechnung bis Ende des Monats.",
    "She plays the violin.",
    "The experiment was repeated three times with the same result.",
)


def _minilm(folder: str) -> Case:
    from transformers import AutoModel, AutoTokenizer

    model = AutoModel.from_pretrained(folder).eval()
    tokens = AutoTokenizer.from_pretrained(folder)(list(SENTENCES), padding=True, return_tensors="pt")
    return Case("MiniLM (trained)", model, Inputs(kwargs=dict(tokens)))


def _digits(folder: str) -> Case:
    from sklearn.datasets import load_digits
    from transformers import AutoModelForImageClassification

    images = torch.tensor(load_digits().images[:32], dtype=torch.float32)[:, None] / 8 - 1
    model = AutoModelForImageClassification.from_pretrained(folder).eval()
    return Case("digits (trained)", model, Inputs(kwargs={"pixel_values": images}))


def _zeroed_layer(module: nn.Module) -> nn.Module:
    """The middle matrix is all zeros."""
    matrices = multiplied(module)
    with torch.no_grad():
        matrices[len(matrices) // 2].zero_()
    return module


def _shuffled_layer(module: nn.Module) -> nn.Module:
    """The output channels of the middle matrix are in another order."""
    matrices = multiplied(module)
    with torch.no_grad():
        matrix = matrices[len(matrices) // 2]
        matrix.copy_(matrix.roll(1, 0))
    return module


def _no_biases(module: nn.Module) -> nn.Module:
    """Linear layers and convolutions add no bias."""
    with torch.no_grad():
        for layer in module.modules():
            bias = getattr(layer, "bias", None)
            if isinstance(bias, torch.Tensor) and not isinstance(layer, nn.LayerNorm):
                bias.zero_()
    return module


def _coarse(module: nn.Module) -> nn.Module:
    """Weights of 4 bits, one scale for each matrix."""
    with torch.no_grad():
        for matrix in multiplied(module):
            scale = matrix.abs().max() / 7
            matrix.copy_((matrix / scale).round() * scale)
    return module


FAULTS: dict[str, Callable[[Backend], Backend]] = {
    "! mask ignored": ignored_mask,
    "! positions off by one": positions_off_by_one,
    "! rows mixed up": mixed_rows,
    "! truncated": truncated,
    "! outputs swapped": swapped_outputs,
    "! layer zeroed": lambda honest: with_module(honest, _zeroed_layer),
    "! layer shuffled": lambda honest: with_module(honest, _shuffled_layer),
    "! biases dropped": lambda honest: with_module(honest, _no_biases),
    "! 4 bits per tensor": lambda honest: with_module(honest, _coarse),
    "? weights off by 1 %": stale_export,
}


def _examined(case: Case, patterns: tuple[str, ...]) -> None:
    """Examine a case; one that eager can't run in fp64 is told, and left out."""
    try:
        _examine(case, patterns)
    except Exception as error:
        print(f"\n{case.name}: {type(error).__name__}: {str(error).splitlines()[0][:90]}", flush=True)


def _examine(case: Case, patterns: tuple[str, ...]) -> None:
    exact_model = private_copy(case.model).double()
    with torch.no_grad():
        given = {
            name: value.double() if value.is_floating_point() else value for name, value in case.inputs.kwargs.items()
        }
        exact = exact_model(**given)
        mode = FakeInt8()
        with mode:
            rounded = case.model(**case.inputs.kwargs)
    print(f"\n{case.name}: {mode.layers} products with weights", flush=True)
    known = register([])
    for name in BACKENDS:
        if name in known and any(fnmatchcase(name, pattern) for pattern in patterns):
            _report(case, name, known[name], exact, rounded)
    for name, put in FAULTS.items():
        _report(case, name, put(EAGER), exact, rounded)


def _report(case: Case, name: str, backend: Backend, exact: Any, rounded: Any) -> None:
    try:
        with tempfile.TemporaryDirectory() as cache, torch.no_grad():
            answer = _built(case, backend, cache).forward(**case.inputs.kwargs)
            found = list(_off(case, answer, exact, rounded))
            worst = max(found, key=lambda off: off.ratio)
    except Exception as error:
        print(f"  {name:24} {type(error).__name__}: {str(error).splitlines()[0][:90]}", flush=True)
        return
    print(
        f"  {name:24} {worst.ratio:9.2f}x  rmse {worst.rmse:.1e} / {worst.own_rmse:.1e} "
        f"max {worst.largest:.1e} / {worst.own_largest:.1e} of {worst.count}; "
        f"ratios of RMSE {' '.join(f'{off.rmse / max(off.own_rmse, 1e-12):.2f}' for off in found[:4])}",
        flush=True,
    )


def _built(case: Case, backend: Backend, cache: str) -> BuiltModel:
    builder = Builder(ArtifactStore(Path(cache), 10**11), 1, str, lambda _: contextlib.nullcontext())
    return builder.built(BuildRequest(case.model, backend, "forward", case.inputs))


def _off(case: Case, answer: Any, exact: Any, rounded: Any) -> Iterator[Off]:
    pairing = pair_leaves(without_state(answer), without_state(exact), without_state(rounded))
    names = [pair.name for pair in pairing.pairs]
    for pair in pairing.pairs:
        if not pair.expected.is_floating_point() or pair.actual.shape != pair.expected.shape:
            continue
        valid = valid_elements(pair.name, pair.expected.shape, mask_for(pair.name, case.inputs, None, names))
        reference = pair.expected[valid].double()
        sides = [side[valid].double() - reference for side in (pair.actual, pair.expected64)]
        scale, peak = reference.square().mean().sqrt().item(), reference.abs().max().item()
        (rmse, own_rmse), (largest, own_largest) = (
            [side.square().mean().sqrt().item() / scale for side in sides],
            [side.abs().max().item() / peak for side in sides],
        )
        yield Off(rmse, largest, own_rmse, own_largest, reference.numel())


if __name__ == "__main__":
    main()
