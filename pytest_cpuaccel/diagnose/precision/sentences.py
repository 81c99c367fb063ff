"""What a sensitivity says on the terminal."""

from __future__ import annotations

from collections.abc import Iterator

from pytest_cpuaccel.core.sensitivity import Sensitivity

_SHOWN = 5
"""How many modules are named."""


def lines(found: Sensitivity) -> tuple[str, ...]:
    """Return the lines: the worst modules, and what to keep in fp32 or why nothing is proposed."""
    return tuple(_lines(found))


def _lines(found: Sensitivity) -> Iterator[str]:
    if found.modules:
        worst = ", ".join(f"{each.module} {each.error:.2g}" for each in found.modules[:_SHOWN])
        count = len(found.modules)
        yield f"error of each module by itself, worst of {count}: {worst}" if count > 1 else f"one module: {worst}"
        yield f"  relative, given what eager's own took; measured on {found.method}"
    if found.keep_fp32:
        yield f"a set that makes it hold: keep_fp32={[*found.keep_fp32]}: {_effect(found)}"
        yield "  return it from the fixture cpu_keep_fp32, or pass it to cpu_accelerate"
    if found.note:
        yield found.note


def _effect(found: Sensitivity) -> str:
    parts = []
    if found.sqnr_before is not None and found.sqnr_after is not None:
        parts.append(f"SQNR {found.sqnr_before:.1f} -> {found.sqnr_after:.1f} dB")
    added = [each for each in found.modules if each.module in found.keep_fp32]
    further = "further " if len(added) < len(found.keep_fp32) else ""  # the user keeps some already
    parts.append(f"{len(added)} of {len(found.modules)} {further}modules stay in fp32")
    if found.builds is not None and found.seconds is not None:
        parts.append(f"{found.builds} build{'s' * (found.builds != 1)} in {found.seconds:.1f} s")
    return ", ".join(parts)
