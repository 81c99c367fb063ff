"""A bundle as a JSON document with named tensors, and read back. ``docs/bundle.schema.json`` describes it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, cast, get_args

import torch

from pytest_cpuaccel.bundles.bundle import (
    SCHEMA,
    Answers,
    Artifact,
    ArtifactFile,
    Bundle,
    Place,
    RecordedModel,
    RecordedVerdict,
)
from pytest_cpuaccel.bundles.description import Describer
from pytest_cpuaccel.bundles.fields import Fields
from pytest_cpuaccel.bundles.plain_file import check_inner
from pytest_cpuaccel.bundles.restoration import restored
from pytest_cpuaccel.core.budget import ParityBudget, Tolerance
from pytest_cpuaccel.core.call import Answer, Method
from pytest_cpuaccel.core.errors import UsageError
from pytest_cpuaccel.core.inputs import Inputs
from pytest_cpuaccel.core.kernel_census import Kernel, KernelCensus
from pytest_cpuaccel.core.precision import Precision
from pytest_cpuaccel.core.tolerance_lock import Lock
from pytest_cpuaccel.core.verdict import Kind, Outcome

_MOST_THREADS = 1024
_ANSWERS = ("actual", "expected", "expected64", "rounding")


def written(bundle: Bundle) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    """Return a bundle as a document and its tensors.

    Raises:
        UsageError: it holds a value that a bundle can't hold.
    """
    describer, inputs = Describer(), bundle.inputs
    return {
        "schema": SCHEMA,
        "test": bundle.test,
        "call": {
            "label": bundle.label,
            "method": bundle.method,
            "args": [_exact(describer, value, f"argument {number}") for number, value in enumerate(inputs.args)],
            "kwargs": {name: _exact(describer, value, f"input {name!r}") for name, value in inputs.kwargs.items()},
        },
        "random": {"seed": bundle.seed, "state": _exact(describer, bundle.rng_state, "generator state")},
        "model": {
            "name": bundle.model.name,
            "key": dict(bundle.model.key),
            "is_candidate": bundle.model.is_candidate,
        },
        "backend": {"name": bundle.backend, "precision": bundle.precision.value},
        "answers": {name: _answer(describer, getattr(bundle.answers, name), name) for name in _ANSWERS},
        "verdicts": [
            {"kind": verdict.kind, "outcome": verdict.outcome.value, "sentence": verdict.sentence}
            for verdict in bundle.verdicts
        ],
        "parity": None if bundle.budget is None else _budget(bundle.budget),
        "place": {**asdict(bundle.place), "isa": list(bundle.place.isa)},
        "kernels": None if bundle.kernels is None else _census(bundle.kernels),
        "artifact": None if bundle.artifact is None else asdict(bundle.artifact),
    }, describer.tensors


def read(document: Any, tensors: Mapping[str, torch.Tensor]) -> Bundle:
    """Return the bundle that a document describes.

    Raises:
        UsageError: names the first field that is not as the schema has it.
    """
    fields = Fields.of(document, "the document")
    fields = Fields(fields.values, "")
    if fields.count("schema") != SCHEMA:
        raise UsageError(f"it has schema {fields.count('schema')}; this version reads {SCHEMA}")
    call, model, backend, random = map(fields.object, ("call", "model", "backend", "random"))
    return Bundle(
        test=fields.text("test"),
        label=call.text("label"),
        model=RecordedModel(model.text("name"), model.texts_by_name("key"), model.flag("is_candidate")),
        backend=backend.text("name"),
        precision=Precision(backend.one_of("precision", [precision.value for precision in Precision])),
        method=cast("Method", call.one_of("method", get_args(Method))),
        inputs=Inputs(
            tuple(restored(item, tensors) for item in call.items("args")),
            {name: restored(item, tensors) for name, item in call.object("kwargs").values.items()},
        ),
        answers=_read_answers(fields.object("answers"), tensors),
        verdicts=tuple(map(_read_verdict, fields.objects("verdicts"))),
        place=_read_place(fields.object("place")),
        seed=random.count("seed", 1 << 64),
        rng_state=_read_state(restored(random.get("state"), tensors)),
        budget=fields.optional("parity", _read_budget),
        kernels=fields.optional("kernels", _read_census),
        artifact=fields.optional("artifact", _read_artifact),
    )


def _exact(describer: Describer, value: Any, place: str) -> Any:
    return describer.described(value, place, exactly=True)


def _answer(describer: Describer, answer: Answer | None, name: str) -> dict[str, Any] | None:
    if answer is None:
        return None
    return {
        "output": describer.described(answer.output, f"the {name} output", exactly=False),
        "written": {
            key: describer.described(value, f"what was written to {key!r}", exactly=False)
            for key, value in answer.written.items()
        },
    }


def _read_answers(fields: Fields, tensors: Mapping[str, torch.Tensor]) -> Answers:
    def answer(found: Fields) -> Answer:
        changed = found.object("written").values
        return Answer(
            restored(found.get("output"), tensors), {name: restored(item, tensors) for name, item in changed.items()}
        )

    return Answers(
        answer(fields.object("actual")),
        answer(fields.object("expected")),
        fields.optional("expected64", answer),
        fields.optional("rounding", answer),
    )


def _read_state(state: Any) -> torch.Tensor | None:
    """The state of torch's generator, which torch itself checks when it is set."""
    if state is None:
        return None
    size = len(torch.get_rng_state())
    if not isinstance(state, torch.Tensor) or state.dtype is not torch.uint8 or tuple(state.shape) != (size,):
        raise UsageError(f"random.state is no state of torch's generator, {size} numbers of type uint8")
    return state


def _read_verdict(fields: Fields) -> RecordedVerdict:
    return RecordedVerdict(
        cast("Kind", fields.one_of("kind", get_args(Kind))),
        Outcome(fields.one_of("outcome", [outcome.value for outcome in Outcome])),
        fields.text("sentence"),
    )


def _read_place(fields: Fields) -> Place:
    return Place(
        cpu=fields.text("cpu"),
        isa=fields.texts("isa"),
        cpus=fields.count("cpus"),
        threads=max(1, fields.count("threads", _MOST_THREADS)),
        system=fields.text("system"),
        python=fields.text("python"),
        versions=fields.texts_by_name("versions"),
    )


def _budget(budget: ParityBudget) -> dict[str, Any]:
    return {
        "tolerance": asdict(budget.tolerance),
        "outputs": {name: asdict(tolerance) for name, tolerance in budget.outputs.items()},
        "only": list(budget.only),
        "mask": budget.mask,
        "locks": {name: asdict(lock) for name, lock in budget.locks.items()},
    }


def _read_budget(fields: Fields) -> ParityBudget:
    own, locks = fields.object("outputs"), fields.object("locks")
    return ParityBudget(
        _read_tolerance(fields.object("tolerance")),
        {name: _read_tolerance(own.object(name)) for name in own.values},
        fields.texts("only"),
        fields.optional_text("mask"),
        {name: _read_lock(locks.object(name)) for name in locks.values},
    )


def _read_lock(fields: Fields) -> Lock:
    rmse, largest = (fields.number(name) or 0.0 for name in ("rmse", "largest"))
    return Lock(rmse, largest, fields.text("place"), fields.text("measured_on"))


def _read_tolerance(fields: Fields) -> Tolerance:
    return Tolerance(*(fields.number(name) for name in ("rtol", "atol", "cosine", "sqnr_db", "top1", "neighbours")))


def _census(census: KernelCensus) -> dict[str, Any]:
    plain = asdict(census)
    return {**plain, "kernels": list(plain["kernels"]), "fallbacks": list(census.fallbacks)}


def _read_census(fields: Fields) -> KernelCensus:
    breaks = None if fields.get("graph_breaks") is None else fields.count("graph_breaks")
    kernels = tuple(
        Kernel(
            item.text("op"),
            item.count("count"),
            item.optional_text("compute"),
            item.optional_text("stored"),
            item.optional_text("implementation"),
            item.number("us"),
        )
        for item in fields.objects("kernels")
    )
    return KernelCensus(
        fields.text("source"),
        kernels,
        fields.flag("is_complete"),
        fields.texts("fallbacks"),
        fields.optional_text("isa"),
        breaks,
    )


def _read_artifact(fields: Fields) -> Artifact:
    files = tuple(
        ArtifactFile(item.text("path"), item.count("bytes"), item.text("sha256")) for item in fields.objects("files")
    )
    for file in files:
        check_inner(file.path)
    if len({file.path for file in files}) != len(files):
        raise UsageError("artifact.files names one path twice")
    return Artifact(files, fields.flag("is_here"))
