"""The line of the user's code that an exception of a library comes from."""

from __future__ import annotations

import os
import re
import sysconfig
import traceback
from collections.abc import Iterator
from pathlib import Path

_FRAME = re.compile(r'File "([^"]+)", line (\d+)')
"""A frame of a trace in text: torch's compilers write the user's frames into their messages."""
_INSTALLED = re.compile(r"/(?:site|dist)-packages/")
_PACKAGE = f"{Path(__file__).parents[2]}{os.sep}"
_STDLIB = f"{sysconfig.get_path('stdlib')}{os.sep}"


def code_line(error: BaseException) -> str:
    """Return ``models.py:12``, the last line of the user's code on the way to an exception; ``""`` if there is none.

    Code of installed packages, of Python and of this package is not the user's.
    """
    return next((line for link in _chain(error) if (line := line_in(str(link)) or _raised_at(link))), "")


def line_in(text: str) -> str:
    """Return the same of a trace in text, such as one that torch.export keeps of a node."""
    return _last((file, int(line)) for file, line in _FRAME.findall(text))


def library_line(error: BaseException) -> str:
    """Return ``torch/nn/functional.py:12``, the line of an installed package that raised; ``""`` if none did."""
    frames = traceback.extract_tb(error.__traceback__)
    inner = _INSTALLED.split(frames[-1].filename) if frames else []
    return f"{inner[-1]}:{frames[-1].lineno}" if len(inner) > 1 else ""


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    link: BaseException | None = error
    while link is not None and id(link) not in seen:
        seen.add(id(link))
        yield link
        link = link.__cause__ or (None if link.__suppress_context__ else link.__context__)


def _raised_at(error: BaseException) -> str:
    return _last((frame.filename, frame.lineno or 0) for frame in traceback.extract_tb(error.__traceback__))


def _last(frames: Iterator[tuple[str, int]]) -> str:
    *_, last = ("", *(f"{_shown(file)}:{line}" for file, line in frames if _is_users(file)))
    return last


def _is_users(file: str) -> bool:
    installed = {"site-packages", "dist-packages"} & set(Path(file).parts)
    own = file.startswith((_PACKAGE, _STDLIB))
    return not installed and not own and Path(file).is_file()


def _shown(file: str) -> str:
    path, here = Path(file), Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else path.name
