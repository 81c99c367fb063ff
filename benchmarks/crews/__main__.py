"""Races of two environments: how often their verdicts are right, and what they cost.

``python -m benchmarks.crews simulate`` races made-up processes, whose true ratio is known; ``live`` races real ones, of
one environment on both sides, of which one side does extra work. Both print the same table.
"""

from __future__ import annotations

import argparse

from benchmarks.crews.cell import CELLS
from benchmarks.crews.tally import table


def main() -> None:
    """Race as asked, then print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ways = parser.add_subparsers(dest="way", required=True)
    made_up = ways.add_parser("simulate", help="race made-up processes")
    made_up.add_argument("--races", type=int, default=1500, help="of each cell and true ratio")
    made_up.add_argument("--cells", nargs="+", choices=[cell.name for cell in CELLS], default=(), help="all by default")
    made_up.add_argument("--jobs", type=int, default=1, help="processes that simulate at once")
    real = ways.add_parser("live", help="race real processes")
    real.add_argument("--races", type=int, default=100, help="of each call, A/A and slowed down")
    real.add_argument("--threads", type=int, default=1)
    real.add_argument("--calls", nargs="+", help="the calls to race, all by default")
    options = parser.parse_args()
    if options.way == "simulate":
        from benchmarks.crews.simulate import Plan, simulate

        tallies = simulate(Plan(options.races, options.cells, options.jobs), _say)
    else:
        from benchmarks.crews.live import race_live

        tallies = race_live(options.races, options.threads, options.calls, _say)
    print("\n" + table(list(tallies)))


def _say(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    main()
