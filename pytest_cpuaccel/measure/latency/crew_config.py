"""The settings of a race of crews."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pytest_cpuaccel.core.progress import say_nothing


@dataclass(frozen=True)
class CrewRaceConfig:
    """Error rates, time cap and thread count of one race.

    ``alpha_above`` is the probability, under the rule's model, that the ratio is shown to be above a limit when it is
    not; ``alpha_below`` that it is shown to be below when it is not. Both are spent over all looks.
    The timed calls of all looks take ``cap_s`` seconds at most; starts and warm-ups, of ``warmup_cap_s`` for each
    process, come on top. No more than ``most_processes`` a side are asked for, and no fewer than 4.
    ``threads`` is the number that every process was set to; with one thread, CPU time can stand for latency.
    ``progress`` gets a line about once a second.
    """

    alpha_above: float = 0.005
    alpha_below: float = 0.005
    cap_s: float = 60.0
    warmup_cap_s: float = 3.0
    most_processes: int = 12
    threads: int = 1
    seed: int = 0
    progress: Callable[[str], None] = say_nothing
