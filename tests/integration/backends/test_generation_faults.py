"""A ``generate()`` that differs by a wrong weight, or by a near-tie: what is said of it, in each way to generate."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

pytest.importorskip("transformers")

CONFTEST = """
import copy
import pytest, torch
from dataclasses import replace
from tests import doubles, exports, models, prompts
from pytest_cpuaccel.core.backend import BuiltModel

def head(model):
    return [part for part in model.modules() if isinstance(part, torch.nn.Linear)][-1]

def changed(change, name):
    def load(subject, folder):
        module = subject.fresh_module()
        with torch.no_grad():
            change(head(module).weight)
        return BuiltModel(module, generate=module.generate, threads=torch.get_num_threads())
    return replace(doubles.TWIN, name=name, load=load)

def spoil(weight):
    weight += 0.5 * weight.std() * torch.randn(weight.shape, generator=torch.Generator().manual_seed(9))

def nudge(by):
    def change(weight):
        weight[1::2] *= 1 + by
    return change

@pytest.hookimpl(optionalhook=True)
def pytest_cpuaccel_backends(config):
    return [changed(spoil, "wrong"), changed(nudge(2e-6), "up"), changed(nudge(-2e-6), "down")]

def in_pairs(model):
    # Each token has a twin with the same logit.
    weight = head(model).weight.detach().clone()
    weight[1::2] = weight[0::2][: len(weight) // 2]
    head(model).weight = torch.nn.Parameter(weight)
    return model

TEXT = {"input_ids": torch.tensor([[0, 0, 7, 8, 9], [11, 12, 13, 14, 15]]),
        "attention_mask": torch.tensor([[0, 0, 1, 1, 1], [1, 1, 1, 1, 1]])}

class Streamer:
    def put(self, value):
        pass

    def end(self):
        pass

def ways():
    first = {name: value[:1] for name, value in TEXT.items()}
    return {
        "greedy": lambda: (models.gpt2(), TEXT, {}),
        "beams": lambda: (models.gpt2(), TEXT, {"num_beams": 3, "length_penalty": 0.5}),
        "sampling": lambda: (models.gpt2(), TEXT, {"do_sample": True, "top_k": 1}),
        "encoder_decoder": lambda: (exports.tiny_t5(), TEXT, {}),
        "image_and_text": lambda: (*prompts.llava(), {}),
        "image_to_text": lambda: (*prompts.image_to_text(), {}),
        "streamed": lambda: (models.gpt2(), first, {"streamer": Streamer()}),
    }
"""

TEST = """
import pytest, torch
import conftest

def generated(model, accelerate, prompt, settings):
    torch.manual_seed(3)
    accelerate(model).generate(**prompt, **{"max_new_tokens": 5, "do_sample": False, **settings})

@pytest.mark.parity
@pytest.mark.cpu_backends("wrong")
@pytest.mark.parametrize("way", list(conftest.ways()))
def test_wrong(cpu_accelerate, way):
    model, prompt, settings = conftest.ways()[way]()
    generated(model, cpu_accelerate, prompt, settings)

@pytest.mark.parity
@pytest.mark.cpu_backends("up", "down")
@pytest.mark.parametrize("way", list(conftest.ways()))
def test_tie(cpu_accelerate, cpu_backend, way):
    if way != "beams" and cpu_backend.name == "down":
        pytest.skip("eager takes the first of two twins; a search may take either")
    model, prompt, settings = conftest.ways()[way]()
    if way == "beams":
        settings["max_new_tokens"] = 1  # so that no twin crowds out what would be better later
    generated(conftest.in_pairs(model), cpu_accelerate, prompt, settings)
"""

WAYS = ("greedy", "beams", "sampling", "encoder_decoder", "image_and_text", "image_to_text", "streamed")
FIRST = r"token (\d+) of row (\d) is \d+, eager's is \d+"


STREAMS = """
import torch
from dataclasses import replace

class Odd:
    def __init__(self, streamer, is_silent):
        self.streamer, self.is_silent, self.count = streamer, is_silent, 0

    def put(self, value):
        self.count += 1
        if not self.is_silent:
            self.streamer.put(value + (self.count == 3))

    def end(self):
        self.streamer.end()

def streaming(name, is_silent):
    def load(subject, folder):
        built = doubles.TWIN.load(subject, folder)

        def generate(*args, streamer=None, **kwargs):
            return built.generate(*args, streamer=None if streamer is None else Odd(streamer, is_silent), **kwargs)

        return replace(built, generate=generate)

    return replace(doubles.TWIN, name=name, load=load)

@pytest.hookimpl(optionalhook=True)
def pytest_cpuaccel_backends(config):
    return [doubles.TWIN, streaming("other", False), streaming("silent", True)]
"""
STREAMED = """
import inspect, pytest, torch
from tests import models

class Streamer:
    def __init__(self):
        self.told = []

    def put(self, value):
        self.told.append(value)

    def end(self):
        pass

@pytest.mark.parity
@pytest.mark.parametrize("is_named", [True, False])
def test_it(cpu_accelerate, cpu_backend, is_named):
    streamer, model = Streamer(), cpu_accelerate(models.gpt2())
    prompt, settings = torch.tensor([[11, 12, 13, 14, 15]]), {"max_new_tokens": 3, "do_sample": False}
    if is_named:
        model.generate(prompt, streamer=streamer, **settings)
    else:
        places = [*inspect.signature(models.gpt2().generate).parameters]
        model.generate(prompt, *[None] * (places.index("streamer") - 1), streamer, **settings)
    assert len(streamer.told) == (0 if cpu_backend.name == "silent" else 4)  # once, whatever is looked into later
"""


def test_a_streamer_has_to_hear_what_is_returned(project: pytest.Pytester) -> None:
    project.makeconftest(f"import pytest\nfrom tests import doubles\n{STREAMS}")
    project.makepyfile(test_it=STREAMED)
    result = project.runpytest_inprocess("--cpu-backends=twin,other,silent", "--cpu-bundles=left", "--cpu-localize=off")
    result.assert_outcomes(passed=4, failed=2)
    result.stdout.fnmatch_lines(
        [
            "other: generate 1x5: the streamer was told other tokens than were returned: token 6 of row 0 is *",
            "  no bundle: the tokens are eager's, and what a streamer was told is not kept",
            "INCONCLUSIVE *silent: generate 1x5: the streamer was told nothing, in eager all tokens; 3 of 3 *",
        ]
    )


TWINS = """
@pytest.hookimpl(optionalhook=True)
def pytest_cpuaccel_backends(config):
    return [doubles.TWIN]
"""
TELLERS = """
import pytest, torch
from dataclasses import replace
from tests import doubles
from pytest_cpuaccel.core.backend import BuiltModel

def scaled(by):  # all tokens stay, for the best logit stays the best
    def load(subject, folder):
        module = subject.fresh_module()
        with torch.no_grad():
            module.lm_head.weight.mul_(by)
        return BuiltModel(module, generate=module.generate, threads=torch.get_num_threads())
    return replace(doubles.TWIN, name="scaled", load=load)

def load(subject, folder):
    built = doubles.TWIN.load(subject, folder)

    def generate(*args, **kwargs):
        output = built.generate(*args, **kwargs)
        output.scores = tuple(1.01 * score for score in output.scores)
        return output

    return replace(built, generate=generate)

@pytest.hookimpl(optionalhook=True)
def pytest_cpuaccel_backends(config):
    return [doubles.TWIN, scaled(1.01), replace(doubles.TWIN, name="miscounts", load=load)]
"""
TOLD = """
import pytest, torch
from tests import models

@pytest.mark.parity
def test_told(cpu_accelerate):
    told = {"output_scores": True, "return_dict_in_generate": True}
    cpu_accelerate(models.gpt2()).generate(torch.tensor([[11, 12, 13]]), max_new_tokens=3, do_sample=False, **told)

@pytest.mark.parity
@pytest.mark.cpu_backends("scaled")
def test_tokens(cpu_accelerate):
    cpu_accelerate(models.gpt2()).generate(torch.tensor([[11, 12, 13]]), max_new_tokens=3, do_sample=False)
"""


def test_scores_that_a_call_returns_are_compared_too(project: pytest.Pytester) -> None:
    project.makeconftest(TELLERS)
    project.makepyfile(test_it=TOLD)
    result = project.runpytest_inprocess("--cpu-backends=twin,scaled,miscounts", "--cpu-localize=off")
    result.assert_outcomes(passed=2, failed=2)
    for name in ("scaled", "miscounts"):
        result.stdout.fnmatch_lines([f"{name}: generate 1x3: 3 of 3 tokens agree, but over them 'logits' is off by *"])


def test_hidden_states_of_an_encoder_decoder_leave_the_users_model_as_it_is(project: pytest.Pytester) -> None:
    project.makeconftest(f"import pytest\nfrom tests import doubles\n{TWINS}")
    project.makepyfile(
        test_it="""
        import pytest, torch
        from tests import exports

        @pytest.mark.parity
        def test_it(cpu_accelerate):
            model, asked = exports.tiny_t5(), {"output_hidden_states": True, "return_dict_in_generate": True}
            cpu_accelerate(model).generate(torch.tensor([[11, 12, 13]]), max_new_tokens=3, do_sample=False, **asked)
            assert not any(part._forward_hooks for part in model.modules())
        """
    )
    project.runpytest_inprocess("--cpu-backends=twin").assert_outcomes(passed=1)


def test_a_failing_generate_names_the_first_token_both_margins_and_how_far_apart_logits_are(
    project: pytest.Pytester,
) -> None:
    project.makeconftest(CONFTEST)
    project.makepyfile(test_it=TEST)
    project.runpytest_inprocess("--cpu-backends=wrong,up,down", "--cpu-report=found.json")
    rows = json.loads((project.path / "found.json").read_text())["results"]
    found: dict[tuple[str, str], list[Any]] = {}
    for row in rows:
        if row.get("parity"):
            name, ids = re.search(r"test_(\w+)\[(.*)\]", row["test"]).groups()
            way = next(way for way in WAYS if way in ids)
            found.setdefault((name, way), []).append(row["parity"])
    for way in WAYS:
        (wrong,) = found["wrong", way]
        assert_wrong(way, wrong)
        ties = found["tie", way]
        assert {tie["verdict"] for tie in ties} == {"PASS"}, (way, ties)
        assert any(re.search(f"a near-tie: {FIRST}", tie["sentence"]) for tie in ties), (way, ties)


def assert_wrong(way: str, wrong: Any) -> None:
    assert wrong["verdict"] == "FAIL", (way, wrong)
    text = "\n".join((wrong["sentence"], *wrong["evidence"]))
    assert re.search(FIRST, text), (way, text)
    of_eager = "eager scores its hypothesis|eager scores the backend's" if way == "beams" else "eager prefers|though it"
    of_backend = "backend scores" if way == "beams" else "backend prefers"
    assert re.search(of_eager, text), (way, text)
    assert of_backend in text, (way, text)
    assert re.search(r"KL \S+ nats, top-1 agreement \S+%, top-5 \S+%", text), (way, text)
    assert wrong["kl_nats"] > 1e-3, (way, wrong)
    assert 0 <= wrong["first_divergent_row"] <= 1
    assert abs(wrong["margin"]) > wrong["margin_bound"] > 0, (way, wrong)


LOCKED = """
import pytest, torch
from tests import models

@pytest.mark.parity
def test_it(cpu_accelerate):
    prompt = torch.tensor([[11, 12, 13, 14, 15]])
    cpu_accelerate(models.gpt2()).generate(prompt, max_new_tokens=3, do_sample=False)
"""


def test_the_logits_over_eagers_tokens_are_held_to_a_tolerance_lock(project: pytest.Pytester) -> None:
    nearly = CONFTEST.replace('changed(nudge(2e-6), "up")', 'changed(nudge({by}), "up")')
    project.makeconftest(nearly.replace("{by}", "1e-7"))
    project.makepyfile(test_it=LOCKED)
    result = project.runpytest_inprocess("--cpu-backends=up", "--cpu-tolerances=write")
    result.assert_outcomes(passed=1)
    path = project.path / "cpuaccel-tolerances.toml"
    entry = path.read_text()
    assert 'call = "generate"\nbackend = "up"\noutput = "logits"' in entry
    project.makeconftest(nearly.replace("{by}", "2e-5"))
    result = project.runpytest_inprocess("--cpu-backends=up", "--cpu-bundles=left", "--cpu-localize=off")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        ["up: generate 1x5: 3 of 3 tokens agree, but over them 'logits' is off by * allowed * by cpuaccel-*.toml:*"]
    )
    project.runpytest_inprocess("--cpu-backends=up", "--cpu-tolerances=off").assert_outcomes(passed=1)
    result = project.runpytest_inprocess("--cpu-backends=up", "--cpu-tolerances=write", "--cpu-localize=off")
    result.stdout.fnmatch_lines(["note: no tolerance is proposed for up: *'logits': FAIL by the default tolerance: *"])
    assert path.read_text() == entry
