"""A bundle as a JSON document with named tensors, and read back. ``docs/bundle.schema.json`` describes it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from dataclasses import fields as fields_of
from typing import Any, cast, get_args

import torch

from pytest_cpuaccel.bundles import budgets_document
from pytest_cpuaccel.bundles.bundle import (
    MOST_CALLS,
    SCHEMA,
    Answers,
    Artifact,
    ArtifactFile,
    Bundle,
    Place,
    RecordedCall,
    RecordedMetric,
    RecordedModel,
    RecordedVerdict,
)
from pytest_cpuaccel.bundles.coherence import check_coherent
from pytest_cpuaccel.bundles.plain_file import check_inner
from pytest_cpuaccel.core.call import Answer, Method
from pytest_cpuaccel.core.errors import UsageError
from pytest_cpuaccel.core.inputs import Inputs
from pytest_cpuaccel.core.measurement.accuracy import PairedScores
from pytest_cpuaccel.core.precision import Precision
from pytest_cpuaccel.core.verdict import Kind, Outcome
from pytest_cpuaccel.exchange.census import read_census, written_census
from pytest_cpuaccel.exchange.description import Describer
from pytest_cpuaccel.exchange.fields import Fields
from pytest_cpuaccel.exchange.restoration import restored

_MOST_THREADS = 1024
_ANSWERS = ("actual", "expected", "expected64", "rounding")
_SIDES = ("actual", "expected")
_MOST_VERDICTS = len(get_args(Kind))
_FIELDS = (
    *("schema", "test", "label", "calls", "state", "asked_once_more", "seed", "model", "backend", "scores", "metric"),
    *("verdicts", "budgets", "place", "kernels", "artifact", "tensors_sha256"),
)


def written(bundle: Bundle) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    """Return a bundle as a document and its tensors; whoever writes their file adds its digest.

    Raises:
        UsageError: it holds a value that a bundle can't hold.
    """
    describer = Describer()
    return {
        "schema": SCHEMA,
        "test": bundle.test,
        "label": bundle.label,
        "calls": [_call(describer, call) for call in bundle.calls],
        "state": list(bundle.state),
        "asked_once_more": bundle.asked_once_more,
        "seed": bundle.seed,
        "model": {
            "name": bundle.model.name,
            "key": dict(bundle.model.key),
            "is_candidate": bundle.model.is_candidate,
            "keep_fp32": list(bundle.model.keep_fp32),
        },
        "backend": {"name": bundle.backend, "precision": bundle.precision.value},
        "scores": None if bundle.scores is None else _scores(describer, bundle.scores),
        "metric": None if bundle.metric is None else asdict(bundle.metric),
        "verdicts": [
            {"kind": verdict.kind, "outcome": verdict.outcome.value, "sentence": verdict.sentence}
            for verdict in bundle.verdicts
        ],
        "budgets": budgets_document.written(bundle.budgets),
        "place": {**asdict(bundle.place), "isa": list(bundle.place.isa)},
        "kernels": None if bundle.kernels is None else written_census(bundle.kernels),
        "artifact": None if bundle.artifact is None else asdict(bundle.artifact),
        "tensors_sha256": "",
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
    fields.only(*_FIELDS)
    model, backend = map(fields.object, ("model", "backend"))
    model.only(*_names(RecordedModel))
    backend.only("name", "precision")
    left = dict(tensors)
    fields.text("tensors_sha256")
    calls = tuple(_read_call(item, left) for item in fields.objects("calls", MOST_CALLS))
    scores = fields.optional("scores", lambda found: _read_scores(found, left))
    verdicts = tuple(map(_read_verdict, fields.objects("verdicts", _MOST_VERDICTS)))
    if len({verdict.kind for verdict in verdicts}) != len(verdicts):
        raise UsageError("verdicts has one of a kind twice")
    found = Bundle(
        test=fields.text("test"),
        label=fields.text("label"),
        model=RecordedModel(
            model.text("name"), model.texts_by_name("key"), model.flag("is_candidate"), model.texts("keep_fp32")
        ),
        backend=backend.text("name"),
        precision=Precision(backend.one_of("precision", [precision.value for precision in Precision])),
        verdicts=verdicts,
        place=_read_place(fields.object("place")),
        seed=fields.count("seed", 1 << 64),
        calls=calls,
        state=fields.texts("state"),
        budgets=budgets_document.read(fields.object("budgets")),
        scores=scores,
        metric=fields.optional("metric", _read_metric),
        kernels=fields.optional("kernels", read_census),
        artifact=fields.optional("artifact", _read_artifact),
    )
    check_coherent(found)
    if fields.flag("asked_once_more") != found.asked_once_more:
        raise UsageError("asked_once_more is true of a model that keeps state, and of no other")
    if left:
        raise UsageError(f"tensor {next(iter(left))[:40]!r} is named nowhere")
    return found


def _names(kind: type[Any]) -> tuple[str, ...]:
    return tuple(item.name for item in fields_of(kind))


def _call(describer: Describer, call: RecordedCall) -> dict[str, Any]:
    inputs = call.inputs
    return {
        "method": call.method,
        "args": [_exact(describer, value, f"argument {number}") for number, value in enumerate(inputs.args)],
        "kwargs": {name: _exact(describer, value, f"input {name!r}") for name, value in inputs.kwargs.items()},
        "random_state": _exact(describer, call.rng_state, "generator state"),
        "answers": {name: _answer(describer, getattr(call.answers, name), name) for name in _ANSWERS},
    }


def _read_call(fields: Fields, tensors: dict[str, torch.Tensor]) -> RecordedCall:
    fields.only("method", "args", "kwargs", "random_state", "answers")
    return RecordedCall(
        cast("Method", fields.one_of("method", get_args(Method))),
        Inputs(
            tuple(restored(item, tensors) for item in fields.items("args")),
            {name: restored(item, tensors) for name, item in fields.object("kwargs").values.items()},
        ),
        _read_answers(fields.object("answers"), tensors),
        _read_state(restored(fields.get("random_state"), tensors)),
    )


def _scores(describer: Describer, scores: PairedScores) -> dict[str, Any]:
    return {
        side: _exact(describer, torch.tensor(getattr(scores, side), dtype=torch.float64), f"the {side} scores")
        for side in _SIDES
    }


def _read_scores(fields: Fields, tensors: dict[str, torch.Tensor]) -> PairedScores:
    fields.only(*_SIDES)
    found = [restored(fields.get(side), tensors) for side in _SIDES]
    for scores in found:
        if not isinstance(scores, torch.Tensor) or scores.dtype is not torch.float64 or scores.dim() != 1:
            raise UsageError("scores are no rows of float64 numbers")
    return PairedScores(*(tuple(scores.tolist()) for scores in found))


def _read_metric(fields: Fields) -> RecordedMetric:
    fields.only(*_names(RecordedMetric))
    score, eager_score = (fields.number(name) for name in ("score", "eager_score"))
    items = fields.count("items")
    if score is None or eager_score is None or not items:
        raise UsageError("metric has no items, or no score of them")
    return RecordedMetric(fields.text("name"), items, score, eager_score)


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


def _read_answers(fields: Fields, tensors: dict[str, torch.Tensor]) -> Answers:
    def answer(found: Fields) -> Answer:
        found.only("output", "written")
        changed = found.object("written").values
        return Answer(
            restored(found.get("output"), tensors), {name: restored(item, tensors) for name, item in changed.items()}
        )

    fields.only(*_ANSWERS)
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
        raise UsageError(f"random_state is no state of torch's generator, {size} numbers of type uint8")
    return state


def _read_verdict(fields: Fields) -> RecordedVerdict:
    fields.only(*_names(RecordedVerdict))
    return RecordedVerdict(
        cast("Kind", fields.one_of("kind", get_args(Kind))),
        Outcome(fields.one_of("outcome", [outcome.value for outcome in Outcome])),
        fields.text("sentence"),
    )


def _read_place(fields: Fields) -> Place:
    fields.only(*_names(Place))
    return Place(
        cpu=fields.text("cpu"),
        isa=fields.texts("isa"),
        cpus=fields.count("cpus"),
        threads=max(1, fields.count("threads", _MOST_THREADS)),
        system=fields.text("system"),
        python=fields.text("python"),
        versions=fields.texts_by_name("versions"),
    )


def _read_artifact(fields: Fields) -> Artifact:
    fields.only(*_names(Artifact))
    files = tuple(map(_read_file, fields.objects("files")))
    for file in files:
        check_inner(file.path)
    if len({file.path for file in files}) != len(files):
        raise UsageError("artifact.files names one path twice")
    return Artifact(files, fields.flag("is_here"))


def _read_file(fields: Fields) -> ArtifactFile:
    fields.only(*_names(ArtifactFile))
    return ArtifactFile(fields.text("path"), fields.count("bytes"), fields.text("sha256"))
