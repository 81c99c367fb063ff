"""What this session brings to another environment: its own plugin, and what that and pytest need."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from pytest_cpuaccel.environments.bootstrap import COMPANION_MARKER, ENTRY_POINT, PLUGIN

_PACKAGE = Path(__file__).parents[1]
_OURS = "pytest-cpuaccel"
_NEEDED = ("filelock", "packaging", "platformdirs", "pytest>=8.4", "tabulate")
"""What the plugin needs where it isn't installed, and nothing tells its requirements."""

_COMPILED = (".so", ".pyd", ".dylib")


@dataclass(frozen=True)
class Companion:
    """Folders of import paths: ``ours`` goes first in the other environment, ``needs`` last, so that its own win.

    ``newer`` has, for each small package that the plugin needs, the oldest release that will do and a folder with this
    session's: that one goes before an older one of the environment.
    ``serves`` is the name of a module that is loaded as one more plugin, "" for none. With ``as_module`` pytest is
    started as by ``python -m pytest``, which imports from the current folder. ``has_entry_point`` tells whether the
    plugin is loaded by its entry point, as in this session, or by option. ``least_pytest`` is the oldest release that
    it works with.
    """

    ours: Path
    needs: Path
    newer: Mapping[str, tuple[str, Path]]
    serves: str
    as_module: bool
    has_entry_point: bool
    least_pytest: str

    def order(self) -> dict[str, object]:
        """Return the fields as values of JSON."""
        return {
            "ours": str(self.ours),
            "needs": str(self.needs),
            "newer": [(name, least, str(folder)) for name, (least, folder) in self.newer.items()],
            "serves": self.serves,
            "as_module": self.as_module,
            "has_entry_point": self.has_entry_point,
            "least_pytest": self.least_pytest,
        }


def make_companion(folder: Path, serves: str = "") -> Companion:
    """Make a companion in an empty folder, which has to stay while it is used.

    Packages are linked, and copied where the file system has no links. The plugin is there with an entry point if this
    session's environment has one: the other environment's own then counts for nothing, whatever its version.
    """
    ours, needs, newer = folder / "ours", folder / "needs", {}
    for path in (ours, needs):
        path.mkdir(parents=True)
    (folder / COMPANION_MARKER).touch()
    _bring(_PACKAGE, ours)
    has_entry_point = any(metadata.entry_points(group="pytest11", name=ENTRY_POINT))
    if has_entry_point:
        _write_entry_point(ours)
    least: dict[str, str] = {canonicalize_name(one.name): _least(one) for one in _requirements()}
    for name, distribution in _closure(least):
        apart = folder / "newer" / name
        if name in least and name != "pytest":
            newer[name] = (least[name], apart)
            apart.mkdir(parents=True)
        for path in _top_level(distribution):
            _bring(path, needs)
            if apart.exists():
                _bring(path, apart)
    return Companion(ours, needs, newer, serves, is_run_as_module(), has_entry_point, least["pytest"])


def is_run_as_module() -> bool:
    """Tell whether this session was started by ``python -m pytest``, which puts the current folder first."""
    return Path(sys.argv[0]).name == "__main__.py" and not getattr(sys.flags, "safe_path", False)


def _write_entry_point(ours: Path) -> None:
    information = ours / f"pytest_cpuaccel-{metadata.version(_OURS)}.dist-info"
    information.mkdir()
    about = f"Metadata-Version: 2.1\nName: {_OURS}\nVersion: {metadata.version(_OURS)}\n"
    (information / "METADATA").write_text(about, encoding="utf-8")
    (information / "entry_points.txt").write_text(f"[pytest11]\n{ENTRY_POINT} = {PLUGIN}\n", encoding="utf-8")


def _requirements() -> list[Requirement]:
    """What the plugin needs, by its own metadata; extras are left out."""
    try:
        given = metadata.requires(_OURS) or _NEEDED
    except metadata.PackageNotFoundError:
        given = _NEEDED
    return list(_applying(given))


def _least(requirement: Requirement) -> str:
    return next((part.version for part in requirement.specifier if part.operator == ">="), "0")


def _closure(names: Iterable[str]) -> Iterator[tuple[str, metadata.Distribution]]:
    """The installed distributions of these names, what they need, and so on; one with compiled files is left out.

    So is what that one needs: another interpreter has it installed or can't run it.
    """
    pending, seen = list(names), set()
    while pending:
        name = pending.pop()
        if name in seen:
            continue
        seen.add(name)
        try:
            distribution = metadata.distribution(name)
        except metadata.PackageNotFoundError:
            continue
        if any(str(file).endswith(_COMPILED) for file in distribution.files or ()):
            continue
        yield name, distribution
        pending += [canonicalize_name(one.name) for one in _applying(distribution.requires or ())]


def _applying(given: Iterable[str]) -> Iterator[Requirement]:
    for text in given:
        try:
            requirement = Requirement(text)
        except InvalidRequirement:
            continue
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
            yield requirement


def _top_level(distribution: metadata.Distribution) -> list[Path]:
    """The packages, modules and metadata of a distribution: what lies directly in its folder of packages."""
    first = {file.parts[0] for file in distribution.files or () if len(file.parts) > 1 or file.suffix == ".py"}
    places = (Path(str(distribution.locate_file(name))) for name in sorted(first - {"..", "__pycache__"}))
    return [place for place in places if place.exists()]


def _bring(path: Path, folder: Path) -> None:
    target = folder / path.name
    if target.is_symlink() or target.exists():
        return
    try:
        target.symlink_to(path.resolve())
    except OSError:
        if path.is_dir():
            shutil.copytree(path, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copyfile(path, target)
