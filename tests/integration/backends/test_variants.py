"""Variants of a backend start from what it exported: once for all of them, kept, and never altered."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from pytest_cpuaccel.backends import openvino, ort
from pytest_cpuaccel.backends.requirements import unmet_requirement
from pytest_cpuaccel.backends.toolkit import runtime_export as exporting
from pytest_cpuaccel.builder.artifact_store import ArtifactStore
from pytest_cpuaccel.builder.builder import Builder
from pytest_cpuaccel.builder.calibration import calibration_of
from pytest_cpuaccel.core.backend import Backend, Subject
from pytest_cpuaccel.core.build_request import BuildRequest
from pytest_cpuaccel.core.call import Method
from pytest_cpuaccel.core.errors import BackendUnavailableError, BuildError
from pytest_cpuaccel.core.inputs import Inputs
from tests import doubles, models
from tests.exports import X, tiny_t5

STORED, VARIANT, READER = doubles.STORED, doubles.VARIANT, doubles.READER
MLP = models.mlp()
EXPORTED, REWRITTEN, LOADED = "export", "rewrite ['weights.pt']", "load Mlp"


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], list[str]]:
    """What the doubles built so far."""
    path = tmp_path / "builds.log"
    path.touch()
    monkeypatch.setenv(doubles.LOG, str(path))
    return lambda: path.read_text().splitlines()


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def built(backend: Backend, cache: Path, *, limit: int = 10**9, data: Sequence[Any] = ()) -> list[str]:
    """Build an MLP in a session of its own; return the notes for the user."""
    notes: list[str] = []
    builder = Builder(ArtifactStore(cache, limit), torch.get_num_threads(), notes.append, at_rest)
    builder.calibrate(MLP, calibration_of(data) if data else None)
    builder.built(BuildRequest(MLP, backend, "forward", Inputs(kwargs={"x": X})))
    return notes


def at_rest(text: str) -> contextlib.AbstractContextManager[None]:  # noqa: ARG001
    return contextlib.nullcontext()


def entries(cache: Path) -> list[Path]:
    return [path for path in cache.iterdir() if path.is_dir()]


def entry(cache: Path, backend: Backend) -> Path:
    (folder,) = (path for path in entries(cache) if path.name.rpartition("-")[0].endswith(f"-{backend.name}"))
    return folder


def digests(folder: Path) -> dict[str, str]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_a_variant_reuses_what_its_base_exported_and_leaves_it(cache: Path, log: Callable[[], list[str]]) -> None:
    built(STORED, cache)
    before = digests(entry(cache, STORED))
    built(VARIANT, cache)
    assert log() == [EXPORTED, LOADED, REWRITTEN, LOADED]
    assert digests(entry(cache, STORED)) == before
    assert (entry(cache, VARIANT) / "weights.pt").read_bytes().endswith(b"rewritten")


def test_a_variant_alone_leaves_an_artifact_that_its_base_and_the_next_session_reuse(
    cache: Path, log: Callable[[], list[str]]
) -> None:
    for backend in (VARIANT, STORED, VARIANT):
        assert built(backend, cache) == []
    assert log() == [EXPORTED, REWRITTEN, LOADED, LOADED, LOADED]


def test_a_variant_without_an_export_keeps_no_copy(cache: Path, log: Callable[[], list[str]]) -> None:
    built(READER, cache)
    assert entries(cache) == [entry(cache, STORED)]
    built(STORED, cache)
    assert log() == [EXPORTED, LOADED, LOADED]


def test_a_variant_of_a_variant_starts_from_that_one(cache: Path, log: Callable[[], list[str]]) -> None:
    second = replace(VARIANT, name="second", base=VARIANT)
    built(second, cache)
    assert log() == [EXPORTED, REWRITTEN, REWRITTEN, LOADED]
    assert (entry(cache, second) / "weights.pt").read_bytes().endswith(b"rewritten" * 2)


def test_calibration_data_and_options_of_a_variant_are_not_its_bases(cache: Path, log: Callable[[], list[str]]) -> None:
    asked: list[Subject] = []

    def export(subject: Subject, folder: Path) -> None:
        asked.append(subject)
        STORED.export(subject, folder)  # type: ignore[misc]

    base = replace(STORED, export=export, options={"level": 0})
    variant = replace(VARIANT, base=base, options={"level": 1}, calibrates=True)
    built(variant, cache, data=[X])
    built(variant, cache, data=[X + 1])
    assert log() == [EXPORTED, REWRITTEN, LOADED, REWRITTEN, LOADED]
    assert [(subject.calibration, subject.options) for subject in asked] == [((), {"level": 0})]


def test_another_base_makes_another_variant(cache: Path, log: Callable[[], list[str]]) -> None:
    built(VARIANT, cache)
    built(replace(VARIANT, base=replace(STORED, options={"level": 1})), cache)
    assert log() == [EXPORTED, REWRITTEN, LOADED] * 2


def test_a_damaged_base_is_exported_again_saying_so(cache: Path, log: Callable[[], list[str]]) -> None:
    built(STORED, cache)
    folder = entry(cache, STORED)
    (folder / "weights.pt").write_bytes(b"x")
    assert built(VARIANT, cache) == [f"cache entry {folder} was altered; exported again"]
    assert log() == [EXPORTED, LOADED, EXPORTED, REWRITTEN, LOADED]


def test_a_cache_without_room_keeps_the_last_artifact_alone(cache: Path, log: Callable[[], list[str]]) -> None:
    built(VARIANT, cache, limit=0)
    assert entries(cache) == [entry(cache, VARIANT)]
    built(STORED, cache, limit=0)
    assert log() == [EXPORTED, REWRITTEN, LOADED, EXPORTED, LOADED]


def test_a_variant_evicts_older_artifacts_before_its_base(cache: Path) -> None:
    built(replace(STORED, name="older"), cache)
    (older,) = entries(cache)
    size = sum(path.stat().st_size for path in older.iterdir())
    built(VARIANT, cache, limit=int(size * 2.5))
    assert set(entries(cache)) == {entry(cache, STORED), entry(cache, VARIANT)}


def test_a_variant_is_built_where_the_cache_can_not_be_written(tmp_path: Path, log: Callable[[], list[str]]) -> None:
    (tmp_path / "file").touch()
    (note,) = set(built(VARIANT, tmp_path / "file" / "cache"))
    assert "can't be written" in note
    assert log() == [EXPORTED, REWRITTEN, LOADED]


def test_files_that_are_read_only_are_copied_to_be_rewritten(cache: Path, log: Callable[[], list[str]]) -> None:
    built(STORED, cache)
    folder = entry(cache, STORED)
    (folder / "weights.pt").chmod(0o400)
    folder.chmod(0o500)
    try:
        built(VARIANT, cache)
        assert (entry(cache, VARIANT) / "weights.pt").stat().st_mode & 0o200
    finally:
        folder.chmod(0o700)
    assert log() == [EXPORTED, LOADED, REWRITTEN, LOADED]


def test_what_goes_wrong_in_the_base_is_said_of_the_variant_that_was_asked_for(cache: Path) -> None:
    def export(subject: Subject, folder: Path) -> None:  # noqa: ARG001
        raise BuildError("torch.export can't take Mlp: a reason")

    with pytest.raises(BuildError, match=r"^variant: torch\.export can't take Mlp: a reason$"):
        built(replace(VARIANT, base=replace(STORED, export=export)), cache)
    assert not entries(cache)


def test_what_a_base_refused_is_not_tried_again_for_every_variant(cache: Path) -> None:
    tried: list[Path] = []

    def export(subject: Subject, folder: Path) -> None:  # noqa: ARG001
        tried.append(folder)
        raise ValueError("no such operator")

    base = replace(STORED, export=export)
    builder = Builder(ArtifactStore(cache, 10**9), torch.get_num_threads(), [].append, at_rest)
    for backend in (base, replace(VARIANT, base=base), replace(READER, base=base), base):
        with pytest.raises(
            BuildError, match=rf"^{backend.name}: ValueError: no such operator \(at .*test_variants\.py:\d+\)$"
        ):
            builder.built(BuildRequest(MLP, backend, "forward", Inputs(kwargs={"x": X})))
    assert len(tried) == 1


def test_a_variant_and_its_base_at_once_export_once(mlp_project: pytest.Pytester, builds: Any) -> None:
    mlp_project.makepyfile("import torch\ndef test_it(cpu_model): cpu_model(torch.ones(2, 16))")
    command = [sys.executable, "-m", "pytest", "--cpu-cache-dir=kept"]
    orders = ("variant,stored,reader", "stored,reader,variant")
    sessions = [
        subprocess.Popen([*command, f"--cpu-backends={order}"], cwd=mlp_project.path, stdout=subprocess.DEVNULL)
        for order in orders
    ]
    assert [process.wait(60) for process in sessions] == [0, 0]
    assert (builds("export"), builds("rewrite")) == ([EXPORTED], [REWRITTEN])


# The real ones


@pytest.fixture
def exports(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The folders that models were exported to in float32."""
    folders: list[Path] = []
    export = exporting.export

    def counted(runtime: Any, subject: Subject, folder: Path) -> None:
        folders.append(folder)
        export(runtime, subject, folder)

    monkeypatch.setattr(exporting, "export", counted)
    return folders


ORTS = (ort.ORT, ort.ORT_O1, ort.ORT_O2, ort.ORT_O3, ort.ORT_O4, ort.ORT_INT8, ort.ORT_INT8_STATIC)
OPENVINOS = (openvino.OPENVINO, openvino.OPENVINO_BF16, openvino.OPENVINO_INT8, openvino.OPENVINO_INT8_PTQ)


@pytest.mark.parametrize("family", [ORTS, OPENVINOS], ids=["ort", "openvino"])
def test_all_variants_of_a_runtime_take_one_export_and_leave_it(
    family: Sequence[Backend], cache: Path, exports: list[Path]
) -> None:
    assert_one_export(family, MLP, "forward", {"x": X}, cache, exports)


@pytest.mark.skipif(importlib.util.find_spec("optimum") is None, reason="Optimum is not installed")
def test_an_encoder_decoder_of_several_files_is_exported_once(cache: Path, exports: list[Path]) -> None:
    prompt = {**models.tokens(), "max_new_tokens": 3, "do_sample": False}
    assert_one_export((ort.ORT, ort.ORT_INT8), tiny_t5(), "generate", prompt, cache, exports)
    assert len(list(entry(cache, ort.ORT_INT8).glob("*.onnx"))) > 1


def assert_one_export(
    family: Sequence[Backend],
    model: nn.Module,
    method: Method,
    inputs: dict[str, Any],
    cache: Path,
    exports: list[Path],
) -> None:
    """The base's export is written by the first variant, then read by all others, then by the base itself."""
    base, *variants = family
    variants = [variant for variant in variants if unmet_requirement(variant) is None]
    if not variants:
        pytest.skip(f"no variant of {base.name} is installed")
    builder = Builder(ArtifactStore(cache, 10**9), torch.get_num_threads(), [].append, at_rest)

    def build(backend: Backend) -> None:
        builder.built(BuildRequest(model, backend, method, Inputs(kwargs=inputs)))

    try:
        build(variants[0])
    except BackendUnavailableError as error:
        pytest.skip(str(error))
    before = digests(entry(cache, base))
    for backend in (*variants[1:], base):
        build(backend)
    builder.release()
    assert len(exports) == 1
    assert digests(entry(cache, base)) == before
