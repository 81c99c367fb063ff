"""Tests here call backends without the plugin, which puts the process's state back after them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from pytest_cpuaccel.backends.toolkit import fp32_precision


@pytest.fixture(autouse=True)
def precision_kept() -> Iterator[None]:
    """torchao 0.13 lets torch compute fp32 products in less as soon as it quantises a model."""
    before = fp32_precision.matmul_precision()
    yield
    fp32_precision.set_matmul_precision(before)
