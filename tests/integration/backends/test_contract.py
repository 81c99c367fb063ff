"""The contract: our own backends keep it, and whoever breaks a promise is told which, and what was seen."""

from __future__ import annotations

import inspect
import logging
import os
import random
import tempfile
import threading
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from pytest_cpuaccel.backends.eager import EAGER
from pytest_cpuaccel.backends.registry import BUILTIN
from pytest_cpuaccel.backends.requirements import unmet_requirement
from pytest_cpuaccel.conformance import PROMISES, BrokenPromiseError, observe, samples
from pytest_cpuaccel.conformance.observation import Built, Observation
from pytest_cpuaccel.core import tree
from pytest_cpuaccel.core.backend import Backend, BuiltModel, Subject
from pytest_cpuaccel.core.errors import BackendUnavailableError, BuildError
from pytest_cpuaccel.core.precision import Precision
from tests import compiling

SAMPLES = samples()
PLAIN = SAMPLES[:1]


def broken(observation: Observation) -> list[str]:
    return [promise.name for promise in PROMISES if any(promise.breaches(observation))]


def observe_one(backend: Backend, folder: Path, bases: Path) -> Observation:
    """What a backend does with the first sample that it takes."""
    for sample in SAMPLES:
        seen = observe(backend, folder / sample.name, [sample], bases)
        if any(seen.of(Built)):
            break
    return seen


@pytest.fixture(scope="module")
def bases(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("bases")


@pytest.mark.parametrize("backend", BUILTIN, ids=lambda backend: backend.name)
def test_our_own_backends_keep_every_promise(
    backend: Backend, tmp_path: Path, bases: Path, pytestconfig: pytest.Config
) -> None:
    reason = unmet_requirement(backend)
    if reason:
        pytest.skip(reason)
    try:
        with compiling.spared(backend, pytestconfig):
            seen = observe_one(backend, tmp_path, bases)
    except BackendUnavailableError as error:
        pytest.skip(str(error))
    for promise in PROMISES:
        promise.check(seen)


# Backends that break one promise each


def changed(**parts: Any) -> Backend:
    """Eager with other parts in what it builds; a part is a function of the built model and the subject."""

    def load(subject: Subject, folder: Path | None) -> BuiltModel:
        built = EAGER.load(subject, folder)
        return replace(built, **{name: part(built, subject) for name, part in parts.items()})

    return replace(EAGER, load=load)


def answering(change: Callable[[Any], Any]) -> Backend:
    return changed(forward=lambda built, _: lambda **inputs: change(built.forward(**inputs)))


def loading(act: Callable[[Subject], Any]) -> Backend:
    """Eager, after something else that it does whenever it loads."""

    def load(subject: Subject, folder: Path | None) -> BuiltModel:
        act(subject)
        return EAGER.load(subject, folder)

    return replace(EAGER, load=load)


def raising(error: Exception) -> Backend:
    def act(subject: Subject) -> None:  # noqa: ARG001
        raise error

    return loading(act)


def warn(output: Any) -> Any:
    warnings.warn("slow path", UserWarning, stacklevel=1)
    return output


def write_to_input(built: BuiltModel, subject: Subject) -> Any:  # noqa: ARG001
    def forward(images: torch.Tensor) -> Any:
        answer = built.forward(images)
        images.zero_()
        return answer

    return forward


def one_buffer(built: BuiltModel, subject: Subject) -> Any:
    answer = tree.clone(subject.expected)

    def forward(images: torch.Tensor) -> Any:
        for kept, new in zip(tree.tensors(answer), tree.tensors(built.forward(images)), strict=True):
            kept.resize_(new.shape).copy_(new)
        return answer

    return forward


def with_dropout(output: Any) -> Any:
    return tree.map_leaves(lambda leaf: nn.functional.dropout(leaf, 0.5), output)


def reaching_the_reference(change: Callable[[nn.Module], Any]) -> Backend:
    """A backend that gets hold of the eager model itself, as a hook or a class attribute may."""
    return loading(lambda subject: change(inspect.getclosurevars(subject.fresh_module).nonlocals["model"]))


def writing_to_its_export() -> Backend:
    def export(subject: Subject, folder: Path) -> None:
        (folder / "weights").write_text(str(subject.threads))

    def load(subject: Subject, folder: Path | None) -> BuiltModel:
        assert folder is not None
        with (folder / "weights").open("a") as file:
            file.write("again")
        return EAGER.load(subject, None)

    return replace(EAGER, export=export, load=load)


def failing_the_second_time() -> Backend:
    loads: list[Subject] = []

    def act(subject: Subject) -> None:
        loads.append(subject)
        if len(loads) == 3:
            raise RuntimeError("name already registered")

    return loading(act)


KEPT: list[Any] = []


def keep_a_file(subject: Subject) -> None:  # noqa: ARG001
    KEPT.append(tempfile.TemporaryFile())  # noqa: SIM115


def keep_a_thread(subject: Subject) -> None:  # noqa: ARG001
    stop = threading.Event()
    KEPT.append(stop)
    threading.Thread(target=stop.wait, daemon=True).start()


def leave_a_file(subject: Subject) -> None:  # noqa: ARG001
    file, _ = tempfile.mkstemp()
    os.close(file)


BREAKERS = {
    "takes-or-refuses": [
        raising(RuntimeError("no kernel")),
        raising(BuildError("no kernel\nfor it")),
        raising(BuildError("takes no model of this world")),
    ],
    "gives-eagers-form": [
        answering(lambda output: tuple(output.values())),
        answering(lambda output: {"scores": output["scores"]}),
        answering(lambda output: tree.cast_floats(output, torch.float64)),
    ],
    "gives-eagers-answer": [answering(lambda output: tree.map_leaves(lambda leaf: leaf * 1.001, output))],
    "tells-its-precision": [replace(EAGER, precision=precision) for precision in (Precision.BF16, Precision.INT8)],
    "agrees-with-itself": [answering(with_dropout)],
    "survives-other-builds": [failing_the_second_time()],
    "accepts-its-own-inputs": [changed(accepts=lambda *_: lambda _: False)],
    "tells-its-threads": [
        changed(threads=lambda *_: 1),
        changed(threads=lambda *_: None),
        changed(facts=lambda built, _: {**built.facts, "layers": [1, 2]}),
    ],
    "warns-of-nothing": [answering(warn)],
    "leaves-the-reference": [
        reaching_the_reference(lambda model: model.head.register_buffer("scale", torch.ones(1))),
        reaching_the_reference(lambda model: setattr(model.head, "fused", True)),
    ],
    "leaves-its-inputs": [changed(forward=write_to_input)],
    "leaves-its-answers": [changed(forward=one_buffer)],
    "leaves-its-export": [writing_to_its_export()],
    "leaves-the-process": [
        loading(lambda _: torch.rand(1)),
        loading(lambda _: np.random.rand()),
        loading(lambda _: random.random()),
        loading(lambda _: torch.set_num_threads(3)),
        loading(lambda _: torch.set_grad_enabled(not torch.is_grad_enabled())),
        loading(lambda _: warnings.filterwarnings("ignore", f"warning {len(warnings.filters)}")),
        loading(lambda _: logging.disable(logging.root.manager.disable + 1)),
        loading(lambda _: os.environ.update({"OMP_WAIT_POLICY": f"{os.environ.get('OMP_WAIT_POLICY', '')}x"})),
    ],
    "closes-what-it-opened": [loading(keep_a_file), loading(keep_a_thread), loading(leave_a_file)],
}


@pytest.fixture
def _process_restored(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("OMP_WAIT_POLICY", "passive")
    states = torch.get_rng_state(), np.random.get_state(), random.getstate()
    threads, gradients, disabled = torch.get_num_threads(), torch.is_grad_enabled(), logging.root.manager.disable
    with warnings.catch_warnings():
        yield
    for kept in KEPT:
        kept.set() if isinstance(kept, threading.Event) else kept.close()
    KEPT.clear()
    torch.set_rng_state(states[0])
    np.random.set_state(states[1])
    random.setstate(states[2])
    torch.set_num_threads(threads)
    torch.set_grad_enabled(gradients)
    logging.disable(disabled)


@pytest.mark.usefixtures("_process_restored")
@pytest.mark.parametrize(
    ("name", "backend"),
    [(name, backend) for name, backends in BREAKERS.items() for backend in backends],
    ids=[f"{name}-{number}" for name, backends in BREAKERS.items() for number in range(len(backends))],
)
def test_a_broken_promise_is_noticed(name: str, backend: Backend, tmp_path: Path) -> None:
    found = broken(observe(backend, tmp_path, PLAIN))
    assert name in found


def test_every_promise_can_be_broken() -> None:
    assert set(BREAKERS) == {promise.name for promise in PROMISES}


def test_a_broken_promise_says_what_was_promised_and_what_was_seen(tmp_path: Path) -> None:
    seen = observe(changed(threads=lambda *_: 4), tmp_path, PLAIN)
    (promise,) = (promise for promise in PROMISES if promise.name == "tells-its-threads")
    with pytest.raises(BrokenPromiseError) as breach:
        promise.check(seen)
    assert str(breach.value).splitlines()[:2] == [
        "eager: reads back the number of threads that it was given",
        "  plain, the first build: threads is 4, 1 asked for",
    ]


def test_a_backend_that_is_not_installed_is_not_observed(tmp_path: Path) -> None:
    from tests import doubles

    with pytest.raises(BackendUnavailableError, match="no-such-distribution is not installed"):
        observe(doubles.ABSENT, tmp_path)
