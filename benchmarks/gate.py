"""How often the latency gate is wrong, and how often it catches a real slowdown, beside pytest-benchmark.

Run with ``python -m benchmarks.gate`` (about 15 minutes; ``--runs`` and ``--without-rival`` make it shorter).

Both gates judge the same pairs: two separately built copies of one model, with 5 % slowdown allowed. In the
A/A runs the copies are equal; in the others one does extra work that adds 10 % to the model's own CPU time. Runs of
both gates alternate, chunk by chunk, so that both meet the same machine.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from benchmarks import binomial, rival
from benchmarks.contestants import MODELS, build_sides, cpu_share, rounds_for
from pytest_cpuaccel.core.verdict import Outcome
from pytest_cpuaccel.measure.latency.config import RaceConfig
from pytest_cpuaccel.measure.latency.pressure import read_pressure
from pytest_cpuaccel.measure.latency.quantile import quantile
from pytest_cpuaccel.measure.latency.race import Race, race

LIMIT = 1.05
SLOWDOWN = 0.10
CHUNK = 10


@dataclass
class Tally:
    """What both gates said of pairs of one kind."""

    title: str
    races: list[Race] = field(default_factory=list)
    rival_alarms: int = 0
    rival_runs: int = 0

    def lines(self) -> list[str]:
        """Return the tally as text."""
        outcomes = Counter(result.outcome for result in self.races)
        seconds = [result.seconds for result in self.races]
        said = ", ".join(f"{outcome.value} {_share(outcomes[outcome], len(self.races))}" for outcome in Outcome)
        lines = [
            f"{self.title}: median ratio {median(result.ratio for result in self.races):.3f}",
            f"  cpuaccel          {said}",
            f"  seconds           median {median(seconds):.2f}, p95 {quantile(seconds, 0.95):.2f}",
        ]
        if self.rival_runs:
            lines.append(f"  pytest-benchmark  FAIL {_share(self.rival_alarms, self.rival_runs)}")
        return lines


def main() -> None:
    """Run both gates and print what they said."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--runs", type=int, default=100, help="runs of each kind (default 100)")
    parser.add_argument("--without-rival", action="store_true", help="do not run pytest-benchmark")
    options = parser.parse_args()
    extra = {model: rounds_for(model, SLOWDOWN) for model in MODELS}
    equal, slower = Tally("A/A, equal copies"), Tally(f"{SLOWDOWN:+.0%}, one copy slower")
    models = list(MODELS)
    before = read_pressure()
    with contextlib.suppress(KeyboardInterrupt):  # an interrupted run shows what it has
        for first in range(0, options.runs, CHUNK):
            chunk = [models[run % len(models)] for run in range(first, min(first + CHUNK, options.runs))]
            for tally, rounds in ((equal, dict.fromkeys(models, 0)), (slower, extra)):
                contestants = [(model, rounds[model]) for model in chunk]
                _race_all(tally, contestants, seed=first)
                if not options.without_rival:
                    _let_rival_judge(tally, contestants)
            print(f"{first + len(chunk)} of {options.runs} runs of each kind", flush=True)
    after = read_pressure()
    added = ", ".join(f"{model} {cpu_share(model, rounds):+.1%}" for model, rounds in extra.items())
    print(f"load {before.load:.1f} to {after.load:.1f}; CPU time added: {added}; 95 % bounds in brackets")
    print("\n".join(equal.lines() + slower.lines()))


def _race_all(tally: Tally, contestants: Sequence[tuple[str, int]], seed: int) -> None:
    for offset, (model, extra_rounds) in enumerate(contestants):
        rebuild = functools.partial(build_sides, model, extra_rounds)
        config = RaceConfig(seed=2 * (seed + offset))
        tally.races.append(race(rebuild(), limit=LIMIT, rebuild=rebuild, config=config))


def _let_rival_judge(tally: Tally, contestants: Sequence[tuple[str, int]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        tally.rival_alarms += rival.count_alarms(contestants, Path(folder))
    tally.rival_runs += len(contestants)


def _share(count: int, total: int) -> str:
    low, high = binomial.bounds(count, total)
    return f"{count} of {total} [{low:.1%}, {high:.1%}]"


if __name__ == "__main__":
    main()
