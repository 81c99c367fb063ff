"""Language models exported by our own route run as they are served: one new token a step, keys and values kept."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from pytest_cpuaccel.backends import openvino_int8_ptq, ort_int8_static
from pytest_cpuaccel.backends.openvino import OPENVINO, OPENVINO_INT8
from pytest_cpuaccel.backends.openvino_requests import finished_requests
from pytest_cpuaccel.backends.ort import ORT, ORT_INT8, ORT_O4
from pytest_cpuaccel.backends.requirements import unmet_requirement
from pytest_cpuaccel.backends.toolkit import optimum
from pytest_cpuaccel.backends.toolkit.export_metadata import FILE, Route
from pytest_cpuaccel.core.backend import Backend, BuiltModel
from pytest_cpuaccel.core.errors import BuildError
from pytest_cpuaccel.core.inputs import Inputs
from tests import exports, models
from tests.exports import built_or_skipped, kept_exports, left_padded
from tests.memory import tensors_of_shape
from tests.subjects import subject

caches = pytest.importorskip("transformers.cache_utils")
if not hasattr(caches, "DynamicLayer"):
    pytest.skip("this transformers has no caches of layers, and Optimum serves it", allow_module_level=True)
pytestmark = pytest.mark.usefixtures("one_thread", "without_optimum")

BOTH = pytest.mark.parametrize("backend", [ORT, OPENVINO], ids=lambda backend: backend.name)
RECORDED: dict[str, Callable[[list[Any]], AbstractContextManager[None]]] = {
    "ort": ort_int8_static._recorded,
    "openvino": lambda feeds: finished_requests(lambda request: feeds.append(openvino_int8_ptq._feed(request))),
}


@pytest.fixture
def without_optimum(monkeypatch: pytest.MonkeyPatch) -> None:
    """Our own route, also where Optimum has a class."""

    def none_for(*_: object) -> None:
        raise BuildError("not asked")

    monkeypatch.setattr(optimum, "class_for", none_for)


def bart() -> nn.Module:
    from transformers import BartConfig, BartForConditionalGeneration

    sizes = {f"{part}_{what}": size for part in ("encoder", "decoder") for what, size in _HALF.items()}
    tokens = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2, "decoder_start_token_id": 2}
    config = BartConfig(
        vocab_size=120, d_model=32, max_position_embeddings=64, forced_eos_token_id=None, **sizes, **tokens
    )
    return models.redraw(BartForConditionalGeneration(config))


_HALF = {"layers": 2, "attention_heads": 4, "ffn_dim": 64}


def sliding() -> nn.Module:
    from transformers import MistralConfig, MistralForCausalLM

    config = MistralConfig(
        vocab_size=120,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        sliding_window=6,
        pad_token_id=0,
        eos_token_id=2,
    )
    return models.redraw(MistralForCausalLM(config))


MODELS = {make.__name__: make for make in (models.gpt2, models.llama, exports.tiny_t5, bart)}


@dataclass(frozen=True)
class Pair:
    """A model, and what a backend built of it."""

    model: Any
    built: BuiltModel

    def tokens(self, given: Mapping[str, Any], **settings: Any) -> tuple[list[list[int]], list[list[int]]]:
        """What eager and the build generate from the same random numbers."""
        found = []
        for generate in (self.model.generate, self.built.generate):
            torch.manual_seed(3)
            found.append(generate(**given, **({"max_new_tokens": 20, "do_sample": False} | settings)).tolist())
        return found[0], found[1]


REPRESENTED = (("ort", "bart"), ("openvino", "gpt2"))
"""Exports that the same model under the other runtime, and another model under the same, stand for."""
EACH = pytest.mark.parametrize(
    ("backend", "name"),
    [
        pytest.param(backend, name, marks=[pytest.mark.thorough] * ((backend.name, name) in REPRESENTED))
        for backend in (ORT, OPENVINO)
        for name in MODELS
    ],
    ids=lambda value: getattr(value, "name", value),
)
_PAIRS: dict[tuple[str, str], Pair] = {}


@pytest.fixture
def pair(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Backend, str], Pair]:
    """A model under a backend, built once for all tests."""

    def made(backend: Backend, name: str) -> Pair:
        if (backend.name, name) not in _PAIRS:
            model: Any = MODELS[name]()
            ids = torch.zeros((2, 1), dtype=torch.long)
            decoded = {"decoder_input_ids": ids} if model.config.is_encoder_decoder else {}
            asked = subject(model, generates=True, **prompts(model)["padded"], **decoded)
            built = built_or_skipped(backend, asked, tmp_path_factory.mktemp(name), kept_exports(tmp_path_factory))
            _PAIRS[backend.name, name] = Pair(model, built)
        return _PAIRS[backend.name, name]

    return made


def prompts(model: Any) -> dict[str, dict[str, torch.Tensor]]:
    """Texts of several lengths, padded on the side where such a model takes padding."""
    padded = models.tokens(2, 8, 3) if model.config.is_encoder_decoder else left_padded()
    return {
        "padded": padded,
        "longer": models.tokens(3, 17, 0),
        "one token": models.tokens(2, 1, 0),
        "no mask": {"input_ids": models.tokens(1, 5, 0)["input_ids"]},
    }


@EACH
@pytest.mark.parametrize("prompt", ["padded", "longer", "one token", "no mask"])
@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"num_beams": 3},
        {"num_beams": 3, "num_return_sequences": 2},
        {"do_sample": True, "temperature": 0.8},
        {"use_cache": False},
        {"prompt_lookup_num_tokens": 2},
    ],
    ids=["greedy", "beams", "several beams", "sampling", "no cache", "drafts"],
)
def test_one_build_finds_eagers_tokens_for_every_prompt_and_search(
    pair: Callable[[Backend, str], Pair], backend: Backend, name: str, prompt: str, settings: dict[str, Any]
) -> None:
    asked = pair(backend, name)
    given = prompts(asked.model)[prompt]
    if "prompt_lookup_num_tokens" in settings and (
        len(given["input_ids"]) > 1 or asked.model.config.is_encoder_decoder
    ):
        pytest.skip("drafts are for one text")
    expected, actual = asked.tokens(given, **settings)
    assert actual == expected


@EACH
def test_every_step_but_the_first_runs_one_token(
    pair: Callable[[Backend, str], Pair], backend: Backend, name: str
) -> None:
    asked = pair(backend, name)
    given = prompts(asked.model)["longer"]
    ids = "decoder_input_ids" if asked.model.config.is_encoder_decoder else "input_ids"
    feeds: list[Any] = []
    with RECORDED[backend.name](feeds):
        asked.built.generate(**given, max_new_tokens=6, min_new_tokens=6, do_sample=False)  # type: ignore[misc]
    lengths = [feed[ids].shape[1] for feed in feeds if ids in feed]
    assert lengths == [1 if ids != "input_ids" else 17, 1, 1, 1, 1, 1]
    encoded = [feed for feed in feeds if ids != "input_ids" and "input_ids" in feed]
    assert len(encoded) == (ids != "input_ids")
    assert asked.built.facts["kv_cache"] is True


@BOTH
def test_two_texts_at_a_time_keep_apart(pair: Callable[[Backend, str], Pair], backend: Backend) -> None:
    """A text is generated between two tokens of another."""
    asked = pair(backend, "llama")
    first, second = prompts(asked.model)["longer"], prompts(asked.model)["padded"]
    between: list[Any] = []

    def other(ids: torch.Tensor, scores: torch.Tensor, **_: Any) -> bool:  # noqa: ARG001
        between.append(asked.built.generate(**second, max_new_tokens=4, do_sample=False).tolist())  # type: ignore[misc]
        return False

    tokens = asked.built.generate(**first, max_new_tokens=6, do_sample=False, stopping_criteria=[other])  # type: ignore[misc]
    assert tokens.tolist() == asked.model.generate(**first, max_new_tokens=6, do_sample=False).tolist()
    assert all(each == asked.tokens(second, max_new_tokens=4)[0] for each in between)


@BOTH
@pytest.mark.filterwarnings("ignore:`past_key_values` is deprecated:FutureWarning")  # by 5.24, which calls it cache
def test_a_cache_that_the_user_filled_goes_on_or_is_refused(
    pair: Callable[[Backend, str], Pair], backend: Backend
) -> None:
    from transformers import DynamicCache

    asked = pair(backend, "llama")
    given = prompts(asked.model)["longer"]
    caches = [DynamicCache(), DynamicCache()]
    for cache in caches:
        with torch.no_grad():
            asked.model(input_ids=given["input_ids"][:, :9], past_key_values=cache, use_cache=True)
    settings = {"max_new_tokens": 5, "do_sample": False}
    expected = asked.model.generate(**given, past_key_values=caches[0], **settings)
    if backend is OPENVINO:
        with pytest.raises(BuildError, match="goes on from none that was filled elsewhere"):
            asked.built.generate(**given, past_key_values=caches[1], **settings)  # type: ignore[misc]
    else:
        actual = asked.built.generate(**given, past_key_values=caches[1], **settings)  # type: ignore[misc]
        assert actual.tolist() == expected.tolist()


@BOTH
def test_a_cache_of_a_fixed_size_is_refused(pair: Callable[[Backend, str], Pair], backend: Backend) -> None:
    asked = pair(backend, "llama")
    with pytest.raises(BuildError, match="StaticCache: the exported graph has a place only for a cache that grows"):
        asked.built.generate(**prompts(asked.model)["longer"], max_new_tokens=3, cache_implementation="static")  # type: ignore[misc]


@BOTH
def test_a_sliding_window_is_exported_without_a_cache_and_says_so(backend: Backend, tmp_path: Path) -> None:
    model, given = sliding(), left_padded(12)
    built = built_or_skipped(backend, subject(model, generates=True, **given), tmp_path)
    assert built.facts["kv_cache"] is False
    assert "DynamicSlidingWindowLayer" in str(built.facts["without_kv_cache"])
    expected, actual = Pair(model, built).tokens(given)
    assert actual == expected


@pytest.mark.parametrize(
    ("backend", "name"),
    [
        (ORT_INT8, "llama"),
        (OPENVINO_INT8, "tiny_t5"),
        pytest.param(ORT_O4, "llama", marks=pytest.mark.thorough),
        pytest.param(ORT_O4, "tiny_t5", marks=pytest.mark.thorough),
        pytest.param(ORT_INT8, "tiny_t5", marks=pytest.mark.thorough),
        pytest.param(OPENVINO_INT8, "llama", marks=pytest.mark.thorough),
    ],
    ids=lambda value: getattr(value, "name", value),
)
def test_variants_keep_the_cache(pair: Callable[[Backend, str], Pair], backend: Backend, name: str) -> None:
    """Steps come to the same logits as one call over the whole text, under the same backend."""
    if reason := unmet_requirement(backend):
        pytest.skip(reason)
    asked = pair(backend, name)
    given = prompts(asked.model)["longer"]
    settings = {"max_new_tokens": 6, "min_new_tokens": 6, "output_logits": True, "return_dict_in_generate": True}
    output = asked.built.generate(**given, do_sample=False, **settings)  # type: ignore[misc]
    if asked.model.config.is_encoder_decoder:
        whole = {**given, "decoder_input_ids": output.sequences[:, :-1]}
    else:
        whole = {"input_ids": output.sequences[:, :-1], "attention_mask": torch.ones_like(output.sequences[:, :-1])}
    logits = asked.built.forward(**whole).logits[:, -6:]
    steps = torch.stack(output.logits, dim=1)
    assert asked.built.facts["kv_cache"] is True
    assert (steps - logits).norm() < 0.1 * logits.norm()


@BOTH
def test_other_lengths_and_batches_of_a_forward_call_need_no_new_build(
    pair: Callable[[Backend, str], Pair], backend: Backend
) -> None:
    asked = pair(backend, "tiny_t5")
    other = {**models.tokens(3, 5, 2), "decoder_input_ids": torch.arange(12).reshape(3, 4) + 5}
    assert asked.built.accepts(Inputs(kwargs=other))
    assert not asked.built.accepts(Inputs(kwargs={**other, "decoder_input_ids": other["decoder_input_ids"][:2]}))
    with torch.no_grad():
        expected = asked.model(**other).logits
    torch.testing.assert_close(asked.built.forward(**other).logits, expected, rtol=1e-3, atol=1e-3)


def test_an_artifact_from_before_caches_loads_as_what_it_is(tmp_path: Path) -> None:
    """Baselines keep artifacts for long."""
    kept = {"shapes": {"condition": "", "singles": []}, "optimum": "", "positions": "mask", "facts": {}}
    (tmp_path / FILE).write_text(json.dumps(kept))
    assert Route.read(tmp_path).cache is None


@BOTH
def test_an_artifact_holds_tied_weights_once_and_memory_none_of_them(backend: Backend, tmp_path: Path) -> None:
    from transformers import LlamaConfig, LlamaForCausalLM

    sizes = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 4}
    model = LlamaForCausalLM(LlamaConfig(vocab_size=40_009, tie_word_embeddings=True, **sizes)).eval()
    built = built_or_skipped(backend, subject(model, generates=True, **left_padded()), tmp_path)
    assert built.facts["kv_cache"]
    assert {item.data_ptr() for item in tensors_of_shape((40_009, 32))} == {model.lm_head.weight.data_ptr()}
    weights = sum(parameter.numel() * 4 for parameter in model.parameters())
    assert weights < sum(file.stat().st_size for file in tmp_path.rglob("*")) < 1.5 * weights
