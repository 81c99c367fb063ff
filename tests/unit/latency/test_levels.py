from __future__ import annotations

import math
import random

import pytest

from pytest_cpuaccel.measure.latency.levels import FLOOR, Levels


def drawn(sd: float, size: int = 6, ratio: float = 1.0) -> Levels:
    draw = random.Random(1)
    log_ratio = math.log(ratio)
    return Levels(
        tuple(log_ratio + draw.gauss(0, sd) for _ in range(size)),
        tuple(-log_ratio + draw.gauss(0, sd) for _ in range(size)),
    )


def test_each_crew_tells_the_whole_ratio() -> None:
    level = math.log(1.1)
    assert Levels((level,) * 4, (-level,) * 4).log_ratio == pytest.approx(level)


def test_the_shift_of_one_process_moves_the_mean_by_its_share_and_widens_the_bounds() -> None:
    even, shifted = Levels((0.0,) * 4, (0.0,) * 4), Levels((0.09, 0.0, 0.0, 0.0), (-0.0225,) * 4)
    assert shifted.log_ratio == pytest.approx(0.0225)
    assert width(shifted) > 3 * width(even)


def test_the_order_of_processes_is_nothing() -> None:
    levels = drawn(0.01)
    turned = Levels(levels.candidates[::-1], levels.references[3:] + levels.references[:3])
    assert turned.log_ratio == pytest.approx(levels.log_ratio)
    assert turned.bounds(0.005, 0.005) == pytest.approx(levels.bounds(0.005, 0.005))


def test_sides_exchanged_give_the_ratio_the_other_way_round() -> None:
    levels = drawn(0.01, ratio=1.2)
    low, high = levels.bounds(0.005, 0.01)
    exchanged = Levels(levels.references, levels.candidates)
    assert exchanged.log_ratio == pytest.approx(-levels.log_ratio)
    assert exchanged.bounds(0.01, 0.005) == pytest.approx((-high, -low))


def test_processes_that_agree_by_chance_are_not_believed_to_agree() -> None:
    low, high = Levels((0.0,) * 4, (0.0,) * 4).bounds(0.005, 0.005)
    # P(T > 3.7074) = 0.005 with 6 degrees of freedom
    assert (low, high) == pytest.approx((-3.7074 * FLOOR / math.sqrt(2), 3.7074 * FLOOR / math.sqrt(2)), rel=1e-4)


def test_where_one_crew_varies_alone_the_bounds_have_its_degrees_of_freedom() -> None:
    levels = Levels((-1.0, 1.0, -1.0, 1.0), (0.0,) * 4)
    error = math.sqrt((4 / 3 + FLOOR**2) / 4)
    # P(T > 5.8409) = 0.005 with 3 degrees of freedom
    assert levels.bounds(0.005, 0.005)[1] == pytest.approx(5.8409 * error, rel=1e-3)


def test_every_process_counts_where_all_have_to_lie_above() -> None:
    level = math.log(1.1)
    assert Levels((level,) * 4, (-level,) * 4).all_above(math.log(1.05))
    assert not Levels((0.04, level, level, level), (-level,) * 4).all_above(math.log(1.05))
    assert not Levels((level,) * 4, (-level, -level, -0.04, -level)).all_above(math.log(1.05))


def width(levels: Levels) -> float:
    low, high = levels.bounds(0.005, 0.005)
    return high - low
