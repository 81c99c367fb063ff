"""What is other here than where a bundle was left: machine, versions, threads, kernels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from pytest_cpuaccel.bundles.bundle import Place
from pytest_cpuaccel.core.kernel_census import KernelCensus

_MOST_KERNELS = 10


def differences(there: Place, here: Place) -> Iterator[str]:
    """Yield a line for each fact that differs, ``name: old -> new``."""
    for name in dict.fromkeys((*there.versions, *here.versions)):
        old, new = there.versions.get(name, "absent"), here.versions.get(name, "absent")
        if old != new:
            yield f"{name}: {old} -> {new}"
    for name in ("python", "cpu", "cpus", "threads", "system"):
        if getattr(there, name) != getattr(here, name):
            yield f"{name}: {getattr(there, name)} -> {getattr(here, name)}"
    if set(there.isa) != set(here.isa):
        yield f"isa: {', '.join(there.isa) or 'unknown'} -> {', '.join(here.isa) or 'unknown'}"


def kernel_differences(there: KernelCensus | None, here: KernelCensus | None) -> Iterator[str]:
    """Yield a line for each kind of kernel whose count differs; one line where there is nothing to compare."""
    if there is None or here is None:
        missing = [where for where, census in (("in the bundle", there), ("here", here)) if census is None]
        yield f"kernels: not counted {' and '.join(missing)}"
        return
    old, new = _counted(there), _counted(here)
    changed = sorted(name for name in old.keys() | new.keys() if old[name] != new[name])
    for name in changed[:_MOST_KERNELS]:
        yield f"kernels: {name}: {old[name]} -> {new[name]}"
    if len(changed) > _MOST_KERNELS:
        yield f"kernels: {len(changed) - _MOST_KERNELS} more"


def _counted(census: KernelCensus) -> Counter[str]:
    found: Counter[str] = Counter()
    for kernel in census.kernels:
        known = (kernel.op, kernel.compute, kernel.stored, kernel.implementation)
        found[" ".join(part for part in known if part)] += kernel.count
    return found
