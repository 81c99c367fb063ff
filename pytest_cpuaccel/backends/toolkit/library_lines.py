"""The lines that oneDNN and MKL write on each kernel that they run, with its name and number formats."""

from __future__ import annotations

import contextlib
import ctypes
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

import torch

_OWN = (b"onednn_verbose", b"dnnl_verbose", b"MKL_VERBOSE")
_SETTINGS = ("ONEDNN_VERBOSE", "DNNL_VERBOSE", "MKL_VERBOSE")
"""Variables by which a user has these lines written. They are then left alone, and nothing is read."""


@contextlib.contextmanager
def library_lines() -> Iterator[Callable[[], str]]:
    """Yield a function that returns what the libraries wrote since it was last called; "" where they can't be read.

    They write to the process's standard output, which goes to a file meanwhile. What others write is passed on at
    the end. Don't use it while something is timed.
    """
    with contextlib.ExitStack() as stack:
        file = None if any(os.environ.get(name, "0") != "0" for name in _SETTINGS) else _redirected(stack)
        if file is None:
            yield lambda: ""
            return
        for library in (torch.backends.mkldnn, torch.backends.mkl):
            if library.is_available():
                with contextlib.suppress(AssertionError):  # it says so where a library has no such lines
                    stack.enter_context(library.verbose(1))
        yield lambda: file.read().decode(errors="replace")


def _redirected(stack: contextlib.ExitStack) -> IO[bytes] | None:
    """A file that standard output goes to until the stack is closed; None where there is no standard output."""
    _flush()
    try:
        before = os.dup(1)
    except OSError:
        return None
    stack.callback(os.close, before)
    folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="cpuaccel-"))
    path = Path(folder, "stdout")
    written = stack.enter_context(path.open("wb"))
    file = stack.enter_context(path.open("rb"))
    stack.callback(_put_back, before, path)
    os.dup2(written.fileno(), 1)
    return file


def _put_back(before: int, path: Path) -> None:
    _flush()
    os.dup2(before, 1)
    with path.open("rb") as file:
        others = [line for line in file if not line.startswith(_OWN)]
    if others:
        with open(1, "wb", closefd=False) as out:
            out.writelines(others)


def _flush() -> None:
    """Write out what Python and C hold back for standard output."""
    with contextlib.suppress(Exception):
        sys.stdout.flush()
    ctypes.CDLL(None).fflush(None)
