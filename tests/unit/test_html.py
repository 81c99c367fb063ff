"""The HTML report: what stands on the page and in which order, and that nothing of a user's is read as HTML."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from pytest_cpuaccel.core.diagnosis import Diagnosis
from pytest_cpuaccel.core.measurement.crew_race import CrewRaceMeasurement
from pytest_cpuaccel.core.measurement.environment import EnvironmentMeasurement, Environments
from pytest_cpuaccel.core.measurement.latency import LatencyMeasurement
from pytest_cpuaccel.core.measurement.shown import Shown
from pytest_cpuaccel.core.result import Result
from pytest_cpuaccel.core.verdict import Outcome, Verdict
from pytest_cpuaccel.report.ending import Ending
from pytest_cpuaccel.report.report import Report
from pytest_cpuaccel.report.row import Row
from pytest_cpuaccel.report.run import Run
from tests.unit.measurements import RACE

pytest.importorskip("jinja2")

from pytest_cpuaccel.report.html_file import html

RUN = Run(
    id="0",
    started="2026-03-01T13:30:00+02:00",
    command="pytest --cpu-backends=ort",
    commit="0123456789abcdef",
    changed=True,
    seconds=370.4,
)
VOID = {"meta", "input", "rect", "line", "path"}
STYLE = Path(__file__).parents[2] / "pytest_cpuaccel" / "report" / "html" / "templates" / "style.css"


@dataclass
class Element:
    tag: str
    attributes: dict[str, str]
    inner: list[Element | str] = field(default_factory=list)

    @property
    def text(self) -> str:
        texts = (part if isinstance(part, str) else part.text for part in self.inner if _is_read(part))
        return " ".join(" ".join(texts).split())

    @property
    def classes(self) -> list[str]:
        return self.attributes.get("class", "").split()

    def all(self, tag: str, of_class: str = "") -> list[Element]:
        return [each for each in self.walk() if each.tag == tag and (not of_class or of_class in each.classes)]

    def walk(self) -> Iterator[Element]:
        for part in self.inner:
            if isinstance(part, Element):
                yield part
                yield from part.walk()


def _is_read(part: Element | str) -> bool:
    return isinstance(part, str) or (part.tag != "style" and part.attributes.get("aria-hidden") != "true")


class Parser(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open = [Element("page", {})]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = Element(tag, {name: value or "" for name, value in attrs})
        self.open[-1].inner.append(element)
        if tag not in VOID:
            self.open.append(element)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop().tag == tag

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.open[-1].inner.append(Element(tag, {name: value or "" for name, value in attrs}))

    def handle_data(self, data: str) -> None:
        self.open[-1].inner.append(data)


def page_of(*rows: Row, run: Run = RUN) -> Element:
    parser = Parser()
    parser.feed(html(Report(run, {"cpu": "A CPU", "versions": ["torch 2.13.0"]}, rows)))
    (page,) = parser.open
    return page


def row(
    *verdicts: Verdict, backend: str = "ort", test: str = "test_it", outcome: str = "passed", model: str = "Net"
) -> Row:
    return Row(f"t.py::{test}[{backend}]", outcome, Result(model, backend, "forward 2x16", verdicts))


def ended(kind: str, reason: str, outcome: str, *, backend: str = "ort", test: str = "test_it") -> Row:
    return Row(f"t.py::{test}[{backend}]", outcome, Result("Net", backend, "", ()), Ending(kind, reason))


def raced(outcome: Outcome, ratio: float, pairs: Sequence[tuple[float, float]] = RACE.pairs_ns) -> Verdict:
    race = replace(RACE, ratio=ratio, interval=(ratio * 0.9, ratio * 1.1), pairs_ns=tuple(pairs))
    return Verdict("latency", outcome, "ort: so fast", measurement=LatencyMeasurement("eager", race))


PASS = Verdict("parity", Outcome.PASS, "ort: equal")
FAIL = Verdict(
    "parity",
    Outcome.FAIL,
    "ort: 'logits' is off by 3, allowed 1",
    evidence=("output: 2 of 2 elements differ", "  worst at [0, 0]"),
    diagnoses=(Diagnosis("hint", "eager's times 3"),),
    notes=("a note",),
)
OPEN = Verdict("latency", Outcome.INCONCLUSIVE, "ort: 3 pairs did not tell")


def lines_of(page: Element) -> list[tuple[str, str]]:
    """Return backend and verdict of each row of the table."""
    return [(line.all("th")[0].text, line.all("td", "verdict")[0].text) for line in page.all("tr", "row")]


def test_what_failed_and_why_comes_first_then_totals_then_the_table() -> None:
    page = page_of(row(PASS, backend="eager"), row(FAIL, outcome="failed"))
    assert page.all("h1")[0].text == "1 of 2 tests failed"
    headings = [heading.text for heading in page.all("h2")]
    assert headings == ["What failed, and why", "Totals", "Results", "Machine and versions"]
    (card,) = page.all("article")
    for line in (
        "'logits' is off by 3, allowed 1",
        *FAIL.evidence,
        "hint: eager's times 3",
        "a note",
        "t.py::test_it[ort]",
        "FAIL parity",
    ):
        assert line.strip() in card.text
    assert [each.text for each in page.all("ul", "totals")[0].all("li")] == ["1 PASS", "1 FAIL"]
    assert lines_of(page) == [("eager", "PASS"), ("ort", "FAIL parity")]


def test_the_run_is_told_of_and_the_machine_is_folded_away() -> None:
    page = page_of(row(PASS))
    header = page.all("header")[0].text
    for fact in ("2026-03-01 11:30:00 UTC", "6 min 10 s", "0123456789ab with changes", RUN.command):
        assert fact in header
    (machine,) = [each for each in page.all("details") if "A CPU" in each.text]
    assert "open" not in machine.attributes
    assert "torch 2.13.0" in machine.text


def test_what_is_not_known_of_a_run_is_left_out() -> None:
    header = page_of(row(PASS), run=replace(RUN, commit=None, seconds=None)).all("header")[0].text
    assert "commit" not in header
    assert "took" not in header


def test_rows_without_a_verdict_show_their_reason() -> None:
    page = page_of(
        row(PASS, backend="eager"),
        ended("refused", "ort: no such operator", "failed"),
        ended("skipped", "not today", "skipped", backend="bf16"),
    )
    reasons = [line.text for line in page.all("tr", "row")]
    assert "no such operator" in reasons[1]
    assert "not today" in reasons[2]
    assert [card.text for card in page.all("article") if "no such operator" in card.text]


def test_an_expected_failure_is_no_failure() -> None:
    page = page_of(row(FAIL, outcome="xfailed"), ended("failed", "ValueError: known", "xfailed", test="test_other"))
    assert page.all("h1")[0].text == "No test failed"
    assert "What failed, and why" not in page.text
    assert [each.text for each in page.all("ul", "totals")[0].all("li")] == ["2 xfail"]
    assert not page.all("tr", "fail")
    assert ["'logits' is off by 3" in card.text or "known" in card.text for card in page.all("article", "quiet")] == [
        True,
        True,
    ]


def test_a_refusal_that_skips_its_test_is_no_failure_and_shows_its_reason() -> None:
    page = page_of(row(PASS, backend="eager"), ended("refused", "ort: no such operator", "skipped"))
    assert page.all("h1")[0].text == "No test failed"
    assert [each.text for each in page.all("ul", "totals")[0].all("li")] == ["1 PASS", "1 refused and skipped"]
    assert "no such operator" in page.all("tr", "quiet")[0].text


def test_an_undecided_verdict_has_its_sentence_and_no_failure() -> None:
    page = page_of(row(OPEN))
    assert page.all("h1")[0].text == "No test failed, 1 result not decided"
    assert "3 pairs did not tell" in page.all("article", "unsure")[0].text


def test_an_undecided_verdict_that_fails_its_test_stands_among_the_failures() -> None:
    page = page_of(row(OPEN, outcome="failed"))
    assert page.all("h1")[0].text == "1 of 1 test failed"
    assert "3 pairs did not tell" in page.all("article", "fail")[0].text


def test_a_test_that_failed_in_spite_of_its_verdicts_stands_among_the_failures() -> None:
    page = page_of(row(PASS, outcome="failed"))
    assert "t.py::test_it[ort]" in page.all("article", "fail")[0].text


def test_tests_that_are_refused_for_one_reason_share_a_card_and_keep_their_rows() -> None:
    refused = (("a", "ort"), ("b", "ort"), ("b", "openvino"))
    rows = (ended("refused", f"{by}: no such operator", "failed", backend=by, test=f"test_{of}") for of, by in refused)
    page = page_of(*rows)
    (card,) = page.all("article")
    assert card.text.startswith("refused ort, openvino Net no such operator")
    assert all(f"t.py::test_{of}[{by}]" in card.text for of, by in refused)
    assert lines_of(page) == [(by, "refused") for _, by in refused]
    assert {link.attributes["href"] for link in page.all("a")} == {f"#{card.attributes['id']}"}


def test_a_group_has_one_heading_with_model_and_call() -> None:
    page = page_of(row(PASS, backend="eager"), row(PASS), ended("skipped", "no", "skipped", backend="bf16"))
    assert [heading.text for heading in page.all("tr", "group")] == ["Net forward 2x16"]


def test_tests_and_models_stand_apart() -> None:
    page = page_of(row(PASS), row(PASS, model="Other"), row(PASS, test="test_other"))
    headings = [heading.text for heading in page.all("tr", "group")]
    assert headings == ["Net forward 2x16 test_it", "Other forward 2x16 test_it", "Net forward 2x16 test_other"]


@pytest.mark.parametrize(
    ("outcome", "colour"), [(Outcome.PASS, "pass"), (Outcome.FAIL, "fail"), (Outcome.INCONCLUSIVE, "unsure")]
)
def test_a_bar_has_the_colour_of_the_verdict_on_the_speed(outcome: Outcome, colour: str) -> None:
    (cell,) = [cell for cell in page_of(row(PASS, raced(outcome, 0.5))).all("td") if cell.all("rect")]
    assert colour in cell.classes
    assert "2.00x [1.82, 2.22]" in cell.text


def test_another_environment_comes_first_with_a_bar_and_both_medians() -> None:
    levels: tuple[float, ...] = ()
    race = CrewRaceMeasurement(1.25, (1.2, 1.3), levels, levels, 4, 20, 9.0, 291e3, 215e3, 1.2, 0.0, 1, 0, Shown.ABOVE)
    measured = EnvironmentMeasurement(Environments("this environment", "old"), 1.05, race)
    slower = Verdict("environment", Outcome.FAIL, "ort: 1.25x as long as with old", measurement=measured)
    page = page_of(row(raced(Outcome.PASS, 0.5), slower))
    first, *_ = [cell for cell in page.all("td") if cell.all("rect")]
    assert "fail" in first.classes
    assert "1.25x [1.20, 1.30] as long, 291 us against 215 us" in first.text


def test_bars_begin_at_1x_and_twice_as_fast_is_as_long_as_half_as_fast() -> None:
    page = page_of(row(raced(Outcome.PASS, 0.5)), row(raced(Outcome.PASS, 2.0), backend="bf16"))
    faster, slower = page.all("rect")
    (one,) = {line.attributes["x1"] for line in page.all("line", "axis")}
    assert float(faster.attributes["x"]) == float(one)
    assert float(slower.attributes["x"]) + float(slower.attributes["width"]) == pytest.approx(float(one))
    assert faster.attributes["width"] == slower.attributes["width"]


def test_where_nothing_was_raced_there_is_no_plot() -> None:
    assert not page_of(row(PASS), row(FAIL, outcome="failed", backend="bf16")).all("svg")


def test_thousands_of_pairs_are_told_in_words_and_take_little_room() -> None:
    pairs = [(1e6 * (1 + (place % 97) / 100), 2e6) for place in range(5000)]
    few, many = (len(html(Report(RUN, {}, [row(raced(Outcome.PASS, 0.7, given))]))) for given in (pairs[:2], pairs))
    assert many - few < 1000
    (plot,) = page_of(row(raced(Outcome.PASS, 0.7, pairs))).all("svg")[-1:]
    assert plot.attributes["role"] == "img"
    assert plot.attributes["aria-label"].startswith("5000 pairs: median 1.35x, half of them from 1.16x to 1.61x")


def test_a_few_pairs_are_drawn_one_by_one() -> None:
    plot = page_of(row(raced(Outcome.PASS, 1.07))).all("svg")[-1]
    assert plot.all("path")[0].attributes["d"].count("M") == len(RACE.pairs_ns)


def test_equal_pairs_have_a_plot() -> None:
    for count in (2, 100):
        assert (
            "all from 1.00x to 1.00x"
            in page_of(row(raced(Outcome.PASS, 1.0, [(5.0, 5.0)] * count))).all("svg")[-1].text
        )


def test_a_large_run_stays_small() -> None:
    pairs = [(1e6 * (1 + (place % 97) / 100), 2e6) for place in range(300)]
    rows = [
        row(raced(Outcome.PASS, 0.7, pairs), backend=f"b{at}", test=f"test_{of}")
        for of in range(60)
        for at in range(10)
    ]
    assert len(html(Report(RUN, {}, rows))) < 600 * 3500


HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)",
    "{{ 7 * 7 }} {% raw %}",
    "größe 模型 " + "long" * 200,
    "line\nbreak",
    "\x1b[31mred\x1b[0m \x00\x07",
    "lone \udcff",
)


@pytest.mark.parametrize("given", HOSTILE)
def test_nothing_of_a_users_is_read_as_html(given: str) -> None:
    verdict = replace(FAIL, sentence=given, evidence=(given,), diagnoses=(Diagnosis("hint", given),), notes=(given,))
    rows = [
        Row(f"t.py::test[{given}]", "failed", Result(given, given, given, (verdict,))),
        Row(f"t.py::other[{given}]", "failed", Result(given, given, "", ()), Ending("refused", given)),
        Row(f"t.py::third[{given}]", "xfailed", Result(given, given, given, (verdict, raced(Outcome.PASS, 1.0)))),
    ]
    text = html(Report(replace(RUN, command=given), {given: given}, rows))
    text.encode("utf-8")
    assert not re.search(r"[\x00-\x08\x0b-\x1f]", text)
    parser = Parser()
    parser.feed(text)
    (page,) = parser.open
    assert not {each.tag for each in page.walk()} & {"script", "img", "link", "iframe", "object"}
    assert not [name for each in page.walk() for name in each.attributes if name.startswith("on") or name == "src"]
    assert all(link.attributes["href"].startswith("#failure-") for link in page.all("a", "")[:2])
    said = re.sub(r"\x1b\[\d+m|[\x00\x07]", "", given).replace("\udcff", "\ufffd")
    assert " ".join(said.split()) in page.all("article", "fail")[0].text


@pytest.mark.parametrize("rows", [(), (ended("not judged", "no mark", "passed"),)])
def test_a_run_that_judged_nothing_says_so(rows: tuple[Row, ...]) -> None:
    page = page_of(*rows)
    assert page.all("h1")[0].text == "Nothing was judged"
    assert len(page.all("tr", "row")) == len(rows)


def test_the_page_fits_a_telephone_and_follows_the_systems_colours() -> None:
    page = page_of(row(PASS))
    assert {"name": "viewport", "content": "width=device-width, initial-scale=1"} in [
        each.attributes for each in page.all("meta")
    ]
    style = page.all("style")[0].inner[0]
    assert "prefers-color-scheme: dark" in style
    assert "position: sticky" in style


def _colours(block: str) -> dict[str, str]:
    return dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", block))


def _luminance(colour: str) -> float:
    parts = (int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _contrast(one: str, other: str) -> float:
    lighter, darker = sorted(map(_luminance, (one, other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


@pytest.mark.parametrize("scheme", [0, 1, 2])
def test_texts_stand_out_from_what_is_behind_them(scheme: int) -> None:
    colours = _colours(re.findall(r":root \{(.*?)\}", STYLE.read_text(), re.DOTALL)[(0, 1, 3)[scheme]])
    behind = {
        **dict.fromkeys(("ink", "muted", "quiet"), ("page", "panel")),
        **{name: ("page", "panel", f"{name}-tint") for name in ("pass", "fail", "unsure", "quiet")},
    }
    pairs = {
        (name, place): _contrast(colours[name], colours[place]) for name, places in behind.items() for place in places
    }
    assert {pair: ratio for pair, ratio in pairs.items() if ratio < 4.5} == {}


def test_the_failure_of_a_run_in_which_no_test_failed_heads_the_page() -> None:
    refused = Row("a", "skipped", Result("Net", "ort", "", ()), Ending("refused", "ort: no kernel"))
    text = html(Report(RUN, {}, [refused], ["ort refused <all>"]))
    assert '<h1 class="failed">The run failed</h1>' in text
    assert "<p>The run fails: ort refused &lt;all&gt;</p>" in text
