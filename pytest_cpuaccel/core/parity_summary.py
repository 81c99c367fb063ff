"""A summary of parity: what reports show of a workload's worst call."""

from __future__ import annotations

from dataclasses import dataclass, field, fields

from pytest_cpuaccel.core.precision import Precision


@dataclass(frozen=True)
class OutputSummary:
    """An output's figures and what they were held to; None where there is no such figure.

    ``smallest_atol`` and ``smallest_rtol`` are tolerances that would pass. ``rounding_ratio`` is the error in units of
    eager's own rounding, ``longest_sum`` the terms of the longest sum that eager was also asked for in another order.
    ``neighbours`` is the share of nearest neighbours kept, ``spread_sqnr_db`` the SQNR of what varies among the rows.
    ``locked_by`` is the file and line of the tolerance lock that it was held to.
    """

    max_abs: float | None = None
    cosine: float | None = None
    sqnr_db: float | None = None
    smallest_atol: float | None = None
    smallest_rtol: float | None = None
    top1: float | None = None
    relative_rmse: float | None = None
    relative_max: float | None = None
    eagers_own_error: float | None = None
    allowed_relative_rmse: float | None = None
    allowed_relative_max: float | None = None
    rounding_ratio: float | None = None
    allowed_rounding_ratio: float | None = None
    longest_sum: int | None = None
    rtol: float | None = None
    atol: float | None = None
    min_sqnr_db: float | None = None
    min_cosine: float | None = None
    min_top1: float | None = None
    neighbours: float | None = None
    min_neighbours: float | None = None
    spread_sqnr_db: float | None = None
    top1_hits: int | None = None
    top1_positions: int | None = None
    mismatched_nonfinite: int | None = None
    different_elements: int | None = None
    locked_by: str | None = None

    def filled(self, other: OutputSummary) -> OutputSummary:
        """Return it with what another one holds, where that holds something."""
        return OutputSummary(
            **{
                item.name: getattr(self if getattr(other, item.name) is None else other, item.name)
                for item in fields(self)
            }
        )


@dataclass(frozen=True)
class OutputCounts:
    """The name of the worst output, and how many outputs and elements there were; the count alone where it is 0."""

    output: str | None = None
    outputs: int | None = None
    failing_outputs: int | None = None
    compared_elements: int = 0
    masked_elements: int | None = None


@dataclass(frozen=True)
class TokenSummary:
    """The tokens of ``generate()``: how many, how many agree, and the first that differs in the worst row.

    ``clear_tokens`` are those of an int8 decoder that are no near-ties, over eager's tokens.
    """

    tokens: int | None = None
    agreeing_tokens: int | None = None
    kl_nats: float | None = None
    forced_agreement: float | None = None
    top5_agreement: float | None = None
    first_divergent_position: int | None = None
    first_divergent_row: int | None = None
    expected_token: int | None = None
    actual_token: int | None = None
    margin_bound: float | None = None
    margin: float | None = None
    actual_margin: float | None = None
    clear_tokens: int | None = None
    clear_agreeing: int | None = None


@dataclass(frozen=True)
class ParitySummary:
    """``figure`` says in few words how far the worst output of the worst of ``calls`` is off.

    ``tokens`` are for ``generate()``, ``counts`` for anything else. ``withholds`` names the budgets that were not
    looked at because of a wrong answer.
    """

    figure: str
    precision: Precision | None = None
    counts: OutputCounts | None = None
    tokens: TokenSummary | None = None
    worst: OutputSummary = field(default_factory=OutputSummary)
    calls: int | None = None
    withholds: tuple[str, ...] = ()
