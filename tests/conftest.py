"""Preloads what in-process pytester runs must not import twice.

numpy refuses a second import; setuptools, which Inductor imports, refuses distutils when others imported that since.
"""

from __future__ import annotations

import importlib.util
import os

import numpy as np  # noqa: F401
import pytest

from tests import compiling, core, must_run, thorough

pytest_plugins = ["pytester"]

collect_ignore = ["third_party"]  # a package of its own, which a test installs

if importlib.util.find_spec("setuptools"):
    import setuptools  # noqa: F401

if importlib.util.find_spec("torch"):
    import torch  # noqa: F401


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        compiling.OPTION,
        action="store_true",
        help="hold compiling backends to shapes and contract with the kernels they compile, for some minutes each",
    )
    parser.addoption(
        thorough.OPTION, action="store_true", help="run cases too that another one of their matrix stands for"
    )
    parser.addoption(
        core.OPTION, action="store_true", help="leave out what core-py* run: tests that need no torch and no runtime"
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    thorough.deselect(config, items)


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", thorough.MARK)
    names = must_run.names_in(os.environ.get(must_run.VARIABLE, ""))
    config.pluginmanager.register(must_run.MustRun(names))
