"""Upstream code that runs for a backend: its warnings are dropped, its exceptions become one line of ours."""

from __future__ import annotations

import concurrent.futures
import functools
import io
import logging
import re
import subprocess
import warnings
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from typing import Any

from pytest_cpuaccel.backends.toolkit.code_line import code_line, library_line
from pytest_cpuaccel.backends.toolkit.slips import SLIPS, is_slip
from pytest_cpuaccel.backends.toolkit.telemetry import telemetry_off
from pytest_cpuaccel.core.errors import BackendUnavailableError, BuildError, BuildFailureError, CpuaccelError

_BEFORE_PACKAGES = re.compile(r"[^\s'\"]*/(?:site|dist)-packages/")
"""The folders of installed libraries, which are cut from messages."""
_COLOUR = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
_ADVICE = re.compile(r"\s*This is step \d+/\d+ of exporting .*")
"""The text that torch.onnx adds to an exception; its cause says what happened."""
_SEE_TRACE = re.compile(r"\s*\(?(?:See|Refer to) the (?:full )?stack ?trace\b.*", re.IGNORECASE)
"""A reference to a trace that is not shown."""
_WHERE = re.compile(r"Exception from \S+:\d+:")
"""The lines that OpenVINO's text begins with: they name its source files."""
_ELSEWHERE = re.compile(r"https?://|\bfile an? (?:issue|bug)|\breport (?:this|a bug)|Facebook employee", re.IGNORECASE)
"""A sentence that sends the reader to a web page."""
_NOT_BUILT = re.compile(r"(Could not run '[^']+' with arguments from the '[^']+' backend)\..*")
"""The first sentence of torch's page on an operator that a kind of tensor doesn't have."""
_NO_ONNX = re.compile(r"No ONNX function found for <OpOverload\(op='([^']+)'")
_NO_KERNEL = re.compile(r"\[ONNXRuntimeError\] : \d+ : \w+ : (?:Load model from \S+ failed: ?)?")
"""The prefix of ONNX Runtime's texts, with the path of a file of ours."""
_FAKE_RUN = re.compile(r"got (\w+)\((['\"])(.+?)\2\)", re.DOTALL)
"""The exception within dynamo's text on an operator that it ran without numbers."""
_COMPILER_SAYS = re.compile(r"^.*?\berror: (.+)$", re.MULTILINE)
_SENTENCE_ENDS = re.compile(r"(?<=[.!?])\s+")
_NEEDS_VALUE = (
    "the model's Python code needs the value of a tensor to go on, in an if, a while, float() or the like; "
    "torch.export knows shapes alone"
)
_LONGEST = 400
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
def contained(packages: Collection[str] = ()) -> Iterator[None]:
    """Run upstream code without its warnings, because they fail suites under ``-W error``, and without telemetry.

    torch's trace of its compiler is dropped too: pytest would show hundreds of its records below a failed test.
    ``packages`` hold the code of the backend that is run (:func:`packages_of`).

    Raises:
        BackendUnavailableError: an import failed; the text is upstream's.
        BuildError: anything else failed; the text is :func:`reason`, with the line of the user's code if one is known.
        BuildFailureError: of these, what does not lie in the model, such as a full disk or a slip of the backend's.
    """
    trace = logging.getLogger("torch.__trace")
    was_disabled, trace.disabled = trace.disabled, True
    try:
        with warnings.catch_warnings(), telemetry_off():
            warnings.simplefilter("ignore")
            yield
    except CpuaccelError:
        raise
    except ModuleNotFoundError as error:
        raise BackendUnavailableError(reason(error)) from error
    except ImportError as error:
        raise BackendUnavailableError(f"installed but does not import: {reason(error)}") from error
    except Exception as error:
        raise build_error(error, packages=packages) from error
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


def build_error(error: Exception, text: str = "", packages: Collection[str] = ()) -> BuildError:
    """Return the error of a build or call in which upstream raised: a refusal; a failure if the model is not the cause.

    The ``text`` is :func:`reason`, with the line of the user's code if one is known, unless given. ``packages`` hold
    the code of the backend, whose own slips are failures.
    """
    kind = BuildError if _lies_in_the_model(error) and not is_slip(error, packages) else BuildFailureError
    return kind(text or f"{reason(error)}{_place(error)}")


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

    If the text only refers to a trace, the cause is used. Colours, web addresses and paths of installed libraries are
    left out. What torch's exporters and compilers wrap in pages of their own is said in one sentence.
    """
    whole = _COLOUR.sub("", str(error))
    text = _first_statement([line.strip() for line in whole.splitlines() if line.strip()])
    if error.__cause__ is not None and _ADVICE.search(text):
        return reason(error.__cause__)
    if known := _in_plain_words(error, whole):
        return known
    if pointer := _SEE_TRACE.search(text):
        text = text[: pointer.start()]
        text = f"{text} {reason(error.__cause__)}" if error.__cause__ is not None else text
    text = _shortened(_without_elsewhere(_NO_KERNEL.sub("", _BEFORE_PACKAGES.sub("", text))))
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _in_plain_words(error: BaseException, text: str) -> str:
    """Return the one sentence that an exception of torch's exporters and compilers comes to; ``""`` for any other."""
    kind, cause = type(error).__name__, error.__cause__
    if kind == "GuardOnDataDependentSymNode":
        return _NEEDS_VALUE
    if kind == "UnsupportedOperatorException":
        return f"there is no operator {_operator(text)} for tensors without numbers, which torch.export runs a model on"
    if found := _NO_ONNX.search(text) or _NO_ONNX.search(str(cause)):
        return f"ONNX has no operator for {found[1]}"
    if kind == "BackendCompilerFailed" and isinstance(inner := getattr(error, "inner_exception", None), Exception):
        return str(inner) if isinstance(inner, CpuaccelError) else reason(inner)
    if kind == "TorchRuntimeError" and (found := _FAKE_RUN.search(text)):
        return f"{found[1]}: {_shortened(_without_elsewhere(' '.join(found[3].split())))}"
    if kind == "CppCompileError" and (found := _COMPILER_SAYS.search(text)):
        return f"{kind}: the C++ compiler says: {_shortened(found[1])}"
    return ""


def _operator(text: str) -> str:
    """Return an operator's name without its overload: ``aten._to_sparse`` of ``aten._to_sparse.default``."""
    return ".".join(text.split()[0].split(".")[:2]) if text.split() else "of this name"


def _without_elsewhere(text: str) -> str:
    """Return a text without its sentences that send the reader to a web page; the whole if nothing else is left."""
    text = _NOT_BUILT.sub(r"\1", text)
    kept = [sentence for sentence in _SENTENCE_ENDS.split(text) if not _ELSEWHERE.search(sentence)]
    return " ".join(kept) or text


def _shortened(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST].rsplit(' ', 1)[0]} ..."


def _place(error: BaseException) -> str:
    """Return where the user's code is on the way to an exception, in brackets; else where a library slipped."""
    if line := code_line(error):
        return f" (at {line})"
    line = library_line(error) if isinstance(error, SLIPS) else ""
    return f" (a fault in {line})" if line else ""


def _first_statement(lines: list[str]) -> str:
    """Return the first line; if it is a heading, which ends in a colon, also the first line that says what happened."""
    last = next((place for place, line in enumerate(lines) if not line.endswith(":")), len(lines) - 1)
    headed = lines[: last + 1]
    return " ".join([line for line in headed if not _WHERE.fullmatch(line)] or headed)
