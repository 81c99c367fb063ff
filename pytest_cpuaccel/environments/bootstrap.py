"""The program that starts pytest in another environment.

It is run there as a script, and uses the standard library alone. Its first argument is an order as JSON (see
``Environment.command``), all further ones are pytest's.
"""

from __future__ import annotations

import importlib
import json
import os
import re
import sys
from collections.abc import Iterable, Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

NOT_STARTED = 96
"""The exit code where pytest can't be started; the last line of stderr tells the reason."""

ENTRY_POINT, PLUGIN = "cpuaccel", "pytest_cpuaccel.plugin.hooks"
COMPANION_MARKER = ".cpuaccel-companion"
OWN_MARKER = ".cpuaccel-environment"
_NOT_OF_A_TREE = ("pyvenv.cfg", "conda-meta", COMPANION_MARKER, OWN_MARKER)
"""What a folder holds that is no code of the user's, though it may lie in the user's tree."""

Moved = Iterable[tuple[str, str]]
"""Pairs of a folder and the one that stands for it, both absolute and without links."""


def main() -> int:
    """Start pytest as the order says, and return its exit code."""
    order: dict[str, Any] = json.loads(sys.argv[1])
    _leave_own_folder()
    move_imports([(tree, checkout) for tree, checkout in order["moved"]])
    newer = [folder for name, least, folder in order["newer"] if _is_older(name, least)]
    sys.path.append(order["needs"])
    if order["as_module"]:
        sys.path.insert(0, str(Path.cwd()))
    sys.path[:0] = [order["ours"], *newer]
    try:
        pytest = _pytest(order["least_pytest"])
    except ImportError as reason:
        print(f"pytest can't be started under {sys.executable}: {reason}", file=sys.stderr)  # noqa: T201
        return NOT_STARTED
    started = Path(pytest.__file__).with_name("__main__.py") if order["as_module"] else Path(sys.prefix, "bin/pytest")
    sys.argv = [str(started), *_plugins(order), *sys.argv[2:]]
    return int(pytest.main(sys.argv[1:]))


def move_imports(moved: Moved) -> None:
    """Have imports from each folder of the pairs look into the one that stands for it.

    This covers ``sys.path`` and the finders of editable installs, those of setuptools and of the package ``editables``.
    A folder of links, by setuptools' strict mode, is replaced by the project's ``src``, or the project.
    Folders that such a finder reaches are appended to ``sys.path``, so that a process inherits them that is started
    with this one's.
    """
    pairs = list(moved)
    sys.path[:] = [_source_of(moved_path(path, pairs)) if path else path for path in sys.path]
    for mapping in _editable_mappings():
        for name, path in mapping.items():
            mapping[name] = new = moved_path(path, pairs)
            if new != path and (root := _root_of(name, new)) is not None and root not in sys.path:
                sys.path.append(root)
    for namespaces in _editable_namespaces():
        for name, paths in namespaces.items():
            namespaces[name] = [moved_path(path, pairs) for path in paths]


def _source_of(path: str) -> str:
    """Where the packages of an import path are; for a folder of links that setuptools made, those they lead to."""
    place = Path(path)
    if place.exists() or not place.name.startswith("__editable__"):
        return path
    project = place.parents[1]
    return str(project / "src" if (project / "src").is_dir() else project)


def moved_path(path: str, moved: Moved) -> str:
    """Return where a path of a moved folder stands now, and any other as it is.

    A virtual environment isn't moved, though it may lie in the user's tree, nor is what was made in a cache there.
    """
    for tree, checkout in moved:
        for form in (os.path.abspath(path), os.path.realpath(path)):  # noqa: PTH100 (a link may lie in it, or lead to it)
            if is_under(form, tree) and not is_under(form, checkout) and not _is_no_code(form, tree):
                return checkout + form[len(tree) :]
    return path


def is_under(path: str, folder: str) -> bool:
    """Tell whether an absolute path is a folder or lies in it."""
    return path == folder or path.startswith(folder.rstrip(os.sep) + os.sep)


def _is_no_code(path: str, tree: str) -> bool:
    """Tell whether a path in a tree is part of an environment, or a folder of installed packages."""
    here = Path(path)
    if any(here.glob("*.dist-info")):
        return True
    while str(here) != tree and here != here.parent:
        if any((here / name).exists() for name in _NOT_OF_A_TREE):
            return True
        here = here.parent
    return False


def _editable_mappings() -> Iterator[dict[str, str]]:
    """The tables, from a module's name to its path, of editable installs in this process."""
    yield from (module.MAPPING for module in _setuptools_finders() if isinstance(module.MAPPING, dict))
    for finder in sys.meta_path:
        redirections = getattr(finder, "_redirections", None)
        if isinstance(redirections, dict):
            yield redirections


def _editable_namespaces() -> Iterator[dict[str, list[str]]]:
    found = (getattr(module, "NAMESPACES", None) for module in _setuptools_finders())
    return (namespaces for namespaces in found if isinstance(namespaces, dict))


def _setuptools_finders() -> list[Any]:
    named = [module for name, module in sys.modules.items() if name.startswith("__editable__")]
    return [module for module in named if hasattr(module, "MAPPING")]


def _root_of(name: str, path: str) -> str | None:
    """The folder from which a module can be imported by this name; None where its path has another."""
    place = Path(path)
    if place.name == "__init__.py":
        place = place.parent
    parts = name.split(".")
    place = place.with_suffix("") if place.suffix == ".py" else place
    return str(place.parents[len(parts) - 1]) if list(place.parts[-len(parts) :]) == parts else None


def _leave_own_folder() -> None:
    """Python put the folder of this file first: its modules are no top-level modules."""
    if sys.path and os.path.realpath(sys.path[0]) == os.path.dirname(os.path.realpath(__file__)):  # noqa: PTH120
        del sys.path[0]


def _is_older(name: str, least: str) -> bool:
    """Tell whether a distribution is installed in an older release than this one."""
    try:
        return [*_numbers(metadata.version(name)), 0, 0] < _numbers(least)
    except metadata.PackageNotFoundError:
        return False


def _numbers(version: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", version.partition("+")[0])]


def _pytest(least: str) -> Any:
    """The package pytest of this environment, or the one that was brought along.

    Raises:
        ImportError: there is none that can be used, with the reason.
    """
    try:
        pytest: Any = importlib.import_module("pytest")
    except ImportError as error:
        raise ImportError(f"{error}; install pytest there") from error
    if _is_older("pytest", least):
        raise ImportError(f"its pytest {pytest.__version__} is older than {least}, which is needed; upgrade it there")
    return pytest


def _plugins(order: dict[str, Any]) -> list[str]:
    """The options that load what this run needs, besides the entry points."""
    ours = [] if order["has_entry_point"] else ["-p", f"no:{ENTRY_POINT}", "-p", PLUGIN]
    return [*ours, *(["-p", order["serves"]] if order["serves"] else [])]


if __name__ == "__main__":
    sys.exit(main())
