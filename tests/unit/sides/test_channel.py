"""A channel carries objects between processes, and tells how it ends."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from pytest_cpuaccel.sides.channel import Channel, ClosedChannelError, GarbledChannelError, SilentChannelError


@pytest.fixture
def ends() -> Iterator[tuple[Channel, int]]:
    """A channel, and the descriptor by which the other end writes to it."""
    reading, theirs = os.pipe()
    elsewhere, writing = os.pipe()
    channel = Channel(reading, writing)
    yield channel, theirs
    channel.close()
    os.close(elsewhere)
    os.close(theirs)


def test_objects_come_in_order_however_they_are_cut(ends: tuple[Channel, int]) -> None:
    channel, theirs = ends
    os.write(theirs, b'{"a": 1}\n{"b"')
    assert channel.receive(1) == {"a": 1}
    os.write(theirs, b": 2}\n")
    assert channel.receive(1) == {"b": 2}


def test_silence_ends_after_the_time_given(ends: tuple[Channel, int]) -> None:
    channel, theirs = ends
    os.write(theirs, b'{"a"')
    with pytest.raises(SilentChannelError):
        channel.receive(0.01)


@pytest.mark.parametrize("line", [b"[1]\n", b"no json\n", b"\xff\xfe\n", b"[" * 100_000 + b"\n"])
def test_what_is_no_object_is_garbled(ends: tuple[Channel, int], line: bytes) -> None:
    channel, theirs = ends
    written = 0
    while written < len(line):
        written += os.write(theirs, line[written : written + 60_000])
        if written < len(line):
            with pytest.raises(SilentChannelError):
                channel.receive(0)
    with pytest.raises(GarbledChannelError):
        channel.receive(1)


def test_an_end_that_is_gone_is_told() -> None:
    reading, theirs = os.pipe()
    elsewhere, writing = os.pipe()
    channel = Channel(reading, writing)
    os.close(theirs)
    os.close(elsewhere)
    with pytest.raises(ClosedChannelError):
        channel.receive(1)
    with pytest.raises(ClosedChannelError):
        channel.send({"a": 1})
    channel.close()
