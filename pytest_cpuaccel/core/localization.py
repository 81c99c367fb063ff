"""A localization: the first module whose answer differs from eager's."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ModuleError:
    """The error at a module's output, ``|actual - fp64| / |fp64|`` in the 2-norm, and that of eager in fp32.

    ``module`` is the path in the model (``encoder.layer.1.output.dense``), ``type`` the class.
    """

    module: str
    type: str
    error: float
    rounding: float

    @property
    def ratio(self) -> float:
        """Return how many times eager's own rounding the error is; 2^-24 is the least rounding taken."""
        return self.error / max(self.rounding, 2.0**-24)


@dataclass(frozen=True)
class Localization:
    """Where an answer goes wrong first. ``module`` is "" where no module can be named, and ``note`` then says why.

    ``starts_inside`` is True where the error starts inside the module, False where it arrives at its input, and None
    where that could not be told. ``at_output`` and ``at_input`` are ratios as in :class:`ModuleError`. ``actual`` and
    ``expected`` are the two values of the module's worst element. ``growth`` has the modules in the order in which they
    ran. ``method`` says how it was found ("outputs of 124 modules read from the artifact").
    """

    module: str = ""
    type: str = ""
    starts_inside: bool | None = None
    at_output: float | None = None
    at_input: float | None = None
    actual: float | None = None
    expected: float | None = None
    growth: tuple[ModuleError, ...] = ()
    method: str = ""
    note: str = ""
