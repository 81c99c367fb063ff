"""A parity FAIL names the first module that differs."""

from __future__ import annotations

import json

import pytest

CONFTEST = """
from dataclasses import replace
from functools import partial

import pytest
import torch
from torch import nn

from pytest_cpuaccel import Backend, BuiltModel
from pytest_cpuaccel.backends.toolkit.in_place import AlteredModel, generate_of, load_altered, observe_altered


SEEN = ("first", "second.norm", "second.outer", "second", "head")


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm, self.inner, self.outer = nn.LayerNorm(8), nn.Linear(8, 16), nn.Linear(16, 8)

    def forward(self, x):
        return {"x": x + self.outer(self.inner(self.norm(x)).relu_()), "none": None}


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second, self.head = Block(), Block(), nn.Linear(8, 3)

    def forward(self, x):
        x = self.first(x)["x"]
        x = self.second(x)["x"]
        return self.head(x), x.argmax(-1)


def broken(subject):
    module = subject.fresh_module()
    for part in module.modules():
        if hasattr(part, "is_marked"):
            part.bias.data.zero_()
    return AlteredModel(module, dict, generate=generate_of(module))


def partly(subject, folder, inputs):
    seen = observe_altered(broken, subject, folder, inputs)
    return replace(seen, outputs={path: it for path, it in seen.outputs.items() if path in SEEN}, inputs=None)


def alone(subject, folder):
    module = subject.fresh_module()
    parts = [module] if isinstance(module, nn.Linear) else module.modules()
    for part in parts:
        if isinstance(part, nn.Linear) and part.out_features == 3:
            part.bias.data.zero_()
    return BuiltModel(module, threads=torch.get_num_threads())


def close(subject, folder):
    module = subject.fresh_module()

    def forward(x):
        logits, best = module(x)
        return logits * (1 + 3e-7), best

    return BuiltModel(forward, threads=torch.get_num_threads())


def refuse(*given):
    raise ValueError("no hooks\\nhere")


@pytest.hookimpl(optionalhook=True)
def pytest_cpuaccel_backends(config):
    load = partial(load_altered, broken)
    return [
        Backend(name="hooked", summary="-", load=load, observe=partial(observe_altered, broken)),
        Backend(name="alone", summary="-", load=alone),
        Backend(name="refused", summary="-", load=load, observe=refuse),
        Backend(name="close", summary="-", load=close),
        Backend(name="partly", summary="-", load=load, observe=partly),
    ]


@pytest.fixture
def eager_model():
    torch.manual_seed(0)
    net = Net().eval()
    net.second.inner.is_marked = True
    return net
"""
TEST = """
import pytest, torch

@pytest.mark.parity
def test_call(cpu_model):
    cpu_model(torch.ones(2, 8).cumsum(1))

@pytest.mark.parity
def test_again(cpu_model):
    cpu_model(torch.ones(3, 8).cumsum(1))
"""
GPT2 = """
@pytest.fixture
def eager_model():
    from transformers import GPT2Config, GPT2LMHeadModel

    torch.manual_seed(0)
    sizes = {"vocab_size": 50, "n_positions": 16, "n_embd": 8, "n_layer": 2, "n_head": 2, "initializer_range": 1.0}
    model = GPT2LMHeadModel(GPT2Config(**sizes, eos_token_id=None)).eval()
    part = model.transformer.h[1].mlp.c_proj
    part.bias.data += 5 * torch.randn(8)
    part.is_marked = True
    return model
"""
GENERATING = """
import pytest, torch

@pytest.mark.parity
def test_generate(cpu_model):
    cpu_model.generate(torch.arange(4)[None], max_new_tokens=4, do_sample=False, pad_token_id=0)
"""

NESTED = """
@pytest.fixture
def eager_model():
    class Padded(nn.Module):
        def __init__(self):
            super().__init__()
            layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
            self.encoder, self.head = nn.TransformerEncoder(layer, 2), nn.Linear(8, 3)

        def forward(self, x, padded):
            return self.head(self.encoder(x, src_key_padding_mask=padded))

    torch.manual_seed(0)
    model = Padded().eval()
    for part in (model.encoder.layers[1].linear1, model.head):
        part.bias.data += torch.randn_like(part.bias)
    model.encoder.layers[1].linear1.is_marked = True
    return model
"""
PADDED = """
import pytest, torch

@pytest.mark.parity
def test_call(cpu_model):
    cpu_model(torch.randn(2, 6, 8), torch.arange(6) >= torch.tensor([[6], [4]]))
"""


@pytest.fixture
def net(project: pytest.Pytester) -> pytest.Pytester:
    project.makeconftest(CONFTEST)
    project.makepyfile(TEST)
    return project


def test_the_first_fail_names_the_module_and_the_reports_the_growth(net: pytest.Pytester) -> None:
    result = net.runpytest_inprocess("--cpu-backends=hooked", "--cpu-report=a.json,b.html")
    result.assert_outcomes(failed=2)
    text = result.stdout.str()
    assert text.count("first wrong module: 'second.inner' (Linear): the error starts inside it") == 1
    parity = [found["parity"] for found in json.loads((net.path / "a.json").read_text())["results"]]
    found = parity[0]["localization"]
    assert (found["module"], found["starts_inside"]) == ("second.inner", True)
    assert found["at_output"] > 10 > found["at_input"]
    assert [each["module"] for each in found["growth"]][:4] == ["first.norm", "first.inner", "first.outer", "first"]
    assert "localization" not in parity[1]
    html = (net.path / "b.html").read_text()
    assert "the error, module by module" in html
    assert '<tr class="fail"><td><code>second.inner</code>' in html


@pytest.mark.parametrize(("which", "times"), [("all", 2), ("off", 0)])
def test_all_or_none_are_followed(net: pytest.Pytester, which: str, times: int) -> None:
    result = net.runpytest_inprocess("--cpu-backends=hooked", f"--cpu-localize={which}")
    assert result.stdout.str().count("first wrong module: 'second.inner'") == times


def test_modules_are_built_alone_for_a_backend_that_observes_nothing(net: pytest.Pytester) -> None:
    result = net.runpytest_inprocess("--cpu-backends=alone")
    result.stdout.fnmatch_lines(["*first wrong module: 'head' (Linear): the error starts inside it*"])
    result.stdout.fnmatch_lines(["*found by 3 modules built alone*"])


def test_modules_that_an_observation_leaves_out_are_tried_alone(net: pytest.Pytester) -> None:
    result = net.runpytest_inprocess("--cpu-backends=partly")
    result.stdout.fnmatch_lines(
        [
            "*first wrong module: 'second.inner' (Linear): the error starts inside it*",
            "*growth: *second.norm *x, second.inner *x, second.outer *x, head *",
            "*found by hooks on 9 modules and 2 modules built alone, each given what eager's own took*",
        ]
    )


def test_rows_of_several_lengths_are_followed(project: pytest.Pytester) -> None:
    project.makeconftest(f"{CONFTEST.partition('@pytest.fixture')[0]}{NESTED}")
    project.makepyfile(PADDED)
    result = project.runpytest_inprocess("--cpu-backends=hooked,alone", "--cpu-localize=all")
    result.stdout.fnmatch_lines_random(
        ["*first wrong module: 'encoder.layers.1.linear1' (Linear)*", "*first wrong module: 'head' (Linear)*"]
    )


def test_generate_is_followed_in_one_forward_call(project: pytest.Pytester) -> None:
    pytest.importorskip("transformers")
    project.makeconftest(f"{CONFTEST.partition('@pytest.fixture')[0]}{GPT2}")
    project.makepyfile(GENERATING)
    result = project.runpytest_inprocess("--cpu-backends=hooked")
    result.stdout.fnmatch_lines(
        [
            "*first wrong module: 'transformer.h.1.mlp.c_proj' (Conv1D): the error starts inside it*"
            "(in one forward call over the prompt*"
        ]
    )


def test_an_answer_that_fails_for_its_tolerance_alone_is_not_followed(net: pytest.Pytester) -> None:
    net.makepyfile(TEST.replace("mark.parity", "mark.parity(atol=1e-12, rtol=0)"))
    result = net.runpytest_inprocess("--cpu-backends=close", "--cpu-report=a.json")
    result.assert_outcomes(failed=2)
    parity = json.loads((net.path / "a.json").read_text())["results"][0]["parity"]
    assert parity["diagnoses"][0]["culprit"] == "tolerance"
    assert "localization" not in parity


def test_an_error_while_observing_costs_a_line_and_no_verdict(net: pytest.Pytester) -> None:
    result = net.runpytest_inprocess("--cpu-backends=refused")
    result.assert_outcomes(failed=2)
    result.stdout.fnmatch_lines(["*its modules can't be observed*no hooks*"])
    assert "INTERNALERROR" not in result.stdout.str()


def test_a_wrong_value_is_one_line(net: pytest.Pytester) -> None:
    result = net.runpytest_inprocess("--cpu-backends=hooked", "--cpu-localize=last")
    result.stderr.fnmatch_lines(["*--cpu-localize*last*first*all*off*"])
