"""An inquiry into a backend's failing answer to a forward call, and what may be asked in it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pytest_cpuaccel.builder.builder import Builder
from pytest_cpuaccel.core.build_request import BuildRequest
from pytest_cpuaccel.core.call import Call
from pytest_cpuaccel.core.precision import Precision
from pytest_cpuaccel.judge.parity.comparison import Comparison
from pytest_cpuaccel.measure.parity.references import References


@dataclass(frozen=True)
class Inquiry:
    """``compared`` holds an answer to what eager gives for a call, in a precision, by its default tolerance.

    ``references`` is what eager gives for a call, in several precisions.
    """

    call: Call
    request: BuildRequest
    builder: Builder
    compared: Callable[[Any, Call, Precision], Comparison]
    references: Callable[[Call, Precision], References]
