"""Every torch-side backend, on models of all the kinds we know: what each promises whatever the model."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from pytest_cpuaccel.build.availability import unmet_requirement
from pytest_cpuaccel.build.backends import (
    bf16,
    eager,
    inductor,
    sdpa,
    torch_int8,
    torchao_int8,
    torchscript,
)
from pytest_cpuaccel.core.backend import Backend
from pytest_cpuaccel.core.errors import BuildError
from pytest_cpuaccel.core.inputs import Inputs
from pytest_cpuaccel.core.precision import Precision
from tests import models
from tests.promises import assert_alike, assert_same_state, build, state
from tests.subjects import subject

pytestmark = pytest.mark.filterwarnings("error")

BACKENDS = [
    eager.EAGER,
    sdpa.SDPA,
    bf16.BF16,
    torchscript.TORCHSCRIPT,
    inductor.INDUCTOR,
    torch_int8.TORCH_INT8,
    torchao_int8.TORCHAO_INT8,
]


@dataclasses.dataclass(frozen=True)
class Case:
    """A model, a call of it, a call with other shapes, and which backends refuse it in what words."""

    model: Any
    inputs: dict[str, Any]
    other: dict[str, Any]
    refused: dict[str, str] = dataclasses.field(default_factory=dict)


NO_ATTENTION = {"sdpa": "no transformers model"}
X, SCALE = torch.linspace(-1, 1, 48).reshape(3, 16), torch.full((3, 1), 2.0)
CASES = {
    "bert_classifier": Case(models.bert_classifier, models.tokens(), models.tokens(3, 7)),
    "bert_qa": Case(models.bert_qa, models.tokens(), models.tokens(3, 7)),
    "bert_encoder": Case(models.bert_encoder, models.tokens(), models.tokens(3, 7)),
    "vit": Case(models.vit, models.digits(), models.digits(3)),
    "gpt2": Case(models.gpt2, models.tokens(), models.tokens(3, 7)),
    "llama": Case(models.llama, models.tokens(), models.tokens(3, 7)),
    "mlp": Case(models.mlp, {"x": X}, {"x": X[:2]}, NO_ATTENTION),
    "two_heads": Case(models.two_heads, {"x": X}, {"x": X, "scale": SCALE}, NO_ATTENTION),
    "two_heads_scaled": Case(models.two_heads, {"x": X, "scale": SCALE}, {"x": X}, NO_ATTENTION),
    "cnn": Case(
        models.cnn,
        {"input": models.digits()["pixel_values"]},
        {"input": models.digits(3)["pixel_values"]},
        NO_ATTENTION,
    ),
}

COMPILED_TO_CPP = (models.vit, models.two_heads)


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(params=BACKENDS, ids=lambda backend: backend.name)
def backend(request: pytest.FixtureRequest) -> Backend:
    skip_unless_installed(request.param)
    return request.param


@pytest.fixture(params=CASES)
def case(request: pytest.FixtureRequest) -> Case:
    chosen = CASES[request.param]
    if chosen.model in (models.mlp, models.two_heads, models.cnn):
        return chosen
    transformers = pytest.importorskip("transformers")
    decoder = chosen.model in (models.gpt2, models.llama)
    if decoder and transformers.__version__.startswith("4.57"):  # its masks, made with vmap, stop tracing
        return dataclasses.replace(chosen, refused={"torchscript": "unordered_map::at"})
    return chosen


@pytest.fixture
def graphs_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Dynamo's graphs run as they are, which spares the C++ compiler's ten seconds and more a graph."""
    import torch._dynamo

    as_they_are = torch._dynamo.lookup_backend("eager")
    monkeypatch.setattr(torch._dynamo, "lookup_backend", lambda _: as_they_are)


def skip_unless_installed(backend: Backend) -> None:
    reason = unmet_requirement(backend)
    if reason:
        pytest.skip(reason)


def test_a_backend_answers_as_eager_does_or_says_why_not(
    backend: Backend, case: Case, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    if backend is inductor.INDUCTOR and case.model not in COMPILED_TO_CPP:
        request.getfixturevalue("graphs_only")
    model = case.model()
    asked = subject(model, **case.inputs)
    before = state(model)

    if backend.name in case.refused:
        with pytest.raises(BuildError, match=case.refused[backend.name]) as refusal:
            build(backend, asked, tmp_path)
        assert "\n" not in str(refusal.value)
        assert_same_state(before, state(model))
        return

    built = build(backend, asked, tmp_path)
    other = Inputs(kwargs=case.other)
    with torch.no_grad():
        assert_alike(built.forward(**case.inputs), asked.expected, backend.precision)
        assert built.accepts(asked.inputs)
        if built.accepts(other):
            assert_alike(built.forward(**case.other), model(**case.other), backend.precision)
    assert built.facts["threads"] == 1
    assert_same_state(before, state(model))


@pytest.mark.parametrize("backend", [torchscript.TORCHSCRIPT, inductor.INDUCTOR], indirect=True, ids=lambda b: b.name)
def test_an_exported_model_loads_again_from_an_unchanged_folder(backend: Backend, tmp_path: Path) -> None:
    asked = subject(models.mlp(), x=X)
    with torch.no_grad():
        first = build(backend, asked, tmp_path).forward(x=X)
        files = contents(tmp_path)
        again = backend.load(asked, tmp_path).forward(x=X)
    assert torch.equal(first, again)
    assert files
    assert contents(tmp_path) == files


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("model", [models.gpt2, models.llama], ids=["gpt2", "llama"])
@pytest.mark.usefixtures("graphs_only")
def test_generate_gives_eagers_tokens(backend: Backend, model: Any, tmp_path: Path) -> None:
    pytest.importorskip("transformers")
    generator, prompt = model(), models.tokens(padding=0)
    asked = subject(generator, generates=True, **prompt)
    if backend is torchscript.TORCHSCRIPT:
        with pytest.raises(BuildError, match="no generate"):
            build(backend, asked, tmp_path)
        return
    built = build(backend, asked, tmp_path)
    assert built.generate is not None
    settings = {"max_new_tokens": 4, "do_sample": False}
    with torch.no_grad():
        actual = built.generate(**prompt, **settings)
        expected = generator.generate(**prompt, **settings)
    assert actual.dtype == expected.dtype
    assert actual.shape[0] == expected.shape[0]
    if backend.precision is Precision.FP32:
        assert torch.equal(actual, expected)


def test_nothing_of_the_process_is_changed(backend: Backend, tmp_path: Path) -> None:
    if backend is sdpa.SDPA:
        pytest.importorskip("transformers")
        asked = subject(models.bert_classifier(), **models.tokens())
    else:
        asked = subject(models.mlp(), x=X)
    build(backend, asked, tmp_path / "first")  # imports may set what imports set
    before = dict(os.environ), flags(), torch.random.get_rng_state()
    build(backend, asked, tmp_path / "second")
    after = dict(os.environ), flags(), torch.random.get_rng_state()
    assert before[:2] == after[:2]
    assert torch.equal(before[2], after[2])


def flags() -> dict[str, Any]:
    return {
        "threads": torch.get_num_threads(),
        "default": torch.get_default_dtype(),
        "engine": torch.backends.quantized.engine,
        "mkldnn": torch.backends.mkldnn.flags,
        "autocast": torch.is_autocast_enabled("cpu"),
        "grad": torch.is_grad_enabled(),
    }


def test_sdpa_takes_the_place_of_eager_attention(tmp_path: Path) -> None:
    skip_unless_installed(sdpa.SDPA)
    asked = subject(models.bert_classifier(attn_implementation="eager"), **models.tokens())
    built = build(sdpa.SDPA, asked, tmp_path)
    assert built.facts == {"threads": 1, "attention": "sdpa", "sdpa_calls": 2}
    with torch.no_grad():
        assert_alike(built.forward(**models.tokens()), asked.expected, Precision.FP32)


@pytest.mark.parametrize(
    ("supported", "words"),
    [(False, "^ValueError: .* does not support"), (True, "never called scaled_dot_product_attention")],
)
def test_sdpa_refuses_a_class_that_lacks_it(supported: bool, words: str, tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")

    class OwnAttention(transformers.PreTrainedModel):
        config_class = transformers.PretrainedConfig
        _supports_sdpa = supported

        def __init__(self, config: Any) -> None:
            super().__init__(config)
            self.layer = torch.nn.Linear(16, 4)
            self.post_init()

        def _init_weights(self, module: Any) -> None:
            pass

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.layer(x)

    config = transformers.PretrainedConfig(attn_implementation="eager")
    with pytest.raises(BuildError, match=words):
        build(sdpa.SDPA, subject(OwnAttention(config).eval(), x=X), tmp_path)


def test_bf16_weights_are_in_bf16(tmp_path: Path) -> None:
    built = build(bf16.BF16, subject(models.mlp(), x=X), tmp_path)
    assert built.facts == {"threads": 1, "dtype": "torch.bfloat16"}


def test_torchscript_runs_a_script_module_for_the_traced_call_only(tmp_path: Path) -> None:
    built = build(torchscript.TORCHSCRIPT, subject(models.two_heads(), x=X), tmp_path)
    assert built.facts == {"threads": 1, "module": "RecursiveScriptModule"}
    assert built.accepts(Inputs(args=(X + 1,)))
    for other in ({"x": X[:2]}, {"x": X.double()}, {"x": X, "scale": SCALE}):
        assert not built.accepts(Inputs(kwargs=other))


@pytest.mark.parametrize("int8", [torch_int8.TORCH_INT8, torchao_int8.TORCHAO_INT8], ids=lambda b: b.name)
def test_int8_counts_its_linears_and_refuses_a_model_without(int8: Backend, tmp_path: Path) -> None:
    skip_unless_installed(int8)
    wide = torch.nn.Sequential(torch.nn.Linear(32, 32), torch.nn.ReLU(), torch.nn.Linear(32, 8)).eval()
    built = build(int8, subject(wide, input=torch.ones(2, 32)), tmp_path)
    assert built.facts["quantised_linears"] == 2
    with pytest.raises(BuildError, match=r"Conv2d has no nn\.Linear"):
        build(int8, subject(torch.nn.Conv2d(1, 2, 3).eval(), input=torch.ones(1, 1, 4, 4)), tmp_path)


@pytest.mark.usefixtures("graphs_only")
def test_inductor_compiles_every_model_of_a_session(tmp_path: Path) -> None:
    beyond_dynamos_limit = range(10)
    built = [build(inductor.INDUCTOR, subject(models.mlp(), x=X), tmp_path) for _ in beyond_dynamos_limit]
    assert [model.facts["graphs"] for model in built] == [1] * 10


@pytest.mark.usefixtures("graphs_only")
def test_inductor_refuses_a_model_of_which_it_compiled_nothing(tmp_path: Path) -> None:
    class PythonOnly(models.Mlp):
        @torch.compiler.disable
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return super().forward(x)

    with pytest.raises(BuildError, match="PythonOnly ran no compiled graph"):
        build(inductor.INDUCTOR, subject(PythonOnly().eval(), x=X), tmp_path)


@pytest.mark.usefixtures("graphs_only")
def test_inductor_refuses_a_generate_that_goes_round_its_graph(tmp_path: Path) -> None:
    class Bypass(models.Mlp):
        def generate(self, x: torch.Tensor) -> torch.Tensor:
            return self.layers(x)

    built = build(inductor.INDUCTOR, subject(Bypass().eval(), generates=True, x=X), tmp_path)
    assert built.generate is not None
    with pytest.raises(BuildError, match=r"Bypass\.generate\(\) ran no compiled graph"):
        built.generate(X)
