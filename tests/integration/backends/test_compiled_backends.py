"""Backends that compile a model by Inductor: weights frozen, kernels tuned, int8 linears, ahead of time."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from pytest_cpuaccel.backends import aoti, inductor, torchao_int8
from pytest_cpuaccel.backends.toolkit.export_metadata import Route
from pytest_cpuaccel.core.backend import Backend
from pytest_cpuaccel.core.errors import BuildError
from pytest_cpuaccel.core.inputs import Inputs
from pytest_cpuaccel.core.precision import Precision
from tests import compiling, models
from tests.exports import t5_inputs, tiny_t5
from tests.integration.backends.test_torch_backends import contents, skip_unless_installed
from tests.promises import assert_alike, assert_same_state, build, state
from tests.subjects import subject

pytestmark = [pytest.mark.filterwarnings("error"), pytest.mark.usefixtures("one_thread")]

X = torch.linspace(-1, 1, 48).reshape(3, 16)
WIDE = torch.linspace(-1, 1, 96).reshape(3, 32)


def wide() -> torch.nn.Module:
    """More than 16 inputs: torchao 0.13 leaves narrower layers as they are."""
    return models.redraw(torch.nn.Linear(32, 8))


@pytest.mark.parametrize(
    ("backend", "facts"),
    [
        (inductor.INDUCTOR_MAX_AUTOTUNE, {"graphs": 1, "frozen_weights": 2}),
        (torchao_int8.TORCHAO_INT8_INDUCTOR, {"graphs": 1, "quantised_linears": 1}),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_compiled_kernels_answer_as_eager_does(
    backend: Backend,
    facts: dict[str, object],
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    pytestconfig: pytest.Config,
) -> None:
    skip_unless_installed(backend)
    if backend is inductor.INDUCTOR_MAX_AUTOTUNE and not pytestconfig.getoption(compiling.OPTION):
        pytest.skip(f"half a minute of tuning: {compiling.OPTION} asks for it")
    model = wide()
    before = state(model)
    asked = subject(model, options=backend.options, input=WIDE)
    built = build(backend, asked, tmp_path)
    assert capfd.readouterr().out == ""
    with torch.no_grad():
        assert_alike(built.forward(input=WIDE), asked.expected, backend.precision)
    assert built.facts == facts
    assert_same_state(before, state(model))


@pytest.mark.usefixtures("graphs_only")
@pytest.mark.parametrize(
    "backend",
    [torchao_int8.TORCHAO_INT8_INDUCTOR, torchao_int8.TORCHAO_INT8_WEIGHTS_INDUCTOR],
    ids=lambda backend: backend.name,
)
def test_int8_linears_are_part_of_the_compiled_graph(backend: Backend, tmp_path: Path) -> None:
    skip_unless_installed(backend)
    asked = subject(wide(), input=WIDE)
    built = build(backend, asked, tmp_path)
    assert built.threads == 1
    assert built.facts == {"graphs": 1, "quantised_linears": 1}
    with torch.no_grad():
        assert_alike(built.forward(input=WIDE), asked.expected, backend.precision)
    with pytest.raises(BuildError, match=r"Conv2d has no nn\.Linear"):
        build(backend, subject(torch.nn.Conv2d(1, 2, 3).eval(), input=torch.ones(1, 1, 4, 4)), tmp_path)


@pytest.mark.usefixtures("graphs_only")
def test_weights_are_frozen_in_graphs_for_later_shapes_too(tmp_path: Path) -> None:
    from torch._inductor import config

    frozen = []

    class Watched(inductor.Compiler):
        def __call__(self, graph: torch.fx.GraphModule, examples: list[torch.Tensor]) -> object:
            frozen.append(len(list(graph.parameters())))
            return super().__call__(graph, examples)

    backend = inductor.INDUCTOR_FREEZING
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(inductor, "Compiler", Watched)
        built = build(backend, subject(models.mlp(), options=backend.options, x=X), tmp_path)
        with torch.no_grad():
            built.forward(x=X[None])  # another rank, which no graph made dynamic by an earlier test can take
    assert frozen == [4, 4, 4], "exported, loaded, called with another shape"
    assert built.facts["frozen_weights"] == 4
    assert not config.freezing


@pytest.mark.usefixtures("graphs_only")
def test_a_model_without_weights_to_freeze_is_refused(tmp_path: Path) -> None:
    asked = subject(torch.nn.GELU(), options=inductor.INDUCTOR_FREEZING.options, input=X)
    with pytest.raises(BuildError, match="GELU has no weights"):
        build(inductor.INDUCTOR_FREEZING, asked, tmp_path)


def test_a_later_call_that_cannot_be_compiled_is_refused_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> object:
        raise AssertionError("no code for s14 + 1\nand a second line")

    asked = subject(models.two_heads(), x=X)
    with compiling.graphs_only():
        built = build(inductor.INDUCTOR, asked, tmp_path)
    monkeypatch.setattr("torch._dynamo.lookup_backend", lambda _: broken)
    with pytest.raises(BuildError, match=r"^can't compile this call: AssertionError: no code for s14 \+ 1 \(at "):
        built.forward(x=torch.cat([X, X]))


def test_a_later_call_whose_compiled_code_is_broken_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def careless(*_: object) -> object:
        return lambda *_: s74  # noqa: F821

    asked = subject(models.two_heads(), x=X)
    with compiling.graphs_only():
        built = build(inductor.INDUCTOR, asked, tmp_path)
    monkeypatch.setattr("torch._dynamo.lookup_backend", lambda _: careless)
    with (
        torch.no_grad(),
        pytest.raises(BuildError, match=r"^inductor's code for this call is broken: name 's74' is not"),
    ):
        built.forward(x=X[None])


def test_a_package_takes_other_batches_and_refuses_other_widths(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    skip_unless_installed(aoti.AOTI)
    model = models.two_heads()
    before, asked = state(model), subject(model, x=X)
    build(aoti.AOTI, asked, tmp_path)
    assert capfd.readouterr() == ("", "")
    files = contents(tmp_path)
    again = aoti.AOTI.load(asked, tmp_path)
    for x in (X, X[:1], X[:2], torch.cat([X, X])):
        assert again.accepts(Inputs(kwargs={"x": x}))
        assert_alike(again.forward(x=x), subject(model, x=x).expected, Precision.FP32)
    assert not again.accepts(Inputs(kwargs={"x": X[:, :8]}))
    assert not again.accepts(Inputs(kwargs={"x": X, "scale": torch.ones(3, 1)}))
    assert again.threads == 1
    assert again.facts == {"route": "torch.export"}
    assert contents(tmp_path) == files
    assert_same_state(before, state(model))


def test_a_package_is_for_images_of_one_size_in_any_batch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    skip_unless_installed(aoti.AOTI)
    monkeypatch.setattr("torch._inductor.aoti_compile_and_package", lambda *_, **__: None)
    pooled = torch.nn.Sequential(torch.nn.Conv2d(1, 4, 3), torch.nn.AdaptiveAvgPool2d(1))
    aoti.export(subject(pooled, input=torch.rand(2, 1, 8, 8)), tmp_path)
    shapes = Route.read(tmp_path).shapes
    assert shapes.include([(5, 1, 8, 8)])
    assert not shapes.include([(2, 1, 12, 8)])


def test_what_cannot_be_compiled_ahead_of_time_is_refused_in_one_line(tmp_path: Path) -> None:
    class Undecided(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x + 1 if x.sum() > 0 else x - 1

    with pytest.raises(BuildError, match=r"torch\.export can't take Undecided") as refusal:
        build(aoti.AOTI, subject(Undecided(), x=X), tmp_path)
    assert "\n" not in str(refusal.value)


def test_an_encoder_decoder_that_generates_is_refused_ahead_of_time(tmp_path: Path) -> None:
    pytest.importorskip("transformers")
    with pytest.raises(BuildError, match=r"generate\(\) of an encoder-decoder, T5ForConditionalGeneration"):
        build(aoti.AOTI, subject(tiny_t5(), generates=True, **t5_inputs()), tmp_path)


class Thrice(torch.nn.Module):
    """(batch, 16) -> (batch, 16), by one layer called three times."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(16, 16)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layer(self.layer(self.layer(x).relu()).relu())


@pytest.mark.usefixtures("graphs_only")
def test_each_call_of_a_module_is_seen_at_a_place_of_its_own() -> None:
    given = subject(models.redraw(Thrice()), x=torch.randn(2, 16, generator=torch.Generator().manual_seed(0)))
    seen = inductor.observe(given, None, given.inputs)
    assert list(seen.outputs) == ["layer", "layer#2", "layer#3"]
    assert torch.equal(seen.outputs["layer#3"], seen.output)


class Broken(torch.nn.Module):
    """Its graph breaks within a part, which dynamo compiles by itself."""

    def __init__(self) -> None:
        super().__init__()
        self.part = Pausing()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.part(x)  # type: ignore[no-any-return]


class Pausing(torch.nn.Linear):
    def __init__(self) -> None:
        super().__init__(16, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        found = super().forward(x)
        torch._dynamo.graph_break()
        return found + 1


def test_a_part_behind_a_graph_break_is_compiled_for_any_number_of_models() -> None:
    models_of_a_session = [Broken().eval() for _ in range(10)]
    with torch.no_grad():
        graphs = [inductor.compile_module(each, subject(each, x=X), "eager").runs for each in models_of_a_session]
    assert graphs == [graphs[0]] * 10
