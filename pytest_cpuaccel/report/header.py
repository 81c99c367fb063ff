"""What stands above the tests: backends with their versions, what is missing, threads and CPU."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from pytest_cpuaccel.core.backend import Backend
from pytest_cpuaccel.machine.cpu import this_machine


def header(chosen: Sequence[Backend], missing: Mapping[str, str], threads: int) -> Iterator[str]:
    """Yield the header's lines for the backends that tests run under."""
    machine = this_machine()
    running = ", ".join(_with_versions(backend) for backend in chosen if backend.name not in missing)
    yield f"cpuaccel: {running or 'no backend'}"
    for reason in missing.values():
        yield f"cpuaccel: skipped {reason}"
    isa = f" ({' '.join(machine.isa)})" if machine.isa else ""
    yield f"cpuaccel: {threads} thread{'s' * (threads > 1)} of {machine.cpus} | {machine.cpu}{isa}"


def _with_versions(backend: Backend) -> str:
    versions = " ".join(f"{name} {version}" for name, version in backend.versions.items())
    return f"{backend.name} ({versions})" if versions else backend.name
