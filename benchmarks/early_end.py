"""How often ``score_items(stop_early=True)`` is wrong: right/wrong scores, drawn exactly at the limit.

Run by ``python -m benchmarks.early_end``; eleven seconds.
"""

from __future__ import annotations

import functools
from collections import Counter

import numpy as np

from pytest_cpuaccel.judge.looks import looks
from pytest_cpuaccel.judge.paired import paired_p_value

RUNS = 1500
KINDS = ((0.0, 0.05, 400), (0.02, 0.05, 400), (0.05, 0.05, 200), (0.01, 0.01, 800))
"""The rate of items that the backend gains, the allowed drop, which is the true one, and the number of items."""

_p_value = functools.cache(paired_p_value)


def main() -> None:
    """Print the rates of wrong verdicts, before the last item and at it."""
    generator = np.random.default_rng(0)
    for gains, limit, items in KINDS:
        found = Counter(_verdict(generator.random(items), gains, limit) for _ in range(RUNS))
        rates = ", ".join(f"{name} {count / RUNS:.2%}" for name, count in sorted(found.items()) if name)
        print(f"{items} items, {gains:.0%} gained, {limit:.0%} allowed: {rates}")


def _verdict(drawn: np.ndarray, gain_rate: float, limit: float) -> str:
    losses, gains = np.cumsum(drawn < gain_rate + limit), np.cumsum(drawn > 1 - gain_rate)
    for look in looks(len(drawn)):
        lost, gained = int(losses[look.items - 1]), int(gains[look.items - 1])
        when = "at the last item" if look.items == len(drawn) else "early"
        if _p_value(lost, gained, look.items, limit) <= look.alpha:
            return f"PASS {when}"
        if _p_value(gained, lost, look.items, -limit) <= look.alpha:
            return f"FAIL {when}"
    return ""


if __name__ == "__main__":
    main()
