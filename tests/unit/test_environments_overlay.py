"""Packages laid over an environment: what is imported, what can't be had, and that the base stays as it is."""

from __future__ import annotations

import site
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

import pytest

from pytest_cpuaccel.core.errors import UsageError
from pytest_cpuaccel.environments.distributions import differences
from pytest_cpuaccel.environments.environment import Environment, here
from pytest_cpuaccel.environments.interpreter import ask
from pytest_cpuaccel.environments.overlay import overlay_on
from pytest_cpuaccel.environments.pip import PipAnswer
from tests.unit.wheels import write_wheel

WANTED = ("cpuaccel-demo==1.0", "tabulate==0.1")


def tops() -> dict[str, int]:
    """When the folders of packages of this environment were changed last."""
    found = (path for folder in site.getsitepackages() for path in Path(folder).glob("*"))
    return {str(path): path.stat().st_mtime_ns for path in found if path.name != "__pycache__"}


BEFORE = tops()
needs_pip = pytest.mark.skipif(find_spec("pip") is None, reason="needs pip")


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A cache beside which pip finds these wheels, and nothing else."""
    folder = tmp_path_factory.mktemp("overlays")
    wheels = folder / "wheels"
    wheels.mkdir()
    write_wheel(wheels, "cpuaccel_demo", "1.0")
    write_wheel(wheels, "tabulate", "0.1")
    write_wheel(wheels, "tabulate", "99.0")
    write_wheel(wheels, "nvidia_cpuaccel_demo", "1.0")
    write_wheel(wheels, "cpuaccel_gpu", "1.0", "nvidia-cpuaccel-demo")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PIP_CONFIG_FILE", "/dev/null")
        patch.setenv("PIP_NO_INDEX", "1")
        patch.setenv("PIP_FIND_LINKS", str(wheels))
        yield folder


@pytest.fixture(scope="module")
def overlay(cache: Path) -> Iterator[Environment]:
    """This environment with a package that it hasn't, and an older release of one that it has."""
    with overlay_on(here(cache), WANTED, cache, nullcontext) as environment:
        yield environment


@needs_pip
def test_an_overlay_has_its_own_releases_and_all_else_of_its_base(cache: Path, overlay: Environment) -> None:
    program = "import json, tabulate, pytest; print(json.dumps([tabulate.VERSION, pytest.__file__]))"
    version, path = ask(overlay.python, program, overlay.variables(), cache)
    assert version == "0.1"
    assert Path(path) == Path(pytest.__file__)
    assert differences(here(cache), overlay) == [
        ("cpuaccel-demo", None, "1.0"),
        ("tabulate", metadata.version("tabulate"), "0.1"),
    ]


@needs_pip
def test_a_package_without_a_release_is_the_newest(cache: Path) -> None:
    with overlay_on(here(cache), ["tabulate"], cache, nullcontext) as environment:
        assert differences(here(cache), environment) == [("tabulate", metadata.version("tabulate"), "99.0")]


@needs_pip
@pytest.mark.usefixtures("overlay")
def test_its_base_stays_as_it_is() -> None:
    assert tops() == BEFORE
    assert find_spec("cpuaccel_demo") is None


@needs_pip
def test_what_an_overlay_breaks_is_noted(overlay: Environment) -> None:
    needs = [one for one in metadata.distributions() if any("tabulate>=" in need for need in one.requires or ())]
    assert len(overlay.notes) == len({one.metadata["Name"] for one in needs})
    assert all(note.startswith("pip check: ") and "tabulate" in note for note in overlay.notes)


@needs_pip
def test_an_overlay_is_made_once(cache: Path, overlay: Environment) -> None:
    texts: list[str] = []

    def busy(text: str) -> nullcontext[None]:
        texts.append(text)
        return nullcontext()

    with overlay_on(here(cache), WANTED, cache, busy) as again:
        assert again == overlay
    assert not any("installing" in text for text in texts)


@needs_pip
def test_cuda_is_refused_before_it_is_installed(cache: Path) -> None:
    refused = pytest.raises(UsageError, match=r"would bring CUDA \(nvidia-cpuaccel-demo\): name a build for CPUs")
    with refused, overlay_on(here(cache), ("cpuaccel-gpu",), cache, nullcontext):
        pass


def test_without_pip_there_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    refused = pytest.raises(UsageError, match="needs pip in this environment, and it has none")
    with refused, overlay_on(here(tmp_path), ("cpuaccel-demo",), tmp_path / "cache", nullcontext):
        pass


def test_pip_configured_to_install_elsewhere_is_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answer = PipAnswer(True, "global.index-url='x'\nglobal.target='/home/me/packages'\n")
    monkeypatch.setattr("pytest_cpuaccel.environments.pip.run_pip", lambda *_: answer)
    refused = pytest.raises(UsageError, match=r"configured with global\.target='/home/me/packages' and would")
    with refused, overlay_on(here(tmp_path), ("cpuaccel-demo",), tmp_path / "cache", nullcontext):
        pass


def test_a_conflict_is_told_as_pip_states_it() -> None:
    text = """
Collecting a
ERROR: Cannot install a and b==2 because these package versions have conflicting dependencies.

The conflict is caused by:
    The user requested b==2
    a 1.0 depends on b<2

To fix this you could try to:
ERROR: ResolutionImpossible: for help visit the pages of pip
"""
    assert PipAnswer(False, text).reason == (
        "Cannot install a and b==2 because these package versions have conflicting dependencies: "
        "The user requested b==2; a 1.0 depends on b<2"
    )


def test_a_release_that_is_not_there_is_told_with_the_last_that_are() -> None:
    text = (
        "ERROR: Could not find a version that satisfies the requirement a==9 (from versions: 1, 2, 3, 4, 5, 6)\n"
        "ERROR: No matching distribution found for a==9\n"
    )
    assert PipAnswer(False, text).reason == "No matching distribution found for a==9 (it finds ..., 2, 3, 4, 5, 6)"
    assert PipAnswer(False, "").reason == "no reason given"


def test_another_interpreter_gets_no_packages_of_this_one_by_pythonpath(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "target" / "a-1.dist-info").mkdir(parents=True)
    own = [site.getsitepackages()[0], str(tmp_path / "target")]
    monkeypatch.setenv("PYTHONPATH", ":".join([*own, str(tmp_path / "src"), ""]))
    other = Environment("other", tmp_path / "bin" / "python", tmp_path, ((tmp_path, tmp_path.parent / "checkout"),))
    assert other.variables()["PYTHONPATH"] == str(tmp_path.parent / "checkout" / "src")
    assert here(tmp_path).variables()["PYTHONPATH"] == ":".join([*own, str(tmp_path / "src")])
    assert here(tmp_path).python == Path(sys.executable)
