"""What is other here than where a bundle was left: machine, versions, threads, kernels."""

from __future__ import annotations

from collections.abc import Iterator

from pytest_cpuaccel.bundles.bundle import Place
from pytest_cpuaccel.core.census_diff import census_diff
from pytest_cpuaccel.core.kernel_census import KernelCensus


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


def kernel_differences(there: KernelCensus | None, here: KernelCensus | None, *, with_times: bool) -> Iterator[str]:
    """Yield the lines of :func:`census_diff`; one line where there is nothing to compare."""
    if there is None or here is None:
        missing = [where for where, census in (("in the bundle", there), ("here", here)) if census is None]
        yield f"not counted {' and '.join(missing)}"
        return
    yield from census_diff(there, here, with_times=with_times)
