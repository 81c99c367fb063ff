"""Answers of a model come back from a file as they were, and a damaged file is one line."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from pytest_cpuaccel.core.call import Answer
from pytest_cpuaccel.core.errors import UsageError
from pytest_cpuaccel.sides.answers_file import read_answers, write_answers


def test_answers_come_back(tmp_path: Path) -> None:
    logits = torch.arange(6.0).reshape(2, 3).bfloat16()
    answers = [Answer({"logits": logits.t(), "loss": None, "past": (torch.zeros(0, 3), [1, 2.5, float("nan")])})]
    write_answers([*answers, Answer(torch.tensor([True]), {"cache": torch.ones(2, dtype=torch.int8)})], tmp_path / "a")
    first, second = read_answers(tmp_path / "a")
    assert torch.equal(first.output["logits"], logits.t())
    assert first.output["logits"].dtype is torch.bfloat16
    assert first.output["loss"] is None
    assert first.output["past"][0].shape == (0, 3)
    assert first.output["past"][1][:2] == [1, 2.5]
    assert second.output.item() is True
    assert second.written["cache"].tolist() == [1, 1]


def test_what_a_file_cannot_hold_is_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="the answer is a object"):
        write_answers([Answer(object())], tmp_path / "a")


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"[]\n",
        b'{"answers": [], "tensors": {"t0": ["float32", [2]]}}\n1234',
        b'{"answers": [], "tensors": {"t0": ["float32", [-1]]}}\n',
        b'{"answers": [], "tensors": {"t0": ["object", [1]]}}\n',
        b'{"answers": [[1]], "tensors": {}}\n',
        b'{"answers": [[{"tensor": "t9"}, {}]], "tensors": {}}\n',
    ],
)
def test_a_damaged_file_is_one_line(tmp_path: Path, text: bytes) -> None:
    (tmp_path / "a").write_bytes(text)
    with pytest.raises(UsageError):
        read_answers(tmp_path / "a")
