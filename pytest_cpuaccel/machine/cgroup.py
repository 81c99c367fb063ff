"""The control group: its limit on this process's CPU time, and how often the limit was reached."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

MOUNTS = Path("sys/fs/cgroup")


@dataclass(frozen=True)
class CpuGroup:
    """The limits of this process's control group, or of a group around it that is stricter.

    ``quota_cpus`` is the CPU time allowed per time (0.5: half a CPU), ``None`` without a limit. ``throttled`` counts
    how often the group was stopped because its time was used up. Both are ``None`` where the kernel does not tell.
    """

    quota_cpus: float | None
    throttled: int | None


def read_cpu_group(root: Path = Path("/")) -> CpuGroup:
    """Return the group of this process, in version 1 or 2 of the kernel's interface.

    Linux, Documentation/admin-guide/cgroup-v2.rst ("cpu.max", "cpu.stat") and scheduler/sched-bwc.rst
    ("cpu.cfs_quota_us").
    """
    quotas: list[float] = []
    throttled: list[int] = []
    for folder in _folders(root):
        quotas += _quota(folder)
        throttled += _throttled(folder)
    return CpuGroup(min(quotas, default=None), sum(throttled) if throttled else None)


def _folders(root: Path) -> Iterator[Path]:
    """Yield the folders of this process's group and of every group around it, in each hierarchy that limits CPU time.

    A container sees its own group at the top, but the kernel may name the group by its path on the host.
    """
    for line in _text(root / "proc/self/cgroup").splitlines():
        number, controllers, path = line.split(":", 2)
        group = PurePosixPath("/", *(part for part in PurePosixPath(path).parts if part != ".."))
        for mount in _mounts(root / MOUNTS, number, controllers):
            for name in (group, *group.parents):
                yield mount.joinpath(*name.parts[1:])


def _mounts(mounts: Path, number: str, controllers: str) -> Iterator[Path]:
    if number == "0":
        yield mounts if (mounts / "cgroup.controllers").exists() else mounts / "unified"
    if "cpu" in controllers.split(","):
        joint = mounts / controllers
        yield joint if joint.exists() else mounts / "cpu"


def _quota(folder: Path) -> Iterator[float]:
    words = _text(folder / "cpu.max").split()
    if not words:
        words = [_text(folder / f"cpu.cfs_{name}_us").strip() for name in ("quota", "period")]
    if words[0].isdecimal():
        yield int(words[0]) / int(words[1])


def _throttled(folder: Path) -> Iterator[int]:
    for line in _text(folder / "cpu.stat").splitlines():
        if line.startswith("nr_throttled "):
            yield int(line.split()[1])


def _text(path: Path) -> str:
    """Return the content of a file; "" if it can't be read."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
