"""The earlier name of :mod:`pytest_cpuaccel.conformance`, kept for one release."""

import warnings

from pytest_cpuaccel.conformance import *  # noqa: F403

warnings.warn(
    "pytest_cpuaccel.contract is now called pytest_cpuaccel.conformance; the next release drops the old name",
    DeprecationWarning,
    stacklevel=2,
)
