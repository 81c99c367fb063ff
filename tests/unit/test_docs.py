"""What the documentation promises to cover."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pytest_cpuaccel.backends.registry import BUILTIN

PAGES = Path(__file__).parents[2] / "docs" / "backends"


@pytest.fixture(scope="module")
def headings() -> list[str]:
    return [name for page in PAGES.glob("*.md") for name in re.findall(r"^## `(.+)`$", page.read_text(), re.MULTILINE)]


@pytest.mark.parametrize("name", [backend.name for backend in BUILTIN])
def test_every_backend_is_described_once(name: str, headings: list[str]) -> None:
    assert headings.count(name) == 1


def test_no_page_describes_a_backend_that_is_not_there(headings: list[str]) -> None:
    assert set(headings) <= {backend.name for backend in BUILTIN}
