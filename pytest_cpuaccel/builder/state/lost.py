"""State that can't be restored: running generators, open files, and effects outside of this process."""

from __future__ import annotations

import contextvars
import os
import sys
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from torch import nn

from pytest_cpuaccel.builder.source_code import project_file
from pytest_cpuaccel.builder.state.handle import is_handle
from pytest_cpuaccel.builder.state.snapshot import Snapshot

_WRITING = os.O_WRONLY | os.O_RDWR | os.O_APPEND
_EFFECTS = {
    "os.remove": "the file {}",
    "os.rename": "the file {}",
    "os.truncate": "the file {}",
    "os.mkdir": "the folder {}",
    "os.rmdir": "the folder {}",
    "sqlite3.connect": "the database {}",
    "socket.connect": "a network connection",
    "socket.sendto": "a network connection",
    "subprocess.Popen": "another process",
    "os.system": "another process",
    "os.posix_spawn": "another process",
    "os.fork": "another process",
}
"""Python's audit events of outside effects -> a description for the user; ``{}`` is the first argument."""

_watchers: list[Callable[[str], None]] = []
_is_hooked = False


def lost_state(model: nn.Module, call: Callable[[], object]) -> list[str]:
    """Return names of state that a model's call may change and no snapshot can restore, such as ``'gen' of Net``."""
    return list(dict.fromkeys((*_handles(Snapshot.of(model)), *_effects(call))))


def _handles(state: Snapshot) -> Iterator[str]:
    for note in state.notes.values():
        for name, item in note.children.items():
            if is_handle(item):
                owner = type(note.value).__name__
                where = f"'{name}' of {owner}" if isinstance(note.value, nn.Module) else f"something in a {owner}"
                yield f"{where} (a {type(item).__name__})"
    for variable, value in state.outside:
        if is_handle(value) or isinstance(value, contextvars.ContextVar):
            yield f"{variable.name} (a {type(value).__name__})"


def _effects(call: Callable[[], object]) -> list[str]:
    """Yield a call's effects on files, the network or other processes, each with the project's line."""
    global _is_hooked
    if not _is_hooked:
        sys.addaudithook(_audit)  # can't be removed; it does nothing while nobody watches
        _is_hooked = True
    found: list[str] = []
    _watchers.append(found.append)
    try:
        call()
    finally:
        _watchers.pop()
    return found


def _audit(event: str, args: tuple[Any, ...]) -> None:
    if not _watchers:
        return
    if event == "open" and _is_for_writing(*args[1:3]):
        what = f"the file {args[0]!r}"
    elif event in _EFFECTS:
        what = _EFFECTS[event].format(*map(repr, args[:1] or ("",)))
    else:
        return
    if place := _place(sys._getframe(1)):
        _watchers[-1](f"{what} ({place})")


def _is_for_writing(mode: object, flags: object) -> bool:
    return (isinstance(mode, str) and any(letter in mode for letter in "wax+")) or (
        isinstance(flags, int) and bool(flags & _WRITING)
    )


def _place(frame: types.FrameType | None) -> str:
    """Return the innermost line of a project on the stack; ``""`` if there is none."""
    while frame is not None and not project_file(frame.f_globals):
        frame = frame.f_back
    return "" if frame is None else f"{Path(frame.f_code.co_filename).name}:{frame.f_lineno}"
