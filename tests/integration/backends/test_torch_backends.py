"""Every torch-side backend, on models of all the kinds we know: what each promises whatever the model."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch

from pytest_cpuaccel.backends import (
    autocast_bf16,
    bf16,
    channels_last,
    eager,
    fastpath,
    inductor,
    sdpa,
    torch_int8,
    torchao_int8,
    torchscript,
)
from pytest_cpuaccel.backends.requirements import unmet_requirement
from pytest_cpuaccel.core.backend import Backend
from pytest_cpuaccel.core.errors import BuildError
from pytest_cpuaccel.core.inputs import Inputs
from pytest_cpuaccel.core.precision import Precision
from tests import compiling, models
from tests.promises import assert_alike, assert_same_state, build, state
from tests.subjects import subject

pytestmark = [pytest.mark.filterwarnings("error"), pytest.mark.usefixtures("one_thread")]

BACKENDS = [
    eager.EAGER,
    sdpa.SDPA,
    fastpath.FASTPATH,
    channels_last.CHANNELS_LAST,
    bf16.BF16,
    autocast_bf16.AUTOCAST_BF16,
    torchscript.TORCHSCRIPT,
    torchscript.TORCHSCRIPT_OPTIMIZED,
    inductor.INDUCTOR,
    torch_int8.TORCH_INT8,
    torchao_int8.TORCHAO_INT8,
    torchao_int8.TORCHAO_INT8_WEIGHTS,
]


@dataclasses.dataclass(frozen=True)
class Case:
    """A model, a call of it, a call with other shapes, and which backends refuse it in what words."""

    model: Any
    inputs: dict[str, Any]
    other: dict[str, Any]
    refused: dict[str, str] = dataclasses.field(default_factory=dict)


NO_ATTENTION = {"sdpa": "no transformers model"}
NO_LAYERS = {"fastpath": r"no nn\.TransformerEncoderLayer"}
NO_IMAGES = {"channels-last": "no Conv2d"}
TEXT = NO_LAYERS | NO_IMAGES
PLAIN = NO_ATTENTION | NO_LAYERS | NO_IMAGES
X, SCALE = torch.linspace(-1, 1, 48).reshape(3, 16), torch.full((3, 1), 2.0)
CASES = {
    "bert_classifier": Case(models.bert_classifier, models.tokens(), models.tokens(3, 7), TEXT),
    "bert_qa": Case(models.bert_qa, models.tokens(), models.tokens(3, 7), TEXT),
    "bert_encoder": Case(models.bert_encoder, models.tokens(), models.tokens(3, 7), TEXT),
    "vit": Case(models.vit, models.digits(), models.digits(3), NO_LAYERS),
    "gpt2": Case(models.gpt2, models.tokens(), models.tokens(3, 7), TEXT),
    "llama": Case(models.llama, models.tokens(), models.tokens(3, 7), TEXT),
    "mlp": Case(models.mlp, {"x": X}, {"x": X[:2]}, PLAIN),
    "two_heads": Case(models.two_heads, {"x": X}, {"x": X, "scale": SCALE}, PLAIN),
    "two_heads_scaled": Case(models.two_heads, {"x": X, "scale": SCALE}, {"x": X}, PLAIN),
    "cnn": Case(
        models.cnn,
        {"input": models.digits()["pixel_values"]},
        {"input": models.digits(3)["pixel_values"]},
        NO_ATTENTION | NO_LAYERS,
    ),
    "encoder": Case(models.encoder, models.padded(), models.padded(3, 7), NO_ATTENTION | NO_IMAGES),
}

COMPILED_TO_CPP = models.two_heads
NEVER_GENERATES = TEXT | dict.fromkeys(("torchscript", "torchscript-optimized"), "no generate")


@pytest.fixture(params=BACKENDS, ids=lambda backend: backend.name)
def backend(request: pytest.FixtureRequest) -> Backend:
    skip_unless_installed(request.param)
    return request.param


@pytest.fixture(params=CASES)
def case(request: pytest.FixtureRequest) -> Case:
    chosen = CASES[request.param]
    if chosen.model in (models.mlp, models.two_heads, models.cnn, models.encoder):
        return chosen
    transformers = pytest.importorskip("transformers")
    decoder = chosen.model in (models.gpt2, models.llama)
    if decoder and transformers.__version__.startswith("4.57"):  # its masks, made with vmap, stop tracing
        untraceable = dict.fromkeys(("torchscript", "torchscript-optimized"), "unordered_map::at")
        return dataclasses.replace(chosen, refused=chosen.refused | untraceable)
    return chosen


def skip_unless_installed(backend: Backend) -> None:
    reason = unmet_requirement(backend)
    if reason:
        pytest.skip(reason)


def test_a_backend_answers_as_eager_does_or_says_why_not(
    backend: Backend, case: Case, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    asked_for = request.config.getoption(compiling.OPTION)
    if backend is inductor.INDUCTOR and case.model is not COMPILED_TO_CPP and not asked_for:
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
    assert built.threads == 1
    assert_same_state(before, state(model))


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("model", [models.gpt2, models.llama], ids=["gpt2", "llama"])
@pytest.mark.usefixtures("graphs_only")
def test_generate_gives_eagers_tokens(backend: Backend, model: Any, tmp_path: Path) -> None:
    pytest.importorskip("transformers")
    generator, prompt = model(), models.tokens(padding=0)
    asked = subject(generator, generates=True, **prompt)
    if backend.name in NEVER_GENERATES:
        with pytest.raises(BuildError, match=NEVER_GENERATES[backend.name]):
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


def test_sdpa_takes_the_place_of_eager_attention(tmp_path: Path) -> None:
    skip_unless_installed(sdpa.SDPA)
    asked = subject(models.bert_classifier(attn_implementation="eager"), **models.tokens())
    built = build(sdpa.SDPA, asked, tmp_path)
    assert built.threads == 1
    assert built.facts == {"attention": "sdpa", "sdpa_calls": 2}
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
    assert built.threads == 1
    assert built.facts == {"dtype": "torch.bfloat16"}


def test_bf16_keeps_a_shared_part_in_fp32_within_a_kept_module_and_outside(tmp_path: Path) -> None:
    torch.manual_seed(0)
    block = torch.nn.Sequential(torch.nn.Linear(16, 16), torch.nn.Linear(16, 16))
    model = torch.nn.Sequential(block[0], block, torch.nn.Linear(16, 16)).eval()
    asked = subject(model, input=X)
    off: dict[tuple[str, ...], float] = {}
    for kept in ((), ("1", "1.0", "1.1", "0")):
        answer = build(bf16.BF16, dataclasses.replace(asked, keep_fp32=kept), tmp_path).forward(input=X)
        off[kept] = (answer - asked.expected).norm().item()
    assert off["1", "1.0", "1.1", "0"] < off[()]


def test_autocast_runs_products_in_bf16_and_ends_with_the_call(tmp_path: Path) -> None:
    built = build(autocast_bf16.AUTOCAST_BF16, subject(models.mlp(), x=X), tmp_path)
    built.forward(x=X)
    assert built.threads == 1
    assert built.facts == {"bf16_products": 2}
    assert not torch.is_autocast_enabled("cpu")
    with pytest.raises(BuildError, match="no matrix product or convolution of LayerNorm"):
        build(autocast_bf16.AUTOCAST_BF16, subject(torch.nn.LayerNorm(16).eval(), input=X), tmp_path)


def test_convolutions_are_in_channels_last(tmp_path: Path) -> None:
    built = build(channels_last.CHANNELS_LAST, subject(models.cnn(), **CASES["cnn"].inputs), tmp_path)
    assert built.threads == 1
    assert built.facts == {"channels_last_convolutions": 1}


@pytest.mark.parametrize(
    ("settings", "nested"), [({}, 1), ({"norm_first": True}, 0)], ids=["padding_left_out", "padding_computed"]
)
def test_encoder_layers_run_fused(settings: dict[str, Any], nested: int, tmp_path: Path) -> None:
    asked = subject(models.encoder(**settings), **models.padded())
    built = build(fastpath.FASTPATH, asked, tmp_path)
    assert built.threads == 1
    assert built.facts == {"layers": 2, "fused_layers": 2, "nested_encoders": nested}
    assert_alike(built.forward(**models.padded()), asked.expected, Precision.FP32)


def test_layers_that_torch_cannot_fuse_are_refused(tmp_path: Path) -> None:
    asked = subject(models.encoder(activation=torch.nn.functional.silu), **models.padded())
    with pytest.raises(BuildError, match="no layer of Encoder took the fast path"):
        build(fastpath.FASTPATH, asked, tmp_path)


def test_a_call_that_would_not_run_fused_is_not_accepted(tmp_path: Path) -> None:
    layer = models.redraw(torch.nn.TransformerEncoderLayer(16, 2, 32, batch_first=True))
    built = build(fastpath.FASTPATH, subject(layer, src=X.reshape(1, 3, 16)), tmp_path)
    assert built.accepts(Inputs(kwargs={"src": X.reshape(3, 1, 16)}))
    assert not built.accepts(Inputs(kwargs={"src": X}))
    assert not built.accepts(Inputs(kwargs={"src": X[:, :3]}))


def test_optimised_torchscript_runs_convolutions_by_onednn(tmp_path: Path) -> None:
    built = build(torchscript.TORCHSCRIPT_OPTIMIZED, subject(models.cnn(), **CASES["cnn"].inputs), tmp_path)
    assert built.threads == 1
    assert built.facts == {"module": "RecursiveScriptModule", "onednn_convolutions": 1}


def test_torchscript_runs_a_script_module_for_the_traced_call_only(tmp_path: Path) -> None:
    built = build(torchscript.TORCHSCRIPT, subject(models.two_heads(), x=X), tmp_path)
    assert built.threads == 1
    assert built.facts == {"module": "RecursiveScriptModule"}
    assert built.accepts(Inputs(args=(X + 1,)))
    for other in ({"x": X[:2]}, {"x": X.double()}, {"x": X, "scale": SCALE}):
        assert not built.accepts(Inputs(kwargs=other))


class _Seeded(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        torch.manual_seed(0)
        return x + torch.randn(3)


class _Counting(torch.nn.Module):
    calls = 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        return x + torch.arange(3) * self.calls


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (_Seeded(), "its trace draws random numbers .randn., and leaves out how the model seeds them"),
        (_Counting(), "traced twice, the model gives two graphs; .* call it once before the test"),
    ],
)
def test_torchscript_says_what_its_trace_leaves_out(model: torch.nn.Module, words: str, tmp_path: Path) -> None:
    with pytest.raises(BuildError, match=words):
        build(torchscript.TORCHSCRIPT, subject(model.eval(), x=torch.zeros(3)), tmp_path)


class _InItsDefault(torch.nn.Module):
    def forward(self, x: torch.Tensor, seen: torch.Tensor = torch.zeros(3)) -> torch.Tensor:  # noqa: B008
        seen.add_(x.mean(0))
        return x + seen


def test_state_that_eager_keeps_too_is_not_called_a_miscompiled_trace(tmp_path: Path) -> None:
    x = torch.linspace(3, 4, 6).reshape(2, 3)
    assert build(torchscript.TORCHSCRIPT, subject(_InItsDefault().eval(), x=x), tmp_path).forward is not None


@pytest.mark.parametrize(
    "int8",
    [torch_int8.TORCH_INT8, torchao_int8.TORCHAO_INT8, torchao_int8.TORCHAO_INT8_WEIGHTS],
    ids=lambda b: b.name,
)
def test_int8_counts_its_linears_and_refuses_a_model_without(int8: Backend, tmp_path: Path) -> None:
    skip_unless_installed(int8)
    wide = torch.nn.Sequential(torch.nn.Linear(32, 32), torch.nn.ReLU(), torch.nn.Linear(32, 8)).eval()
    built = build(int8, subject(wide, input=torch.ones(2, 32)), tmp_path)
    assert built.facts["quantised_linears"] == 2
    with pytest.raises(BuildError, match=r"Conv2d has no nn\.Linear"):
        build(int8, subject(torch.nn.Conv2d(1, 2, 3).eval(), input=torch.ones(1, 1, 4, 4)), tmp_path)


@pytest.mark.parametrize(
    "torchao", [torchao_int8.TORCHAO_INT8, torchao_int8.TORCHAO_INT8_WEIGHTS], ids=lambda b: b.name
)
def test_torchao_leaves_other_models_settings_of_inductor_alone(torchao: Backend, tmp_path: Path) -> None:
    skip_unless_installed(torchao)
    from torch._inductor import config

    before = config.get_config_copy()
    build(torchao, subject(torch.nn.Linear(32, 32).eval(), input=torch.ones(2, 32)), tmp_path)
    assert config.get_config_copy() == before


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
