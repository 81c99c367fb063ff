"""The page of the support matrix."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pytest_cpuaccel.core.errors import UsageError
from pytest_cpuaccel.support_matrix.cell import Cell, Status, worst
from pytest_cpuaccel.support_matrix.page import page
from pytest_cpuaccel.support_matrix.record import Record
from pytest_cpuaccel.zoo.architectures import ARCHITECTURES

CELLS = [
    Cell("whisper", "openvino", Status.RIGHT, "1.3x fp32 rounding"),
    Cell("whisper", "ort", Status.UNSUPPORTED, reason="no operator"),
    Cell("bert", "openvino", Status.WRONG, reason="'logits' is off"),
    Cell("bert", "ort", Status.UNSUPPORTED, reason="no operator"),
]


def rows(text: str) -> list[str]:
    return [line.replace(" ", "") for line in text.splitlines()]


def test_a_model_is_found_by_family_and_name_and_its_answer_by_backend() -> None:
    found = rows(page(CELLS, ARCHITECTURES, ["ort", "openvino"], {"python": "3.11"}))
    whisper = found[found.index("##Seq2seq") :]
    assert whisper.index("||whisper|") < whisper.index("|ort|no[2](#reasons)|") < whisper.index("|openvino|yes|")


def test_equal_reasons_are_said_once_with_all_their_places_the_worst_first() -> None:
    text = page(CELLS, ARCHITECTURES, ["ort", "openvino"], {})
    assert "1. openvino: bert: `'logits' is off`\n2. ort: whisper, bert: `no operator`\n" in text


def test_the_page_counts_every_status() -> None:
    found = rows(page(CELLS, ARCHITECTURES, ["ort", "openvino"], {}))
    counts = {line.split("|")[1]: line.split("|")[2] for line in found if line.count("|") == 4}
    assert {word: counts[word] for word in ("yes", "partly", "no", "**crash**", "**wrong**")} == {
        "yes": "1",
        "partly": "0",
        "no": "2",
        "**crash**": "0",
        "**wrong**": "1",
    }


def test_wrong_outweighs_all_else() -> None:
    assert worst(Status) is Status.WRONG
    assert worst([Status.LIMITED, Status.UNSUPPORTED, Status.RIGHT]) is Status.UNSUPPORTED
    assert worst([]) is Status.RIGHT


def test_a_record_of_the_same_environment_is_continued(tmp_path: Path) -> None:
    path = tmp_path / "cells.json"
    for cell in CELLS[:2]:
        Record(path, {"versions": ["torch 2"]}).add(cell)
    again = Cell("whisper", "ort", Status.RIGHT)
    continued = Record(path, {"versions": ["torch 2"]})
    continued.add(again)
    assert continued.cells == [CELLS[0], again]
    assert len(json.loads(path.read_text())["cells"]) == 2


def test_a_record_of_another_environment_is_not_written_over(tmp_path: Path) -> None:
    path = tmp_path / "cells.json"
    Record(path, {"versions": ["torch 2"], "threads": 1}).add(CELLS[0])
    with pytest.raises(UsageError, match=r"was measured with versions \['torch 2'\], here \['torch 3'\]; name another"):
        Record(path, {"versions": ["torch 3"], "threads": 1})


def test_a_broken_record_is_named(tmp_path: Path) -> None:
    path = tmp_path / "cells.json"
    path.write_text("{")
    with pytest.raises(UsageError, match=r"cells\.json can't be read as a matrix"):
        Record(path, {})


def test_reasons_that_differ_in_the_models_name_alone_are_one() -> None:
    cells = [
        Cell("bert", "sdpa", Status.UNSUPPORTED, reason="BertForSequenceClassification has none"),
        Cell("gpt2", "sdpa", Status.UNSUPPORTED, reason="GPT2LMHeadModel has none"),
    ]
    assert "1. sdpa: bert, gpt2: `the model has none`\n" in page(cells, ARCHITECTURES, ["sdpa"], {})
