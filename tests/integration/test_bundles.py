"""``--cpu-bundles`` and ``cpuaccel replay``: a failure leaves a bundle, which is judged again."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.integration.conftest import CONFTEST

pytest.importorskip("safetensors")

SERVED = """
import torch
from tests import models

def mlp(seed=0):
    torch.manual_seed(seed)
    return models.mlp(), torch.zeros(1, 16)

def other():
    return mlp(1)

class Counting(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, x):
        self.calls += 1
        return x * self.calls

def counting():
    return Counting().eval(), torch.zeros(1, 16)
"""
TEST = """
import pytest, torch

@pytest.mark.parity
def test_close(cpu_model):
    cpu_model(torch.linspace(-1, 1, 64).reshape(4, 16))
"""
SHIPPING = """
    def wrong(subject, folder):
        built = doubles.SHIPPED.load(subject, folder)
        return replace(built, forward=lambda *args: built.forward(*args) + 1)

    from dataclasses import replace
    return [replace(doubles.SHIPPED, name="off", load=wrong)]
"""
RIGHT = """
    from dataclasses import replace
    return [replace(doubles.TWIN, name="off")]
"""

FORGETFUL = """
    def load(subject, folder):
        built = doubles.TWIN.load(subject, folder)
        module = subject.fresh_module()

        def forgetting(*args):
            for buffer in module.buffers():
                buffer.zero_()
            return module(*args)

        return replace(built, forward=forgetting)

    from dataclasses import replace
    return [replace(doubles.TWIN, name="off", load=load)]
"""
STATE_AND_SCORES = """
import pytest, served, torch

X = torch.linspace(-1, 1, 64).reshape(4, 16)

@pytest.mark.parity
def test_state(cpu_accelerate):
    model = cpu_accelerate(served.counting()[0])
    model(X)
    model(X)

@pytest.mark.accuracy_budget(max_drop=0, of="these")
def test_scores(cpu_model, score_items):
    asked = []

    def score(model, x):
        asked.append(model(x))
        return float(len(asked) > 2)

    score_items(score, [X[:1], X[1:2]])

@pytest.mark.accuracy_budget(max_drop=0.1)
def test_metric(cpu_model, score_items):
    asked = []

    def score(model, x):
        asked.append(model(x))
        return float(len(asked) <= 200), 0.0

    def share(predictions, references):
        return sum(one == other for one, other in zip(predictions, references)) / len(references)

    score_items(score, [X[:1]] * 200, metric=share)
"""

RAISING = """
import served

class Leaving(type(served.mlp()[0])):
    def forward(self, x):
        raise SystemExit(0)

class Odd(type(served.mlp()[0])):
    def named_parameters(self, *args, **kwargs):
        raise TypeError("mine")

def leaving():
    model = served.mlp()[0]
    model.__class__ = Leaving
    return model

def odd():
    model = served.mlp()[0]
    model.__class__ = Odd
    return model
"""

Replay = Callable[..., tuple[int, str]]


@pytest.fixture
def replay(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Replay:
    from pytest_cpuaccel.cli.main import main

    monkeypatch.setattr(sys, "path", [*sys.path])

    def run(*arguments: object) -> tuple[int, str]:
        capsys.readouterr()
        for name in [name for name, module in sys.modules.items() if _is_in_current_folder(module)]:
            del sys.modules[name]
        code = main(["replay", *map(str, arguments)])
        told = capsys.readouterr()
        return code, told.out + told.err

    return run


def _is_in_current_folder(module: object) -> bool:
    return str(getattr(module, "__file__", "")).startswith(str(Path.cwd()))


def left(project: pytest.Pytester, *options: str, conftest: str = CONFTEST) -> Path:
    """Run the failing test, and return its bundle."""
    project.makeconftest(conftest)
    project.makepyfile(test_it=TEST, served=SERVED)
    result = project.runpytest_inprocess(
        "--cpu-backends=off", "--cpu-bundles=left", "--cpu-report=found.json", *options
    )
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["  bundle: *test_close-off-* (cpuaccel replay judges it again)"])
    (bundle,) = (project.path / "left").iterdir()
    return bundle


def test_it_gives_the_same_verdict_and_a_corrected_backend_another(project: pytest.Pytester, replay: Replay) -> None:
    bundle = left(project)
    found = json.loads((project.path / "found.json").read_text())["results"][0]["parity"]
    assert str(bundle) in found["notes"][-1]
    code, text = replay(bundle)
    assert (code, "nothing ran" in text, "the same verdict: FAIL" in text) == (0, True, True), text
    code, text = replay(bundle, "--model", "served:mlp")
    assert code == 0, text
    assert "the backend's answer: bit for bit as recorded" in text
    assert "eager's answer: bit for bit as recorded" in text
    code, text = replay(bundle, "--model", "served:other")
    assert (code, "these are other weights" in text) == (2, True), text
    document: Any = json.loads((bundle / "bundle.json").read_text())
    document["place"]["versions"]["torch"] = "1.0"
    (bundle / "bundle.json").write_text(json.dumps(document))
    project.makeconftest(CONFTEST.replace("    return doubles.BACKENDS", RIGHT))
    code, text = replay(bundle, "--model", "served:mlp")
    assert code == 1, text
    assert "another verdict: parity was FAIL and is PASS" in text
    assert "differs: torch: 1.0 -> " in text


def test_an_artifact_is_loaded_only_when_trusted(project: pytest.Pytester, replay: Replay) -> None:
    bundle = left(project, "--cpu-bundle-artifact", conftest=CONFTEST.replace("    return doubles.BACKENDS", SHIPPING))
    assert (bundle / "artifact" / "module.pt").is_file()
    code, text = replay(bundle, "--model", "served:mlp")
    assert (code, "--trust-artifact loads it" in text) == (0, True), text
    code, text = replay(bundle, "--model", "served:mlp", "--trust-artifact")
    assert (code, "off loaded the artifact of the bundle" in text) == (0, True), text
    with (bundle / "artifact" / "module.pt").open("ab") as stream:
        stream.write(b"!")
    code, text = replay(bundle, "--model", "served:mlp", "--trust-artifact")
    assert code == 2, text


def test_state_and_scores_are_judged_again(project: pytest.Pytester, replay: Replay) -> None:
    project.makeconftest(CONFTEST.replace("    return doubles.BACKENDS", FORGETFUL))
    project.makepyfile(test_it=STATE_AND_SCORES, served=SERVED)
    result = project.runpytest_inprocess("--cpu-backends=off", "--cpu-bundles=left")
    result.assert_outcomes(failed=3)
    bundles = {path.name.rpartition("-off-")[0]: path for path in (project.path / "left").iterdir()}
    for arguments in ((), ("--model", "served:counting")):
        code, text = replay(bundles["test_state"], *arguments)
        assert (code, "the same verdict: FAIL of parity" in text) == (0, True), text
    code, text = replay(bundles["test_scores"])
    assert (code, "now: FAIL accuracy: off: dropped by 1 on these 2 items" in text) == (0, True), text
    code, text = replay(bundles["test_metric"])
    assert (code, "now: FAIL accuracy: off: share dropped by" in text) == (0, True), text
    code, text = replay(bundles["test_scores"], "--model", "served:mlp")
    assert (code, "the test's own function gave" in text) == (2, True), text


def test_a_latency_is_timed_again_with_the_model_alone(project: pytest.Pytester, replay: Replay) -> None:
    bundle = left(project)
    document: Any = json.loads((bundle / "bundle.json").read_text())
    document["verdicts"] = [{"kind": "latency", "outcome": "FAIL", "sentence": "p50 was 2 s"}]
    limits = dict.fromkeys(("p50_ns", "p90_ns", "p99_ns", "min_throughput", "ttft_ns", "tpot_ns", "speedup"))
    document["budgets"]["latency"] = limits | {"p50_ns": 10**12, "max_slowdown": None, "vs": "eager"}
    (bundle / "bundle.json").write_text(json.dumps(document))
    code, text = replay(bundle)
    assert (code, "latency was FAIL, and can't be judged: it takes the model" in text) == (2, True), text
    code, text = replay(bundle, "--model", "served:mlp")
    assert code in (1, 2), text  # a busy machine can't tell
    assert " latency: off: forward 4x16: p50 " in text
    document["budgets"]["latency"]["vs"] = "nobody"
    (bundle / "bundle.json").write_text(json.dumps(document))
    code, text = replay(bundle, "--model", "served:mlp")
    assert (code, "no backend named 'nobody'" in text) == (2, True), text


def test_inputs_that_the_model_raises_on_are_one_line(project: pytest.Pytester, replay: Replay) -> None:
    bundle = left(project)
    document: Any = json.loads((bundle / "bundle.json").read_text())
    document["calls"][0]["kwargs"] = {"evil": 1}
    (bundle / "bundle.json").write_text(json.dumps(document))
    code, text = replay(bundle, "--model", "served:mlp")
    assert (code, "the model raises on the bundle's inputs: TypeError" in text) == (2, True), text


def test_code_of_the_user_that_raises_is_shown_without_ours(project: pytest.Pytester, replay: Replay) -> None:
    bundle = left(project)
    project.makepyfile(raising=RAISING)
    code, text = replay(bundle, "--model", "raising:leaving")
    assert (code, "raising:leaving raises SystemExit" in text, "Traceback" in text) == (2, True, False), text
    code, text = replay(bundle, "--model", "raising:odd")
    assert (code, "raising:odd raises TypeError" in text, "mine" in text) == (2, True, True), text
    assert "pytest_cpuaccel/" not in text


def test_weights_are_in_it_only_when_asked_for(project: pytest.Pytester) -> None:
    bundle = left(project, conftest=CONFTEST.replace("    return doubles.BACKENDS", SHIPPING))
    assert sorted(path.name for path in bundle.iterdir()) == ["bundle.json", "tensors.safetensors"]
    files = json.loads((bundle / "bundle.json").read_text())["artifact"]["files"]
    assert "module.pt" in [file["path"] for file in files]


def test_what_a_bundle_cant_hold_is_one_line_beneath_the_failure(mlp_project: pytest.Pytester) -> None:
    mlp_project.makepyfile(
        """
        import pytest, torch
        from torch import nn

        class Odd(nn.Module):
            def forward(self, x, how=None):
                return x + 1

        @pytest.mark.parity
        def test_odd(cpu_accelerate):
            cpu_accelerate(Odd().eval())(torch.ones(2), how={1, 2})
        """
    )
    result = mlp_project.runpytest_inprocess("--cpu-backends=off", "--cpu-bundles=left")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["  no bundle: input 'how' is a set, which a bundle can't hold"])
    assert not list((mlp_project.path / "left").iterdir())


def test_a_folder_that_is_a_file_is_one_line(mlp_project: pytest.Pytester) -> None:
    mlp_project.makefile(".txt", left="mine")
    result = mlp_project.runpytest_inprocess("--cpu-backends=off", "--cpu-bundles=left.txt")
    result.stderr.fnmatch_lines(["ERROR: cpuaccel: --cpu-bundles: *left.txt' is a file, not a folder for bundles"])


def test_the_artifact_alone_has_nowhere_to_go(mlp_project: pytest.Pytester) -> None:
    result = mlp_project.runpytest_inprocess("--cpu-bundle-artifact")
    result.stderr.fnmatch_lines(["ERROR: cpuaccel: --cpu-bundle-artifact needs --cpu-bundles=FOLDER"])
