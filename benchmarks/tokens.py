"""How fast language models generate: eager, ``ort`` and ``openvino``, at a time, as ratios to eager.

Run with ``python -m benchmarks.tokens`` (some minutes; ``--layers 0`` takes the shapes' own numbers of layers).

Weights are random, shapes those of published models. In every round each of them generates the same text, in random
order: one token, whose time is that of the prompt, and then many, whose time above that is shared by the further ones.
Where Optimum is installed, the backends run its classes, and our own export is timed beside them. Intervals hold the
median of a round's ratios with 99 %.
"""

from __future__ import annotations

import argparse
import contextlib
import random
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any
from unittest.mock import patch

import torch
import transformers
from torch import nn

from pytest_cpuaccel.backends.openvino import OPENVINO
from pytest_cpuaccel.backends.ort import ORT
from pytest_cpuaccel.backends.toolkit import optimum
from pytest_cpuaccel.builder.artifact_store import ArtifactStore
from pytest_cpuaccel.builder.builder import Builder
from pytest_cpuaccel.core.backend import Backend
from pytest_cpuaccel.core.build_request import BuildRequest
from pytest_cpuaccel.core.errors import BuildError, CpuaccelError
from pytest_cpuaccel.core.inputs import Inputs
from pytest_cpuaccel.measure.latency.e_values import median_interval

Generate = Callable[..., Any]


def gpt2(layers: int) -> nn.Module:
    """GPT-2 of 124 million parameters."""
    return transformers.GPT2LMHeadModel(transformers.GPT2Config(n_layer=layers or 12))


def llama(layers: int) -> nn.Module:
    """Llama in the shape of a model of 135 million parameters."""
    sizes = {"hidden_size": 576, "intermediate_size": 1536, "num_attention_heads": 9, "num_key_value_heads": 3}
    config = transformers.LlamaConfig(vocab_size=49152, num_hidden_layers=layers or 30, **sizes)
    return transformers.LlamaForCausalLM(config)


def qwen2(layers: int) -> nn.Module:
    """Qwen2 of 494 million parameters."""
    sizes = {"hidden_size": 896, "intermediate_size": 4864, "num_attention_heads": 14, "num_key_value_heads": 2}
    count = layers or 24
    config = transformers.Qwen2Config(
        vocab_size=151936, num_hidden_layers=count, max_window_layers=count, tie_word_embeddings=True, **sizes
    )
    return transformers.Qwen2ForCausalLM(config)


def t5(layers: int) -> nn.Module:
    """T5 of 60 million parameters."""
    return transformers.T5ForConditionalGeneration(
        transformers.T5Config(num_layers=layers or 6, decoder_start_token_id=0)
    )


SHAPES = {make.__name__: make for make in (gpt2, llama, qwen2, t5)}


def main() -> None:
    """Time every shape and print what each way takes for a token, and how many times as fast as eager it is."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("shapes", nargs="*", default=list(SHAPES), choices=list(SHAPES))
    parser.add_argument("--layers", type=int, default=4, help="layers of each model; 0 for the shape's own (default 4)")
    parser.add_argument("--prompt", type=int, default=64, help="tokens of the prompt (default 64)")
    parser.add_argument("--new", type=int, default=64, help="tokens generated (default 64)")
    parser.add_argument("--rounds", type=int, default=15, help="rounds (default 15)")
    options = parser.parse_args()
    torch.set_num_threads(1)
    for name in options.shapes:
        torch.manual_seed(0)
        model = SHAPES[name](options.layers).eval()
        model.generation_config.eos_token_id = None  # type: ignore[union-attr]
        ids = torch.randint(5, 1000, (1, options.prompt))
        given = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
        with _ways(model, given) as ways:
            _print(name, _rounds(ways, given, options.new, options.rounds))


@contextlib.contextmanager
def _ways(model: Any, given: Mapping[str, torch.Tensor]) -> Iterator[dict[str, Generate]]:
    """Yield the ``generate()`` of eager and of each backend, and of our own export where Optimum has a class."""
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as opened:
        ways = {"eager": model.generate}
        for backend in (ORT, OPENVINO):
            built = _built(model, backend, given, Path(folder) / backend.name, opened)
            ways |= built
            if any("optimum" in name for name in built):
                with patch.object(optimum, "class_for", _none_for):
                    ways |= _built(model, backend, given, Path(folder) / f"{backend.name}-ours", opened)
        yield ways


def _built(
    model: Any, backend: Backend, given: Mapping[str, torch.Tensor], folder: Path, opened: contextlib.ExitStack
) -> dict[str, Generate]:
    builder = Builder(ArtifactStore(folder, 1 << 40), 1, say=print, busy=lambda _: contextlib.nullcontext())
    opened.callback(builder.release)
    try:
        built = builder.built(BuildRequest(model, backend, "generate", Inputs(kwargs=dict(given))))
    except CpuaccelError as refusal:
        print(f"{backend.name}: {refusal}")
        return {}
    kept = "" if built.facts["kv_cache"] else ", no KV cache"
    assert built.generate is not None
    return {f"{backend.name}, {str(built.facts['route']).partition(' ')[0]}{kept}": built.generate}


def _none_for(*_: object) -> None:
    raise BuildError("our own export is asked for")


def _rounds(
    ways: Mapping[str, Generate], given: Mapping[str, torch.Tensor], new: int, rounds: int
) -> dict[str, list[tuple[float, float]]]:
    """Return the seconds to the first token and for each further one, by way and round."""
    order = random.Random(0)
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    for number in range(rounds + 1):  # the first warms up
        for name in order.sample(sorted(ways), len(ways)):
            first, whole = (_seconds(ways[name], given, count) for count in (1, new))
            if number:
                found[name].append((first, (whole - first) / (new - 1)))
    return found


def _seconds(generate: Generate, given: Mapping[str, torch.Tensor], new: int) -> float:
    started = perf_counter()
    generate(**given, do_sample=False, min_new_tokens=new, max_new_tokens=new)
    return perf_counter() - started


def _print(shape: str, found: Mapping[str, list[tuple[float, float]]]) -> None:
    for name, seconds in found.items():
        first, further = (1000 * median(column) for column in zip(*seconds, strict=True))
        shown = [f"{shape}: {name}: first token {first:.1f} ms, then {1000 / further:.1f} tokens/s"]
        for what, place in (("first", 0), ("further", 1)):
            ratios = [eager[place] / own[place] for eager, own in zip(found["eager"], seconds, strict=True)]
            low, high = median_interval(ratios, alpha=0.01)
            shown.append(f"{what} {median(ratios):.2f}x [{low:.2f}, {high:.2f}]")
        print("; ".join(shown), flush=True)


if __name__ == "__main__":
    main()
