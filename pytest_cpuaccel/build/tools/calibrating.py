"""A float artifact run over calibration data, for whoever watches what goes through it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch

from pytest_cpuaccel.build.tools import loading
from pytest_cpuaccel.build.tools.runtime import Runtime, unfinished
from pytest_cpuaccel.core import tree
from pytest_cpuaccel.core.backend import BuiltModel, Subject
from pytest_cpuaccel.core.errors import UsageError
from pytest_cpuaccel.core.inputs import Inputs
