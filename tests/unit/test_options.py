"""Options and their ini twins."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_cpuaccel.core.errors import UsageError
from pytest_cpuaccel.plugin.options import OPTIONS, Settings, read_settings


def settings_of(pytester: pytest.Pytester, *args: str, ini: str = "") -> Settings:
    pytester.makeini(f"[pytest]\n{ini}")
    return read_settings(pytester.parseconfig("-p", "pytest_cpuaccel.plugin.hooks", *args))


@pytest.fixture(autouse=True)
def _plugin_loaded_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")


def test_defaults(pytester: pytest.Pytester) -> None:
    assert settings_of(pytester) == Settings(
        backends=(),
        model=None,
        candidate=None,
        task=None,
        missing="fail",
        unsupported="fail",
        inconclusive="warn",
        threads=1,
        reports=(),
        cache_dir=None,
        cache_limit_bytes=20 * 10**9,
        cache_verify=False,
        save=None,
        against=None,
        against_slowdown=0.05,
        baselines_dir=pytester.path / ".cpuaccel" / "baselines",
        wait_s=600.0,
    )


def test_every_option_has_a_twin_and_wins_over_it(pytester: pytest.Pytester) -> None:
    ini = """
cpu_backends = ort, openvino
cpu_model = here
cpu_candidate = there
cpu_task = fill-mask
cpu_missing = skip
cpu_unsupported = skip
cpu_inconclusive = fail
cpu_threads = 3
cpu_report = a.json, b.md
cpu_cache_dir = kept
cpu_cache_limit = 1 GB
cpu_cache_verify = true
cpu_save = next
cpu_against = main
cpu_against_slowdown = 10%
cpu_baselines_dir = held
cpu_wait = 30 s
"""
    assert len(ini.strip().splitlines()) == len(OPTIONS)
    found = settings_of(pytester, ini=ini)
    assert found == Settings(
        backends=("ort", "openvino"),
        model="here",
        candidate="there",
        task="fill-mask",
        missing="skip",
        unsupported="skip",
        inconclusive="fail",
        threads=3,
        reports=(Path.cwd() / "a.json", Path.cwd() / "b.md"),
        cache_dir=Path.cwd() / "kept",
        cache_limit_bytes=10**9,
        cache_verify=True,
        save="next",
        against="main",
        against_slowdown=0.1,
        baselines_dir=Path.cwd() / "held",
        wait_s=30.0,
    )
    option = settings_of(
        pytester, "--cpu-backends=eager", "--cpu-threads=2", "--cpu-missing=fail", "--cpu-report=", ini=ini
    )
    assert option == found._replace(backends=("eager",), threads=2, missing="fail", reports=())


def test_a_home_folder_is_expanded(pytester: pytest.Pytester) -> None:
    assert settings_of(pytester, "--cpu-cache-dir=~/kept").cache_dir == Path.home() / "kept"


@pytest.mark.parametrize(
    ("table", "value"),
    [
        ("tool.pytest", '"ort,openvino"'),
        ("tool.pytest.ini_options", '"ort,openvino"'),
        ("tool.pytest.ini_options", '["ort", "openvino"]'),
    ],
)
@pytest.mark.filterwarnings("ignore::pytest.PytestDeprecationWarning")
def test_pyproject_may_choose(pytester: pytest.Pytester, table: str, value: str) -> None:
    if table == "tool.pytest" and pytest.version_tuple < (9,):
        pytest.skip("this pytest has no [tool.pytest]")
    pytester.makepyprojecttoml(f"[{table}]\ncpu_backends = {value}")
    config = pytester.parseconfig("-p", "pytest_cpuaccel.plugin.hooks")
    assert read_settings(config).backends == ("ort", "openvino")


@pytest.mark.parametrize("flag", ["--cpu-save", "--cpu-against"])
def test_a_baseline_without_a_name_is_refused(pytester: pytest.Pytester, flag: str) -> None:
    with pytest.raises(UsageError, match=f"^{flag}= has no name; leave the option out where no baseline is meant$"):
        settings_of(pytester, f"{flag}=")


@pytest.mark.parametrize(
    "written", ["ort,openvino", "ort openvino", "ort,\n    openvino", "\n    ort\n    openvino", " ort ,\topenvino\n"]
)
@pytest.mark.parametrize("where", ["option", "ini", "override"])
def test_backends_may_stand_on_lines_of_their_own(pytester: pytest.Pytester, written: str, where: str) -> None:
    given = {"option": [f"--cpu-backends={written}"], "ini": [], "override": ["-o", f"cpu_backends={written}"]}[where]
    found = settings_of(pytester, *given, ini=f"cpu_backends = {written}" if where == "ini" else "")
    assert found.backends == ("ort", "openvino")


@pytest.mark.parametrize(
    "written", ["a b.json,c.md", "a b.json c.md", "a b.json, \n    c.md", "\n    a b.json\n    c.md", "a b.json,,c.md,"]
)
@pytest.mark.parametrize("where", ["option", "ini"])
def test_reports_may_stand_on_lines_of_their_own_and_have_spaces(
    pytester: pytest.Pytester, written: str, where: str
) -> None:
    given = [f"--cpu-report={written}"] if where == "option" else []
    found = settings_of(pytester, *given, ini=f"cpu_report = {written}" if where == "ini" else "")
    assert found.reports == (Path.cwd() / "a b.json", Path.cwd() / "c.md")
