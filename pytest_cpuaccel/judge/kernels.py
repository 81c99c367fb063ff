"""The verdict on the kernels that ran for a call, and on the precision that they computed in."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase

from pytest_cpuaccel.core.budget import KernelsBudget
from pytest_cpuaccel.core.kernel_census import Kernel, KernelCensus
from pytest_cpuaccel.core.matrix_kernels import matrix_kernels
from pytest_cpuaccel.core.verdict import Outcome, Verdict
from pytest_cpuaccel.judge.partial_verdict import PartialVerdict

_REDUCED = ("bf16", "fp16")

_SHOWN = 8
"""The most operations that are listed."""


def judge_kernels(census: KernelCensus | None, budget: KernelsBudget, about: str, why_not: str = "") -> Verdict:
    """Return the verdict on all that a budget asks, the worst of its parts; ``about`` says of what.

    What the census can't tell is INCONCLUSIVE. Without a census that is all, and ``why_not`` says why there is none.
    """
    if census is None:
        sentence = f"{about}: it is not known which kernels ran: {why_not}"
        return Verdict("kernels", Outcome.INCONCLUSIVE, sentence)
    parts = [*_parts(census, budget)]
    outcome = Outcome.worst(part.outcome for part in parts)
    worst = [part for part in parts if part.outcome is outcome]
    evidence = tuple(dict.fromkeys(part.evidence for part in worst if part.evidence))
    return Verdict("kernels", outcome, f"{about}: {'; '.join(part.sentence for part in worst)}", evidence)


def reduced_precision(census: KernelCensus) -> str:
    """Return the matrix kernels that are known to have computed in bf16 or fp16: ``12 MatMul in bf16 (brgemm_bf16)``.

    "" where there are none.
    """
    found: dict[tuple[str, str], list[Kernel]] = {}
    for kernel in matrix_kernels(census.kernels):
        if kernel.compute in _REDUCED and kernel.count > 0:
            found.setdefault((kernel.op, str(kernel.compute)), []).append(kernel)
    return ", ".join(_counted(op, compute, kernels) for (op, compute), kernels in found.items())


def _counted(op: str, compute: str, kernels: Sequence[Kernel]) -> str:
    names = dict.fromkeys(kernel.implementation for kernel in kernels if kernel.implementation)
    by = f" ({', '.join(names)})" if names else ""
    return f"{sum(kernel.count for kernel in kernels)} {op} in {compute}{by}"


def _parts(census: KernelCensus, budget: KernelsBudget) -> Iterator[PartialVerdict]:
    for precision, least in (("int8", budget.int8_share), ("bf16", budget.bf16_share)):
        if least is not None:
            yield _share(census, precision, least)
    if budget.no_fallback:
        yield _fallbacks(census)
    if budget.max_graph_breaks is not None:
        yield _graph_breaks(census, budget.max_graph_breaks)
    for pattern in budget.contains:
        yield _contains(census, pattern)
    for pattern in budget.absent:
        yield _absent(census, pattern)


def _share(census: KernelCensus, precision: str, least: float) -> PartialVerdict:
    """By time where that of every matrix kernel is known, else by count. What may be missing decides nothing."""
    kernels = [kernel for kernel in matrix_kernels(census.kernels) if kernel.count > 0]
    if not kernels:
        found = f"no matrix product or convolution among {_listed(census.kernels)}"
        return PartialVerdict(Outcome.INCONCLUSIVE, f"the share of {precision} is not known: {found}")
    by_time = all(kernel.us is not None for kernel in kernels) and any(kernel.us for kernel in kernels)
    weights = [float(kernel.us or 0) if by_time else float(kernel.count) for kernel in kernels]
    whole = sum(weights)
    sure = sum(weight for kernel, weight in zip(kernels, weights, strict=True) if kernel.compute == precision) / whole
    unknown = sum(weight for kernel, weight in zip(kernels, weights, strict=True) if kernel.compute is None) / whole
    what = "of the time of matrix kernels" if by_time else "of the matrix kernels, by count as times are not known,"
    found = f"{100 * sure:.3g}% {what} computed in {precision}, budget {100 * least:.3g}%"
    if not census.is_complete:
        return PartialVerdict(Outcome.INCONCLUSIVE, f"{found}, but {_may_lack(census)}")
    if sure >= least:
        return PartialVerdict(Outcome.PASS, found)
    if sure + unknown >= least:
        return PartialVerdict(Outcome.INCONCLUSIVE, f"{found}, but the precision of {100 * unknown:.3g}% is not known")
    others = [kernel for kernel in kernels if kernel.compute != precision]
    return PartialVerdict(Outcome.FAIL, found, f"not in {precision}: {_listed(others)}")


def _fallbacks(census: KernelCensus) -> PartialVerdict:
    if census.fallbacks:
        names = ", ".join(dict.fromkeys(census.fallbacks))
        count = len(census.fallbacks)
        return PartialVerdict(Outcome.FAIL, f"{count} fallback{'s' * (count > 1)}: {names}, allowed none")
    if not census.is_complete:
        return PartialVerdict(Outcome.INCONCLUSIVE, f"no fallback was seen, but {_may_lack(census)}")
    return PartialVerdict(Outcome.PASS, "no fallback")


def _graph_breaks(census: KernelCensus, most: int) -> PartialVerdict:
    found = census.graph_breaks
    if found is None:
        return PartialVerdict(Outcome.INCONCLUSIVE, f"nothing is known of graph breaks from {census.source}")
    outcome = Outcome.PASS if found <= most else Outcome.FAIL
    return PartialVerdict(outcome, f"{found} graph break{'s' * (found != 1)}, allowed {most}")


def _contains(census: KernelCensus, pattern: str) -> PartialVerdict:
    if found := _matching(census, pattern):
        return PartialVerdict(Outcome.PASS, f"{pattern!r} ran: {_listed(found)}")
    if not census.is_complete:
        return PartialVerdict(Outcome.INCONCLUSIVE, f"no kernel that ran is {pattern!r}, but {_may_lack(census)}")
    if undecided := _undecided(census, pattern):
        return undecided
    sentence = f"no kernel that ran is {pattern!r}{_by_names(census)}"
    return PartialVerdict(Outcome.FAIL, sentence, f"ran: {_listed(census.kernels)}")


def _absent(census: KernelCensus, pattern: str) -> PartialVerdict:
    if found := _matching(census, pattern):
        return PartialVerdict(Outcome.FAIL, f"{pattern!r} ran and should not: {_listed(found)}")
    if not census.is_complete:
        return PartialVerdict(Outcome.INCONCLUSIVE, f"{pattern!r} was not seen, but {_may_lack(census)}")
    if undecided := _undecided(census, pattern):
        return undecided
    return PartialVerdict(Outcome.PASS, f"{pattern!r} did not run{_by_names(census)}")


def _matching(census: KernelCensus, pattern: str) -> list[Kernel]:
    return [kernel for kernel in census.kernels if kernel.count > 0 and _matches(kernel, pattern)]


def _matches(kernel: Kernel, pattern: str) -> bool:
    names = (kernel.op, kernel.implementation, f"{kernel.op}:{kernel.compute}" if kernel.compute else None)
    return any(name is not None and fnmatchcase(name, pattern) for name in names)


def _undecided(census: KernelCensus, pattern: str) -> PartialVerdict | None:
    """INCONCLUSIVE where a pattern with a precision might mean kernels whose precision is not known."""
    unknown = _of_unknown_precision(census, pattern)
    if not unknown:
        return None
    sentence = f"it is not known whether {pattern!r} ran: the census has no precision of {_listed(unknown)}"
    return PartialVerdict(Outcome.INCONCLUSIVE, sentence)


def _of_unknown_precision(census: KernelCensus, pattern: str) -> list[Kernel]:
    """Kernels of unknown precision that a pattern with a precision might mean; an operation may have a colon too."""
    op, colon, precision = pattern.rpartition(":")
    if not colon or op.endswith(":") or not precision:
        return []
    return [
        kernel
        for kernel in census.kernels
        if kernel.compute is None and kernel.count > 0 and fnmatchcase(kernel.op, op)
    ]


def _by_names(census: KernelCensus) -> str:
    """What names were looked at, where the census has none of implementations."""
    if any(kernel.implementation for kernel in census.kernels):
        return ""
    return f", by the names of operations: no implementations are known from {census.source}"


def _may_lack(census: KernelCensus) -> str:
    return f"{census.source} may have missed operations"


def _listed(kernels: Sequence[Kernel]) -> str:
    counts: dict[str, int] = {}
    for kernel in kernels:
        name = f"{kernel.op}:{kernel.compute}" if kernel.compute else kernel.op
        counts[name] = counts.get(name, 0) + kernel.count
    most = sorted(counts.items(), key=lambda item: -item[1])
    shown = [f"{name} x{count}" if count > 1 else name for name, count in most[:_SHOWN]]
    return ", ".join([*shown, f"{len(most) - _SHOWN} more"] if len(most) > _SHOWN else shown) or "no kernel"
