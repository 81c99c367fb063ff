"""A backend: one way to run a model on a CPU, as a value."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_cpuaccel.core.call import Method
from pytest_cpuaccel.core.inputs import Inputs
from pytest_cpuaccel.core.kernel_census import KernelCensus
from pytest_cpuaccel.core.observed_run import ObservedRun
from pytest_cpuaccel.core.precision import Precision

if TYPE_CHECKING:
    from torch import nn

Scalar = str | int | float | bool


@dataclass(frozen=True)
class Requirement:
    """A distribution that a backend needs, as pip names it.

    ``specifier`` is a PEP 440 version range ("" allows all); ``reason`` says why the range ends where it does
    and is shown to a user whose version lies outside.
    """

    distribution: str
    specifier: str = ""
    reason: str = ""

    @property
    def installed(self) -> str | None:
        """Return the version that is installed, told without importing it; None where there is none."""
        return _version(metadata.version, self.distribution, tuple(sys.path))


@functools.cache
def _version(look_up: Callable[[str], str], distribution: str, path: tuple[str, ...]) -> str | None:  # noqa: ARG001
    """Looked up once a process for each path that modules are sought on: it takes half a millisecond."""
    try:
        return look_up(distribution)
    except metadata.PackageNotFoundError:
        return None


@dataclass(frozen=True)
class Subject:
    """What a backend is asked to build: a model, and the inputs of the forward call it is built for.

    ``fresh_module()`` returns a private deep copy of the eager model, in eval mode, which the backend may alter;
    ``fresh_outline()``, where there is one, a copy whose parameters have lost their values and take no memory.
    ``expected`` is eager's output for ``inputs``: the built model must reproduce its structure and names.
    ``generates`` is true when the test called ``generate()``: the built model must then have ``generate`` set, or
    raise :class:`BuildError` saying why it can't.

    ``calibration`` holds representative inputs of forward calls, for a backend that quantises activations
    (``Backend.calibrates``). It holds the first call's own inputs if the user gave none, and is empty for any other
    backend.

    ``keep_fp32`` holds the paths of modules that stay in fp32, for a backend that has ``Backend.quantises``: those that
    the user named, and all parts of them. A module with several paths is there under each. ``keep_fp32_patterns`` are
    the texts that the user named them by, each with its paths, without those that match nothing which the backend
    would round.
    """

    fresh_module: Callable[[], nn.Module]
    inputs: Inputs
    expected: Any
    threads: int
    generates: bool = False
    options: Mapping[str, Scalar] = field(default_factory=dict)
    calibration: tuple[Inputs, ...] = ()
    fresh_outline: Callable[[], nn.Module] | None = None
    keep_fp32: tuple[str, ...] = ()
    keep_fp32_patterns: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def outline(self) -> nn.Module:
        """Return a private copy of the eager model, for its class and configuration alone.

        Don't run it: a copy by ``fresh_outline`` has no weights. It is enough for a ``load`` that runs an artifact.
        """
        return (self.fresh_outline or self.fresh_module)()


def accept_all(inputs: Inputs) -> bool:  # noqa: ARG001
    """Accept any inputs: the answer of a backend that runs the original Python code."""
    return True


def close_nothing() -> None:
    """Close nothing: for a built model that holds only ordinary memory."""


@dataclass(frozen=True)
class BuiltModel:
    """A model under a backend, ready to be called.

    ``forward`` and ``generate`` take what the original takes and return the type the original returns.
    ``accepts`` tells whether this build is right for other inputs too (other shapes, other keywords); where it
    is not, a new build is made. ``facts`` are what the backend proved of itself: the route it took, the
    precision it read back, how many graphs it compiled. ``threads`` is the thread count that it read back, which every
    backend gives. ``attributes`` is searched first for attributes that the test reads from ``cpu_model``.
    ``lacks`` names outputs of ``forward`` that a build for ``generate()`` leaves out: it then serves no ``forward``.
    ``follows_example`` says that ``forward`` takes the path that the example's values chose, as a trace does: it can't
    return other outputs where eager would. ``kernels`` counts what this very build runs for a call, for a backend
    without ``count_kernels``; it may call the build.

    Earlier backends gave the thread count as ``facts["threads"]``. For one release it is taken from there where
    ``threads`` isn't given.
    """

    forward: Callable[..., Any]
    facts: Mapping[str, Scalar] = field(default_factory=dict)
    generate: Callable[..., Any] | None = None
    accepts: Callable[[Inputs], bool] = accept_all
    attributes: Any = None
    close: Callable[[], None] = close_nothing
    lacks: frozenset[str] = frozenset()
    follows_example: bool = False
    threads: int | None = field(default=None, kw_only=True)
    kernels: Callable[[Method, Inputs], KernelCensus] | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        if self.threads is None and "threads" in self.facts:
            rest = {name: value for name, value in self.facts.items() if name != "threads"}
            object.__setattr__(self, "threads", self.facts["threads"])
            object.__setattr__(self, "facts", rest)

    def method(self, name: Method) -> Callable[..., Any]:
        """Return ``forward`` or ``generate``.

        Raises:
            TypeError: the build has no ``generate``.
        """
        found = self.forward if name == "forward" else self.generate
        if found is None:
            raise TypeError("a build without generate() can't generate")
        return found


@dataclass(frozen=True, kw_only=True)
class Backend:
    """One way to run a model.

    ``export(subject, folder)`` writes an artifact into an empty folder; ``load(subject, folder)`` makes a
    :class:`BuiltModel` of it. A backend without ``export`` keeps nothing on disk and gets ``None`` as folder.
    Both raise :class:`BuildError` for a model they can't handle. ``options`` reach them through the subject and
    are part of the artifact's key. ``calibrates`` says that a build depends on ``subject.calibration``,
    ``caches`` that an artifact is no model but compiled code, which spares ``load`` the compiling.
    ``quantises(module)`` tells whether it rounds what a module multiplies, unless ``subject.keep_fp32`` has its path;
    a backend without it can keep no module in fp32.

    A variant names its ``base``, the backend whose artifact it starts from: its ``export`` gets a folder with a copy
    of the base's files, to rewrite in place; where it has none, its ``load`` reads the base's artifact itself.
    """

    name: str
    summary: str
    load: Callable[[Subject, Path | None], BuiltModel]
    export: Callable[[Subject, Path], None] | None = None
    precision: Precision = Precision.FP32
    requires: tuple[Requirement, ...] = ()
    options: Mapping[str, Scalar] = field(default_factory=dict)
    calibrates: bool = False
    caches: bool = False
    base: Backend | None = None
    count_kernels: Callable[[Subject, Path | None, Method, Inputs], KernelCensus] | None = None
    observe: Callable[[Subject, Path | None, Inputs], ObservedRun] | None = None
    quantises: Callable[[nn.Module], bool] | None = None

    @property
    def exports_model(self) -> bool:
        """Tell whether an artifact is the model itself, so that it can be raced against a later one."""
        return bool(self.exporters) and not self.caches

    @property
    def exporters(self) -> tuple[Backend, ...]:
        """Return those that write in turn what ``load`` reads: this backend after its base; empty for no artifact."""
        before = self.base.exporters if self.base else ()
        return (*before, self) if self.export else before

    def run_export(self, subject: Subject, folder: Path) -> None:
        """Have ``export`` write to ``folder``, with this backend's options also where the subject is for a variant."""
        assert self.export is not None
        calibration = subject.calibration if self.calibrates else ()
        keep_fp32 = subject.keep_fp32 if self.quantises else ()
        self.export(replace(subject, options=self.options, calibration=calibration, keep_fp32=keep_fp32), folder)

    @property
    def versions(self) -> dict[str, str]:
        """Return the installed versions of the distributions this backend needs, by name."""
        return {item.distribution: item.installed for item in self.requires if item.installed}
