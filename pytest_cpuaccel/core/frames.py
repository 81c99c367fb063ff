"""The frames of a traceback that are the user's."""

from __future__ import annotations

import importlib
import sysconfig
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType

_OURS = f"{Path(__file__).parents[1]}/"


def without_ours(frames: TracebackType | None) -> TracebackType | None:
    """Return a traceback without this package's own frames."""
    return chained(entry for entry in entries(frames) if not is_ours(entry))


def without_imports(frames: TracebackType | None) -> TracebackType | None:
    """Return a traceback without the frames of Python's own import."""
    return chained(entry for entry in entries(frames) if not _imports(entry.tb_frame.f_code.co_filename))


def entries(frames: TracebackType | None) -> Iterator[TracebackType]:
    """Yield the entries of a traceback, the innermost last."""
    while frames is not None:
        yield frames
        frames = frames.tb_next


def chained(entries: Iterable[TracebackType]) -> TracebackType | None:
    """Return a traceback of these entries."""
    joined = None
    for entry in reversed(list(entries)):
        joined = TracebackType(joined, entry.tb_frame, entry.tb_lasti, entry.tb_lineno)
    return joined


def is_ours(entry: TracebackType) -> bool:
    """Tell whether a frame runs code of this package."""
    return entry.tb_frame.f_code.co_filename.startswith(_OURS)


def runs_users_code(frames: TracebackType | None) -> bool:
    """Tell whether a frame of a traceback runs code that is neither of this package nor installed."""
    installed = tuple(sysconfig.get_paths()[name] for name in ("stdlib", "platstdlib", "purelib", "platlib"))
    files = [entry.tb_frame.f_code.co_filename for entry in entries(frames) if not is_ours(entry)]
    return any(not file.startswith((*installed, "<")) and "site-packages" not in file for file in files)


def _imports(filename: str) -> bool:
    return filename.startswith("<frozen importlib") or filename == importlib.__file__
