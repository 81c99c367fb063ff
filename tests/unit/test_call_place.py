"""A call's place names the module and which of its calls it is, and is read back."""

from __future__ import annotations

import pytest

from pytest_cpuaccel.core.call_place import path_of_call, place_of_call


@pytest.mark.parametrize("path", ["", "encoder.layer.1", "a#b", "a#", "odd\n"])
@pytest.mark.parametrize("number", [1, 2, 10])
def test_a_path_is_read_back(path: str, number: int) -> None:
    assert path_of_call(place_of_call(path, number)) == path


def test_a_later_call_is_told_apart() -> None:
    assert [place_of_call("act", number) for number in (1, 2)] == ["act", "act#2"]
