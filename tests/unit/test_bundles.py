"""A bundle is written whole or not at all, and read as data from a stranger."""

from __future__ import annotations

import json
import math
import os
import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from pytest_cpuaccel.bundles import json_text, write
from pytest_cpuaccel.bundles.artifact_files import artifact_in, check_artifact
from pytest_cpuaccel.bundles.bundle import (
    ARTIFACT,
    DOCUMENT,
    TENSORS,
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
from pytest_cpuaccel.bundles.read import read_bundle
from pytest_cpuaccel.bundles.surroundings import differences, kernel_differences
from pytest_cpuaccel.bundles.write import write_bundle
from pytest_cpuaccel.core import tree
from pytest_cpuaccel.core.budget import (
    NO_LIMIT,
    AccuracyBudget,
    Budgets,
    KernelsBudget,
    LatencyBudget,
    MemoryBudget,
    ParityBudget,
    StartupBudget,
    Tolerance,
)
from pytest_cpuaccel.core.call import Answer
from pytest_cpuaccel.core.errors import UsageError
from pytest_cpuaccel.core.inputs import Inputs
from pytest_cpuaccel.core.kernel_census import Kernel, KernelCensus
from pytest_cpuaccel.core.measurement.accuracy import PairedScores
from pytest_cpuaccel.core.precision import Precision
from pytest_cpuaccel.core.verdict import Outcome

pytest.importorskip("safetensors")

PLACE = Place("a CPU", ("avx2",), 2, 1, "Linux", "3.11.0", {"torch": "2.8.0"})
X = torch.arange(6.0).reshape(2, 3)
CENSUS = KernelCensus("a profiler", (Kernel("MatMul", 2, "fp32", us=3.0),), isa="avx2")

BUDGETS = Budgets(
    parity=ParityBudget(Tolerance(rtol=1e-3), {"logits": Tolerance(top1=1.0)}, ("log*",), ""),
    accuracy=AccuracyBudget(max_drop=0.0, of="these"),
    latency=LatencyBudget(p50_ns=10, speedup=1.5),
    startup=StartupBudget(cold_start_ns=NO_LIMIT),
    memory=MemoryBudget(peak_bytes=1e9),
    kernels=KernelsBudget(int8_share=0.5, max_graph_breaks=0, absent=("ref*",)),
)


def bundle(*args: Any, output: Any = X, **kwargs: Any) -> Bundle:
    return Bundle(
        test="tests/test_it.py::test_close[off]",
        label="forward 2x3",
        model=RecordedModel("Mlp", {"weights": "w", "structure": "s", "code": "c"}, keep_fp32=("layers.*",)),
        backend="off",
        precision=Precision.FP32,
        calls=(RecordedCall("forward", Inputs(args, kwargs), Answers(Answer(output), Answer(output, {"x": X}))),),
        verdicts=(RecordedVerdict("parity", Outcome.FAIL, "off by 1"),),
        place=PLACE,
        seed=7,
        budgets=BUDGETS,
        kernels=CENSUS,
    )


def test_it_is_read_as_it_was_written(tmp_path: Path) -> None:
    given = (X, [1, (2.5, None), {"deep": [True, "text", math.inf, -3]}])
    written = bundle(*given, mask=torch.tensor([True, False]), nothing=torch.empty(0, 4))
    found = read_bundle(write_bundle(written, tmp_path))
    (call,), (other,) = found.calls, written.calls
    assert tree.same(call.inputs.args, given)
    assert tree.same(dict(call.inputs.kwargs), dict(other.inputs.kwargs))
    assert tree.same(call.answers.expected.written, {"x": X})
    plain: dict[str, Any] = {"calls": ()}
    assert replace(found, **plain) == replace(written, **plain)


def test_the_schema_in_the_docs_takes_what_is_written(tmp_path: Path) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    schema = json.loads((Path(__file__).parents[2] / "docs" / "bundle.schema.json").read_text())
    given = bundle(X.t(), [1, (2.5, None), {"deep": [True, "text", math.nan]}])
    whole = replace(given, artifact=Artifact((ArtifactFile("a", 1, "0"),)))
    document = json.loads((write_bundle(whole, tmp_path) / DOCUMENT).read_text())
    jsonschema.Draft202012Validator(schema).validate(document)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft202012Validator(schema).validate(document | {"more": 1})


def test_scores_and_the_calls_of_a_model_with_state_are_read_as_they_were_written(tmp_path: Path) -> None:
    (call,) = bundle(X).calls
    whole = replace(bundle(X), calls=(call, call), state=("seen",))
    found = read_bundle(write_bundle(whole, tmp_path))
    assert (len(found.calls), len(found.made_by_test), found.state) == (2, 1, ("seen",))
    scores = PairedScores((0.1, 1.0), (1.0, 1e-300))
    told = (RecordedVerdict("accuracy", Outcome.FAIL, "dropped"),)
    scored = replace(bundle(), calls=(), scores=scores, verdicts=told)
    assert read_bundle(write_bundle(scored, tmp_path)).scores == scores
    metric = replace(scored, scores=None, metric=RecordedMetric("F1", 2, 0.5, 1.0))
    found = read_bundle(write_bundle(metric, tmp_path))
    assert (found.metric, found.scores) == (metric.metric, None)
    with pytest.raises(UsageError, match="metric has no scores over resampled items"):
        write_bundle(replace(metric, budgets=replace(BUDGETS, accuracy=AccuracyBudget(max_drop=0.1))), tmp_path)


def test_strides_are_kept_where_memory_has_no_gaps(tmp_path: Path) -> None:
    image = torch.rand(2, 3, 4, 5).contiguous(memory_format=torch.channels_last)
    found = read_bundle(write_bundle(bundle(image, X.t(), X[:1].expand(4, 3)), tmp_path)).calls[0].inputs.args
    assert tree.same(found[0], image)
    assert tree.same(found[1], X.t())
    assert torch.equal(found[2], X[:1].expand(4, 3))


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (object(), "argument 0 is a object"),
        ({1: X}, "keys that are no texts"),
        (X.to_sparse(), "sparse"),
        (X.to("meta"), "on meta"),
        (X.to(torch.complex64), "complex64"),
        (1 << 70, "a int"),
    ],
)
def test_other_types_are_refused_and_nothing_is_left(value: Any, message: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=message):
        write_bundle(bundle(value), tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_folder_of_its_own_beside_files_of_the_user(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    first, second = (write_bundle(bundle(X), tmp_path) for _ in range(2))
    assert first != second
    assert first.name.startswith("test_close-off-")
    assert (tmp_path / "notes.txt").read_text() == "mine"
    assert len(list(tmp_path.iterdir())) == 3


def test_too_many_and_too_large_are_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_bundle(bundle(X), tmp_path)
    monkeypatch.setattr(write, "MOST_BUNDLES", 1)
    with pytest.raises(UsageError, match="holds 1 bundles already"):
        write_bundle(bundle(X), tmp_path)
    monkeypatch.setattr(write, "MOST_BUNDLES", 9)
    monkeypatch.setattr(write, "MOST_BYTES", 10)
    with pytest.raises(UsageError, match="inputs and outputs take"):
        write_bundle(bundle(X), tmp_path)
    assert len(list(tmp_path.iterdir())) == 1


NO_ANSWER: dict[str, Any] = {"output": None, "written": {}}
PLAIN_CALL: dict[str, Any] = {
    "method": "forward",
    "args": [],
    "kwargs": {},
    "random_state": None,
    "answers": dict.fromkeys(("actual", "expected"), NO_ANSWER) | {"expected64": None, "rounding": None},
}


@pytest.fixture
def left(tmp_path: Path) -> Path:
    return write_bundle(bundle(X), tmp_path)


def change(left: Path, alter: Callable[[dict[str, Any]], None]) -> None:
    document = json.loads((left / DOCUMENT).read_text())
    alter(document)
    (left / DOCUMENT).write_text(json.dumps(document))


@pytest.mark.parametrize(
    ("alter", "message"),
    [
        (lambda it: it.update(schema=2), "schema 2"),
        (lambda it: it.pop("verdicts"), "verdicts is missing"),
        (lambda it: it["calls"][0].update(method="eval"), "may be forward, generate"),
        (lambda it: it["calls"][0].update(args=[{"tensor": "../t0"}]), "no tensor"),
        (lambda it: it["calls"][0].update(args=[{"tensor": "t0", "order": [0, 0]}]), "other dimensions"),
        (lambda it: it["calls"][0].update(args=[{"object": "os.system"}]), "no value is described"),
        (lambda it: it["calls"][0].update(args=[{"dict": [["a", 1], ["a", 2]]}]), "twice"),
        (lambda it: it["calls"][0].update(args=[{"model_output": [], "class": "os"}]), "ModelOutput"),
        (lambda it: it["calls"][0].update(args=[], random_state={"tensor": "t0"}), "no state of torch's generator"),
        (lambda it: it["calls"][0].update(args=[{"tensor": "t0"}] * 2), "named twice"),
        (lambda it: it["calls"][0].update(args=[10**30]), "an integer is larger"),
        (lambda it: it.update(calls=it["calls"] * 1001), "calls has more than 1000 items"),
        (lambda it: it.update(calls=[]), "neither calls nor scores"),
        (lambda it: it.update(calls=[], scores={"actual": 1, "expected": 2}), "no rows of float64"),
        (lambda it: it.update(calls=it["calls"] * 2), "named twice"),
        (lambda it: it["calls"].append(PLAIN_CALL), "state names nothing"),
        (lambda it: (it["calls"].append(PLAIN_CALL), it.update(state=["seen"])), "asked_once_more is true of a model"),
        (lambda it: it.update(asked_once_more=True), "asked_once_more is true of a model"),
        (lambda it: it.update(state=["seen"]), "between calls, and calls has 1"),
        (lambda it: it["calls"][0].update(method="generate"), "random_state belongs to a generate"),
        (lambda it: it["budgets"].update(parity=None), "budgets.parity is null"),
        (lambda it: it["verdicts"][0].update(kind="accuracy"), "there are no scores"),
        (lambda it: it["calls"][0].update(args=[]), "'t0' is named nowhere"),
        (lambda it: it["calls"][0].update(more=1), "more is no field of a bundle"),
        (lambda it: it["budgets"]["parity"]["tolerance"].update(rtol=-1), "rtol: -1.0 is negative"),
        (lambda it: it["budgets"]["parity"]["tolerance"].update(cosine=2), "cosine: 2.0 is outside"),
        (lambda it: it["budgets"]["kernels"].update(int8_share=2), "int8_share: 2.0 is outside"),
        (lambda it: it["budgets"]["accuracy"].update(max_drop=None), "accuracy promises nothing"),
        (lambda it: it.update(tensors_sha256="0"), "is not the file whose digest"),
        (lambda it: it["budgets"]["latency"].update(speedup=0), "speedup is not above 0"),
        (lambda it: it["budgets"]["memory"].update(peak_bytes=10**400), "peak_bytes is no finite number"),
        (lambda it: it["budgets"]["accuracy"].update(of="those"), "neither null nor"),
        (lambda it: it.update(verdicts=it["verdicts"] * 2), "one of a kind twice"),
        (lambda it: it["place"].update(threads=10**9), "threads is not between"),
        (lambda it: it["place"].update(cpu=3), "cpu is a int"),
        (lambda it: it["budgets"]["parity"]["tolerance"].update(rtol="x"), "rtol is a str"),
        (lambda it: it.update(artifact={"is_here": True, "files": [file("../../evil")]}), "no path within"),
        (lambda it: it.update(artifact={"is_here": True, "files": [file("/etc/evil")]}), "no path within"),
        (lambda it: it.update(artifact={"is_here": True, "files": [file("a"), file("a")]}), "twice"),
    ],
)
def test_a_document_that_says_something_else_is_refused(left: Path, alter: Any, message: str) -> None:
    change(left, alter)
    with pytest.raises(UsageError, match=message):
        read_bundle(left)


@pytest.mark.parametrize(("actual", "message"), [((1.0,), "1 of the backend and 2"), ((1.0, math.nan), "no finite")])
def test_scores_that_are_no_pairs_of_numbers_are_neither_written_nor_read(
    actual: tuple[float, ...], message: str, tmp_path: Path
) -> None:
    told = (RecordedVerdict("accuracy", Outcome.FAIL, "dropped"),)
    scored = replace(bundle(), calls=(), scores=PairedScores(actual, (1.0, 0.0)), verdicts=told)
    with pytest.raises(UsageError, match=f"could not be read again: .*{message}"):
        write_bundle(scored, tmp_path)
    assert not list(tmp_path.iterdir())


def test_eager_in_another_precision_answers_in_the_same_kind(tmp_path: Path) -> None:
    (call,) = bundle(X).calls
    odd = replace(call, answers=replace(call.answers, expected64=Answer(X > 0)))
    with pytest.raises(UsageError, match="expected64 has bool for 'output', which is float32 in expected"):
        write_bundle(replace(bundle(X), calls=(odd,)), tmp_path)


def test_what_could_not_be_read_again_is_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_bundle(bundle([0] * 1000), tmp_path)
    monkeypatch.setattr(json_text, "MOST_VALUES", 1000)
    with pytest.raises(UsageError, match=r"could not be read again: 'bundle\.json': holds more than 1000 values"):
        write_bundle(bundle([0] * 1000), tmp_path)
    assert len(list(tmp_path.iterdir())) == 1


def file(path: str) -> dict[str, Any]:
    return {"path": path, "bytes": 1, "sha256": "0"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"schema": 1, "schema": 1}', "twice"),
        ("[" * 100_000, "nested more than"),
        ("{" * 50 + "NaN", "no JSON"),
        ('{"schema": NaN}', "NaN"),
        ("[]", "no object"),
        ("[" + "{}," * 1_000_000 + "{}]", "more than 1000000 values"),
        ("1" * 10_000, "no"),
    ],
)
def test_text_that_is_no_document_is_refused(left: Path, text: str, message: str) -> None:
    (left / DOCUMENT).write_text(text)
    with pytest.raises(UsageError, match=message):
        read_bundle(left)


def test_brackets_in_a_text_are_no_nesting() -> None:
    assert json_text.parsed(json.dumps({"a": '\\"' + "[" * 999}).encode(), "it") == {"a": '\\"' + "[" * 999}


def test_a_value_nested_too_deep_is_refused(left: Path) -> None:
    node: Any = 1
    for _ in range(60):
        node = {"list": [node]}
    change(left, lambda it: it["calls"][0].update(args=[node]))
    with pytest.raises(UsageError, match="nested more than 50"):
        read_bundle(left)


def header(entries: str, data: bytes = b"") -> bytes:
    return struct.pack("<Q", len(entries)) + entries.encode() + data


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (header('{"t0": {"dtype": "F32", "shape": [1152921504606846976], "data_offsets": [0, 4]}}', b"1234"), "shape"),
        (header('{"t0": {"dtype": "F32", "shape": [281474976710655], "data_offsets": [0, 4]}}', b"1234"), "says?|say"),
        (header('{"t0": {"dtype": "F32", "shape": [2], "data_offsets": [0, 4]}}', b"1234"), "other bytes"),
        (header('{"t0": {"dtype": "F64", "shape": [1], "data_offsets": [0, 4]}}', b"1234"), "other bytes"),
        (header('{"t0": {"dtype": "PICKLE", "shape": [1], "data_offsets": [0, 4]}}', b"1234"), "PICKLE"),
        (header('{"t0": {"dtype": "U8", "shape": [4], "data_offsets": [0, 4]}}', b"12"), "its tensors take"),
        (header('{"t0": {"dtype": "U8", "shape": [2], "data_offsets": [2, 4]}}', b"1234"), "gaps"),
        (header('{"t0": {"dtype": "U8", "shape": [-1], "data_offsets": [0, 0]}}'), "impossible"),
        (
            header(
                '{"t0": {"dtype": "U8", "shape": [1], "data_offsets": [0, 1]}, '
                '"t0": {"dtype": "U8", "shape": [1], "data_offsets": [1, 2]}}',
                b"12",
            ),
            "twice",
        ),
        (struct.pack("<Q", 1 << 60), "header"),
        (b"123", "header"),
        (header("{" * 1000), "nested"),
    ],
    ids=lambda value: "" if isinstance(value, bytes) else value,
)
def test_a_damaged_file_of_tensors_is_refused(left: Path, data: bytes, message: str) -> None:
    (left / TENSORS).write_bytes(data)
    with pytest.raises(UsageError, match=message):
        read_bundle(left)


@pytest.mark.parametrize("name", [DOCUMENT, TENSORS])
def test_links_pipes_and_large_files_are_refused(left: Path, name: str, tmp_path: Path) -> None:
    (left / name).rename(tmp_path / "elsewhere")
    (left / name).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UsageError, match="is a link"):
        read_bundle(left)
    (left / name).unlink()
    os.mkfifo(left / name)
    with pytest.raises(UsageError, match="no plain file"):
        read_bundle(left)
    (left / name).unlink()
    with (left / name).open("wb") as stream:
        stream.truncate(1 << 34)
    with pytest.raises(UsageError, match="is not read"):
        read_bundle(left)


def test_the_artifact_is_copied_and_must_be_the_one_that_was_named(tmp_path: Path) -> None:
    source = tmp_path / "source"
    (source / "inner").mkdir(parents=True)
    (source / "inner" / "model.onnx").write_text("weights")
    whole = replace(bundle(X), artifact=artifact_in(source))
    folder = write_bundle(whole, tmp_path / "left", source)
    found = read_bundle(folder).artifact
    assert found is not None
    assert found.is_here
    check_artifact(found, folder / ARTIFACT)
    (folder / ARTIFACT / "more").symlink_to(source)
    with pytest.raises(UsageError, match="does not name"):
        check_artifact(found, folder / ARTIFACT)
    (folder / ARTIFACT / "more").unlink()
    (folder / ARTIFACT / "inner" / "model.onnx").write_text("Weights")
    with pytest.raises(UsageError, match="is not the file"):
        check_artifact(found, folder / ARTIFACT)


def test_what_is_other_here_is_named() -> None:
    here = replace(PLACE, isa=("avx2", "amx"), threads=2, versions={"torch": "2.9.0"})
    assert list(differences(PLACE, here)) == ["torch: 2.8.0 -> 2.9.0", "threads: 1 -> 2", "isa: avx2 -> avx2, amx"]
    assert list(kernel_differences(CENSUS, None, with_times=False)) == ["not counted here"]
