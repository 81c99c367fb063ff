"""A verdict is about the model at hand: never about one like it, nor about what it was before."""

from __future__ import annotations

from typing import Any

import pytest

MODELS = """
import argparse, functools
import numpy as np
import pytest, torch
from torch import nn

X = torch.linspace(-2, 2, 16).reshape(2, 8)
GLOBAL = 1.0

def seeded(model):
    torch.manual_seed(0)
    model.lin = nn.Linear(8, 8)
    return model.eval()

class Holder(nn.Module):
    def __init__(self, held=None):
        super().__init__()
        self.held = held

class Calls(Holder):
    def forward(self, x):
        return self.held(self.lin(x))

class Scales(Holder):
    def forward(self, x):
        return self.lin(x) * self.held.scale

class Op:
    def __init__(self, scale):
        self.scale = scale
    def __call__(self, x):
        return x * self.scale
    def method(self, x):
        return x + self.scale

class Slotted:
    __slots__ = ("scale",)
    def __init__(self, scale):
        self.scale = scale

class OnClass(nn.Module):
    K = 1.0
    def forward(self, x):
        return self.lin(x) * self.K

class Global(nn.Module):
    def forward(self, x):
        return self.lin(x) * GLOBAL

def closure(act):
    class Block(nn.Module):
        def forward(self, x):
            return act(self.lin(x))
    return Block()

def hooked(scale):
    model = closure(torch.relu)
    model.register_forward_hook(lambda module, inputs, output: output * scale)
    return model

def counted(act):
    def wrapped(self, x):
        return act(self.lin(x))
    return type("Made", (nn.Module,), {"forward": wrapped})()
"""

KINDS = {
    "closure": "closure(torch.relu if which else torch.tanh)",
    "callable object": "Calls(Op(1.0 + which))",
    "bound method": "Calls(Op(1.0 + which).method)",
    "partial": "Calls(functools.partial(torch.clamp, min=which - 1.0))",
    "lambda": "Calls(lambda x: x * (which + 1))",
    "namespace": "Scales(argparse.Namespace(scale=1.0 + which))",
    "plain object": "Scales(Op(1.0 + which))",
    "slotted object": "Scales(Slotted(1.0 + which))",
    "tensor in an object": "Scales(Op(torch.ones(8) + which))",
    "class attribute": "type('Sub', (OnClass,), {'K': 1.0 + which})()",
    "hook": "hooked(1.0 + which)",
    "class made by a function": "counted(torch.relu if which else torch.tanh)",
}


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_two_models_with_equal_weights_are_not_taken_for_one_another(mlp_project: pytest.Pytester, kind: str) -> None:
    mlp_project.makepyfile(
        MODELS
        + f"""
@pytest.mark.parity
@pytest.mark.parametrize("which", [0, 1])
def test_it(cpu_accelerate, which):
    model = seeded({kind})
    answer = cpu_accelerate(model)(X)
    with torch.no_grad():
        torch.testing.assert_close(answer, model(X))
"""
    )
    for _ in range(2):  # without and with a cache
        mlp_project.runpytest_inprocess("--cpu-backends=torchscript,twin").assert_outcomes(passed=4)


CHANGES = {
    "a global variable": "globals().__setitem__('GLOBAL', 3.0)",
    "a hook": "model.register_forward_hook(lambda module, inputs, output: -output)",
    "a method": "setattr(type(model), 'forward', lambda self, x: self.lin(x) * 5)",
    "a layer": "setattr(model, 'lin', nn.Linear(8, 8))",
    ".data": "model.lin.weight.data.mul_(2)",
    "an assignment of .data": "setattr(model.lin.weight, 'data', torch.ones(8, 8))",
    "a view by numpy": "np.negative(model.lin.weight.detach().numpy(), out=model.lin.weight.detach().numpy())",
    "set_()": "model.lin.bias.data.set_(torch.ones(8)), model.lin.bias.detach().set_(torch.ones(8))",
    "an optimizer": "step(model)",
}

STEP = """
def step(model):
    with torch.enable_grad():
        optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
        model(X).sum().backward()
        optimizer.step()
        optimizer.zero_grad()
"""


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_change_between_two_tests_is_noticed(mlp_project: pytest.Pytester, change: str) -> None:
    mlp_project.makepyfile(
        MODELS
        + STEP
        + f"""
model = seeded(Global())

@pytest.mark.parity
@pytest.mark.parametrize("changed", [False, True])
def test_it(cpu_accelerate, changed):
    if changed:
        {change}
    answer = cpu_accelerate(model)(X)
    with torch.no_grad():
        torch.testing.assert_close(answer, model(X))
"""
    )
    mlp_project.runpytest_inprocess("--cpu-backends=torchscript").assert_outcomes(passed=2)


@pytest.mark.parametrize("road", [".data", "a view by numpy", "an optimizer"])
def test_a_change_of_weights_after_a_call_is_told_whatever_road_it_took(
    mlp_project: pytest.Pytester, road: str
) -> None:
    mlp_project.makepyfile(
        MODELS
        + STEP
        + f"""
@pytest.mark.parity
def test_it(cpu_accelerate):
    model = seeded(Global())
    cpu_accelerate(model)(X)
    {CHANGES[road]}
"""
    )
    result = mlp_project.runpytest_inprocess("--cpu-backends=twin")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["eager_model was changed after the test had called cpu_model, so *"])


FILES = {
    "ops.py": "def act(x):\n    return x.relu() * 2\n",
    "base.py": """
import pathlib
import torch
from torch import nn

FACTOR = 2.0
WORDS = pathlib.Path(__file__).with_name("table.data").read_text().split()
TABLE = torch.tensor([float(word) for word in WORDS])

def plus_one(function):
    return lambda self, x: function(self, x) + 1

class Base(nn.Module):
    def after(self, x):
        return x * 3
""",
    "net.py": """
import torch
from torch import nn
import base
from ops import act

class Net(base.Base):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.lin = nn.Linear(8, 4)

    @base.plus_one
    def forward(self, x):
        return self.after(act(self.lin(x))) * base.FACTOR + base.TABLE
""",
    "table.data": "1 2 3 4",
}
EDITS = {
    "a function in another module": ("ops.py", "* 2", "* 2.5"),
    "a method of a base class": ("base.py", "x * 3", "x * 4"),
    "a constant": ("base.py", "FACTOR = 2.0", "FACTOR = 2.1"),
    "a decorator": ("base.py", "+ 1", "+ 2"),
    "a file of data": ("table.data", "4", "5"),
}


@pytest.fixture
def packaged(mlp_project: pytest.Pytester) -> pytest.Pytester:
    for name, text in FILES.items():
        (mlp_project.path / name).write_text(text)
    mlp_project.makepyfile(
        test_it="""
        import pytest, torch
        from net import Net

        @pytest.mark.parity
        @pytest.mark.latency_budget(max_slowdown="1000%")
        def test_it(cpu_accelerate):
            cpu_accelerate(Net().eval())(torch.linspace(-1, 1, 16).reshape(2, 8))
        """
    )
    return mlp_project


@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS)
def test_edited_code_is_not_judged_by_its_old_export(packaged: pytest.Pytester, edit: tuple[str, str, str]) -> None:
    packaged.runpytest_subprocess("--cpu-backends=torchscript").assert_outcomes(passed=1)
    name, old, new = edit
    file = packaged.path / name
    assert old in file.read_text()
    file.write_text(file.read_text().replace(old, new))
    result = packaged.runpytest_subprocess("--cpu-backends=torchscript")
    result.assert_outcomes(passed=1)
    if name == "table.data":
        result.stdout.fnmatch_lines(["note: cache entry * answers otherwise than the model does now; exported again"])


def test_code_that_became_slower_is_not_called_unchanged(packaged: pytest.Pytester) -> None:
    packaged.runpytest_subprocess("--cpu-backends=torchscript", "--cpu-save=before").assert_outcomes(passed=1)
    slow = "def act(x):\n    x = x.relu() * 2\n    for _ in range(300):\n        x = x.relu()\n    return x\n"
    (packaged.path / "ops.py").write_text(slow)
    result = packaged.runpytest_subprocess("--cpu-backends=torchscript", "--cpu-against=before")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(['torchscript: forward 2x8: *x as long as baseline "before" *'])


BACKEND = """
import pytest, torch
from pytest_cpuaccel import Backend, BuiltModel

def export(subject, folder):
    torch.save(subject.fresh_module().state_dict(), folder / "weights.pt")
    print("exported")

def load(subject, folder):
    module = subject.fresh_module()
    module.load_state_dict(torch.load(folder / "weights.pt"))
    return BuiltModel(module, threads=torch.get_num_threads())

@pytest.hookimpl(optionalhook=True)
def pytest_cpuaccel_backends(config):
    return [Backend(name="own", summary="ours", load=load, export=export)]
"""


@pytest.mark.parametrize("edit", [False, True])
def test_an_artifact_of_a_backend_whose_code_was_edited_is_exported_again(project: pytest.Pytester, edit: bool) -> None:
    project.makepyfile(
        """
        import torch
        from torch import nn

        def test_it(cpu_accelerate):
            torch.manual_seed(0)
            cpu_accelerate(nn.Linear(4, 4).eval())(torch.ones(2, 4))
        """
    )
    project.makeconftest(BACKEND)
    project.runpytest_subprocess("--cpu-backends=own", "-s").stdout.fnmatch_lines(["*exported"])
    project.makeconftest(BACKEND.replace('"exported"', '"exported anew"') if edit else BACKEND)
    result = project.runpytest_subprocess("--cpu-backends=own", "-s")
    if edit:
        result.stdout.fnmatch_lines(["*exported anew"])
    else:
        result.stdout.no_fnmatch_line("*exported")


STALE = """
import pytest, torch
from pytest_cpuaccel import Backend, BuiltModel

def export(subject, folder):
    scale = 1.0 if (folder.parent / "seen").exists() else 2.0
    (folder.parent / "seen").touch()
    torch.save(torch.tensor(scale), folder / "scale.pt")

def load(subject, folder):
    module, scale = subject.fresh_module(), torch.load(folder / "scale.pt")
    return BuiltModel(lambda *a, **k: module(*a, **k) * {scale}, threads=torch.get_num_threads())

@pytest.hookimpl(optionalhook=True)
def pytest_cpuaccel_backends(config):
    return [Backend(name="own", summary="ours", load=load, export=export)]
"""


@pytest.mark.parametrize(("scale", "outcome"), [("2.0", "failed"), ("torch.load(folder / 'scale.pt')", "passed")])
def test_a_parity_failure_is_repeated_on_a_fresh_export(project: pytest.Pytester, scale: str, outcome: str) -> None:
    project.makeconftest(
        STALE.format(scale=scale).replace("folder.parent", f"__import__('pathlib').Path({str(project.path)!r})")
    )
    project.makepyfile(
        """
        import pytest, torch
        from torch import nn

        @pytest.mark.parity
        def test_it(cpu_accelerate):
            torch.manual_seed(0)
            cpu_accelerate(nn.Linear(4, 4).eval())(torch.ones(2, 4))
        """
    )
    result = project.runpytest_inprocess("--cpu-backends=own")
    result.assert_outcomes(**{outcome: 1})
    says_so: Any = result.stdout.fnmatch_lines if outcome == "passed" else result.stdout.no_fnmatch_line
    says_so(["*but a fresh export answers right*"] if outcome == "passed" else "*but a fresh export answers right*")


UNDONE = {
    "attribute": "mock.patch.object(model, 'scale', 2.0)",
    "global": "mock.patch.object(sys.modules[__name__], 'SCALE', 2.0)",
    "environment": "mock.patch.dict(os.environ, SCALE='2.0')",
    "parameters": "swapped(model)",
    "averaged weights": "averaged(model)",
    "storage": "elsewhere(model)",
}


@pytest.mark.parametrize("change", UNDONE)
def test_a_change_that_is_undone_before_the_verdict_is_noticed(mlp_project: pytest.Pytester, change: str) -> None:
    mlp_project.makepyfile(
        f"""
        import contextlib, os, sys
        from unittest import mock
        import pytest, torch
        from torch import nn

        SCALE = 1.0

        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.scale = 1.0
                self.lin = nn.Linear(3, 3)

            def forward(self, x):
                return self.lin(x) * self.scale * SCALE * float(os.environ.get("SCALE", "1"))

        @contextlib.contextmanager
        def swapped(model):
            kept = model.lin.weight
            model.lin.weight = nn.Parameter(torch.zeros(3, 3))
            yield
            model.lin.weight = kept

        @contextlib.contextmanager
        def averaged(model):
            kept = [item.clone() for item in model.parameters()]
            for item in model.parameters():
                item.data.mul_(0.5)
            yield
            for item, was in zip(model.parameters(), kept):
                item.data.copy_(was)

        @contextlib.contextmanager
        def elsewhere(model):
            kept = model.lin.weight.data
            model.lin.weight.data = kept * 2
            yield
            model.lin.weight.data = kept

        @pytest.mark.parity
        def test_it(cpu_accelerate):
            model = Net().eval()
            cpu_model = cpu_accelerate(model)
            cpu_model(torch.ones(3))
            with {UNDONE[change]}:
                cpu_model(torch.ones(3))
        """
    )
    result = mlp_project.runpytest_inprocess("--cpu-backends=torchscript")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*eager_model was changed after the test had called cpu_model, so those *"])


SETTINGS = {
    "attribute": "model.limit = 0.5",
    "in an object": "model.options.limit = 0.5",
    "in a dict": "model.table['limit'] = 0.5",
    "in an array": "model.array[0] = 0.5",
    "global": "sys.modules[__name__].LIMIT = 0.5",
    "environment": "os.environ['LIMIT'] = '0.5'",
    "hook": "model.register_forward_hook(lambda _, __, y: y.clamp(max=0.5))",
    "child": "model.last = nn.Hardtanh(-9.0, 0.5)",
}


@pytest.mark.parametrize("change", SETTINGS)
def test_a_setting_that_only_some_calls_show_is_noticed_between_tests(
    mlp_project: pytest.Pytester, change: str
) -> None:
    mlp_project.makepyfile(
        f"""
        import os, sys, types
        import numpy as np
        import pytest, torch
        from torch import nn

        LIMIT = 10.0
        os.environ["LIMIT"] = "10"

        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.lin, self.last = nn.Linear(3, 3, bias=False), nn.Hardtanh(-9.0, 10.0)
                nn.init.eye_(self.lin.weight)
                self.limit, self.options, self.table = 10.0, types.SimpleNamespace(limit=10.0), {{"limit": 10.0}}
                self.array = np.array([10.0])

            def forward(self, x):
                limits = self.limit, self.options.limit, self.table["limit"], float(self.array[0]), LIMIT
                return self.last(self.lin(x)).clamp(max=min(*limits, float(os.environ["LIMIT"])))

        @pytest.fixture(scope="module")
        def model():
            return Net().eval()

        def test_small(cpu_accelerate, model):
            cpu_accelerate(model)(torch.ones(2, 3) / 4)

        def test_large(cpu_accelerate, model):
            {SETTINGS[change]}
            assert torch.equal(cpu_accelerate(model)(torch.ones(2, 3)), torch.ones(2, 3) / 2)
        """
    )
    mlp_project.runpytest_subprocess("--cpu-backends=eager").assert_outcomes(passed=2)


def test_a_model_is_let_go_with_the_test_that_made_it(mlp_project: pytest.Pytester) -> None:
    mlp_project.makepyfile(
        """
        import gc, weakref
        import pytest, torch
        from torch import nn

        ALIVE = weakref.WeakSet()

        @pytest.mark.parity
        @pytest.mark.parametrize("number", range(4))
        def test_it(cpu_accelerate, number):
            model = nn.Linear(3, 3).eval()
            cpu_accelerate(model)(torch.ones(3))
            ALIVE.add(model)

        def test_after():
            gc.collect()
            assert len(ALIVE) <= 1
        """
    )
    mlp_project.runpytest_inprocess("--cpu-backends=eager").assert_outcomes(passed=5)


def test_weights_that_are_no_numbers_are_no_change(mlp_project: pytest.Pytester) -> None:
    mlp_project.makepyfile(
        """
        import pytest, torch
        from torch import nn

        @pytest.mark.parity
        def test_it(cpu_accelerate):
            model = nn.Linear(3, 3).eval()
            model.weight.data[0] = float("nan")
            cpu_model = cpu_accelerate(model)
            for _ in range(2):
                cpu_model(torch.ones(3))
        """
    )
    mlp_project.runpytest_inprocess("--cpu-backends=eager").assert_outcomes(passed=1)


def test_a_fresh_export_is_asked_about_every_call(project: pytest.Pytester) -> None:
    project.makepyfile(
        """
        import pytest, torch
        from torch import nn

        class Branch(nn.Module):
            def forward(self, x):
                return x * 2 if x.sum() > 100 else x

        X = torch.ones(3)

        @pytest.fixture
        def model():
            return Branch().eval()

        def test_loud(cpu_accelerate, model):
            cpu_accelerate(model)(X * 100)

        @pytest.mark.parity
        def test_quiet(cpu_accelerate, model):
            cpu_model = cpu_accelerate(model)
            cpu_model(X)
            cpu_model(X * 100)
        """
    )
    for _ in range(2):
        result = project.runpytest_inprocess("--cpu-backends=torchscript", "-W", "ignore")
        result.assert_outcomes(passed=1, failed=1)
        result.stdout.no_fnmatch_line("*fresh export answers right*")
