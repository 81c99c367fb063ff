"""The earlier name of :mod:`pytest_cpuaccel.conformance`, kept for one release."""

from pytest_cpuaccel.conformance import *  # noqa: F403
