"""The source code of the user's own project, and digests of the code behind a model or a backend."""

from __future__ import annotations

import functools
import hashlib
import os
import sys
import sysconfig
import types
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

_INSTALLED = ("site-packages", "dist-packages")

Namespace = Mapping[str, Any]
"""The global variables of a module."""


def is_project_code(value: Any) -> bool:
    """Tell whether a class or function comes from a file of a project, neither installed nor Python's own."""
    return any(map(project_file, _namespaces(value)))


def project_file(namespace: Namespace) -> str:
    """Return the file of a project's module; ``""`` for any other module."""
    file = namespace.get("__file__")
    return file if isinstance(file, str) and _is_project_file(file) else ""


def code_digest(values: Iterable[Any]) -> str:
    """Return a digest of the project code behind classes, functions and objects.

    It covers the files that define them and, from there, every file of a project whose modules, classes or functions
    those files refer to. Installed packages are identified by their versions; ``""`` if all code is theirs.
    """
    files = sorted(_files(values))
    return hashlib.sha256("".join(map(_file_digest, files)).encode()).hexdigest() if files else ""


def package_digest(value: Any) -> str:
    """Return a digest of every Python file of the package that a function is defined in, installed or not.

    ``""`` if it is defined in no file.
    """
    names = {str(namespace.get("__name__", "")).partition(".")[0] for namespace in _namespaces(value)}
    modules = [module for name in names if (module := sys.modules.get(name)) and name not in sys.stdlib_module_names]
    files = sorted(str(file) for module in modules for file in _package_files(module))
    return hashlib.sha256("".join(map(_file_digest, files)).encode()).hexdigest() if files else ""


def _package_files(module: types.ModuleType) -> Iterator[Path]:
    folders = [Path(folder) for folder in getattr(module, "__path__", ())]
    yield from (file for folder in folders for file in folder.rglob("*.py"))
    if not folders and getattr(module, "__file__", None):
        yield Path(str(module.__file__))


def _files(values: Iterable[Any]) -> set[str]:
    waiting = [namespace for value in values for namespace in _namespaces(value)]
    seen: set[int] = set()
    found: set[str] = set()
    while waiting:
        namespace = waiting.pop()
        if id(namespace) in seen:
            continue
        seen.add(id(namespace))
        if file := project_file(namespace):
            found.add(file)
            waiting += [other for value in list(namespace.values()) for other in _namespaces(value)]
    return found


def _namespaces(value: Any) -> Iterator[Namespace]:
    """Return the modules that define a module, class, function or object, including those of its bases."""
    if isinstance(value, types.ModuleType):
        yield vars(value)
    elif isinstance(value, functools.partial):
        yield from _namespaces(value.func)
        for argument in (*value.args, *value.keywords.values()):
            yield from _namespaces(argument)
    elif isinstance(value, types.MethodType):
        yield from _namespaces(value.__func__)
    elif isinstance(value, types.FunctionType):
        yield value.__globals__
        if "__wrapped__" in vars(value):
            yield from _namespaces(vars(value)["__wrapped__"])
    else:
        for kind in (value if isinstance(value, type) else type(value)).__mro__:
            methods = [item for item in vars(kind).values() if isinstance(item, types.FunctionType)]
            yield from (method.__globals__ for method in methods)
            if not methods and (module := sys.modules.get(kind.__module__)):
                yield vars(module)


@functools.lru_cache(maxsize=4096)
def _is_project_file(file: str) -> bool:
    is_installed = any(name in Path(file).parts for name in _INSTALLED)
    return file.endswith(".py") and not is_installed and not file.startswith(_python_folders())


@functools.cache
def _python_folders() -> tuple[str, ...]:
    """Return the folders of Python's own library and of installed packages' scripts."""
    return tuple({f"{sysconfig.get_path(name)}{os.sep}" for name in ("stdlib", "platstdlib", "scripts")})


def _file_digest(file: str) -> str:
    try:
        status = Path(file).stat()
    except OSError:
        return ""
    return _digest_of(file, status.st_mtime_ns, status.st_size)


@functools.lru_cache(maxsize=4096)
def _digest_of(file: str, mtime_ns: int, size: int) -> str:  # noqa: ARG001
    return hashlib.sha256(Path(file).read_bytes()).hexdigest()
