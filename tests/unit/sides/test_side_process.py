"""A process that runs a suite as it is told: whatever becomes of it is one sentence."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pytest_cpuaccel.machine.child_process import Program
from pytest_cpuaccel.sides.side_process import (
    VARIABLE,
    Ended,
    LostSideError,
    RefusedOrderError,
    SideProcess,
    SideSettings,
    UnfitSideError,
)

NOT_STARTED = 96
SPEAKS = f"""
import json, os, signal, sys, time
place = json.loads(os.environ["{VARIABLE}"])
reading, writing = os.fdopen(place["reading"]), os.fdopen(place["writing"], "w")
def say(message):
    print(message if isinstance(message, str) else json.dumps(message), file=writing, flush=True)
def hear():
    return json.loads(next(reading))
"""
WORKLOAD = {
    "model": 0,
    "name": "Net",
    "backend": "ort",
    "method": "forward",
    "label": "forward 1x2",
    "signature": "x=float32 1x2",
    "inputs": ["a"],
    "weights": "w",
    "versions": {"onnxruntime": "1.22.1"},
}

Start = Callable[[str], SideProcess]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    started: list[SideProcess] = []

    def start(program: str, wait_s: float = 20) -> SideProcess:
        settings = SideSettings("old", tmp_path, wait_s, NOT_STARTED)
        started.append(SideProcess(Program(("-c", SPEAKS + program)), settings))
        return started[-1]

    yield start
    for each in started:
        each.end()


def test_a_test_stands_by_is_asked_and_ends(start: Start) -> None:
    side = start(f"""
say({{"tests": 3}})
hear()
say({{"workloads": [{WORKLOAD}], "todays": []}})
say({{"answer": hear()["workload"] + 5}})
hear(); say({{"refusal": "no"}})
hear(); say({{"ended": "passed", "sentence": ""}})
""")
    assert side.await_start() == 3
    (called,) = side.run("test_a", None)  # type: ignore[misc]
    assert called.versions == {"onnxruntime": "1.22.1"}
    assert side.ask("take_turn", {"workload": 2}, lambda found: found.count("answer")) == 7
    with pytest.raises(RefusedOrderError, match="with old no"):
        side.ask("take_turn", {"workload": 2}, lambda found: found.count("answer"))
    assert side.leave() == Ended("passed", "")


def test_code_of_today_ends_the_test_there(start: Start) -> None:
    side = start(f"""
say({{"tests": 1}}); hear()
say({{"workloads": [{WORKLOAD}], "todays": ["own.net"]}})
assert hear()["do"] == "leave"
say({{"ended": "passed", "sentence": ""}})
""")
    side.await_start()
    ended = side.run("test_a", None)
    assert isinstance(ended, Ended)
    assert "own.net is not imported from that revision" in ended.sentence
    assert not side.stands_by


@pytest.mark.parametrize(
    ("program", "sentence"),
    [
        ("os.kill(os.getpid(), signal.SIGSEGV)", "with old the process is gone: killed by SIGSEGV"),
        (
            "import faulthandler as f; f.enable(); exec(compile('os.kill(os.getpid(), 11)', 'test_a.py', 'exec'))",
            'killed by SIGSEGV: File "test_a.py", line 1 in <module>',
        ),
        ("print('ERROR: no such option: --x'); sys.exit(4)", "pytest can't start: ERROR: no such option"),
        (
            "print('E   ModuleNotFoundError: no torch'); sys.exit(4)",
            "pytest can't start: ModuleNotFoundError: no torch",
        ),
        ("say('no json')", "with old the process sent what is no message"),
        ("say({'tests': 'many'})", "with old the process sent what is no message: tests is a str"),
        ("say({})", "with old the process sent what is no message: tests is missing"),
    ],
)
def test_one_that_is_lost_says_how(start: Start, program: str, sentence: str) -> None:
    with pytest.raises(LostSideError) as raised:
        start(program).await_start()
    assert sentence in str(raised.value)
    assert not isinstance(raised.value, UnfitSideError)


def test_one_that_hangs_says_nothing_of_the_test(start: Start) -> None:
    side = start("say({'tests': 1}); time.sleep(60)", 0.2)
    side.await_start()
    with pytest.raises(UnfitSideError, match=r"with old nothing was heard for 0\.2 s"):
        side.run("test_a", None)


def test_one_that_the_system_may_have_killed_for_its_memory_says_nothing_of_the_test(start: Start) -> None:
    with pytest.raises(UnfitSideError, match="with old the process is gone: killed by SIGKILL"):
        start("os.kill(os.getpid(), signal.SIGKILL)").await_start()


def test_one_that_has_no_pytest_says_nothing_of_the_test(start: Start) -> None:
    with pytest.raises(UnfitSideError, match="with old pytest can't be started"):
        start(f"print('pytest can\\'t be started: none'); sys.exit({NOT_STARTED})").await_start()


def test_one_that_owes_an_answer_is_not_waited_for(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    side = start("say({'tests': 1}); hear(); time.sleep(60)")
    side.await_start()
    with monkeypatch.context() as patched:
        patched.setattr(side._channel, "receive", lambda _: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            side.run("test_a", None)
    with pytest.raises(LostSideError, match="interrupted"):
        side.leave()


def test_a_process_ends_when_its_session_closes_the_channel(tmp_path: Path) -> None:
    told = tmp_path / "told"
    side = SideProcess(
        Program(("-c", SPEAKS + f"say({{'tests': 1}})\nfor _ in reading: pass\nopen({str(told)!r}, 'w').close()")),
        SideSettings("old", tmp_path, 20, NOT_STARTED),
    )
    side.await_start()
    side._channel.close()
    assert side._child.wait(20) is not None
    assert told.exists()
