"""Upstream code at work for a backend: its warnings are dropped, its failures become one line of ours."""

from __future__ import annotations

import functools
import logging
import re
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from pytest_cpuaccel.core.errors import BackendUnavailableError, BuildError, CpuaccelError

_BEFORE_PACKAGES = re.compile(r"[^\s'\"]*/(?:site|dist)-packages/")
"""Where libraries are installed, which says nothing of what went wrong in them."""
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_ADVICE = re.compile(r"\s*This is step \d+/\d+ of exporting .*")
"""What torch.onnx adds to the text of an exception whose cause says what happened."""


@contextmanager
def contained() -> Iterator[None]:
    """Run upstream code without its warnings, which fail suites that run under ``-W error``.

    Without torch's trace of its compiler either: pytest shows hundreds of its records below a failed test.

    Raises:
        BackendUnavailableError: an import failed; the text is upstream's.
        BuildError: anything else failed; the text is upstream's class and first line.
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
        raise BuildError(reason(error)) from error
    finally:
        trace.disabled = was_disabled


def silent(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return ``function`` without its warnings, for upstream code that may warn in any call; costs some 3 us a call."""

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return function(*args, **kwargs)

    return call


def reason(error: BaseException) -> str:
    """Return an exception as one line: its class, and its text as far as the first full statement."""
    lines = [line.strip() for line in _COLOUR.sub("", str(error)).splitlines() if line.strip()]
    text = lines[0] if lines else ""
    if text.endswith(":") and len(lines) > 1:  # the heading of a report whose next line says what happened
        text = f"{text} {lines[1]}"
    if error.__cause__ is not None and _ADVICE.search(text):
        return reason(error.__cause__)
    text = _BEFORE_PACKAGES.sub("", text)
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
