"""What a backend that exports promises, whatever the model: subclass ``ExportingBackend`` and name the backend."""

from __future__ import annotations

import gc
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from torch import nn

from pytest_cpuaccel.backends.requirements import unmet_requirement
from pytest_cpuaccel.builder.artifact import copy_files
from pytest_cpuaccel.builder.artifact_store import ArtifactStore
from pytest_cpuaccel.conformance.build import artifact_key
from pytest_cpuaccel.core import tree
from pytest_cpuaccel.core.backend import Backend, BuiltModel, Subject
from pytest_cpuaccel.core.errors import BackendUnavailableError, BuildError
from pytest_cpuaccel.core.inputs import Inputs
from pytest_cpuaccel.core.kv_cache import without_state
from pytest_cpuaccel.core.precision import Precision
from tests import models
from tests.promises import assert_alike, assert_same_state, build, state
from tests.subjects import subject

Tensors = dict[str, torch.Tensor]

X, SCALE = torch.linspace(-1, 1, 48).reshape(3, 16), torch.full((3, 1), 2.0)


@dataclass(frozen=True)
class Case:
    """A model, the call it is exported for, and calls with other batches and lengths that need no new build."""

    model: Callable[[], nn.Module]
    inputs: Tensors
    others: tuple[Tensors, ...]


CASES = {
    "bert_classifier": Case(models.bert_classifier, models.tokens(), (models.tokens(3, 7), models.tokens(1, 12))),
    "bert_qa": Case(models.bert_qa, models.tokens(1), (models.tokens(3, 7), models.tokens(1, 12))),
    "bert_encoder": Case(models.bert_encoder, models.tokens(), (models.tokens(3, 7), models.tokens(1, 12))),
    "vit": Case(models.vit, models.digits(1), (models.digits(3), models.digits(1))),
    "gpt2": Case(models.gpt2, models.tokens(), (models.tokens(3, 7), models.tokens(1, 12))),
    "llama": Case(models.llama, models.tokens(1), (models.tokens(3, 7), models.tokens(1, 12))),
    "mlp": Case(models.mlp, {"x": X[:1]}, ({"x": X}, {"x": X[:2]})),
    "two_heads": Case(models.two_heads, {"x": X}, ({"x": X[:1]},)),
    "two_heads_scaled": Case(models.two_heads, {"x": X, "scale": SCALE}, ({"x": X[:2], "scale": SCALE[:2]},)),
    "cnn": Case(models.cnn, {"input": models.digits()["pixel_values"]}, ({"input": models.digits(3)["pixel_values"]},)),
}
FEW = ("bert_classifier", "gpt2", "cnn")
"""Enough for a variant whose export is that of the backend it varies."""


def left_padded(length: int = 10, padding: int = 3) -> Tensors:
    """Two texts, the second with padding on the left."""
    tokens = models.tokens(2, length, padding=0)
    tokens["input_ids"][1, :padding] = 0
    tokens["attention_mask"][1, :padding] = 0
    return tokens


@dataclass(frozen=True)
class Export:
    """A built model, and what it was built from."""

    model: nn.Module
    subject: Subject
    folder: Path
    built: BuiltModel


_EXPORTS: dict[tuple[str, str], Export] = {}


def kept_exports(factory: pytest.TempPathFactory) -> Path:
    """A folder for the exports of a session, all its workers' together."""
    folder = factory.getbasetemp()
    return (folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder) / "exports"


def built_or_skipped(backend: Backend, asked: Subject, folder: Path, kept: Path | None = None) -> BuiltModel:
    """Build, or skip the test where this stack lacks the backend's packages or one that only our own export needs.

    What was exported once is taken from ``kept``, if that is given.
    """
    if reason := unmet_requirement(backend):
        pytest.skip(reason)
    try:
        if kept is not None and len(backend.exporters) == 1:
            _take_export(backend, asked, folder, ArtifactStore(kept, sys.maxsize))
            return backend.load(asked, folder)
        return build(backend, asked, folder, kept)
    except BackendUnavailableError as error:
        if "pip install" not in str(error):
            raise
        pytest.skip(str(error))


def _take_export(backend: Backend, asked: Subject, folder: Path, kept: ArtifactStore) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    [exporter] = backend.exporters
    with kept.artifact(
        artifact_key([exporter], asked), lambda empty: exporter.run_export(asked, empty), [].append
    ) as exported:
        copy_files(exported, folder)


class ExportingBackend:
    """``cases`` are the names of the models to try, ``generators`` make those that generate."""

    backend: Backend
    cases: tuple[str, ...] = tuple(CASES)
    generators: tuple[Callable[[], nn.Module], ...] = (models.gpt2, models.llama)

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """A test that names no case of its own is for each of the class's."""
        named = [mark.args[0] for mark in metafunc.definition.iter_markers("parametrize")]
        for name, values in (("case", self.cases), ("generator", self.generators)):
            if name in metafunc.fixturenames and name not in named:
                metafunc.parametrize(name, values)

    @pytest.fixture(autouse=True)
    def _runnable(self) -> Iterator[None]:
        reason = unmet_requirement(self.backend)
        if reason:
            pytest.skip(reason)
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        yield
        torch.set_num_threads(threads)

    @pytest.fixture
    def export(self, case: str, tmp_path_factory: pytest.TempPathFactory) -> Export:
        """The case under the backend, exported once for all tests."""
        key = (self.backend.name, case)
        if key not in _EXPORTS:
            model = CASES[case].model()
            asked = subject(model, **CASES[case].inputs)
            folder = tmp_path_factory.mktemp(case)
            built = built_or_skipped(self.backend, asked, folder, kept_exports(tmp_path_factory))
            _EXPORTS[key] = Export(model, asked, folder, built)
        return _EXPORTS[key]

    def test_returns_what_eager_returns(self, export: Export) -> None:
        built = export.built
        assert_alike(built.forward(**export.subject.inputs.kwargs), export.subject.expected, self.backend.precision)
        assert built.accepts(export.subject.inputs)
        assert built.threads == 1

    def test_other_batches_and_lengths_need_no_new_build(self, export: Export, case: str) -> None:
        for other in CASES[case].others:
            assert export.built.accepts(Inputs(kwargs=other))
            with torch.no_grad():
                expected = export.model(**other)
            assert_alike(export.built.forward(**other), expected, self.backend.precision)

    @pytest.mark.parametrize("case", ["two_heads", "two_heads_scaled"])
    def test_an_input_given_or_left_out_needs_a_new_build(self, export: Export, case: str) -> None:
        other = "two_heads" if case == "two_heads_scaled" else "two_heads_scaled"
        assert not export.built.accepts(Inputs(kwargs=CASES[other].inputs))

    @pytest.mark.parametrize("case", ["cnn"])
    def test_dimensions_that_the_model_fixes_are_refused(self, export: Export) -> None:
        assert not export.built.accepts(Inputs(kwargs={"input": torch.zeros(2, 1, 8, 9)}))
        assert not export.built.accepts(Inputs(kwargs={"input": torch.zeros(2, 3, 8, 8)}))
        assert not export.built.accepts(Inputs(kwargs={"input": torch.zeros(0, 1, 8, 8)}))

    @pytest.mark.parametrize("case", ["bert_classifier"])
    def test_a_mask_of_another_kind_is_refused(self, export: Export) -> None:
        inputs = dict(export.subject.inputs.kwargs)
        inputs["attention_mask"] = inputs["attention_mask"].float()
        assert not export.built.accepts(Inputs(kwargs=inputs))

    @pytest.mark.parametrize("case", ["bert_classifier"])
    def test_narrower_integers_are_cast(self, export: Export) -> None:
        inputs = {name: tensor.int() for name, tensor in export.subject.inputs.kwargs.items()}
        assert export.built.accepts(Inputs(kwargs=inputs))
        assert_alike(export.built.forward(**inputs), export.subject.expected, self.backend.precision)

    @pytest.mark.parametrize("case", ["bert_classifier", "cnn"])
    def test_strides_do_not_matter(self, export: Export) -> None:
        inputs = {
            name: tensor.transpose(0, -1).contiguous().transpose(0, -1)
            for name, tensor in export.subject.inputs.kwargs.items()
        }
        assert export.built.accepts(Inputs(kwargs=inputs))
        assert_alike(export.built.forward(**inputs), export.subject.expected, self.backend.precision)

    @pytest.mark.parametrize("case", ["bert_classifier", "cnn"])
    def test_positional_arguments_are_taken(self, export: Export) -> None:
        built = export.built
        answer = built.forward(*export.subject.inputs.kwargs.values())
        assert_alike(answer, export.subject.expected, self.backend.precision)

    @pytest.mark.parametrize("case", ["bert_classifier", "gpt2", "cnn"])
    def test_outputs_survive_the_next_call(self, export: Export, case: str) -> None:
        answer = export.built.forward(**export.subject.inputs.kwargs)
        kept = tree.clone(without_state(answer))
        export.built.forward(**CASES[case].others[0])
        export.built.forward(**{name: tensor.flip(-1) for name, tensor in export.subject.inputs.kwargs.items()})
        torch.testing.assert_close(list(tree.tensors(without_state(answer))), list(tree.tensors(kept)), rtol=0, atol=0)

    @pytest.mark.parametrize("case", ["bert_classifier"])
    def test_loads_again_without_exporting(self, export: Export) -> None:
        files = {file: file.stat().st_mtime_ns for file in export.folder.iterdir()}
        again = self.backend.load(export.subject, export.folder)
        assert_alike(again.forward(**export.subject.inputs.kwargs), export.subject.expected, self.backend.precision)
        assert {file: file.stat().st_mtime_ns for file in export.folder.iterdir()} == files

    @pytest.mark.parametrize("case", ["bert_classifier"])
    def test_the_artifact_holds_no_second_copy_of_the_weights(self, export: Export) -> None:
        assert not [file for file in export.folder.rglob("*") if file.suffix in (".safetensors", ".pt", ".pth")]

    @pytest.mark.parametrize("case", ["gpt2"])
    def test_padding_on_the_left_leaves_valid_positions_right(self, export: Export) -> None:
        inputs = left_padded()
        with torch.no_grad():
            expected = export.model(**inputs).logits
        assert export.built.accepts(Inputs(kwargs=inputs))
        valid = inputs["attention_mask"].bool()
        assert_alike(export.built.forward(**inputs).logits[valid], expected[valid], self.backend.precision)

    def test_generates_as_eager_does(
        self, generator: Callable[[], nn.Module], tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
    ) -> None:
        model, inputs = generator(), left_padded()
        asked = subject(model, generates=True, **inputs)
        built = built_or_skipped(self.backend, asked, tmp_path, kept_exports(tmp_path_factory))
        assert built.generate is not None
        assert built.accepts(Inputs(kwargs=left_padded(12)))
        for given in (inputs, left_padded(7), {"input_ids": models.tokens(1, 5, padding=0)["input_ids"]}):
            expected = model.generate(**given, max_new_tokens=5, do_sample=False)
            tokens = built.generate(**given, max_new_tokens=5, do_sample=False)
            if self.backend.precision == Precision.FP32:
                assert tokens.tolist() == expected.tolist()
            assert tokens[:, : given["input_ids"].shape[1]].tolist() == given["input_ids"].tolist()
        with torch.no_grad():
            expected = model(**inputs).logits[inputs["attention_mask"].bool()]
        logits = built.forward(**inputs).logits[inputs["attention_mask"].bool()]
        assert_alike(logits, expected, self.backend.precision)

    @pytest.mark.parametrize("case", ["bert_classifier", "cnn"])
    def test_leaves_the_model_the_screen_and_the_temporary_folder_as_they_were(
        self, case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
    ) -> None:
        temporary, folder = tmp_path / "temporary", tmp_path / "folder"
        temporary.mkdir()
        model = CASES[case].model()
        asked = subject(model, **CASES[case].inputs)
        before = state(model)
        monkeypatch.setattr(tempfile, "tempdir", str(temporary))
        capfd.readouterr()
        built = built_or_skipped(self.backend, asked, folder)
        built.forward(**asked.inputs.kwargs)
        assert capfd.readouterr() == ("", "")
        assert_same_state(state(model), before)
        built.close()
        del built
        gc.collect()
        assert list(temporary.iterdir()) == []

    def test_an_input_may_come_out_again_and_share_its_name(self, tmp_path: Path) -> None:
        class Echo(nn.Module):
            def forward(self, x: torch.Tensor, n: torch.Tensor) -> dict[str, torch.Tensor]:
                return {"x": x, "n": n + 1, "y": x @ torch.ones(16, 4)}

        asked = subject(Echo(), x=X, n=torch.tensor(3))
        if self.backend.precision == Precision.INT8:
            pytest.skip("has no weights to quantise")
        answer = built_or_skipped(self.backend, asked, tmp_path).forward(x=X, n=torch.tensor(3))
        torch.testing.assert_close(answer, asked.expected, rtol=1e-2, atol=1e-2)

    def test_a_model_that_cannot_be_exported_is_one_line(self, tmp_path: Path) -> None:
        class Undecided(nn.Module):
            def forward(self, x: torch.Tensor) -> torch.Tensor:
                return x + 1 if x.sum() > 0 else x - 1

        with pytest.raises(BuildError, match="Undecided") as failure:
            build(self.backend, subject(Undecided(), x=X), tmp_path)
        assert "\n" not in str(failure.value)
        assert failure.value.__cause__ is not None


def tiny_t5() -> nn.Module:
    from transformers import T5Config, T5ForConditionalGeneration

    config = T5Config(vocab_size=120, d_model=32, d_kv=8, d_ff=64, num_layers=2, num_heads=4, decoder_start_token_id=0)
    return models.redraw(T5ForConditionalGeneration(config))


def t5_inputs() -> dict[str, torch.Tensor]:
    return {**models.tokens(), "decoder_input_ids": torch.zeros((2, 1), dtype=torch.long)}


def assert_encoder_decoder_generates(backend: Backend, folder: Path) -> None:
    """A tiny T5 under the backend finds eager's tokens."""
    model, inputs = tiny_t5(), models.tokens()
    built = build(backend, subject(model, generates=True, **t5_inputs()), folder)
    assert built.generate is not None
    tokens = built.generate(**inputs, max_new_tokens=5, do_sample=False)
    assert tokens.tolist() == model.generate(**inputs, max_new_tokens=5, do_sample=False).tolist()
