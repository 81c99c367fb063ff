"""A process that runs a suite in an environment and does as this one orders."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pytest_cpuaccel.core.errors import CpuaccelError
from pytest_cpuaccel.machine.child_process import ChildProcess, Program
from pytest_cpuaccel.sides.channel import Channel, ClosedChannelError, GarbledChannelError, SilentChannelError

VARIABLE = "CPUACCEL_SIDE"
"""The environment variable by which a side is told what :class:`Place` holds, as JSON."""
SERVING = "pytest_cpuaccel.plugin.standby"
_LAST_WORDS_S = 5.0
_EXITS = {2: "the run was interrupted", 3: "pytest had an internal error", 4: "pytest refuses its command line"}


class LostSideError(CpuaccelError):
    """A side died, hangs, or said what nobody understands; the text is one sentence. It can't be asked again."""


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
    """``name`` is that of the environment, for sentences. Nothing is waited for longer than ``wait_s``."""

    name: str
    scratch: Path
    wait_s: float
    moved: tuple[tuple[Path, Path], ...] = ()


class SideProcess:
    """A running pytest session, which runs a test when told and then stands by."""

    def __init__(self, program: Program, settings: SideSettings) -> None:
        """Start ``program``, a pytest command line."""
        self.name = settings.name
        self.workloads: tuple[CalledWorkload, ...] = ()
        """What the test called that stands by here."""
        self.stands_by = False
        self._timeout_s = settings.wait_s
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
        return int(self._heard()["tests"])

    def run(self, test: str, following: str | None) -> tuple[CalledWorkload, ...] | Ended:
        """Have a test run; return what it called where it stands by now, else how it ended.

        Raises:
            LostSideError: the process died, or hangs.
        """
        self._channel_send({"test": test, "next": following})
        heard = self._heard()
        if "workloads" in heard:
            if todays := heard["todays"]:
                self.stands_by = True
                raise LostSideError(f"with {self.name} today's code was imported: {', '.join(todays[:3])}")
            self.workloads = tuple(
                CalledWorkload(**{**each, "inputs": tuple(each["inputs"])}) for each in heard["workloads"]
            )
            self.stands_by = True
            return self.workloads
        if "missing" in heard:
            return Ended("", str(heard["missing"]))
        return Ended(str(heard["ended"]), str(heard["sentence"]))

    def ask(self, order: str, arguments: Mapping[str, Any]) -> Any:
        """Return the answer of a test that stands by.

        Raises:
            RefusedOrderError: it can't be done there.
            LostSideError: the process died, or hangs.
        """
        self._channel_send({"do": order, **arguments})
        heard = self._heard()
        if "refusal" in heard:
            raise RefusedOrderError(str(heard["refusal"]))
        return heard["answer"]

    def answers(self, workload: int) -> Path:
        """Return the file with what the test's calls answered.

        Raises:
            RefusedOrderError: they can't be written.
            LostSideError: the process died, or hangs.
        """
        return self._scratch / Path(str(self.ask("answers", {"workload": workload}))).name

    def leave(self) -> Ended:
        """End the test that stands by.

        Raises:
            LostSideError: the process died, or hangs.
        """
        self.stands_by = False
        self._channel_send({"do": "leave"})
        heard = self._heard()
        return Ended(str(heard["ended"]), str(heard["sentence"]))

    def end(self) -> None:
        """End the process, and all that it started."""
        self._child.end()
        self._channel.close()

    def _channel_send(self, message: Mapping[str, Any]) -> None:
        try:
            self._channel.send(message)
        except ClosedChannelError:
            raise self._lost() from None

    def _heard(self) -> dict[str, Any]:
        try:
            return self._channel.receive(self._timeout_s)
        except SilentChannelError:
            self._child.end()
            raise LostSideError(f"with {self.name} nothing was heard for {self._timeout_s:g} s") from None
        except GarbledChannelError:
            self._child.end()
            raise LostSideError(f"with {self.name} the process sent what is no message") from None
        except ClosedChannelError:
            raise self._lost() from None

    def _lost(self) -> LostSideError:
        status = self._child.wait(_LAST_WORDS_S)
        self._child.end()
        if status is None:
            return LostSideError(f"with {self.name} the process closed its channel")
        said = _reason(self._log)
        how = _EXITS.get(status.code, str(status).partition(": ")[0])
        return LostSideError(f"with {self.name} the process is gone: {how}{f': {said}' if said else ''}")


def _reason(log: Path) -> str:
    """The line of a log that says most likely what went wrong."""
    lines = [line.strip() for line in log.read_text(errors="replace").splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith(("ERROR:", "E  ")) or "Error: " in line]
    return (errors or lines or [""])[-1][:300]
