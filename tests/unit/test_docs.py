"""The documentation covers everything that a user can set, and its links lead somewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pytest_cpuaccel.backends.registry import BUILTIN
from pytest_cpuaccel.plugin import fixtures
from pytest_cpuaccel.plugin.marks.names import DECLARATIONS
from pytest_cpuaccel.plugin.options import OPTIONS, Option

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = [*ROOT.glob("*.md"), *DOCS.rglob("*.md")]
FIXTURES = sorted(
    name for name, value in vars(fixtures).items() if name[0] != "_" and type(value) is type(fixtures.cpu_model)
)


def text_of(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def rows(page: Path) -> list[list[str]]:
    """The cells of every row of a page's tables."""
    cells = (re.split(r"(?<!\\)\|", line)[1:-1] for line in text_of(page).splitlines() if line.startswith("| "))
    return [[cell.strip() for cell in row] for row in cells]


def section(page: Path, heading: str) -> str:
    """A page's text from a heading to the next one of its level."""
    level = heading.split(" ")[0]
    _, _, below = text_of(page).partition(f"\n{heading}\n")
    return below.partition(f"\n{level} ")[0]


def anchors(page: Path) -> set[str]:
    """What GitHub calls the headings of a page in addresses."""
    headings = re.findall(r"^#+ (.+)$", text_of(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def links(page: Path) -> list[str]:
    """The targets of a page's links within the repository; code is none."""
    prose = re.sub(r"```.*?```|`[^`\n]*`", "", text_of(page), flags=re.DOTALL)
    return [target for target in re.findall(r"\]\(([^)\s]+)\)", prose) if "://" not in target]


@pytest.fixture(scope="module")
def headings() -> list[str]:
    pages = (DOCS / "backends").glob("*.md")
    return [name for page in pages for name in re.findall(r"^## `(.+)`$", text_of(page), re.MULTILINE)]


@pytest.mark.parametrize("name", [backend.name for backend in BUILTIN])
def test_every_backend_is_described_once(name: str, headings: list[str]) -> None:
    assert headings.count(name) == 1


def test_no_page_describes_a_backend_that_is_not_there(headings: list[str]) -> None:
    assert set(headings) <= {backend.name for backend in BUILTIN}


def test_the_table_of_backends_names_each_once_and_no_other() -> None:
    listed = [name for row in rows(DOCS / "backends.md") for name in re.findall("`(.+?)`", row[0])]
    assert sorted(listed) == sorted(backend.name for backend in BUILTIN)


@pytest.mark.parametrize("option", OPTIONS, ids=lambda option: option.name)
def test_every_option_is_in_the_table_with_its_twin_and_default(option: Option) -> None:
    flag = f"{option.flag}={option.metavar}" if option.metavar else option.flag
    row = next(row for row in rows(DOCS / "options.md") if row[0].replace("\\", "") == f"`{flag}`")
    assert row[1] == f"`{option.ini}`"
    assert not option.default or row[3] == f"`{option.default}`"


def test_the_table_of_options_has_no_other() -> None:
    listed = re.findall(r"`--cpu-([a-z-]+)", " ".join(row[0] for row in rows(DOCS / "options.md")))
    assert listed == [option.name for option in OPTIONS]


@pytest.mark.parametrize("declaration", DECLARATIONS, ids=lambda declaration: declaration.partition("(")[0])
def test_every_mark_is_described_with_its_arguments(declaration: str) -> None:
    mark, _, arguments = declaration.partition("):")[0].partition("(")
    described = section(DOCS / "marks.md", f"## `@pytest.mark.{mark}`")
    listed = {found for line in described.splitlines() for found in re.findall(r"`(\w+)=", line.split(" | ")[0])}
    assert listed == set(re.findall(r"(\w+)=", arguments))


@pytest.mark.parametrize("name", FIXTURES)
def test_every_fixture_is_in_the_table(name: str) -> None:
    assert [row[0] for row in rows(DOCS / "fixtures.md")].count(f"`{name}`") == 1


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page: Path) -> None:
    for link in links(page):
        name, _, anchor = link.partition("#")
        target = page.parent / name if name else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


def test_every_page_is_reached_from_the_readme() -> None:
    reached, pending = set(), [ROOT / "README.md"]
    while pending:
        page = pending.pop().resolve()
        if page in reached:
            continue
        reached.add(page)
        for link in links(page):
            target = page.parent / link.partition("#")[0]
            pending += target.glob("*.md") if target.is_dir() else [target] if target.suffix == ".md" else []
    assert {page.resolve() for page in DOCS.rglob("*.md")} <= reached


def test_the_readme_shows_a_run_in_its_first_thirty_lines() -> None:
    first = text_of(ROOT / "README.md").splitlines()[:30]
    assert any(line.startswith("$ tox run") for line in first)
    assert any(line.endswith("PASS") for line in first)


def test_the_readme_gives_the_test_command() -> None:
    command = "python3.11 -m venv .venv && .venv/bin/pip install tox && .venv/bin/tox run -m tests"
    assert command in text_of(ROOT / "README.md").splitlines()
