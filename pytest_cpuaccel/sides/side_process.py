"""A process that runs a suite in an environment and does as this one orders."""

from __future__ import annotations

import contextlib
import json
import os
import signal
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

from pytest_cpuaccel.core.errors import CpuaccelError, UsageError
from pytest_cpuaccel.exchange.fields import Fields
from pytest_cpuaccel.machine.child_process import ChildProcess, Program
from pytest_cpuaccel.sides.channel import Channel, ClosedChannelError, GarbledChannelError, SilentChannelError

T = TypeVar("T")

VARIABLE = "CPUACCEL_SIDE"
"""The environment variable by which a side is told what :class:`Place` holds, as JSON."""
SERVING = "pytest_cpuaccel.plugin.standby"
_LAST_WORDS_S = 5.0
_LONGEST_START_S = 600.0
_MOST_NAMED = 3
_LONGEST_REASON = 300
_EXITS = {2: "the run was interrupted", 3: "pytest had an internal error", 4: "pytest can't start"}


class LostSideError(CpuaccelError):
    """A side died, hangs, or said what nobody understands; the text is one sentence. It can't be asked again."""


class UnfitSideError(LostSideError):
    """A side that hangs, is too slow, or can't start pytest: this says nothing of how the test would end.

    Nor does SIGKILL, which the system sends where memory is short, to whichever process it chooses.
    """


class RefusedOrderError(CpuaccelError):
    """A side could not do as it was told; the text is its reason. It stands by still."""


@dataclass(frozen=True)
class Ended:
    """How a test ended there without standing by; ``how`` is as pytest says it, "" where there is no such test."""

    how: str
    sentence: str


@dataclass(frozen=True)
class CalledWorkload:
    """What a side can call again. Digests are equal where values are."""

    model: int
    name: str
    backend: str
    method: str
    label: str
    signature: str
    inputs: tuple[str, ...]
    weights: str
    versions: Mapping[str, str]


@dataclass(frozen=True)
class Place:
    """Where a side finds its channel, by two descriptors, and its own folder.

    ``moved`` are pairs of a folder of the user's tree and its checkout, from which it is to import instead.
    """

    reading: int
    writing: int
    scratch: str
    moved: tuple[tuple[str, str], ...] = ()

    @staticmethod
    def told(text: str) -> Place:
        """Return the place that a text of JSON tells."""
        found = json.loads(text)
        return Place(found["reading"], found["writing"], found["scratch"], tuple(map(tuple, found["moved"])))


@dataclass(frozen=True)
class SideSettings:
    """``name`` is that of the environment, for sentences.

    Nothing is waited for longer than ``wait_s``, but the start, which takes long where much else runs. A program that
    can't start pytest ends with the exit code ``not_started``.
    """

    name: str
    scratch: Path
    wait_s: float
    not_started: int
    moved: tuple[tuple[Path, Path], ...] = ()


class SideProcess:
    """A running pytest session, which runs a test when told and then stands by."""

    def __init__(self, program: Program, settings: SideSettings) -> None:
        """Start ``program``, a pytest command line."""
        self.name = settings.name
        self.workloads: tuple[CalledWorkload, ...] = ()
        """What the test called that stands by here."""
        self.stands_by = False
        self._owes_answer = True
        self._timeout_s, self._not_started = settings.wait_s, settings.not_started
        theirs_in, ours_out = os.pipe()
        ours_in, theirs_out = os.pipe()
        self._channel = Channel(ours_in, ours_out)
        self._log, self._scratch = settings.scratch / "log", settings.scratch
        moved = tuple((str(tree), str(checkout)) for tree, checkout in settings.moved)
        place = Place(theirs_in, theirs_out, str(settings.scratch), moved)
        told = {**program.environment, VARIABLE: json.dumps(asdict(place))}
        started = Program(
            program.arguments, told, self._log, (theirs_in, theirs_out), program.interpreter, program.folder
        )
        try:
            self._child = ChildProcess(started)
        finally:
            os.close(theirs_in)
            os.close(theirs_out)

    def await_start(self) -> int:
        """Wait until the suite is collected; return the number of its tests.

        Raises:
            LostSideError: it never is.
        """
        heard = self._heard(max(self._timeout_s, _LONGEST_START_S))
        with self._understood():
            return Fields(heard, "").count("tests")

    def run(self, test: str, following: str | None) -> tuple[CalledWorkload, ...] | Ended:
        """Have a test run; return what it called where it stands by now, else how it ended.

        Raises:
            LostSideError: the process died, or hangs.
        """
        self._channel_send({"test": test, "next": following})
        heard = self._heard()
        if "workloads" in heard:
            self.stands_by = True
            with self._understood():
                found = Fields(heard, "")
                todays, self.workloads = found.texts("todays"), tuple(map(_called, found.objects("workloads")))
            if todays:
                self.leave()
                named = ", ".join(todays[:_MOST_NAMED])
                return Ended("", f"{named} is not imported from that revision; install the project by pip install -e")
            return self.workloads
        if "missing" in heard:
            return Ended("", str(heard["missing"]))
        return self._ended(heard)

    def ask(self, order: str, arguments: Mapping[str, Any], read: Callable[[Fields], T]) -> T:
        """Return what ``read`` makes of the field ``answer`` that a test gives which stands by.

        Raises:
            RefusedOrderError: it can't be done there.
            LostSideError: the process died, hangs, or answers something else.
        """
        self._channel_send({"do": order, **arguments})
        heard = self._heard()
        if "refusal" in heard:
            raise RefusedOrderError(f"with {self.name} {heard['refusal']}")
        with self._understood():
            return read(Fields(heard, ""))

    def answers(self, workload: int, *, of_eager: bool = False) -> Path:
        """Return the file with what the test's calls answered, or with what the eager model there answers to them.

        Raises:
            RefusedOrderError: they can't be written, or the eager model raises.
            LostSideError: the process died, or hangs.
        """
        order = "eager_answers" if of_eager else "answers"
        name = self.ask(order, {"workload": workload}, lambda found: found.text("answer"))
        return self._scratch / Path(name).name

    def leave(self) -> Ended:
        """End the test that stands by.

        Raises:
            LostSideError: the process died, or hangs.
        """
        self.stands_by = False
        if self._owes_answer:  # whoever waited for it was interrupted
            self._child.end()
            raise LostSideError(f"with {self.name} the process was interrupted")
        self._channel_send({"do": "leave"})
        return self._ended(self._heard())

    def end(self) -> None:
        """End the process, and all that it started."""
        self._child.end()
        self._channel.close()

    def _ended(self, heard: dict[str, Any]) -> Ended:
        with self._understood():
            found = Fields(heard, "")
            return Ended(found.text("ended"), found.text("sentence"))

    @contextlib.contextmanager
    def _understood(self) -> Iterator[None]:
        """Turn a message that is none of this protocol into the loss of the process."""
        try:
            yield
        except UsageError as mistake:
            self._child.end()
            raise LostSideError(f"with {self.name} the process sent what is no message: {mistake}") from None

    def _channel_send(self, message: Mapping[str, Any]) -> None:
        self._owes_answer = True
        try:
            self._channel.send(message)
        except ClosedChannelError:
            raise self._lost() from None

    def _heard(self, longest_s: float | None = None) -> dict[str, Any]:
        wait_s = longest_s or self._timeout_s
        try:
            heard = self._channel.receive(wait_s)
        except SilentChannelError:
            self._child.end()
            raise UnfitSideError(f"with {self.name} nothing was heard for {wait_s:g} s") from None
        except GarbledChannelError:
            self._child.end()
            raise LostSideError(f"with {self.name} the process sent what is no message") from None
        except ClosedChannelError:
            raise self._lost() from None
        self._owes_answer = False
        return heard

    def _lost(self) -> LostSideError:
        status = self._child.wait(_LAST_WORDS_S)
        self._child.end()
        if status is None:
            return LostSideError(f"with {self.name} the process closed its channel")
        said = _reason(self._log)
        if status.code == self._not_started:
            return UnfitSideError(f"with {self.name} {said}")
        how = _EXITS.get(status.code, str(status).partition(": ")[0])
        kind = UnfitSideError if status.code == -signal.SIGKILL else LostSideError
        return kind(f"with {self.name} the process is gone: {how}{f': {said}' if said else ''}")


def _called(fields: Fields) -> CalledWorkload:
    names = ("name", "backend", "method", "label", "signature", "weights")
    name, backend, method, label, signature, weights = map(fields.text, names)
    inputs, versions = fields.texts("inputs"), fields.texts_by_name("versions")
    return CalledWorkload(fields.count("model"), name, backend, method, label, signature, inputs, weights, versions)


def _reason(log: Path) -> str:
    """The line of a log that says most likely what went wrong; of a crash, the frame that it happened in."""
    lines = [line.strip() for line in log.read_text(errors="replace").splitlines() if line.strip()]
    crash = next((at for at, line in enumerate(lines) if line.startswith("Current thread")), len(lines))
    frames = [line for line in lines[crash:] if line.startswith('File "')]
    errors = [line for line in lines if line.startswith(("ERROR:", "E  ")) or "Error: " in line]
    found = (frames[:1] or errors or lines[-1:] or [""])[0 if frames else -1]
    return found.removeprefix("E  ").lstrip()[:_LONGEST_REASON]
