"""``generate()`` in its ways, under the runtimes that keep graphs: each the same as eager's."""

from __future__ import annotations

import pytest

pytest.importorskip("transformers")

CONFTEST = """
import pytest, torch, transformers
from tests import exports, models

@pytest.fixture(scope="session")
def decoder():
    return models.gpt2()

@pytest.fixture(scope="session")
def encoder_decoder():
    return exports.tiny_t5()

@pytest.fixture
def prompt():
    return {"input_ids": torch.tensor([[0, 0, 7, 8, 9], [11, 12, 13, 14, 15]]),
            "attention_mask": torch.tensor([[0, 0, 1, 1, 1], [1, 1, 1, 1, 1]])}

class Streamer:
    def __init__(self):
        self.tokens, self.ended = [], False

    def put(self, value):
        self.tokens += value.flatten().tolist()

    def end(self):
        self.ended = True
"""

WAYS = """
import pytest, torch
from conftest import Streamer
from pytest_cpuaccel import Inputs
from pytest_cpuaccel.core.build_request import BuildRequest
from pytest_cpuaccel.core.call import Call
from pytest_cpuaccel.evaluation.tokens import heard_by
from pytest_cpuaccel.measure.latency.tokens import TokenClock

def generated(model, prompt, **settings):
    torch.manual_seed(3)
    return model.generate(**prompt, max_new_tokens=5, **settings).tolist()

@pytest.fixture
def model({model}):
    return {model}

@pytest.mark.parity
@pytest.mark.parametrize(
    "settings",
    [
        {"do_sample": False},
        {"do_sample": False, "num_beams": 3},
        {"do_sample": True, "temperature": 0.7, "top_k": 20},
    ],
    ids=["greedy", "beams", "sampling"],
)
def test_tokens(cpu_accelerate, model, prompt, settings):
    assert generated(cpu_accelerate(model), prompt, **settings) == generated(model, prompt, **settings)

@pytest.mark.parity
def test_streaming(cpu_accelerate, model, prompt):
    one = {name: value[1:] for name, value in prompt.items()}
    streamed = Streamer()
    tokens = generated(cpu_accelerate(model), one, do_sample=False, streamer=streamed)
    assert streamed.ended
    assert tokens == [streamed.tokens]
"""

TOKENS = """
@pytest.mark.parametrize("beams", [1, 3])
def test_every_token_is_heard(_cpu_models, model, prompt, beams):
    built = _cpu_models.builder.built(BuildRequest(model, _cpu_models.backend, "generate", Inputs(kwargs=prompt)))
    clock = TokenClock()
    settings = {"min_new_tokens": 5, "max_new_tokens": 5, "num_beams": beams, "do_sample": False}
    call = heard_by(clock, Call("generate", Inputs(kwargs=prompt | settings), None))
    reading = clock.read(lambda: built.generate(**call.inputs.kwargs))
    assert 0 < reading["ttft"] < reading["ttft"] + 4 * reading["tpot"] < reading["latency"]
"""

CACHES = """
def test_keys_and_values_are_kept_from_step_to_step(_cpu_models, model, prompt):
    builder = _cpu_models.builder
    built = builder.built(BuildRequest(model, _cpu_models.backend, "generate", Inputs(kwargs=prompt)))
    assert built.facts["kv_cache"] is True
"""


@pytest.mark.parametrize(
    ("backend", "model"),
    [
        ("ort", "decoder"),
        ("openvino", "encoder_decoder"),
        pytest.param("ort", "encoder_decoder", marks=pytest.mark.thorough),
        pytest.param("openvino", "decoder", marks=pytest.mark.thorough),
    ],
)
def test_every_way_to_generate_is_eagers_and_keeps_a_cache(project: pytest.Pytester, backend: str, model: str) -> None:
    pytest.importorskip({"ort": "onnxruntime", "openvino": "openvino"}[backend])
    project.makeconftest(CONFTEST)
    project.makepyfile(test_it=(WAYS + TOKENS + CACHES).replace("{model}", model))
    result = project.runpytest_subprocess(f"--cpu-backends={backend}", "-W", "error")
    result.assert_outcomes(passed=7)
