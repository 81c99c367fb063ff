"""The plots of the page, as SVG files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.gates.condition import CONDITIONS
from benchmarks.gates.plan import LIMIT, OURS
from benchmarks.gates.tally import Tally
from benchmarks.gates.trial import Trial
from pytest_cpuaccel.core.verdict import Outcome

_STABLE = {"svg.fonttype": "none", "svg.hashsalt": "gates", "font.size": 8}
"""Text stays text, which is small; nothing random, so that the same results give the same file."""


def draw(trials: Sequence[Trial], folder: Path) -> list[Path]:
    """Write the plots into a folder and return their paths."""
    ordinary = [trial for trial in trials if trial.cell.limit == LIMIT]
    if not ordinary:
        return []
    folder.mkdir(parents=True, exist_ok=True)
    mpl.use("Agg")
    with mpl.rc_context(_STABLE):
        return [
            _save(_detection(ordinary), folder / "detection.svg"),
            _save(_seconds(ordinary), folder / "seconds.svg"),
        ]


def _detection(trials: Sequence[Trial]) -> Figure:
    """Share of FAIL against the slowdown, a panel for each condition; with bounds for our gate."""
    conditions = [name for name in CONDITIONS if any(trial.cell.condition == name for trial in trials)]
    gates = list(dict.fromkeys(trial.ruling.gate for trial in trials))
    figure, panels = plt.subplots(
        1, len(conditions), figsize=(2.6 * len(conditions) + 1.8, 2.8), sharey=True, squeeze=False
    )
    for panel, condition in zip(panels[0], conditions, strict=True):
        for place, gate in enumerate(gates):
            here = [trial for trial in trials if trial.cell.condition == condition and trial.ruling.gate == gate]
            if here:
                _curve(panel, here, gate, place)
        panel.axvline(LIMIT, color="grey", linewidth=0.6, linestyle=":")
        panel.set(title=condition, xlabel="slowdown, %", ylim=(-3, 103))
    panels[0][0].set_ylabel("FAIL, %")
    lines = {line.get_label(): line for panel in panels[0] for line in panel.lines if line.get_label() in gates}
    figure.legend([lines[gate] for gate in gates], gates, loc="center right", frameon=False)
    figure.tight_layout(rect=(0, 0, 1 - 1.8 / figure.get_figwidth(), 1))
    return figure


def _curve(panel: Axes, trials: Sequence[Trial], gate: str, place: int) -> None:
    slowdowns = sorted({trial.cell.slowdown for trial in trials})
    shares = [
        Tally.of(trial.ruling for trial in trials if trial.cell.slowdown == slowdown).share(Outcome.FAIL)
        for slowdown in slowdowns
    ]
    panel.plot(
        slowdowns,
        [100 * share.rate for share in shares],
        label=gate,
        color=f"C{place}",
        linewidth=2 if gate == OURS else 0.9,
    )
    if gate == OURS:
        low, high = zip(*(share.bounds for share in shares), strict=True)
        panel.vlines(
            slowdowns, [100 * end for end in low], [100 * end for end in high], color=f"C{place}", linewidth=0.7
        )


def _seconds(trials: Sequence[Trial]) -> Figure:
    """From the median to the p95 of the time to a verdict, a panel for each model."""
    models = list(dict.fromkeys(trial.cell.model for trial in trials))
    gates = list(dict.fromkeys(trial.ruling.gate for trial in trials))
    figure, panels = plt.subplots(
        1, len(models), figsize=(2.6 * len(models) + 1.8, 2.4), sharex=True, sharey=True, squeeze=False
    )
    for panel, model in zip(panels[0], models, strict=True):
        for place, gate in enumerate(gates):
            tally = Tally.of(t.ruling for t in trials if t.cell.model == model and t.ruling.gate == gate)
            if tally.rulings:
                panel.plot([tally.median_s, tally.p95_s], [place, place], color=f"C{place}", marker="|")
        panel.set(title=model, xscale="log", xlim=(0.01, 100), xlabel="seconds to verdict: median, p95")
        panel.minorticks_off()
    panels[0][0].set_yticks(range(len(gates)), gates)
    panels[0][0].invert_yaxis()
    figure.tight_layout()
    return figure


def _save(figure: Figure, path: Path) -> Path:
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)
    return path
