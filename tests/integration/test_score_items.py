"""``score_items``: batches, data sets, metrics over all items, an early end, and the items that flipped."""

from __future__ import annotations

import json

import pytest

ITEMS = """
import math, pytest, torch
from pytest_cpuaccel import CpuModel

X = torch.randn(200, 16, generator=torch.Generator().manual_seed(0))
SEEN = []

@pytest.fixture(scope="session")
def limit(eager_model):
    with torch.no_grad():
        return float(eager_model(X).sum(1).median())

class Places(torch.utils.data.Dataset):
    def __len__(self): return len(X)
    def __getitem__(self, place):
        SEEN.append(place)
        return {"x": X[place], "place": place}

class Rows:
    column_names = ["x"]
    def __len__(self): return len(X)
    def __iter__(self): return iter(list(X))
    def __getitem__(self, at):
        assert isinstance(at, int), "a slice of such a data set is a dict of columns"
        return {"x": X[at]}

class F1:
    def __init__(self): self.seen = []
    def update(self, predictions, references): self.seen.append((predictions, references))
    def reset(self): self.seen = []
    def compute(self):
        (predictions, references), = self.seen
        both = (predictions & references).sum()
        return 2 * both / (predictions.sum() + references.sum())
"""


def ran(project: pytest.Pytester, body: str, *args: str, **outcomes: int) -> pytest.RunResult:
    project.makepyfile(test_it=ITEMS + body)
    result = project.runpytest_inprocess("--cpu-report=report.json", *args)
    result.assert_outcomes(**outcomes)
    return result


def accuracies(project: pytest.Pytester) -> dict[str, dict[str, object]]:
    rows = json.loads((project.path / "report.json").read_text())["results"]
    return {row["test"].rpartition("::")[2]: row["accuracy"] for row in rows if "accuracy" in row}


def test_batches_and_data_sets_are_scored_item_by_item(mlp_project: pytest.Pytester) -> None:
    body = """
def right(model, rows):
    assert isinstance(rows, list) and len(rows) in (32, 200 % 32)
    out = model(torch.stack([row["x"] for row in rows]))
    return out.sum(1) == out.sum(1)

@pytest.mark.accuracy_budget(max_drop=0.05)
def test_places(score_items):
    assert score_items(right, Places(), batch_size=32) == [1.0] * 200
    assert SEEN == list(range(200))

@pytest.mark.accuracy_budget(max_drop=0.05)
def test_rows(score_items):
    assert len(score_items(right, Rows(), batch_size=32)) == 200

@pytest.mark.accuracy_budget(max_drop=0.05)
def test_generator_of_pairs(score_items):
    found = score_items(lambda model, xs: [(model(x[None]).shape == (1, 4), "yes") for x in xs], iter(X), batch_size=7)
    assert len(found) == 200

@pytest.mark.accuracy_budget(max_drop=0.05)
def test_columns(score_items):
    score_items(lambda model, xs: (torch.ones(len(xs)), [model(x[None]) for x in xs]), list(X), batch_size=32)
"""
    ran(mlp_project, body, "--cpu-backends=twin", passed=4)
    assert {found["items"] for found in accuracies(mlp_project).values()} == {200}


def test_scoring_ends_once_the_verdict_is_certain(mlp_project: pytest.Pytester) -> None:
    body = """
def low(model, item):
    SEEN.append(item["place"])
    return model(item["x"][None]).sum() < item["limit"]

@pytest.fixture
def items(limit):
    SEEN.clear()
    class Limited(Places):
        def __getitem__(self, place): return {**super().__getitem__(place), "limit": limit}
    return Limited()

@pytest.mark.accuracy_budget(max_drop=0.01)
def test_broken(score_items, items):
    found = score_items(low, items, stop_early=True)
    scored = [place for place, score in enumerate(found) if not math.isnan(score)]
    assert len(found) == 200 and len(scored) == 64 and scored == sorted(set(SEEN)) and scored != list(range(64))

@pytest.mark.accuracy_budget(max_drop={"twin": 0.1}, min_score=0.3, of="these")
def test_of_these_all_are_scored(score_items, items):
    assert len(set(score_items(low, items, stop_early=True))) == 2

@pytest.mark.accuracy_budget(max_drop=0.9)
def test_graded_scores_are_all_scored(score_items, items):
    assert 0.5 in score_items(lambda model, item: low(model, item) * 0.5, items, stop_early=True)

def test_without_a_budget_all_are_scored(score_items, items):
    assert len(set(score_items(low, items, stop_early=True))) == 2
"""
    result = ran(mlp_project, body, "--cpu-backends=off", "-k", "broken", failed=1, deselected=3)
    result.stdout.re_match_lines(
        [
            r"off: dropped by .*of 64 items \d+ lost, 0 gained\), allowed 0.01; decided after 64 of 200 items",
            r"  item \d+ lost: eager scored 1, off 0",
            r"  \d+ more items flipped; a JSON report has them all",
        ]
    )
    (found,) = accuracies(mlp_project).values()
    assert (found["items"], found["given_items"]) == (64, 200)
    ran(mlp_project, body, "--cpu-backends=twin", "-k", "not broken", passed=3, deselected=1)
    assert {found["items"] for found in accuracies(mlp_project).values()} == {200}


def test_items_that_flipped_are_listed_with_both_answers(mlp_project: pytest.Pytester) -> None:
    body = r"""
@pytest.mark.accuracy_budget(max_drop=0.01)
def test_it(score_items, limit):
    def low(model, item):
        is_low = model(item[None]).sum() < limit
        return is_low, "low\x1b[2J\n" if is_low else "high " * 1000
    score_items(low, X)
"""
    result = ran(mlp_project, body, "--cpu-backends=off", failed=1)
    result.stdout.re_match_lines([r"  item \d+ lost: eager answered 'low  ?\[2J', off 'high high .*\.\.\."])
    (found,) = accuracies(mlp_project).values()
    flipped = found["flipped"]
    assert isinstance(flipped, list)
    assert len(flipped) == found["lost_items"]
    assert all(flip["eager_score"] == 1 and len(flip["answer"]) < 500 for flip in flipped)
    assert len([line for line in result.outlines if line.startswith("  item ")]) == 10


def test_a_metric_over_all_items_is_judged(mlp_project: pytest.Pytester) -> None:
    body = """
def predicted(model, items):
    out = model(torch.stack(items)).sum(1)
    return out < LIMIT[0], torch.stack(items).sum(1) > -99

LIMIT = []

@pytest.fixture(autouse=True)
def limits(limit): LIMIT[:] = [limit]

@pytest.mark.accuracy_budget(max_drop=0.05)
def test_f1(score_items):
    metric = F1()
    value = score_items(predicted, X, batch_size=50, metric=metric)
    assert 0 <= value < 1 and metric.seen == []

@pytest.mark.accuracy_budget(max_drop=0.05, of="these")
def test_function(score_items):
    share = lambda predictions, references: sum(p == r for p, r in zip(predictions, references)) / len(references)
    assert score_items(predicted, X, batch_size=50, metric=share) <= 0.5
"""
    result = ran(mlp_project, body, "--cpu-backends=twin,off", passed=2, failed=2)
    result.stdout.re_match_lines([r"off: F1 dropped by .* \(95 % bounds .*; 200 items\), allowed 0.05"])
    found = accuracies(mlp_project)
    assert found["test_f1[twin]"]["drop"] == 0
    assert found["test_f1[twin]"]["metric"] == "F1"
    assert found["test_f1[off]"]["flipped"]


MISTAKES = {
    "score_items(one, [1], batch_size=0)": "*(batch_size=): 0 is no number of items; write 32, *",
    "score_items(one, [1], batch_size=True)": "*(batch_size=): True is no number of items; *",
    "score_items(one, [1], stop_early=1)": "*(stop_early=): 1 is neither True nor False*",
    "score_items(one, [1], stop_early=True, metric=max)": "*(stop_early=): metric= needs the answers to all items; *",
    "score_items(one, [1], metric='f1')": "*(metric=): 'f1' is no metric; give an object with update(), *",
    "score_items(one, [1], metric=F1)": "*(metric=): F1 is a class; give an object of it, F1(...)*",
    "score_items(one, [1], metric=lambda y_true, y_pred: 1)": "*takes y_true first; write metric=lambda predictions, *",
    "score_items(one, [1, 2], metric=lambda p, r: 1)": "*returned a float 1.0 for item 0, under twin; with metric= *",
    "score_items(pair, [1, 2], metric=lambda p, r: {'a': 1, 'b': 2})": "*returned 2 values (a, b); say which one *",
    "score_items(lambda m, x: (one(m, x), 10**400)[1], [1])": "*item 0 scored inf under *; return a finite number",
    "score_items(pair, [1, 2], metric=lambda p, r: None)": "*the metric returned None; return one number, *",
    "score_items(pair, [1, 2], metric=lambda p, r: math.nan)": "*the metric is nan under the backend; it has to be *",
    "score_items(lambda m, xs: one(m, xs), [1, 2, 3], batch_size=2)": "*returned a float 1.0 for a batch of 2 items*",
    "score_items(lambda m, xs: [one(m, xs)], [1, 2, 3], batch_size=2)": "*returned 1 value for a batch of 2 items, *",
    "score_items(lambda m, xs: m(X[:3])[:, 0], [1, 2], batch_size=2)": "*a Tensor of shape 3 for a batch of 2 items, *",
    "score_items(lambda m, xs: m(X[:2]), [1, 2], batch_size=2)": "*returned a Tensor of shape 4 for item 0, under *",
    "score_items(lambda m, xs: m(X[:2]).sum() and None, [1, 2], batch_size=2)": "*returned None for a batch of 2 *",
    "score_items(lambda m, xs: {'score': one(m, xs)}, [1], batch_size=2)": "*returned a dict * for a batch of 1 *",
    "score_items(lambda m, xs: [one(m, x) * math.nan for x in xs], [1], batch_size=2)": "*item 0 scored nan under *",
    "score_items(one, {'train': [1], 'test': [2]})": "*in the place of the items; give one of its parts (train, *",
    "score_items(one, {})": "*a dict stands in the place of the items; it is empty; give *in a list",
    "score_items(one, torch.utils.data.DataLoader(X, batch_size=8))": "*gives batches, not items; give its .dataset, *",
    "score_items(one, [1]); score_items(pair, [1], metric=lambda p, r: 1)": "*was called before in this test; *",
}


def test_what_cannot_be_scored_is_one_line(mlp_project: pytest.Pytester) -> None:
    """All in one run: each test says in its own line what is wrong."""
    tests = "".join(f"\ndef test_{number}(score_items):\n    {body}\n" for number, body in enumerate(MISTAKES))
    body = f"""
def one(model, item):
    model(X[:1])
    return 1.0

def pair(model, item):
    return one(model, item), 1
{tests}"""
    result = ran(mlp_project, body, "--cpu-backends=twin", failed=len(MISTAKES))
    assert "Traceback" not in result.stdout.str()
    assert "pytest_cpuaccel/" not in result.stdout.str()
    result.stdout.fnmatch_lines([f"score_items{words}" for words in MISTAKES.values()], consecutive=False)


def test_metrics_of_torchmetrics_and_rows_of_datasets(mlp_project: pytest.Pytester) -> None:
    pytest.importorskip("torchmetrics")
    pytest.importorskip("datasets")
    body = """
import datasets
from torchmetrics.classification import BinaryF1Score

def predicted(model, rows):
    return [(model(torch.tensor(row["x"])[None]).argmax() > 1, row["label"]) for row in rows]

@pytest.mark.accuracy_budget(max_drop=0.1)
def test_it(score_items):
    rows = datasets.Dataset.from_dict({"x": X[:60].tolist(), "label": [True] * 60})
    assert score_items(predicted, rows, batch_size=32, metric=BinaryF1Score()) > 0
"""
    ran(mlp_project, body, "--cpu-backends=twin", passed=1)
