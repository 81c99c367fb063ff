"""The standby plugin: a pytest session that runs a test when it is told to, and then stands by in place of judging."""

from __future__ import annotations

import os
from collections.abc import Generator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pytest_cpuaccel.core.errors import CpuaccelError
from pytest_cpuaccel.core.option_values import Tolerances
from pytest_cpuaccel.environments.imported import imported_from_elsewhere
from pytest_cpuaccel.environments.own_folder import is_own
from pytest_cpuaccel.machine.process import end_with_parent
from pytest_cpuaccel.plugin.options import Settings
from pytest_cpuaccel.plugin.stash import STANDBY, session_of
from pytest_cpuaccel.sides.channel import Channel, ClosedChannelError
from pytest_cpuaccel.sides.side_process import VARIABLE, Place

if TYPE_CHECKING:
    from pytest_cpuaccel.evaluation.evaluation import Evaluation


@dataclass(eq=False)
class Standby:
    """Takes orders from ``channel`` until it closes; files that an answer names lie in the scratch folder."""

    channel: Channel
    place: Place
    _tests: dict[str, pytest.Item] = field(default_factory=dict)
    _broken: list[tuple[str, str]] = field(default_factory=list)
    _endings: list[tuple[str, str]] = field(default_factory=list)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> Generator[None, object, object]:
        """Keep every test that was collected: the session that commands has chosen already."""
        everything = {item.nodeid: item for item in items}
        result = yield
        self._tests |= everything | {item.nodeid: item for item in items}
        return result

    def pytest_ignore_collect(self, collection_path: Path) -> bool | None:
        """Leave out checkouts that lie in the user's tree, as where the cache does."""
        return True if is_own(collection_path) else None

    @pytest.hookimpl(optionalhook=True, tryfirst=True)
    def pytest_timeout_set_timer(self) -> bool:
        """Have pytest-timeout set no timer: a test stands by for longer than it takes."""
        return True

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self._broken.append((report.nodeid, _reason(report.longreprtext)))

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self) -> bool:
        try:
            self.channel.send({"tests": len(self._tests)})
            while True:
                order = self.channel.receive()
                if order.get("do") == "close":
                    break
                self._run(order["test"], order.get("next"))
        except ClosedChannelError:
            pass
        return True

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed or report.skipped:
            self._endings.append((f"{report.when} {report.outcome}", _why(report)))

    def stand_by(self, evaluations: list[Evaluation], item: pytest.Item) -> None:
        """Tell what the test called, and make these calls again as told, until the test may end."""
        from pytest_cpuaccel.evaluation.standing_by import StandingBy

        standing = StandingBy(evaluations, session_of(item.config).context, Path(self.place.scratch))
        moved = [(Path(tree), Path(checkout)) for tree, checkout in self.place.moved]
        with standing.ready():
            self.channel.send({"workloads": standing.workloads(), "todays": imported_from_elsewhere(moved)})
            while True:
                order = self.channel.receive()
                name = order.pop("do")
                if name == "leave":
                    return
                self.channel.send(_answered(standing.order, name, order))

    def _run(self, test: str, following: str | None) -> None:
        item = self._tests.get(test)
        if item is None:
            self.channel.send(self._why_missing(test))
            return
        self._endings.clear()
        _end_what_is_not_shared(item)
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=self._tests.get(following or ""))
        how, why = self._endings[0] if self._endings else ("passed", "")
        self.channel.send({"ended": how, "sentence": why})

    def _why_missing(self, test: str) -> dict[str, str]:
        file = test.partition("::")[0]
        for broken, why in self._broken:
            if file == broken or file.startswith(f"{broken}/") or broken.partition("::")[0] == file:
                return {"ended": "collection failed", "sentence": f"{broken or 'the suite'}: {why}"}
        return {"missing": "there is no such test"}


def without_effects(settings: Settings) -> Settings:
    """Return settings under which a session writes nothing, compares with nothing and explains nothing.

    A backend that is missing skips its own tests alone.
    """
    return settings._replace(
        missing="skip",
        reports=(),
        on_github=False,
        save=None,
        against=None,
        against_env=None,
        against_packages=None,
        against_rev=None,
        bundles=None,
        tolerances=Tolerances("off", None),
        localize="off",
    )


def _answered(order: Any, name: str, arguments: dict[str, Any]) -> dict[str, Any]:
    try:
        return {"answer": order(name, arguments)}
    except CpuaccelError as refusal:
        return {"refusal": str(refusal)}
    except Exception as error:
        return {"refusal": f"{type(error).__name__}: {_last_line(str(error))}"}


def _why(report: pytest.TestReport) -> str:
    """The reason of a skip, or the first line of what a test raised; of an assertion, that says what was compared."""
    if isinstance(report.longrepr, tuple):
        return _last_line(str(report.longrepr[2]))
    crash = getattr(report.longrepr, "reprcrash", None)
    return _reason(report.longreprtext) if crash is None else str(crash.message).partition("\n")[0][:500]


def _end_what_is_not_shared(item: pytest.Item) -> None:
    """End fixtures that were kept for a test which was not ordered."""
    standing: Any = getattr(item.session, "_setupstate", None)
    if standing is not None:
        standing.teardown_exact(item)


def _reason(text: str) -> str:
    """The exception that a report of pytest ends with, else its first line."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    errors = [line.removeprefix("E").strip() for line in lines if line.startswith("E  ")]
    return (errors[-1:] or lines[:1] or [""])[0][:500]


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1][:500] if lines else ""


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    end_with_parent()
    place = Place.told(os.environ.pop(VARIABLE))
    for descriptor in (place.reading, place.writing):
        os.set_inheritable(descriptor, False)
    standby = Standby(Channel(place.reading, place.writing), place)
    config.stash[STANDBY] = standby
    config.pluginmanager.register(standby, "cpuaccel-standby")
