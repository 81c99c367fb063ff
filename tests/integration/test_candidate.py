"""``cpu_candidate``: another checkpoint under test, held to the eager model whose place it is to take."""

from __future__ import annotations

import json

import pytest

from pytest_cpuaccel.core.backend import Requirement

CANDIDATE = """
import pytest, torch
from torch.nn.utils import prune

@pytest.fixture(scope="session")
def cpu_candidate(eager_model):
    import copy
    pruned = copy.deepcopy(eager_model)
    for layer in (pruned.layers[0], pruned.layers[2]):
        prune.l1_unstructured(layer, "weight", amount={amount})
        prune.remove(layer, "weight")
    return pruned

X = torch.linspace(-1, 1, 64).reshape(4, 16)
"""


def candidate(project: pytest.Pytester, amount: float, test: str) -> None:
    project.makepyfile(test_it=CANDIDATE.replace("{amount}", str(amount)) + test)


def test_it_runs_under_every_backend_and_is_held_to_the_original(mlp_project: pytest.Pytester) -> None:
    candidate(
        mlp_project,
        0.1,
        """
@pytest.mark.parity
@pytest.mark.latency_budget(max_slowdown="300%")
def test_close(cpu_model, eager_model, cpu_candidate):
    with torch.no_grad():
        torch.testing.assert_close(cpu_model(X), cpu_candidate(X))
        assert not torch.equal(cpu_model(X), eager_model(X))
""",
    )
    result = mlp_project.runpytest_inprocess("--cpu-backends=eager,twin", "--cpu-report=found.json")
    result.assert_outcomes(passed=2)
    found = json.loads((mlp_project.path / "found.json").read_text())["results"]
    assert [(row["model"], row["backend"]) for row in found] == [
        ("Mlp (candidate)", "eager"),
        ("Mlp (candidate)", "twin"),
    ]
    for row in found:
        assert 8 < row["parity"]["sqnr_db"] < 60
        assert row["latency"]["pairs"]


def test_one_that_lost_too_much_fails_with_both_numbers(mlp_project: pytest.Pytester) -> None:
    candidate(mlp_project, 0.9, "@pytest.mark.parity\ndef test_close(cpu_model): cpu_model(X)\n")
    result = mlp_project.runpytest_inprocess("--cpu-backends=twin")
    result.assert_outcomes(failed=1)
    result.stdout.re_match_lines([r"twin: forward 4x16: 'output' has .*at least .* wanted"])


def test_a_tolerance_of_the_marks_own_wins(mlp_project: pytest.Pytester) -> None:
    candidate(mlp_project, 0.9, "@pytest.mark.parity(cosine=0)\ndef test_close(cpu_model): cpu_model(X)\n")
    mlp_project.runpytest_inprocess("--cpu-backends=twin").assert_outcomes(passed=1)


def test_its_accuracy_is_compared_with_the_originals(mlp_project: pytest.Pytester) -> None:
    candidate(
        mlp_project,
        1.0,
        """
@pytest.mark.accuracy_budget(max_drop="1%")
def test_accuracy(score_items, eager_model):
    with torch.no_grad():
        labels = eager_model(torch.eye(16).repeat(20, 1)).argmax(-1)
    items = list(zip(torch.eye(16).repeat(20, 1), labels))
    score_items(lambda model, item: model(item[0]).argmax() == item[1], items)
""",
    )
    result = mlp_project.runpytest_inprocess("--cpu-backends=twin")
    result.assert_outcomes(failed=1)
    result.stdout.re_match_lines([r"twin: .*"])


def test_any_model_made_in_a_test_can_be_held_to_another(mlp_project: pytest.Pytester) -> None:
    mlp_project.makepyfile(
        """
import pytest, torch
from torch import nn

@pytest.mark.parity
@pytest.mark.parametrize(("scale", "outcome"), [(1.01, "near"), (-1.0, "far")])
def test_scaled(cpu_accelerate, scale, outcome):
    model, scaled = nn.Linear(4, 4).eval(), nn.Linear(4, 4).eval()
    scaled.load_state_dict({name: scale * value for name, value in model.state_dict().items()})
    cpu_accelerate(scaled, reference=model)(torch.ones(2, 4))
"""
    )
    mlp_project.runpytest_inprocess("--cpu-backends=eager").assert_outcomes(passed=1, failed=1)


def test_a_folder_that_is_not_there_is_named_as_the_candidates(mlp_project: pytest.Pytester) -> None:
    mlp_project.makepyfile(
        """
import pytest

@pytest.fixture(scope="session")
def cpu_candidate():
    return "./smaller"

def test_it(cpu_model):
    pass
"""
    )
    result = mlp_project.runpytest_inprocess("--cpu-backends=eager")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*cpu_candidate: no folder './smaller'; *"])


def test_inputs_that_the_original_refuses_are_told_from_a_wrong_candidate(mlp_project: pytest.Pytester) -> None:
    mlp_project.makepyfile(
        """
import pytest, torch
from torch import nn

@pytest.fixture(scope="session")
def cpu_candidate():
    return nn.Linear(3, 4).eval()

@pytest.mark.parity
def test_it(cpu_model):
    cpu_model(torch.ones(2, 3))
"""
    )
    result = mlp_project.runpytest_inprocess("--cpu-backends=eager")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*eager model itself raises*; cpu_candidate took these inputs*"])


def test_a_folder_will_do_without_code(project: pytest.Pytester) -> None:
    pytest.importorskip("transformers")
    from tests import models

    models.bert_classifier().save_pretrained(project.path / "large")
    models.bert_classifier(num_hidden_layers=1).save_pretrained(project.path / "small")
    project.makepyfile(
        """
import pytest
from tests import models

@pytest.mark.latency_budget(max_slowdown="300%")
def test_small(cpu_model):
    assert cpu_model.config.num_hidden_layers == 1
    cpu_model(**models.tokens())
"""
    )
    result = project.runpytest_inprocess("--cpu-model=large", "--cpu-candidate=small")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["BertForSequenceClassification (candidate small)*"])


def test_one_pruned_by_neural_compressor(project: pytest.Pytester) -> None:
    if not Requirement("neural-compressor").installed:
        pytest.skip("neural-compressor is not installed")
    project.makepyfile(
        """
import pytest, torch
from neural_compressor.training import WeightPruningConfig, prepare_pruning
from tests import models

STEPS = 5

@pytest.fixture(scope="session")
def eager_model():
    return models.bert_classifier()

@pytest.fixture(scope="session")
def cpu_candidate():
    model = models.bert_classifier()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
    # Its own list: the default one is shared, and keeps the first configuration for the whole process. And an
    # end_step: the default criterion needs gradients, for which there is no step before it.
    config = WeightPruningConfig(pruning_configs=[{}], target_sparsity=0.3, start_step=1, end_step=STEPS)
    prepare_pruning(model, config, optimizer)
    model.train()
    for _ in range(STEPS + 1):
        model(**models.tokens(), labels=torch.tensor([0, 1])).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    return model.eval()

@pytest.mark.parity(cosine=0.5)
def test_pruned(cpu_model, cpu_candidate):
    weight = cpu_candidate.bert.encoder.layer[0].intermediate.dense.weight
    assert 0.1 < (weight == 0).float().mean() < 0.9
    cpu_model(**models.tokens())
"""
    )
    result = project.runpytest_subprocess("--cpu-backends=eager,ort", "-W", "ignore")
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(["BertForSequenceClassification (candidate)*cosine*PASS"])


def test_a_hub_id_of_the_file_is_not_taken_for_a_folder_of_the_current_folder(
    mlp_project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    mlp_project.makeini("[pytest]\ncpu_candidate = org/name")
    folder = mlp_project.mkdir("below")
    other = folder / "org" / "name"
    other.mkdir(parents=True)
    (folder / "test_it.py").write_text("def test_it(cpu_model): pass")
    monkeypatch.chdir(folder)
    result = mlp_project.runpytest_inprocess("--cpu-backends=twin", str(folder))
    result.assert_outcomes(errors=1)
    words = "cpu_candidate in tox.ini: 'org/name' is a hub id, for no such folder stands beside that file; but"
    result.stdout.fnmatch_lines([f"{words} transformers would load '{other}' in its place: *"])
