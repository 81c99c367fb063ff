"""The architectures of the support matrix."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from pytest_cpuaccel.core.inputs import Inputs
from pytest_cpuaccel.zoo.architecture import Architecture, Family

if TYPE_CHECKING:
    from torch import nn

Settings = Mapping[str, Any]

_TOKENS: Settings = MappingProxyType(
    {"vocab_size": 120, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2, "decoder_start_token_id": 3}
)
_LAYERS: Settings = MappingProxyType(
    {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64}
)
_TEXT: Settings = MappingProxyType({**_TOKENS, **_LAYERS, "max_position_embeddings": 128})
_ENCODER_DECODER: Settings = MappingProxyType(
    {
        **_TOKENS,
        "d_model": 32,
        "encoder_layers": 2,
        "decoder_layers": 2,
        "encoder_attention_heads": 4,
        "decoder_attention_heads": 4,
        "encoder_ffn_dim": 64,
        "decoder_ffn_dim": 64,
        "max_position_embeddings": 128,
        "forced_eos_token_id": None,
    }
)
_IMAGE: Settings = MappingProxyType({"image_size": 16, "patch_size": 4, "num_channels": 3})


def _transformer(name: str, family: Family, model: str, settings: Settings) -> Architecture:
    def make() -> nn.Module:
        import transformers

        from pytest_cpuaccel.zoo.weights import drawn

        kind = getattr(transformers, model)
        return drawn(lambda: kind(kind.config_class(**settings)))

    def example(module: nn.Module, batch: int, length: int) -> Inputs:
        from pytest_cpuaccel.zoo.example_inputs import left_padded, right_padded

        return (left_padded if family == "decoder" else right_padded)(module, batch, length)

    return Architecture(name, family, model, make, example)


def _plain(name: str, model: str, inputs: str) -> Architecture:
    def make() -> nn.Module:
        from pytest_cpuaccel.zoo import plain_models as plain
        from pytest_cpuaccel.zoo.weights import drawn

        return drawn(getattr(plain, model))

    def example(module: nn.Module, batch: int, length: int) -> Inputs:
        from pytest_cpuaccel.zoo import plain_models as plain

        made: Inputs = getattr(plain, inputs)(module, batch, length)
        return made

    return Architecture(name, "plain torch", model, make, example)


ARCHITECTURES: tuple[Architecture, ...] = (
    _transformer("bert", "encoder", "BertForSequenceClassification", {**_TEXT, "num_labels": 3}),
    _transformer("roberta", "encoder", "RobertaForQuestionAnswering", _TEXT),
    _transformer(
        "distilbert",
        "encoder",
        "DistilBertForTokenClassification",
        {**_TOKENS, "dim": 32, "n_layers": 2, "n_heads": 4, "hidden_dim": 64, "num_labels": 3},
    ),
    _transformer("albert", "encoder", "AlbertForMaskedLM", {**_TEXT, "embedding_size": 16}),
    _transformer(
        "electra", "encoder", "ElectraForSequenceClassification", {**_TEXT, "embedding_size": 16, "num_labels": 3}
    ),
    _transformer("mpnet", "encoder", "MPNetForMaskedLM", _TEXT),
    _transformer(
        "deberta-v2",
        "encoder",
        "DebertaV2ForSequenceClassification",
        {
            **_TEXT,
            "num_labels": 3,
            "relative_attention": True,
            "position_buckets": 8,
            "norm_rel_ebd": "layer_norm",
            "share_att_key": True,
            "pos_att_type": ["p2c", "c2p"],
            "position_biased_input": False,
            "type_vocab_size": 0,
        },
    ),
    _transformer("xlm-roberta", "encoder", "XLMRobertaForTokenClassification", {**_TEXT, "num_labels": 3}),
    _transformer(
        "gpt2", "decoder", "GPT2LMHeadModel", {**_TOKENS, "n_positions": 128, "n_embd": 32, "n_layer": 2, "n_head": 4}
    ),
    _transformer("llama", "decoder", "LlamaForCausalLM", {**_TEXT, "num_key_value_heads": 2}),
    _transformer("qwen2", "decoder", "Qwen2ForCausalLM", {**_TEXT, "num_key_value_heads": 2}),
    _transformer("mistral", "decoder", "MistralForCausalLM", {**_TEXT, "num_key_value_heads": 2}),
    _transformer("phi", "decoder", "PhiForCausalLM", _TEXT),
    _transformer(
        "opt",
        "decoder",
        "OPTForCausalLM",
        {**_TEXT, "ffn_dim": 64, "word_embed_proj_dim": 32},
    ),
    _transformer("gpt_neox", "decoder", "GPTNeoXForCausalLM", _TEXT),
    _transformer(
        "gpt_bigcode",
        "decoder",
        "GPTBigCodeForCausalLM",
        {**_TOKENS, "n_positions": 128, "n_embd": 32, "n_layer": 2, "n_head": 4},
    ),
    _transformer(
        "t5",
        "seq2seq",
        "T5ForConditionalGeneration",
        {**_TOKENS, "d_model": 32, "d_kv": 8, "d_ff": 64, "num_layers": 2, "num_heads": 4},
    ),
    _transformer("bart", "seq2seq", "BartForConditionalGeneration", _ENCODER_DECODER),
    _transformer("marian", "seq2seq", "MarianMTModel", _ENCODER_DECODER),
    _transformer(
        "whisper",
        "seq2seq",
        "WhisperForConditionalGeneration",
        {
            **_ENCODER_DECODER,
            "num_mel_bins": 8,
            "max_source_positions": 1500,  # as every Whisper has: Optimum always exports for 3000 frames
            "max_target_positions": 64,
            "suppress_tokens": None,
            "begin_suppress_tokens": None,
        },
    ),
    _transformer("vit", "vision and audio", "ViTForImageClassification", {**_LAYERS, **_IMAGE, "num_labels": 10}),
    _transformer(
        "swin",
        "vision and audio",
        "SwinForImageClassification",
        {
            **_IMAGE,
            "patch_size": 2,
            "embed_dim": 8,
            "depths": [2, 1],
            "num_heads": [2, 4],
            "window_size": 4,
            "num_labels": 10,
        },
    ),
    _transformer(
        "convnext",
        "vision and audio",
        "ConvNextForImageClassification",
        {**_IMAGE, "num_stages": 2, "hidden_sizes": [8, 16], "depths": [1, 1], "num_labels": 10},
    ),
    _transformer(
        "resnet",
        "vision and audio",
        "ResNetForImageClassification",
        {"embedding_size": 8, "hidden_sizes": [8, 16], "depths": [1, 1], "layer_type": "basic", "num_labels": 10},
    ),
    _transformer(
        "clip",
        "vision and audio",
        "CLIPModel",
        {"text_config": dict(_TEXT), "vision_config": {**_LAYERS, **_IMAGE}, "projection_dim": 16},
    ),
    _transformer(
        "wav2vec2",
        "vision and audio",
        "Wav2Vec2ForCTC",
        {
            **_TEXT,
            "conv_dim": [16, 16],
            "conv_stride": [5, 4],
            "conv_kernel": [10, 4],
            "num_feat_extract_layers": 2,
            "feat_extract_norm": "layer",
            "num_conv_pos_embeddings": 4,
            "num_conv_pos_embedding_groups": 2,
        },
    ),
    _plain("mlp", "Mlp", "vectors"),
    _plain("cnn", "Cnn", "images"),
    _plain("lstm", "Lstm", "series"),
    _plain("nn.TransformerEncoder", "Encoder", "padded_series"),
)
"""At least one model of every kind that people deploy, in the order in which pages show them."""
