"""``score_items`` with data sets of ``datasets``, in the forms that these have."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from pytest_cpuaccel.core.errors import UsageError
from pytest_cpuaccel.evaluation.scored_items import ScoredItems

datasets = pytest.importorskip("datasets")

COUNT = 20
FORMS: dict[str, Callable[[Any], Any]] = {
    "plain": lambda data: data,
    "map": lambda data: data.map(lambda row: {"label": row["label"]}, load_from_cache_file=False),
    "torch": lambda data: data.with_format("torch"),
    "transform": lambda data: data.with_transform(dict),
    "select": lambda data: data.shuffle(seed=0).select(range(COUNT)).sort("label"),
    "stream": lambda data: data.to_iterable_dataset(num_shards=3),
    "mapped stream": lambda data: data.to_iterable_dataset().map(dict).with_format("torch"),
}


@pytest.fixture
def data() -> Any:
    return datasets.Dataset.from_dict({"x": [[float(place), 1.0] for place in range(COUNT)], "label": [*range(COUNT)]})


@pytest.mark.parametrize("form", FORMS)
def test_rows_are_read_by_their_places_each_as_a_dict(data: Any, form: str) -> None:
    items = ScoredItems.of(FORMS[form](data))
    rows = items.at([3, 0, COUNT - 1])
    assert items.count == COUNT
    assert [type(row) for row in rows] == [dict] * 3
    assert [int(row["label"]) for row in rows] == [3, 0, COUNT - 1]
    assert [torch.as_tensor(row["x"]).tolist() for row in rows] == [[3, 1], [0, 1], [COUNT - 1, 1]]


def test_what_goes_through_names_is_refused_with_what_would_do(data: Any) -> None:
    for several in (datasets.DatasetDict, datasets.IterableDatasetDict):
        with pytest.raises(
            UsageError, match=rf"an? {several.__name__} stands .*; give one of its splits \(train, test\)$"
        ):
            ScoredItems.of(several({"train": data, "test": data}))
    with pytest.raises(UsageError, match=r"for a slice data\[:7\] of a data set give data\.select\(range\(7\)\)"):
        ScoredItems.of(data[:7])
    with pytest.raises(UsageError, match="there are no items to score"):
        ScoredItems.of(data.select([]))


def test_batches_are_scored_and_each_row_counts(mlp_project: pytest.Pytester) -> None:
    mlp_project.makepyfile(
        """
        import datasets, pytest, torch

        def is_right(model, rows):
            assert isinstance(rows, list)
            found = model(torch.stack([row["x"] for row in rows])).argmax(-1)
            return found == found, [row["label"] for row in rows]

        @pytest.mark.parametrize("is_stream", [False, True])
        @pytest.mark.accuracy_budget(max_drop=0.1)
        def test_it(score_items, is_stream):
            data = datasets.Dataset.from_dict({"x": torch.randn(40, 16).tolist(), "label": list(range(40))})
            data = data.to_iterable_dataset() if is_stream else data
            assert len(score_items(is_right, data.with_format("torch"), batch_size=16)) == 40
        """
    )
    mlp_project.runpytest_inprocess("--cpu-backends=twin").assert_outcomes(passed=2)
