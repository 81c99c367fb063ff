"""Tests that get our fixtures while they run, which pytest does not know beforehand."""

from __future__ import annotations

import pytest

from tests.integration.test_selection import refusal

EXACT = "@pytest.mark.parity(rtol=0, atol=0)"
NOTHING_DONE = "@parity judges calls of cpu_model or cpu_accelerate; nothing that the test did is judged by it: *"

LAZY = """
import pytest, torch, unittest

X = torch.ones(2, 16)

@pytest.fixture
def lazy(request): return request.getfixturevalue("cpu_model")

@pytest.fixture
def lazier(lazy): return lazy

@pytest.fixture
def called(lazy): lazy(X)

@pytest.fixture
def make(request): return lambda: request.getfixturevalue("cpu_model")

class TestCase(unittest.TestCase):
    @pytest.fixture(autouse=True)
    def keep(self, request): self.request = request
"""
USES = {
    "a fixture": f"{EXACT}\ndef test_it(lazy): lazy(X)",
    "a fixture of a fixture": f"{EXACT}\ndef test_it(lazier): lazier(X)",
    "a factory": f"{EXACT}\ndef test_it(make): make()(X)",
    "usefixtures": f"{EXACT}\n@pytest.mark.usefixtures('called')\ndef test_it(): pass",
    "a method of a test case": f'    {EXACT}\n    def test_it(self): self.request.getfixturevalue("cpu_model")(X)',
    "a method": f"class TestIt:\n    {EXACT}\n    def test_it(self, lazy): lazy(X)",
    "scores": "@pytest.mark.accuracy_budget(max_drop='1%', of='these')\ndef test_it(cpu_model, request):\n"
    "    request.getfixturevalue('score_items')(lambda model, item: float(model(item)[0, 0] < 1), [X] * 30)",
}


@pytest.mark.parametrize("way", USES)
def test_a_model_that_comes_while_the_test_runs_is_judged(mlp_project: pytest.Pytester, way: str) -> None:
    mlp_project.makepyfile(test_it=LAZY + USES[way])
    mlp_project.runpytest_inprocess("--cpu-backends=twin").assert_outcomes(passed=1)
    result = mlp_project.runpytest_inprocess("--cpu-backends=off")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["Mlp *off *FAIL *"])


@pytest.mark.parametrize("way", ["lazy", "lazier", "make", "request"])
def test_one_that_might_have_come_and_did_not_fails_its_test_alone(mlp_project: pytest.Pytester, way: str) -> None:
    body = LAZY.replace('return request.getfixturevalue("cpu_model")', "pass")
    mlp_project.makepyfile(
        test_it=f"{body}\n{EXACT}\ndef test_it({way}): pass\n\ndef test_other(cpu_model): cpu_model(X)"
    )
    result = mlp_project.runpytest_inprocess("--cpu-backends=twin")
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["*_ test_it _*", NOTHING_DONE])


def test_a_doctest_that_gets_none_fails_by_a_mark_that_a_hook_adds(mlp_project: pytest.Pytester) -> None:
    conftest = (mlp_project.path / "conftest.py").read_text()
    mlp_project.makeconftest(
        f"{conftest}\ndef pytest_collection_modifyitems(items):\n    for item in items: item.add_marker('parity')"
    )
    model = '>>> getfixture("cpu_model")(torch.ones(2, 16)).shape\n    torch.Size([2, 4])'
    mlp_project.makepyfile(
        test_it="import torch\n\n"
        + f'def with_model():\n    """\n    {model}\n    """\n\ndef without():\n    """\n    >>> 1\n    1\n    """'
    )
    result = mlp_project.runpytest_inprocess("--doctest-modules", "--cpu-backends=twin")
    result.assert_outcomes(passed=1, failed=1)


@pytest.mark.parametrize("argument", ["", "tmp_path", "capsys", "cpu_backend"])
def test_a_mark_where_none_can_come_ends_the_run(mlp_project: pytest.Pytester, argument: str) -> None:
    mlp_project.makepyfile(test_it=f"import pytest\n\n{EXACT}\ndef test_it({argument}): pass")
    assert refusal(mlp_project, "--cpu-backends=twin").endswith(
        ": @parity judges calls of cpu_model or cpu_accelerate; take one as argument"
    )


OWN_MODEL = """
import pytest, torch
from tests import models

@pytest.fixture
def eager_model(): return models.mlp()
"""
ASKS = {
    "a test": "def test_asks(request): request.getfixturevalue('cpu_model')(torch.ones(2, 16))",
    "a fixture": "@pytest.fixture\ndef lazy(request): return request.getfixturevalue('cpu_model')\n\n"
    "def test_asks(lazy): lazy(torch.ones(2, 16))",
    "a fixture of the user's": "@pytest.fixture\ndef built(cpu_accelerate): return cpu_accelerate(models.mlp())\n\n"
    "def test_asks(request): request.getfixturevalue('built')(torch.ones(2, 16))",
    "a parameter": "@pytest.mark.parametrize('name', ['cpu_model'])\n"
    "def test_asks(name, request): request.getfixturevalue(name)(torch.ones(2, 16))",
    "a constant": "NAMES = ['cpu_model']\n\n"
    "def test_asks(request): request.getfixturevalue(NAMES[0])(torch.ones(2, 16))",
    "a helper": "def get(request, name): return request.getfixturevalue(name)\n\n"
    "def test_asks(request): get(request, 'cpu_model')(torch.ones(2, 16))",
}
NOTHING = f"{EXACT}\ndef test_marked(request): pass"


@pytest.mark.parametrize("order", ["before", "after"])
@pytest.mark.parametrize("way", ASKS)
def test_whether_a_mark_is_ours_does_not_hang_on_the_order_of_tests(
    project: pytest.Pytester, way: str, order: str
) -> None:
    tests = [NOTHING, ASKS[way]] if order == "before" else [ASKS[way], NOTHING]
    project.makepyfile(test_it="\n\n".join([OWN_MODEL, *tests]))
    result = project.runpytest_inprocess()
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["*_ test_marked _*", NOTHING_DONE])


THEIRS = {
    "a fixture of our name": "@pytest.fixture\ndef cpu_model(): return 1\n\n"
    "def test_asks(request): assert request.getfixturevalue('cpu_model') == 1",
    "our name as a text": "@pytest.fixture\ndef settings(request): return {'cpu_model': request.param}\n\n"
    "@pytest.mark.parametrize('settings', ['cpu_model'], indirect=True)\n"
    "def test_asks(settings): assert settings['cpu_model']",
}


@pytest.mark.parametrize("way", THEIRS)
def test_a_suite_that_gets_fixtures_of_its_own_stays_somebody_elses(project: pytest.Pytester, way: str) -> None:
    project.makepyfile(test_it=f"import pytest\n\n{THEIRS[way]}\n\n{NOTHING}\n\n{EXACT}\ndef test_plain(): pass")
    project.runpytest_inprocess().assert_outcomes(passed=3)
