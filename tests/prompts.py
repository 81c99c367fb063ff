"""Tiny models that generate from more than token ids, each with the inputs of a call."""

from __future__ import annotations

from collections.abc import Callable
from types import MappingProxyType
from typing import Any

import torch
from torch import nn

from pytest_cpuaccel.zoo.weights import redraw
from tests import exports, models

Prompt = dict[str, Any]

_TOKENS = MappingProxyType({"vocab_size": 120, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2})
_LAYERS = MappingProxyType(
    {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
)
_TEXT = MappingProxyType({**_TOKENS, **_LAYERS, "max_position_embeddings": 64})
_VISION = MappingProxyType({**_LAYERS, "image_size": 16, "patch_size": 8})
_IMAGE_TOKEN = 119
_PATCHES = 4


def _drawn(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(3))


def left_padded() -> Prompt:
    return {name: tensor.flip(1) for name, tensor in models.tokens(2, 8, 3).items()}


def _with_image() -> Prompt:
    """Each text begins with an image; the second is padded on the left."""
    ids = torch.cat([torch.full((2, _PATCHES), _IMAGE_TOKEN), models.tokens(2, 5, 0)["input_ids"] - 4], dim=1)
    ids = torch.cat([torch.tensor([[7, 8], [0, 0]]), ids], dim=1)
    return {"input_ids": ids, "attention_mask": (ids != 0).long(), "pixel_values": _drawn(2, 3, 16, 16)}


def llava() -> tuple[nn.Module, Prompt]:
    from transformers import CLIPVisionConfig, LlamaConfig, LlavaConfig, LlavaForConditionalGeneration

    config = LlavaConfig(
        vision_config=CLIPVisionConfig(**_VISION),
        text_config=LlamaConfig(**_TEXT, num_key_value_heads=2),
        image_token_index=_IMAGE_TOKEN,
        vision_feature_layer=-1,
        image_seq_length=_PATCHES,
    )
    model = redraw(LlavaForConditionalGeneration(config))
    model.generation_config.suppress_tokens = [_IMAGE_TOKEN]  # as no real model says it
    return model, _with_image()


def git() -> tuple[nn.Module, Prompt]:
    from transformers import GitConfig, GitForCausalLM

    config = GitConfig(**_TEXT, vision_config=dict(_VISION))
    return redraw(GitForCausalLM(config)), {**models.tokens(2, 6, 0), "pixel_values": _drawn(2, 3, 16, 16)}


def blip() -> tuple[nn.Module, Prompt]:
    from transformers import BlipConfig, BlipForConditionalGeneration

    text = {**_TEXT, "encoder_hidden_size": 32, "projection_dim": 32, "sep_token_id": 4}
    config = BlipConfig(text_config=text, vision_config=dict(_VISION))
    return redraw(BlipForConditionalGeneration(config)), {"pixel_values": _drawn(2, 3, 16, 16)}


def image_to_text() -> tuple[nn.Module, Prompt]:
    from transformers import GPT2Config, VisionEncoderDecoderConfig, VisionEncoderDecoderModel, ViTConfig

    decoder = GPT2Config(**_TOKENS, n_positions=64, n_embd=32, n_layer=2, n_head=4)
    config = VisionEncoderDecoderConfig.from_encoder_decoder_configs(ViTConfig(**_VISION), decoder)
    return _started(VisionEncoderDecoderModel(config=config)), {"pixel_values": _drawn(2, 3, 16, 16)}


def bert_to_bert() -> tuple[nn.Module, Prompt]:
    from transformers import BertConfig, EncoderDecoderConfig, EncoderDecoderModel

    config = EncoderDecoderConfig.from_encoder_decoder_configs(BertConfig(**_TEXT), BertConfig(**_TEXT))
    given = models.tokens(2, 8, 3)
    return _started(EncoderDecoderModel(config=config)), {**given, "token_type_ids": given["input_ids"] % 2}


def speech_to_text() -> tuple[nn.Module, Prompt]:
    from transformers import Speech2TextConfig, Speech2TextForConditionalGeneration

    sizes = {f"{part}_{what}": size for part in ("encoder", "decoder") for what, size in _HALF.items()}
    config = Speech2TextConfig(
        **_TOKENS, **sizes, decoder_start_token_id=3, d_model=32, input_feat_per_channel=8, conv_channels=16
    )
    mask = torch.ones((2, 40), dtype=torch.long)
    mask[1, 30:] = 0
    model = redraw(Speech2TextForConditionalGeneration(config))
    return model, {"input_features": _drawn(2, 40, 8), "attention_mask": mask}


def token_types() -> tuple[nn.Module, Prompt]:
    given = left_padded()
    return models.gpt2(), {**given, "token_type_ids": torch.full_like(given["input_ids"], 9)}


def bert_decoder() -> tuple[nn.Module, Prompt]:
    from transformers import BertConfig, BertLMHeadModel

    given = left_padded()
    model = redraw(BertLMHeadModel(BertConfig(**_TEXT, is_decoder=True)))
    return model, {**given, "token_type_ids": torch.ones_like(given["input_ids"])}


def embeddings() -> tuple[nn.Module, Prompt]:
    mask = torch.tensor([[1, 1, 1, 1, 1], [0, 0, 1, 1, 1]])
    return models.llama(), {"inputs_embeds": _drawn(2, 5, 32), "attention_mask": mask}


def no_mask() -> tuple[nn.Module, Prompt]:
    return models.llama(), {"input_ids": left_padded()["input_ids"]}


def by_position() -> tuple[nn.Module, Prompt]:
    return models.gpt2(), {"inputs": models.tokens(2, 6, 0)["input_ids"]}


def decoder_prompt() -> tuple[nn.Module, Prompt]:
    return exports.tiny_t5(), {
        **models.tokens(2, 8, 3),
        "decoder_input_ids": torch.tensor([[0, 7, 8], [0, 0, 9]]),
        "decoder_attention_mask": torch.tensor([[1, 1, 1], [0, 1, 1]]),
    }


def encoded() -> tuple[nn.Module, Prompt]:
    model, given = exports.tiny_t5(), models.tokens(2, 8, 3)
    with torch.no_grad():
        answers = model.get_encoder()(**given)
    return model, {"encoder_outputs": answers, "attention_mask": given["attention_mask"]}


_HALF = MappingProxyType({"layers": 2, "attention_heads": 4, "ffn_dim": 64})


def _started(model: nn.Module) -> nn.Module:
    for config in (model.config, model.generation_config):
        config.decoder_start_token_id, config.pad_token_id, config.eos_token_id = 3, 0, 2
    return redraw(model)


PROMPTS: dict[str, Callable[[], tuple[nn.Module, Prompt]]] = {
    make.__name__: make
    for make in (
        *(llava, git, image_to_text, speech_to_text, bert_to_bert, token_types, bert_decoder),
        *(embeddings, no_mask, by_position, decoder_prompt, encoded),
    )
}
