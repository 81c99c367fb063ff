"""What differs between two kernel censuses, as lines for a person: counts exactly, times where they matter."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from pytest_cpuaccel.core.kernel_census import Kernel, KernelCensus
from pytest_cpuaccel.core.matrix_kernels import computed_in, noun

LEAST_SHARE = 0.1
"""The time of an operation is told where it is over this share of the change of all."""

LEAST_US = 1.0
"""The time of an operation is told where each of its runs changed by more than this, in microseconds."""

_MOST = 10
"""The most lines on operations, the largest changes first."""


@dataclass(frozen=True)
class _Operation:
    """All runs of one operation; ``us`` is None unless the time of all of them is known."""

    count: int = 0
    us: float | None = None

    @property
    def us_each(self) -> float | None:
        return self.us / self.count if self.us is not None and self.count else None


@dataclass(frozen=True)
class _Change:
    """``us`` is the change of its time, None where one is not known; ``whole_us`` that of all operations."""

    op: str
    before: _Operation
    after: _Operation
    whole_us: float | None

    @property
    def us(self) -> float | None:
        spent = [each.us if each.count else 0.0 for each in (self.before, self.after)]
        return None if spent[0] is None or spent[1] is None else spent[1] - spent[0]

    @property
    def is_of_count(self) -> bool:
        return self.before.count != self.after.count

    @property
    def is_of_time(self) -> bool:
        """Tell whether its time matters to the change of the whole."""
        if self.us is None or not self.whole_us:
            return False
        each = abs(self.us) / max(self.before.count, self.after.count)
        return each > LEAST_US and abs(self.us) > LEAST_SHARE * abs(self.whole_us)

    @property
    def sentence(self) -> str:
        counts = f"{self.op} {self.before.count} -> {self.after.count}"
        if not self.is_of_time:
            return counts
        assert self.us is not None
        assert self.whole_us is not None
        old, new = self.before.us_each, self.after.us_each
        each = f"{_us(old)} -> {_us(new)} us a node, " if old is not None and new is not None else ""
        word, whole = _word(self.us), _us(abs(self.whole_us))
        if self.us * self.whole_us > 0:
            return f"{counts}: {each}{_us(abs(self.us))} of {whole} us {word}"
        return f"{counts}: {each}{_us(abs(self.us))} us {word}, while all together {_word(self.whole_us)} {whole} us"


def census_diff(before: KernelCensus, after: KernelCensus, *, with_times: bool = True) -> list[str]:
    """Return the lines; none where nothing differs that is told.

    ``with_times`` is False where times of the two can't be compared, as those of two machines.
    """
    if before.source != after.source:
        return [f"kernels were counted by {before.source} then and by {after.source} now, which have different names"]
    changes = sorted(_changes(before, after, with_times), key=_size, reverse=True)
    lines = [*_precisions(before, after), *(change.sentence for change in changes[:_MOST])]
    lines += [*_implementations(before, after), *_facts(before, after)]
    if len(changes) > _MOST:
        lines.append(f"and {len(changes) - _MOST} more operations")
    if lines and not (before.is_complete and after.is_complete):
        lines.append(f"{before.source} may have missed operations")
    return lines


def longest(census: KernelCensus, most: int = 3) -> str:
    """Return the operations that took longest, in one line: ``MatMul x12 300 us``; "" where no time is known."""
    found = _operations(census.kernels)
    timed = [(each.us, op, each.count) for op, each in found.items() if each.us]
    return ", ".join(f"{op} x{count} {_us(us)} us" for us, op, count in sorted(timed, reverse=True)[:most])


def _changes(before: KernelCensus, after: KernelCensus, with_times: bool) -> Iterator[_Change]:
    whole_us = None
    if with_times and before.us is not None and after.us is not None:
        whole_us = after.us - before.us
    old, new = _operations(before.kernels), _operations(after.kernels)
    for op in dict.fromkeys((*old, *new)):
        change = _Change(op, old.get(op, _Operation()), new.get(op, _Operation()), whole_us)
        if change.is_of_count or change.is_of_time:
            yield change


def _operations(kernels: Iterable[Kernel]) -> dict[str, _Operation]:
    found: dict[str, _Operation] = {}
    for kernel in kernels:
        known = found.get(kernel.op, _Operation(us=0.0))
        us = None if known.us is None or kernel.us is None else known.us + kernel.us
        found[kernel.op] = _Operation(known.count + kernel.count, us)
    return found


def _size(change: _Change) -> tuple[bool, float, int]:
    """By time where that matters, then by count."""
    us = abs(change.us or 0.0) if change.is_of_time else 0.0
    return change.is_of_time, us, abs(change.after.count - change.before.count)


def _precisions(before: KernelCensus, after: KernelCensus) -> Iterator[str]:
    """The counts of matrix kernels by the precision that they computed in; the one that lost some, first."""
    old, new = computed_in(before.kernels), computed_in(after.kernels)
    known = sorted({name for name in (*old, *new) if name is not None})
    fewer = [name for name in known if new[name] < old[name]]
    more = [name for name in known if new[name] > old[name]]
    if not (fewer or more) or len({*old, *new} - {None}) < 2:
        return
    word = noun((*before.kernels, *after.kernels))
    for name in fewer or more:
        yield f"{name} {word} {old[name]} -> {new[name]}{_went(name, (old, new), more) if fewer else ''}"


def _went(name: str, counts: tuple[Counter[str | None], Counter[str | None]], more: list[str]) -> str:
    """What those compute in now that left a precision; "" where that can't be told."""
    old, new = counts
    gained = sum(new[other] - old[other] for other in more)
    if gained != old[name] - new[name]:
        return ""
    return f" ({', '.join(f'{new[other] - old[other]} now {other}' for other in more)})"


def _implementations(before: KernelCensus, after: KernelCensus) -> Iterator[str]:
    """The operations that ran as often by other kernels, as on a CPU with other vector instructions."""
    old, new = _by_implementation(before.kernels), _by_implementation(after.kernels)
    changed = [op for op in old if op in new and old[op] != new[op] and old[op].total() == new[op].total()]
    for op in changed[:_MOST]:
        yield f"{op}: {_listed(old[op])} -> {_listed(new[op])}"
    if len(changed) > _MOST:
        yield f"and {len(changed) - _MOST} more operations by other kernels"


def _by_implementation(kernels: Iterable[Kernel]) -> dict[str, Counter[str]]:
    """The kernels of each operation, without those of which one is not named."""
    found: dict[str, Counter[str]] = {}
    unnamed = {kernel.op for kernel in kernels if not kernel.implementation}
    for kernel in kernels:
        if kernel.op not in unnamed:
            found.setdefault(kernel.op, Counter())[str(kernel.implementation)] += kernel.count
    return found


def _facts(before: KernelCensus, after: KernelCensus) -> Iterator[str]:
    old, new = (Counter(census.fallbacks) for census in (before, after))
    if old != new:
        yield f"fallbacks: {_listed(old)} -> {_listed(new)}"
    if None not in (before.graph_breaks, after.graph_breaks) and before.graph_breaks != after.graph_breaks:
        yield f"graph breaks {before.graph_breaks} -> {after.graph_breaks}"
    if before.isa and after.isa and before.isa != after.isa:
        yield f"vector instructions {before.isa} -> {after.isa}"


def _listed(names: Counter[str]) -> str:
    return ", ".join(f"{name} x{count}" if count > 1 else name for name, count in sorted(names.items())) or "none"


def _word(us: float) -> str:
    return "lost" if us > 0 else "gained"


def _us(us: float | None) -> str:
    assert us is not None
    return f"{us:.0f}" if us >= 10 else f"{us:.2g}"
