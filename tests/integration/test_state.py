"""Models that keep state from call to call: theirs is left alone, and what a backend makes of it is judged."""

from __future__ import annotations

import pytest

MODELS = """
import itertools
import pytest, torch
from torch import nn

X = torch.ones(5)
STEP = 0

class Box:
    n = 0

class Stateful(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.cell = nn.GRUCell(5, 5)
        self.register_buffer("wav", torch.zeros(10))
        self.register_buffer("steps", torch.zeros(()))
        self.weight = nn.Parameter(torch.zeros(()), requires_grad=False)
        self.n, self.hidden, self.box = 0, torch.zeros(1, 5), Box()
        self.cache, self.counter = {"seen": []}, itertools.count(1)

class InBuffer(Stateful):
    def forward(self, x):
        self.wav = torch.cat([self.wav, x])[-10:]
        return self.wav.clone()

class InPlace(Stateful):
    def forward(self, x):
        self.steps += 1
        return x * self.steps

class InAttribute(Stateful):
    def forward(self, x):
        self.n += 1
        return x * self.n

class InTensor(Stateful):
    def forward(self, x):
        self.hidden = self.cell(x[None], self.hidden)
        return self.hidden

class InObject(Stateful):
    def forward(self, x):
        self.box.n += 1
        return x + self.box.n

class InContainer(Stateful):
    def forward(self, x):
        self.cache["seen"].append(len(x))
        return x + len(self.cache["seen"])

class InIterator(Stateful):
    def forward(self, x):
        return x + next(self.counter)

class InParameter(Stateful):
    def forward(self, x):
        self.weight.data += 1
        return x + self.weight

class InGlobal(Stateful):
    def forward(self, x):
        global STEP
        STEP += 1
        return x + STEP

class OnClass(Stateful):
    count = 0
    def forward(self, x):
        OnClass.count += 1
        return x + OnClass.count

def closing():
    calls = [0]
    class InClosure(Stateful):
        def forward(self, x):
            calls[0] += 1
            return x + calls[0]
    return InClosure()
"""

WHERE = {
    "InBuffer": "'wav' of InBuffer",
    "InPlace": "'steps' of InPlace",
    "InAttribute": "'n' of InAttribute",
    "InTensor": "'hidden' of InTensor",
    "InObject": "'box' of InObject",
    "InContainer": "'cache' of InContainer",
    "InIterator": "'counter' of InIterator",
    "InParameter": "'weight' of InParameter",
    "InGlobal": "the global variable 'STEP' of test_it",
    "OnClass": "'count' of class OnClass",
    "closing": "'calls', over which closing.<locals>.InClosure.forward closes",
}
"""What makes a model -> where it keeps its state, as a user is told."""


@pytest.mark.parametrize("make", WHERE)
def test_a_backend_that_keeps_state_answers_each_test_as_the_model_itself_would(
    mlp_project: pytest.Pytester, make: str
) -> None:
    mlp_project.makepyfile(
        test_it=MODELS
        + f"""
model, expected = {make}().eval(), []

def test_what_the_model_itself_answers(cpu_backend):
    fresh = {make}().eval()
    with torch.no_grad():
        expected.extend(fresh(X).clone() for _ in range(3))

@pytest.mark.parity
@pytest.mark.parametrize("again", [0, 1])
@pytest.mark.latency_budget(max_slowdown="10000%")
def test_it(cpu_accelerate, again):
    cpu_model = cpu_accelerate(model)
    answers = [cpu_model(X).clone() for _ in range(3)]
    if {make!r} not in ("InGlobal", "OnClass", "closing"):  # whose state is the fresh model's too
        assert all(map(torch.equal, answers, expected))
    assert not torch.equal(answers[0], answers[1])

def test_the_model_is_as_it_was(cpu_backend):
    if {make!r} not in ("InGlobal", "OnClass", "closing"):
        with torch.no_grad():
            assert torch.equal(model(X), expected[0])
"""
    )
    mlp_project.runpytest_inprocess("--cpu-backends=eager").assert_outcomes(passed=4)


@pytest.mark.parametrize("make", WHERE)
@pytest.mark.parametrize("calls", [1, 3])
def test_a_backend_that_loses_state_fails_by_its_name(mlp_project: pytest.Pytester, make: str, calls: int) -> None:
    mlp_project.makeconftest(
        """
        import pytest, torch
        from pytest_cpuaccel import Backend, BuiltModel

        def load(subject, folder):
            expected = subject.expected.clone()
            return BuiltModel(lambda x: expected.clone(), threads=torch.get_num_threads())

        @pytest.hookimpl(optionalhook=True)
        def pytest_cpuaccel_backends(config):
            return [Backend(name="forgetful", summary="begins anew at every call", load=load)]
        """
    )
    mlp_project.makepyfile(
        test_it=MODELS
        + f"""
@pytest.mark.parity
def test_it(cpu_accelerate):
    cpu_model = cpu_accelerate({make}().eval())
    for _ in range({calls}):
        cpu_model(X)
"""
    )
    result = mlp_project.runpytest_inprocess("--cpu-backends=forgetful")
    result.assert_outcomes(failed=1)
    kept = f"the model keeps state from call to call ({WHERE[make]})"
    result.stdout.fnmatch_lines([f"forgetful: forward 5: *{kept}, which is lost or wrong here: call 2: *"])


@pytest.mark.parametrize("make", ["InBuffer", "InAttribute", "InObject"])
def test_a_backend_that_refuses_such_a_model_has_the_last_word(mlp_project: pytest.Pytester, make: str) -> None:
    mlp_project.makepyfile(
        MODELS + f"\n@pytest.mark.parity\ndef test_it(cpu_accelerate):\n    cpu_accelerate({make}().eval())(X)\n"
    )
    result = mlp_project.runpytest_inprocess("--cpu-backends=refusing")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*refusing: *"])
    result.stdout.no_fnmatch_line("*disagrees with itself*")


def test_calls_of_the_model_itself_do_not_disturb_those_of_the_stand_in(mlp_project: pytest.Pytester) -> None:
    mlp_project.makepyfile(
        MODELS
        + """
@pytest.mark.parity
def test_it(cpu_accelerate):
    model = InPlace().eval()
    cpu_model = cpu_accelerate(model)
    with torch.no_grad():
        for step in range(1, 4):
            assert torch.equal(cpu_model(X), X * step)
            assert torch.equal(model(X), X * step)
    assert model.steps == 3
"""
    )
    mlp_project.runpytest_inprocess("--cpu-backends=eager,twin").assert_outcomes(passed=2)


def test_scoring_leaves_the_model_as_it_was(mlp_project: pytest.Pytester) -> None:
    mlp_project.makeconftest(
        f"""{MODELS}
@pytest.fixture(scope="session")
def eager_model():
    return InPlace().eval()
"""
    )
    mlp_project.makepyfile(
        """
        import torch

        def test_it(score_items, eager_model):
            score_items(lambda model, item: float(model(item).sum()), [torch.ones(5)] * 3)
            assert eager_model.steps == 0
        """
    )
    mlp_project.runpytest_inprocess("--cpu-backends=eager").assert_outcomes(passed=1)


WRITING = """
import pytest, torch
from torch import nn

class Renorms(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.rows = nn.Embedding(8, 4, max_norm=1.0)
        self.rows.weight.data.mul_(10)

    def forward(self, ids):
        return self.rows(ids)

class Halves(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))

    def forward(self, ids):
        if int(ids[0]) > 3:
            self.weight.data.mul_(0.5)
        return ids * self.weight

class Named(nn.Module):
    class Computed:
        def __get__(self, owner, kind):
            return [kind.__name__]

    names = Computed()

    def forward(self, ids):
        return ids + len(self.names)
"""


@pytest.mark.parametrize("make", ["Renorms", "Halves"])
def test_parameters_that_only_a_later_call_writes_to_are_left_alone(mlp_project: pytest.Pytester, make: str) -> None:
    mlp_project.makepyfile(
        WRITING
        + f"""
@pytest.fixture
def model():
    model = {make}().eval()
    before = {{name: item.clone() for name, item in model.state_dict().items()}}
    yield model
    assert all(torch.equal(item, before[name]) for name, item in model.state_dict().items())

@pytest.mark.parity
def test_it(cpu_accelerate, model):
    cpu_model = cpu_accelerate(model)
    for ids in ([0, 1], [5, 6]):
        cpu_model(torch.tensor(ids))
"""
    )
    mlp_project.runpytest_inprocess("--cpu-backends=eager").assert_outcomes(passed=1)


def test_a_descriptor_of_a_class_stays(mlp_project: pytest.Pytester) -> None:
    mlp_project.makepyfile(
        WRITING
        + """
@pytest.mark.parity
def test_it(cpu_accelerate):
    cpu_accelerate(Named().eval())(torch.tensor([1]))

def test_after():
    assert isinstance(vars(Named)["names"], Named.Computed)
"""
    )
    mlp_project.runpytest_inprocess("--cpu-backends=eager").assert_outcomes(passed=2)


def test_a_test_may_write_to_an_output_that_is_state(mlp_project: pytest.Pytester) -> None:
    mlp_project.makepyfile(
        """
        import pytest, torch
        from torch import nn

        class Sum(nn.Module):
            def __init__(self, name):
                super().__init__()
                self.register_buffer("total", torch.zeros(2))
                self.kept = torch.zeros(2)
                self.name = name

            def forward(self, x):
                return getattr(self, self.name).add_(x)

        @pytest.mark.parity
        @pytest.mark.parametrize("name", ["total", "kept"])
        def test_it(cpu_accelerate, name):
            cpu_model = cpu_accelerate(Sum(name).eval())
            cpu_model(torch.ones(2)).mul_(5)
            assert cpu_model(torch.ones(2)).tolist() == [2, 2]
        """
    )
    mlp_project.runpytest_inprocess("--cpu-backends=eager").assert_outcomes(passed=2)
