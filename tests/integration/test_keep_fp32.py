"""A parity FAIL in int8 or bf16 proposes modules to keep in fp32, and a project can keep them."""

from __future__ import annotations

import json

import pytest

CONFTEST = """
import pytest, torch
from torch import nn

class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm, self.inner, self.outer = nn.LayerNorm(32), nn.Linear(32, 64), nn.Linear(64, 32)

    def forward(self, x):
        return {"x": x + self.outer(self.inner(self.norm(x)).relu())}

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.blocks, self.head = nn.ModuleList([Block(), Block()]), nn.Linear(32, 8)

    def forward(self, x):
        for block in self.blocks:
            x = block(x)["x"]
        return self.head(x)

@pytest.fixture(scope="session")
def eager_model():
    torch.manual_seed(0)
    net = Net().eval()
    block = net.blocks[1]  # one channel is 300 times the others and hardly counts: a scale for all of them loses these
    block.inner.weight.data[0] *= 300
    block.inner.bias.data[0] += 300
    block.outer.weight.data *= 4
    block.outer.weight.data[:, 0] /= 1e5
    return net
"""
TEST = """
import pytest, torch

@pytest.mark.parity(sqnr_db={decibels})
def test_call(cpu_model):
    torch.manual_seed(1)
    cpu_model(torch.randn(4, 7, 32))
"""
KEEPING = """
@pytest.fixture(scope="session")
def cpu_keep_fp32():
    return {kept}
"""


@pytest.fixture
def net(project: pytest.Pytester) -> pytest.Pytester:
    project.makeconftest(CONFTEST)
    project.makepyfile(TEST.format(decibels=20))
    return project


def keep(net: pytest.Pytester, kept: object) -> None:
    net.makeconftest(CONFTEST + KEEPING.format(kept=kept))


def test_the_proposal_names_the_sensitive_module_and_makes_the_mark_hold(net: pytest.Pytester) -> None:
    result = net.runpytest_inprocess("--cpu-backends=torch-int8", "--cpu-report=a.json,b.html")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "*error of each module by itself, worst of 5: blocks.1.outer *",
            "*a set that makes it hold: keep_fp32=?'blocks.1.outer'?: SQNR * dB, 1 of 5 modules stay in fp32, * s",
        ]
    )
    found = json.loads((net.path / "a.json").read_text())["results"][0]["parity"]["sensitivity"]
    assert found["keep_fp32"] == ["blocks.1.outer"]
    assert len(found["modules"]) == 5
    assert found["sqnr_before"] < 20 < found["sqnr_after"]
    assert '<tr class="fail"><td><code>blocks.1.outer</code>' in (net.path / "b.html").read_text()
    keep(net, found["keep_fp32"])
    net.runpytest_inprocess("--cpu-backends=torch-int8").assert_outcomes(passed=1)


def test_modules_kept_already_count_and_are_part_of_the_proposal(net: pytest.Pytester) -> None:
    keep(net, ["head"])
    result = net.runpytest_inprocess("--cpu-backends=torch-int8")
    result.stdout.fnmatch_lines(["*keep_fp32=?'head', 'blocks.1.outer'?: * 1 of 4 further modules stay in fp32, *"])


def test_localize_off_costs_no_build(net: pytest.Pytester) -> None:
    result = net.runpytest_inprocess("--cpu-backends=torch-int8", "--cpu-localize=off")
    result.assert_outcomes(failed=1)
    result.stdout.no_fnmatch_line("*module by itself*")


def test_bf16_keeps_modules_in_fp32(net: pytest.Pytester) -> None:
    found = []
    for kept in ([], ["blocks.*"]):
        keep(net, kept)
        net.runpytest_inprocess("--cpu-backends=bf16", "--cpu-report=a.json").assert_outcomes(passed=1)
        found.append(json.loads((net.path / "a.json").read_text())["results"][0]["parity"]["sqnr_db"])
    assert found[1] > found[0] + 1


def test_a_backend_that_can_keep_none_refuses_and_fp32_is_not_concerned(net: pytest.Pytester) -> None:
    keep(net, ["head"])
    result = net.runpytest_inprocess("--cpu-backends=autocast-bf16,torchscript")
    result.assert_outcomes(failed=1, passed=1)
    result.stdout.fnmatch_lines(["*autocast-bf16: it can't keep modules in fp32, and cpu_keep_fp32 names some; *"])


def test_a_pattern_without_effect_is_one_line(net: pytest.Pytester) -> None:
    keep(net, ["blocks.1.outer", "blocks.0.norm"])
    result = net.runpytest_inprocess("--cpu-backends=torch-int8")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["note: torch-int8: cpu_keep_fp32: 'blocks.0.norm' has nothing that it would quantise"])
    keep(net, ["blocks.7"])
    result = net.runpytest_inprocess("--cpu-backends=torch-int8")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*cpu_keep_fp32: 'blocks.7' matches no module of Net; did you mean 'blocks*"])


def test_a_list_may_be_given_with_the_model(net: pytest.Pytester) -> None:
    net.makepyfile(
        TEST.format(decibels=20)
        .replace("(cpu_model)", "(cpu_accelerate, eager_model)")
        .replace("cpu_model(torch", "cpu_accelerate(eager_model, keep_fp32=['blocks.1'])(torch")
    )
    net.runpytest_inprocess("--cpu-backends=torch-int8").assert_outcomes(passed=1)
