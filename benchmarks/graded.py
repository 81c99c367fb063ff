"""How often graded scores pass wrongly, drawn exactly at the limit, and what the bound costs where they scatter.

Run by ``python -m benchmarks.graded``; two minutes. Beside the bound that judges stands a t interval at half of the
level, whose other half pays for items unlike those seen.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from pytest_cpuaccel.core.distribution import binomial_upper, t_quantile
from pytest_cpuaccel.judge.mean import Scale, mean_bounds

Array = npt.NDArray[np.float64]
Draw = Callable[[np.random.Generator, int], Array]

ALPHA = 0.05
RUNS = 2000
SCALE = Scale(-1.0, 1.0)
"""Of a drop between scores that lie between 0 and 1."""


def rare(rate: float, loss: float = 0.995) -> Draw:
    """Return a draw of drops: a share of the items loses nearly all, the others nothing."""
    return lambda generator, count: np.where(generator.random(count) < rate, loss, 0.0)


def normal(noise: float) -> Draw:
    """Return a draw of drops that scatter about 0."""
    return lambda generator, count: generator.normal(0, noise, count).clip(-1, 1)


WRONG: tuple[tuple[str, Draw, float, int], ...] = (
    ("2 % lose all", rare(0.02), 0.02 * 0.995, 40),
    ("2 % lose all", rare(0.02), 0.02 * 0.995, 150),
    ("2 % lose all", rare(0.02), 0.02 * 0.995, 500),
    ("1 % lose all", rare(0.01), 0.01 * 0.995, 500),
    ("1 % lose all", rare(0.01), 0.01 * 0.995, 2000),
    ("5 % lose half", rare(0.05, 0.5), 0.025, 100),
    ("noise of 0.05", normal(0.05), 0.0, 30),
    ("noise of 0.3", normal(0.3), 0.0, 200),
)
"""What is drawn, the true mean, and the number of items."""
COST = ((0.0, 500), (0.01, 500), (0.05, 500), (0.2, 500), (0.2, 5000))
"""The standard deviation of drops, and the number of items."""


def main() -> None:
    """Print the rates of wrong verdicts, and how far above the mean both bounds lie."""
    for name, draw, mean, items in WRONG:
        rates = _wrong(draw, mean, items)
        print(
            f"{name}, {items} items: passed wrongly {rates[0]:.1%} (t interval {rates[1]:.1%}), failed {rates[2]:.1%}"
        )
    generator = np.random.default_rng(1)
    for noise, items in COST:
        drops = [normal(noise)(generator, items) for _ in range(50)]
        own = np.mean([mean_bounds(each, SCALE, ALPHA)[1] - each.mean() for each in drops])
        other = np.mean([_t_upper(each) - each.mean() for each in drops])
        print(f"{items} items, noise of {noise:g}: bound {own:.4f} above the mean, of the t interval {other:.4f}")


def _wrong(draw: Draw, mean: float, items: int) -> tuple[float, float, float]:
    generator, found = np.random.default_rng(0), np.zeros(3)
    for _ in range(RUNS):
        drops = draw(generator, items)
        lower, upper = mean_bounds(drops, SCALE, ALPHA)
        found += upper < mean, _t_upper(drops) < mean, lower > mean
    return tuple((found / RUNS).tolist())  # type: ignore[return-value]


def _t_upper(values: Array) -> float:
    spread, count = float(values.std(ddof=1)), len(values)
    each = ALPHA / 2 if spread else ALPHA
    margin = t_quantile(each, count - 1) * spread / math.sqrt(count) if spread else 0.0
    return float(values.mean()) + margin + binomial_upper(0, count, each) * (SCALE.high - float(values.max()))


if __name__ == "__main__":
    main()
