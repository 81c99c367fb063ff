"""What a process imported from elsewhere, though a checkout of the user's tree has it."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from pytest_cpuaccel.environments.bootstrap import is_under, moved_path

_OURS = "pytest_cpuaccel"


def imported_from_elsewhere(moved: Iterable[tuple[Path, Path]]) -> list[str]:
    """Return the names of modules of this process that a checkout has, and that were imported from another place.

    Such a module is not the revision's code. It comes from the user's tree where a package finds its modules in a way
    of its own, such as the loader of an editable install of compiled code; from installed packages where the user's
    project is installed as a copy.
    """
    pairs = [(os.path.realpath(tree), os.path.realpath(checkout)) for tree, checkout in moved]
    roots = list(_roots([checkout for _, checkout in pairs]))
    inside = {entry.removesuffix(".py") for root in roots for entry in os.listdir(root)}  # noqa: PTH208
    found = []
    for name, module in list(sys.modules.items()):
        path, top = getattr(module, "__file__", None), name.partition(".")[0]
        if name == "__main__" or top == _OURS or top in sys.stdlib_module_names or not isinstance(path, str):
            continue
        if moved_path(path, pairs) != path or (top in inside and _is_copy(name, path, roots)):
            found.append(name)
    return sorted(found)


def _roots(checkouts: Sequence[str]) -> Iterator[str]:
    """The folders in checkouts from which packages are imported."""
    paths = [os.path.realpath(path or ".") for path in ("", *sys.path)]
    for checkout in checkouts:
        for folder in dict.fromkeys((checkout, *(path for path in paths if is_under(path, checkout)))):
            yield from (place for place in (folder, f"{folder}/src") if os.path.isdir(place))  # noqa: PTH112


def _is_copy(name: str, path: str, roots: Sequence[str]) -> bool:
    """Tell whether a module from without the roots lies in one too, under the same name."""
    if any(is_under(os.path.realpath(path), root) for root in roots):
        return False
    inner = Path(*name.split("."))
    inner = inner / "__init__.py" if Path(path).name == "__init__.py" else inner.with_name(f"{inner.name}.py")
    return any(Path(root, inner).is_file() for root in roots)
