"""Upstream code that runs for a backend: its warnings are dropped, its exceptions become one line of ours."""

from __future__ import annotations

import concurrent.futures
import functools
import io
import logging
import re
import subprocess
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from typing import Any

from pytest_cpuaccel.core.errors import BackendUnavailableError, BuildError, BuildFailureError, CpuaccelError

_BEFORE_PACKAGES = re.compile(r"[^\s'\"]*/(?:site|dist)-packages/")
"""The folders of installed libraries, which are cut from messages."""
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_ADVICE = re.compile(r"\s*This is step \d+/\d+ of exporting .*")
"""The text that torch.onnx adds to an exception; its cause says what happened."""
_SEE_TRACE = re.compile(r"\s*\(?(?:See|Refer to) the (?:full )?stack ?trace\b.*", re.IGNORECASE)
"""A reference to a trace that is not shown."""
_WHERE = re.compile(r"Exception from \S+:\d+:")
"""The lines that OpenVINO's text begins with: they name its source files."""
_NOT_OF_THE_MODEL = (OSError, MemoryError, subprocess.SubprocessError, concurrent.futures.TimeoutError, Warning)
"""Kinds of exceptions that say something of the machine or the run, and nothing of a model."""
_COMPILER_MISSING = "InvalidCxxCompiler"
"""The class of Inductor's exception where no C++ compiler works. Importing it would import Inductor."""
_OUT_OF_MEMORY = re.compile(
    r"not enough memory|can't allocate memory|failed to allocate memory|bad_alloc|bad allocation|"
    r"no space left on device|disk quota exceeded",
    re.IGNORECASE,
)
"""What native libraries say of a full memory or disk, in exceptions of no kind of their own."""


@contextmanager
def contained() -> Iterator[None]:
    """Run upstream code without its warnings, because they fail suites under ``-W error``.

    torch's trace of its compiler is dropped too: pytest would show hundreds of its records below a failed test.

    Raises:
        BackendUnavailableError: an import failed; the text is upstream's.
        BuildError: anything else failed; the text is upstream's class and first line.
        BuildFailureError: of these, what does not lie in the model, such as a full disk.
    """
    trace = logging.getLogger("torch.__trace")
    was_disabled, trace.disabled = trace.disabled, True
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except CpuaccelError:
        raise
    except ModuleNotFoundError as error:
        raise BackendUnavailableError(reason(error)) from error
    except ImportError as error:
        raise BackendUnavailableError(f"installed but does not import: {reason(error)}") from error
    except Exception as error:
        raise build_error(error) from error
    finally:
        trace.disabled = was_disabled


@contextmanager
def silenced() -> Iterator[None]:
    """Run upstream code :func:`contained`, and without what it prints and logs.

    Raises:
        BackendUnavailableError, BuildError: as :func:`contained`.
    """
    disabled_before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with contained(), redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
            yield
    finally:
        logging.disable(disabled_before)


def silent(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return ``function`` without its warnings, for upstream code that may warn in any call; costs some 3 us a call."""

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return function(*args, **kwargs)

    return call


def build_error(error: Exception, text: str = "") -> BuildError:
    """Return the error of a build or call in which upstream raised: a refusal; a failure if the model is not the cause.

    The ``text`` is upstream's class and first line unless given.
    """
    kind = BuildError if _lies_in_the_model(error) else BuildFailureError
    return kind(text or reason(error))


def _lies_in_the_model(error: BaseException | None) -> bool:
    """Tell whether neither an exception nor one that it was raised from comes of the machine."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        if isinstance(error, (*_NOT_OF_THE_MODEL, BuildFailureError)) or type(error).__name__ == _COMPILER_MISSING:
            return False
        if _OUT_OF_MEMORY.search(str(error)):
            return False
        seen.add(id(error))
        error = getattr(error, "inner_exception", None) or error.__cause__  # the former is Dynamo's
    return True


def reason(error: BaseException) -> str:
    """Return an exception as one line: its class, and its text up to the first full statement.

    If the text only refers to a trace, the cause is used.
    """
    text = _first_statement([line.strip() for line in _COLOUR.sub("", str(error)).splitlines() if line.strip()])
    if error.__cause__ is not None and _ADVICE.search(text):
        return reason(error.__cause__)
    if pointer := _SEE_TRACE.search(text):
        text = text[: pointer.start()]
        text = f"{text} {reason(error.__cause__)}" if error.__cause__ is not None else text
    text = _BEFORE_PACKAGES.sub("", text)
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _first_statement(lines: list[str]) -> str:
    """Return the first line; if it is a heading, which ends in a colon, also the first line that says what happened."""
    last = next((place for place, line in enumerate(lines) if not line.endswith(":")), len(lines) - 1)
    headed = lines[: last + 1]
    return " ".join([line for line in headed if not _WHERE.fullmatch(line)] or headed)
