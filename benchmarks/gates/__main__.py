"""Latency gates compared on real callables: false alarms, detection, time to a verdict.

Run ``python -m benchmarks.gates`` after ``pip install -r benchmarks/requirements.txt``. Results are kept in a file as
they come: a run that is interrupted is continued by the next one, which may ask for other cells. ``--minutes 0
--page docs/gates.md`` only writes the page.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Collection, Sequence
from importlib import metadata
from pathlib import Path

from benchmarks.gates.bench import Bench, TimeIsUpError
from benchmarks.gates.calibration import SLOWDOWNS
from benchmarks.gates.condition import CONDITIONS
from benchmarks.gates.judges.roster import GATES
from benchmarks.gates.models import MODELS
from benchmarks.gates.page import page
from benchmarks.gates.plan import LIMIT, LONG, OTHERS, TIGHT_LIMIT, TIGHT_SLOWDOWN, Plan
from benchmarks.gates.results import Results
from benchmarks.gates.stable import Stable
from pytest_cpuaccel.backends.registry import register
from pytest_cpuaccel.core.errors import UsageError
from pytest_cpuaccel.report.environment import environment

BACKENDS = ("eager", "ort", "openvino", "torchscript")
TOLD = ("cpu", "isa", "cpus", "threads", "python", "versions")
"""What figures depend on and stays the same from run to run, of what is known of the environment."""

RIVAL_PACKAGES = ("pytest-benchmark", "pytest-codspeed", "pytest-torch", "scipy")


def main() -> None:
    """Measure what is asked for, then write the page."""
    parser = _parser()
    options = parser.parse_args()
    if missing := [name for name in options.gates if not GATES[name].is_installed]:
        parser.error(f"not installed: {', '.join(missing)}; pip install -r benchmarks/requirements.txt")
    try:
        results = Results(options.results, _environment())
    except UsageError as mistake:
        parser.error(str(mistake))
    deadline = time.monotonic() + 60 * options.minutes
    bench = Bench(Stable(options.cache), results, options.cache, deadline, say=lambda line: print(line, flush=True))
    plan = _plan(options)
    try:
        bench.compare_speedups(options.models, options.backends, options.speedups)
        bench.calibrate(plan)
        bench.judge(plan)
    except (TimeIsUpError, KeyboardInterrupt):
        print("not all of the plan was measured; the same command goes on with it")
    if options.page:
        from benchmarks.gates.plot import draw

        plots = draw(results.trials, options.page.with_suffix(""))
        text = page(results, [path.relative_to(options.page.parent).as_posix() for path in plots])
        options.page.write_text(text, encoding="utf-8")


def _plan(options: argparse.Namespace) -> Plan:
    pairs = {model: options.slow_pairs if model in LONG else options.pairs for model in options.models}
    return Plan(
        models=options.models,
        backends=options.backends,
        conditions=options.conditions,
        slowdowns=options.slowdowns,
        limits=options.limits,
        gates=options.gates,
        pairs=pairs,
        rival_pairs=options.rival_pairs,
    )


def _environment() -> dict[str, object]:
    known = register([])
    found = environment([known[name] for name in BACKENDS], threads=1)
    rivals = [f"{item.name} {item.version}" for item in metadata.distributions() if item.name in RIVAL_PACKAGES]
    return {**{name: found[name] for name in TOLD}, "rivals": sorted(set(rivals))}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gates", description=(__doc__ or "").splitlines()[0])
    add = parser.add_argument
    add("--models", type=_among(MODELS), default=list(MODELS), help=f"some of {','.join(MODELS)}")
    add("--backends", type=_among(BACKENDS), default=list(BACKENDS), help=f"some of {','.join(BACKENDS)}")
    add("--conditions", type=_among(CONDITIONS), default=list(CONDITIONS), help=f"some of {','.join(CONDITIONS)}")
    add(
        "--slowdowns",
        type=_numbers_among(SLOWDOWNS),
        default=list(SLOWDOWNS),
        help="some of 0,2,5,10,20 per cent; 0 is A/A",
    )
    tight = f"per cent (default {LIMIT},{TIGHT_LIMIT}); {TIGHT_LIMIT} is for short calls, 0 and {TIGHT_SLOWDOWN:+d} %%"
    add("--limits", type=_numbers_among((LIMIT, TIGHT_LIMIT)), default=[LIMIT, TIGHT_LIMIT], help=tight)
    add("--gates", type=_among(GATES), default=list(GATES), help=f"some of {','.join(GATES)}")
    fewer = f"cells that no goal is set for have {OTHERS} times fewer"
    add("--pairs", type=int, default=10, help=f"pairs of builds in a cell (default 10); {fewer}")
    add("--slow-pairs", type=int, default=2, help="the same, of bert-base (default 2)")
    add("--rival-pairs", type=int, default=2, help="most pairs in a cell that rivals judge (default 2)")
    add("--speedups", type=int, default=15, help="times that speed-ups are measured both ways (default 15)")
    add("--minutes", type=float, default=float("inf"), help="stop after this time")
    add("--results", type=Path, default=Path(".cache/gates.jsonl"), help="the file of results (default %(default)s)")
    add("--cache", type=Path, default=Path(".cache/gates"), help="the folder of exported models (default %(default)s)")
    add("--page", type=Path, help="write a page of Markdown here, its plots into a folder beside it")
    return parser


def _among(known: Collection[str]) -> Callable[[str], list[str]]:
    def names(text: str) -> list[str]:
        chosen = text.split(",")
        if unknown := [name for name in chosen if name not in known]:
            raise argparse.ArgumentTypeError(f"nothing is named {unknown[0]!r}; there are {', '.join(known)}")
        return chosen

    return names


def _numbers_among(known: Sequence[int]) -> Callable[[str], list[int]]:
    names = _among([str(number) for number in known])
    return lambda text: [int(name) for name in names(text)]


if __name__ == "__main__":
    main()
