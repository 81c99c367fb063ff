"""The HTML report: one page without scripts or links, the table with a bar for every speed-up."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from html import escape

from pytest_cpuaccel.core.measurement.latency import LatencyMeasurement
from pytest_cpuaccel.core.verdict import Outcome
from pytest_cpuaccel.report.report import Environment, Report
from pytest_cpuaccel.report.row import Row
from pytest_cpuaccel.report.table import table

_STYLE = """
:root { color-scheme: light dark; --line: #8884; --pass: #2a7d4f; --fail: #c0362c; --unsure: #a06a00; }
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 100rem; padding: 0 1rem; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: .35rem .7rem; border-bottom: 1px solid var(--line); white-space: nowrap; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .1rem 1rem; margin: 0 0 2rem; }
dt { opacity: .65; } dd { margin: 0; }
.PASS { color: var(--pass); } .FAIL { color: var(--fail); } .INCONCLUSIVE { color: var(--unsure); }
.found { white-space: pre-wrap; margin: .3rem 0; }
svg { vertical-align: middle; }
.wide { overflow-x: auto; }
text { font-size: 11px; fill: currentColor; opacity: .65; }
.axis { stroke: var(--line); }
.bar { stroke: currentColor; stroke-width: 8; opacity: .3; }
.interval { stroke: currentColor; stroke-width: 2; }
"""

_WIDTH, _GREATEST = 160, 4.0
"""Pixels of a bar's scale, and the speed-up at its right end; twice as fast and half as fast are equally far out."""


def html(report: Report) -> str:
    """Return the report as one self-contained page."""
    return "\n".join(
        (
            '<!doctype html><html lang="en"><meta charset="utf-8"><title>CPU backends</title>',
            f"<style>{_STYLE}</style><h1>CPU backends</h1>",
            *_environment(report.environment),
            *_table(report.rows),
            *_not_passed(report.rows),
            "</html>\n",
        )
    )


def _environment(environment: Environment) -> Iterator[str]:
    yield "<dl>"
    for name, value in environment.items():
        text = value if isinstance(value, str) else ", ".join(value) if isinstance(value, Sequence) else str(value)
        yield f"<dt>{escape(name)}</dt><dd>{escape(text)}</dd>"
    yield "</dl>"


def _table(rows: Sequence[Row]) -> Iterator[str]:
    headings, lines = table(rows)
    yield '<div class="wide">'
    yield f"<table><tr>{''.join(f'<th>{escape(name)}</th>' for name in headings)}<th>{_scale()}</th></tr>"
    for row, line in zip(rows, lines, strict=True):
        cells = "".join(f"<td>{escape(cell)}</td>" for cell in line[:-1])
        verdict = f'<td class="{row.verdict.partition(" ")[0]}">{escape(line[-1])}</td>'
        yield f'<tr title="{escape(row.test)}">{cells}{verdict}<td>{_bar(row)}</td></tr>'
    yield "</table></div>"


def _not_passed(rows: Sequence[Row]) -> Iterator[str]:
    for outcome in (Outcome.FAIL, Outcome.INCONCLUSIVE):
        for row in rows:
            for verdict in row.verdicts(outcome):
                text = escape(f"{row.test}\n{verdict.sentence}")
                yield f'<p class="found"><b class="{outcome.value}">{outcome.value}</b> {text}</p>'


def _scale() -> str:
    ends = ((0, "start", f"1/{_GREATEST:g}x"), (_x(1.0), "middle", "1x"), (_WIDTH, "end", f"{_GREATEST:g}x"))
    texts = "".join(f'<text x="{x:g}" y="11" text-anchor="{anchor}">{word}</text>' for x, anchor, word in ends)
    return f'<svg width="{_WIDTH}" height="14" aria-label="scale of the speed-ups">{texts}</svg>'


def _bar(row: Row) -> str:
    """The speed-up as a bar from 1x on a logarithmic scale, with its interval as a line in it."""
    latency = row.measured(LatencyMeasurement)
    if latency is None or latency.race is None:
        return ""
    speedup = latency.race.estimate.inverse
    if not speedup.low or speedup.high == math.inf:
        return ""
    left, right, middle, found = _x(speedup.low), _x(speedup.high), _x(1.0), _x(speedup.value)
    return (
        f'<svg width="{_WIDTH}" height="14" role="img" aria-label="{speedup.value:.2f}x">'
        f'<line class="axis" x1="{middle:.1f}" x2="{middle:.1f}" y1="0" y2="14"/>'
        f'<line class="bar" x1="{middle:.1f}" x2="{found:.1f}" y1="7" y2="7"/>'
        f'<line class="interval" x1="{left:.1f}" x2="{max(right, left + 2):.1f}" y1="7" y2="7"/></svg>'
    )


def _x(speedup: float) -> float:
    share = math.log(min(max(speedup, 1 / _GREATEST), _GREATEST)) / math.log(_GREATEST)
    return (share + 1) / 2 * _WIDTH
