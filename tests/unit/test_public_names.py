"""What the package offers to those who add a backend."""

from __future__ import annotations

import pytest

import pytest_cpuaccel


def test_every_public_name_is_there() -> None:
    for name in pytest_cpuaccel.__all__:
        assert getattr(pytest_cpuaccel, name).__name__ == name


def test_any_other_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'pytest_cpuaccel' has no attribute 'Backends'"):
        getattr(pytest_cpuaccel, "Backends")  # noqa: B009
