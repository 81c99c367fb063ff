"""What a model does to its inputs is compared like an output; numbers among outputs are the call's own."""

from __future__ import annotations

import pytest

MODELS = """
import pytest, torch
from torch import nn

X = torch.linspace(-2, 3, 12).reshape(3, 4)

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.lin = nn.Linear(4, 4)

class Centres(Net):
    def forward(self, x):
        x -= x.mean()
        return self.lin(x)

class Rectifies(Net):
    def forward(self, x):
        return self.lin(nn.functional.relu(x, inplace=True))

class Fills(Net):
    def forward(self, batch):
        batch["y"] = self.lin(batch["x"])
        return batch["y"].sum(1)

class Appends(Net):
    def forward(self, x, found):
        found.append(self.lin(x))
        return x.sum(1)

class Returns(Net):
    def forward(self, batch):
        batch["y"] = self.lin(batch["x"])
        return batch

class Pops(Net):
    def forward(self, x, batch):
        return self.lin(x) + batch.pop("k")

class Empties(Net):
    def forward(self, x, found):
        total = sum(found)
        found.clear()
        return self.lin(x) + total

class Note:
    pass

class Notes(Net):
    def forward(self, x, note):
        note.hidden = self.lin(x)
        return x.sum(1)

class Tags(Net):
    def forward(self, x):
        x.hidden = self.lin(x)
        return x.sum(1)

"""

COPYING = """
import pytest, torch
from pytest_cpuaccel import Backend, BuiltModel
from pytest_cpuaccel.core.inputs import Inputs
from pytest_cpuaccel.core.private_inputs import private_inputs

def load(subject, folder):
    module = subject.fresh_module()
    def forward(*args, **kwargs):
        given = private_inputs(Inputs(args, kwargs))
        return module(*given.args, **given.kwargs)
    return BuiltModel(forward, threads=torch.get_num_threads())

@pytest.hookimpl(optionalhook=True)
def pytest_cpuaccel_backends(config):
    return [Backend(name="copying", summary="runs on copies of its inputs", load=load)]
"""

CALLS = {
    "Centres": ("X.clone()", "'x after the call' is off by *"),
    "Rectifies": ("X.clone()", "'x after the call' is off by *"),
    "Fills": ("{'x': X}", "output 'batch.y after the call' is missing*"),
    "Appends": ("X, []", "output 'found.0 after the call' is missing*"),
    "Pops": ("X, {'k': X}", "output 'batch.k (removed) after the call' is missing*"),
    "Empties": ("X, [X]", "output 'found.0 (removed) after the call' is missing*"),
    "Notes": ("X, Note()", "output 'note.hidden after the call' is missing*"),
    "Tags": ("X.clone()", "output 'x.hidden after the call' is missing*"),
}


@pytest.mark.parametrize("model", CALLS)
def test_a_backend_that_leaves_other_inputs_behind_fails_by_the_inputs_name(
    project: pytest.Pytester, model: str
) -> None:
    project.makeconftest(COPYING)
    arguments, words = CALLS[model]
    project.makepyfile(
        MODELS
        + f"""
@pytest.mark.parity
def test_it(cpu_accelerate):
    cpu_accelerate({model}().eval())({arguments})
"""
    )
    result = project.runpytest_inprocess("--cpu-backends=eager,copying")
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines([f"copying: forward *: {words}"])


SHARED = {"the same": "x, x", "a view": "x[:2], x[1:]", "a transpose": "x[:, :2].t(), x[:2]", "apart": "x, x.clone()"}


@pytest.mark.parametrize("arguments", SHARED)
def test_inputs_that_share_memory_share_it_in_every_run(project: pytest.Pytester, arguments: str) -> None:
    project.makepyfile(
        MODELS
        + f"""
class Lone(nn.Module):
    def forward(self, x, y):
        x += 1
        return torch.sin(y) * 2

@pytest.mark.parity
def test_it(cpu_accelerate):
    x = X.clone()
    cpu_model = cpu_accelerate(Lone().eval())
    for _ in range(2):
        cpu_model({SHARED[arguments]})
    cpu_model(x.clone(), x.clone())
"""
    )
    project.runpytest_inprocess("--cpu-backends=eager,torchscript").assert_outcomes(passed=2)


def test_an_object_among_the_inputs_is_left_as_the_call_leaves_it(project: pytest.Pytester) -> None:
    project.makepyfile(
        MODELS
        + """
@pytest.mark.parity
def test_it(cpu_accelerate):
    note = Note()
    note.seen = 1
    cpu_accelerate(Notes().eval())(X, note)
    assert note.hidden.shape == (3, 4) and note.seen == 1
"""
    )
    project.runpytest_inprocess("--cpu-backends=eager").assert_outcomes(passed=1)


def test_attributes_of_parameters_and_inputs_are_there_in_every_run(project: pytest.Pytester) -> None:
    project.makepyfile(
        MODELS
        + """
class Scaled(Net):
    def __init__(self):
        super().__init__()
        self.lin.weight.scale = 2.0

    def forward(self, x):
        return self.lin(x) * self.lin.weight.scale * x.factor

@pytest.mark.parity
def test_it(cpu_accelerate):
    x = X.clone()
    x.factor = 3.0
    model = Scaled().eval()
    assert torch.equal(cpu_accelerate(model)(x), model(x))
"""
    )
    project.runpytest_inprocess("--cpu-backends=eager").assert_outcomes(passed=1)


def test_a_call_that_writes_to_its_inputs_is_judged_and_timed_by_those_it_was_given(project: pytest.Pytester) -> None:
    project.makepyfile(
        MODELS
        + """
@pytest.mark.parity
@pytest.mark.latency_budget(max_slowdown="1000%")
def test_it(cpu_accelerate):
    x = X.clone()
    cpu_model = cpu_accelerate(Centres().eval())
    cpu_model(x)
    assert abs(x.mean()) < 1e-6
    cpu_model(x)
"""
    )
    project.runpytest_inprocess("--cpu-backends=eager,torchscript").assert_outcomes(passed=2)


def test_a_dict_that_the_model_fills_and_returns_is_filled_and_returned(project: pytest.Pytester) -> None:
    project.makeconftest(COPYING)
    project.makepyfile(
        MODELS
        + """
@pytest.mark.parity
def test_it(cpu_accelerate):
    batch = {"x": X}
    assert cpu_accelerate(Returns().eval())(batch) is batch
    assert batch["y"].shape == (3, 4)
"""
    )
    project.runpytest_inprocess("--cpu-backends=eager,copying,torchscript").assert_outcomes(passed=3)


NUMBERS = """
class Sizes(Net):
    def forward(self, x):
        return self.lin(x), x.size(0), (x.shape[0], x.shape[1])

class Counts(Net):
    def forward(self, x):
        return self.lin(x), int((x > 0).sum())

class Constant(Net):
    def forward(self, x):
        return {"y": self.lin(x), "is_scaled": True, "scale": 1.5, "nothing": None}
"""


@pytest.mark.parametrize("backend", ["eager", "torchscript", "ort", "openvino"])
def test_sizes_among_outputs_are_those_of_the_call(project: pytest.Pytester, backend: str) -> None:
    if backend in ("ort", "openvino"):
        pytest.importorskip({"ort": "onnxscript", "openvino": "openvino"}[backend])
    project.makepyfile(
        MODELS
        + NUMBERS
        + """
def test_it(cpu_accelerate):
    cpu_model = cpu_accelerate(Sizes().eval())
    for rows in (3, 1, 5, 3):
        assert cpu_model(torch.ones(rows, 4))[1:] == (rows, (rows, 4))

@pytest.mark.parity
def test_constants(cpu_accelerate):
    cpu_model = cpu_accelerate(Constant().eval())
    for rows in (3, 2):
        assert cpu_model(torch.ones(rows, 4))["scale"] == 1.5
"""
    )
    project.runpytest_inprocess(f"--cpu-backends={backend}").assert_outcomes(passed=2)


def test_a_number_that_an_export_froze_is_refused_also_without_a_mark(project: pytest.Pytester) -> None:
    project.makepyfile(
        MODELS
        + NUMBERS
        + """
def test_it(cpu_accelerate):
    cpu_model = cpu_accelerate(Counts().eval())
    assert cpu_model(X)[1] == 7
    cpu_model(-X)
"""
    )
    result = project.runpytest_inprocess("--cpu-backends=torchscript", "-W", "ignore")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "torchscript: output '1' is 7 as in the call it was built for; eager's is 5: a number that *",
            "  at test_*.py:*",
        ]
    )
