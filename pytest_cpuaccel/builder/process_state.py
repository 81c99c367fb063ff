"""The process's own state: the plugin restores it after its work, so that tests find it unchanged.

Entries that a package appends to ``sys.path`` when it is imported stay: later imports of its parts need them.
"""

from __future__ import annotations

import contextlib
import gc
import locale
import logging
import os
import signal
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch

from pytest_cpuaccel.backends.toolkit import fp32_precision
from pytest_cpuaccel.builder.random_generators import generators_kept
from pytest_cpuaccel.builder.state.variable import write_environment


class StatePart(NamedTuple):
    """One part of the state: ``read()`` returns it in a form that ``==`` compares, ``write`` takes the same form."""

    read: Callable[[], Any]
    write: Callable[[Any], object]


@contextlib.contextmanager
def process_kept(threads: int | None = None) -> Iterator[None]:
    """Restore the present state of the process at the end; meanwhile torch has ``threads`` threads if that is given."""
    before = [part.read() for part in _PARTS]
    with generators_kept(), warnings.catch_warnings():
        try:
            if threads is not None:
                torch.set_num_threads(threads)
            yield
        finally:
            for part, state in zip(_PARTS, before, strict=True):
                if part.read() != state:
                    part.write(state)


@contextlib.contextmanager
def on_threads(threads: int) -> Iterator[None]:
    """Give torch this number of threads, and restore its earlier number at the end unless somebody changed it."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        if torch.get_num_threads() == threads != before:
            torch.set_num_threads(before)


def _deterministic() -> tuple[bool, bool]:
    return torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()


def _set_deterministic(state: tuple[bool, bool]) -> None:
    torch.use_deterministic_algorithms(state[0], warn_only=state[1])


def _folder() -> str | None:
    """Return the working directory; None if it was deleted."""
    try:
        return str(Path.cwd())
    except OSError:
        return None


def _set_folder(folder: str | None) -> None:
    if folder is not None:
        os.chdir(folder)


def _umask() -> int:
    """Read the umask by setting it; the value set meanwhile keeps other threads' new files private."""
    found = os.umask(0o077)
    os.umask(found)
    return found


_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGALRM, signal.SIGCHLD)


def _handlers() -> tuple[Any, ...]:
    return tuple(map(signal.getsignal, _SIGNALS))


def _set_handlers(handlers: tuple[Any, ...]) -> None:
    for number, handler in zip(_SIGNALS, handlers, strict=True):
        if signal.getsignal(number) != handler and handler is not None:  # None: not set from Python
            signal.signal(number, handler)


class _Logger(NamedTuple):
    level: int
    propagate: bool
    disabled: bool
    handlers: tuple[logging.Handler, ...]


def _loggers() -> dict[str, _Logger]:
    known = {name: item for name, item in logging.root.manager.loggerDict.items() if isinstance(item, logging.Logger)}
    return {
        name: _Logger(item.level, item.propagate, item.disabled, tuple(item.handlers))
        for name, item in {"root": logging.root, **known}.items()
    }


def _set_loggers(loggers: Mapping[str, _Logger]) -> None:
    """Set the loggers; those that were made meanwhile stay, because they came with an import."""
    now = _loggers()
    for name, state in loggers.items():
        if now.get(name) != state:
            logger = logging.getLogger(name)
            logger.setLevel(state.level)
            logger.propagate, logger.disabled = state.propagate, state.disabled
            logger.handlers[:] = state.handlers


_COMPILER = ("torch._dynamo.config", "torch._inductor.config", "torch._functorch.config")


def _compiler_settings() -> dict[str, dict[str, Any]]:
    """Return the settings of those compiler modules that are imported."""
    return {name: sys.modules[name].get_config_copy() for name in _COMPILER if _is_loaded(name)}


def _set_compiler_settings(settings: Mapping[str, Mapping[str, Any]]) -> None:
    for module, values in settings.items():
        now = sys.modules[module].get_config_copy()
        for name, value in values.items():
            if now[name] != value:
                setattr(sys.modules[module], name, value)


def _is_loaded(module: str) -> bool:
    return hasattr(sys.modules.get(module), "get_config_copy")


_PARTS = (
    StatePart(torch.get_num_threads, torch.set_num_threads),
    StatePart(torch.is_grad_enabled, torch.set_grad_enabled),
    StatePart(lambda: torch.is_autocast_enabled("cpu"), lambda on: torch.set_autocast_enabled("cpu", on)),
    StatePart(torch.get_default_dtype, torch.set_default_dtype),
    StatePart(_deterministic, _set_deterministic),
    StatePart(fp32_precision.matmul_precision, fp32_precision.set_matmul_precision),
    StatePart(fp32_precision.precisions, fp32_precision.set_precisions),
    StatePart(lambda: torch.backends.mkldnn.enabled, lambda on: setattr(torch.backends.mkldnn, "enabled", on)),
    StatePart(torch.backends.mha.get_fastpath_enabled, torch.backends.mha.set_fastpath_enabled),
    StatePart(
        lambda: torch.backends.quantized.engine,
        lambda engine: setattr(torch.backends.quantized, "engine", engine),
    ),
    StatePart(_compiler_settings, _set_compiler_settings),
    StatePart(lambda: dict(os.environ), write_environment),
    StatePart(_folder, _set_folder),
    StatePart(_umask, os.umask),
    StatePart(lambda: tempfile.tempdir, lambda folder: setattr(tempfile, "tempdir", folder)),
    StatePart(logging.getLoggerClass, logging.setLoggerClass),
    StatePart(lambda: logging.root.manager.disable, logging.disable),
    StatePart(_loggers, _set_loggers),
    StatePart(_handlers, _set_handlers),
    StatePart(gc.isenabled, lambda on: gc.enable() if on else gc.disable()),
    StatePart(sys.getrecursionlimit, sys.setrecursionlimit),
    StatePart(lambda: locale.setlocale(locale.LC_ALL), lambda name: locale.setlocale(locale.LC_ALL, name)),
)
