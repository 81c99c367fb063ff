"""Progress of xdist's workers, which the controller shows."""

from __future__ import annotations

import queue
from collections.abc import Iterator

import pytest

from pytest_cpuaccel.plugin.worker_progress import Receiver, Sender

LATEST_S = 20


class Shown:
    """A display that hands on what it is told."""

    first_s, every_s = 30.0, 60.0

    def __init__(self) -> None:
        self.told: queue.Queue[tuple[object, ...]] = queue.Queue()

    def show(self, *what: object) -> None:
        self.told.put(what)

    def wipe(self) -> None:
        self.told.put(("wiped",))


@pytest.fixture
def shown() -> Shown:
    return Shown()


@pytest.fixture
def receiver(shown: Shown) -> Iterator[Receiver]:
    receiver = Receiver(shown)
    yield receiver
    receiver.close()


def test_the_controller_shows_what_a_worker_does(shown: Shown, receiver: Receiver) -> None:
    sender = Sender(receiver.for_worker()[0], "gw1", *receiver.for_worker()[1:])
    assert (sender.first_s, sender.every_s) == (30.0, 60.0)
    sender.show("test_a", "building", 2.5)
    assert shown.told.get(timeout=LATEST_S) == ("test_a", "gw1: building", 2.5)
    sender.close()


def test_only_the_worker_whose_text_is_shown_wipes_it(shown: Shown, receiver: Receiver) -> None:
    one, two = (Sender(receiver.address, name, 1, 1) for name in ("gw0", "gw1"))
    one.show("test_a", "building", 1)
    two.wipe()
    one.wipe()
    assert shown.told.get(timeout=LATEST_S)[1] == "gw0: building"
    assert shown.told.get(timeout=LATEST_S) == ("wiped",)
    two.show("test_b", "building", 1)
    assert shown.told.get(timeout=LATEST_S)[1] == "gw1: building"  # nothing was wiped in between
    one.close()
    two.close()


def test_a_controller_that_is_gone_is_no_matter() -> None:
    sender = Sender("cpuaccel-nobody", "gw0", 1, 1)
    sender.show("test_a", "building", 1)
    sender.close()
