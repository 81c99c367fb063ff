"""Options and their ini twins."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_cpuaccel.core.errors import UsageError
from pytest_cpuaccel.core.option_values import Tolerances
from pytest_cpuaccel.plugin.options import OPTIONS, Settings, read_settings

LOADED = ("-p", "pytest_cpuaccel.plugin.hooks")


def settings_of(pytester: pytest.Pytester, *args: str, ini: str = "") -> Settings:
    pytester.makeini(f"[pytest]\n{ini}")
    return read_settings(pytester.parseconfig(*LOADED, *args))


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
        localize="first",
        threads=1,
        reports=(),
        on_github=False,
        cache_dir=None,
        cache_limit_bytes=20 * 10**9,
        cache_verify=False,
        save=None,
        against=None,
        against_slowdown=0.05,
        against_env=None,
        against_packages=None,
        against_rev=None,
        against_processes=12,
        against_as="reference",
        baselines_dir=pytester.path / ".cpuaccel" / "baselines",
        bundles=None,
        bundle_artifact=False,
        tolerances=Tolerances("judge", None),
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
cpu_localize = all
cpu_threads = 3
cpu_report = a.json, b.md
cpu_cache_dir = kept
cpu_cache_limit = 1 GB
cpu_cache_verify = true
cpu_save = next
cpu_against = main
cpu_against_slowdown = 10%
cpu_against_env = ../old
cpu_against_packages = onnxruntime==1.22.1
cpu_against_rev = main
cpu_against_processes = 6
cpu_against_as = candidate
cpu_baselines_dir = held
cpu_bundles = left
cpu_bundle_artifact = true
cpu_tolerances = write:kept.toml
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
        localize="all",
        threads=3,
        reports=(Path.cwd() / "a.json", Path.cwd() / "b.md"),
        on_github=False,
        cache_dir=Path.cwd() / "kept",
        cache_limit_bytes=10**9,
        cache_verify=True,
        save="next",
        against="main",
        against_slowdown=0.1,
        against_env="../old",
        against_packages="onnxruntime==1.22.1",
        against_rev="main",
        against_processes=6,
        against_as="candidate",
        baselines_dir=Path.cwd() / "held",
        bundles=Path.cwd() / "left",
        bundle_artifact=True,
        tolerances=Tolerances("write", Path.cwd() / "kept.toml"),
        wait_s=30.0,
    )
    option = settings_of(
        pytester, "--cpu-backends=eager", "--cpu-threads=2", "--cpu-missing=fail", "--cpu-report=", ini=ini
    )
    assert option == found._replace(backends=("eager",), threads=2, missing="fail", reports=())


def test_write_on_the_command_line_is_about_the_file_of_the_configuration_file(pytester: pytest.Pytester) -> None:
    found = settings_of(pytester, "--cpu-tolerances=write", ini="cpu_tolerances = kept/own.toml").tolerances
    assert found == Tolerances("write", Path.cwd() / "kept" / "own.toml")
    named = settings_of(pytester, "--cpu-tolerances=write:a.toml", ini="cpu_tolerances = own.toml").tolerances
    assert named == Tolerances("write", Path.cwd() / "a.toml")


PATHS = {
    "cpu_report": ("~/a.json, out/b.md", "reports", lambda base: (Path.home() / "a.json", base / "out" / "b.md")),
    "cpu_cache_dir": ("../kept", "cache_dir", lambda base: base.parent / "kept"),
    "cpu_tolerances": ("write:../own.toml", "tolerances", lambda base: Tolerances("write", base.parent / "own.toml")),
    "cpu_baselines_dir": ("~/held", "baselines_dir", lambda _: Path.home() / "held"),
    "cpu_model": ("./there", "model", lambda base: str(base / "there")),
    "cpu_candidate": ("~/a/b", "candidate", lambda _: str(Path.home() / "a" / "b")),
}
"""Setting -> a value, its name among the settings, and what it means where paths are relative to a folder."""


@pytest.fixture
def below(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, a subfolder of the one with the configuration file."""
    folder = pytester.mkdir("below")
    monkeypatch.chdir(folder)
    return folder


@pytest.mark.parametrize("name", PATHS)
@pytest.mark.parametrize("where", ["option", "override", "addopts", "ini"])
def test_a_path_is_relative_to_where_it_is_given(
    pytester: pytest.Pytester, below: Path, monkeypatch: pytest.MonkeyPatch, name: str, where: str
) -> None:
    written, setting, expected = PATHS[name]
    flag = f"--{name.replace('_', '-')}={written}"
    given = {"option": [flag], "override": ["-o", f"{name}={written}"]}.get(where, [])
    if where == "addopts":
        monkeypatch.setenv("PYTEST_ADDOPTS", f"'{flag}'")
    found = settings_of(pytester, *given, ini=f"{name} = {written}" if where == "ini" else "")
    assert getattr(found, setting) == expected(pytester.path if where == "ini" else below)


def test_a_configuration_file_elsewhere_has_its_paths_beside_it(pytester: pytest.Pytester, below: Path) -> None:
    ini = below / "other.ini"
    ini.write_text("[pytest]\ncpu_cache_dir = kept")
    config = pytester.parseconfig("-p", "pytest_cpuaccel.plugin.hooks", "-c", str(ini), f"--rootdir={pytester.path}")
    assert read_settings(config).cache_dir == below / "kept"


@pytest.mark.parametrize("setting", ["cpu_model", "cpu_candidate"])
def test_a_hub_id_stays_one_unless_a_folder_stands_there(pytester: pytest.Pytester, below: Path, setting: str) -> None:
    name = setting.removeprefix("cpu_")
    (below / "org" / "name").mkdir(parents=True)
    written = f"{setting} = org/name"
    assert getattr(settings_of(pytester, ini=written), name) == "org/name"
    option = f"--{setting.replace('_', '-')}=org/name"
    assert getattr(settings_of(pytester, option), name) == str(below / "org" / "name")
    (pytester.path / "org" / "name").mkdir(parents=True)
    assert getattr(settings_of(pytester, ini=written), name) == str(pytester.path / "org" / "name")


def test_a_name_after_a_tilde_that_no_user_has_is_a_name(pytester: pytest.Pytester) -> None:
    found = settings_of(pytester, "--cpu-report=~no-such-user.json")
    assert found.reports == (pytester.path / "~no-such-user.json",)


@pytest.mark.parametrize(
    ("table", "value"),
    [
        ("tool.pytest", '"ort,openvino"'),
        ("tool.pytest.ini_options", '"ort,openvino"'),
        ("tool.pytest.ini_options", '["ort", "openvino"]'),
    ],
)
def test_pyproject_may_choose(pytester: pytest.Pytester, table: str, value: str) -> None:
    if table == "tool.pytest" and pytest.version_tuple < (9,):
        pytest.skip("this pytest has no [tool.pytest]")
    pytester.makepyprojecttoml(f"[{table}]\ncpu_backends = {value}")
    config = pytester.parseconfig("-p", "pytest_cpuaccel.plugin.hooks")
    assert read_settings(config).backends == ("ort", "openvino")


NATIVE = {
    "cpu_backends": ('["ort", "openvino"]', "backends", ("ort", "openvino")),
    "cpu_threads": ("2", "threads", 2),
    "cpu_cache_verify": ("true", "cache_verify", True),
    "cpu_cache_limit": ('"1 GB"', "cache_limit_bytes", 10**9),
    "cpu_wait": ('"30 s"', "wait_s", 30.0),
    "cpu_missing": ('"skip"', "missing", "skip"),
    "cpu_save": ('"next"', "save", "next"),
}
FILES = {
    "pyproject.toml": "tool.pytest",
    "pytest.toml": "pytest",
    ".pytest.toml": "pytest",
}
native = pytest.mark.skipif(pytest.version_tuple < (9,), reason="this pytest knows no native values")


def settings_in(pytester: pytest.Pytester, file: str, table: str, line: str) -> Settings:
    (pytester.path / file).write_text(f"[{table}]\n{line}\n")
    return read_settings(pytester.parseconfig("-p", "pytest_cpuaccel.plugin.hooks"))


@native
@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("name", NATIVE)
def test_native_values_are_taken(pytester: pytest.Pytester, file: str, name: str) -> None:
    written, setting, expected = NATIVE[name]
    found = settings_in(pytester, file, FILES[file], f"{name} = {written}")
    assert getattr(found, setting) == expected


@pytest.mark.parametrize("table", [pytest.param("tool.pytest", marks=native), "tool.pytest.ini_options"])
def test_a_list_of_reports_stands_beside_the_file(pytester: pytest.Pytester, below: Path, table: str) -> None:
    line = 'cpu_report = ["run.json", "out of/run.md"]'
    (pytester.path / "pyproject.toml").write_text(f"[{table}]\n{line}\n")
    config = pytester.parseconfig("-p", "pytest_cpuaccel.plugin.hooks")
    assert read_settings(config).reports == (pytester.path / "run.json", pytester.path / "out of" / "run.md")
    assert below == Path.cwd()


@pytest.mark.parametrize("table", [pytest.param("tool.pytest", marks=native), "tool.pytest.ini_options"])
def test_the_command_line_wins_over_a_native_value(pytester: pytest.Pytester, table: str) -> None:
    pytester.makepyprojecttoml(f'[{table}]\ncpu_backends = ["ort"]\ncpu_threads = 2')
    config = pytester.parseconfig("-p", "pytest_cpuaccel.plugin.hooks", "--cpu-backends=eager", "-o", "cpu_threads=3")
    found = read_settings(config)
    assert (found.backends, found.threads) == (("eager",), 3)


@native
@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('cpu_backends = { a = "ort" }', '{"a": "ort"} is a table; write a string or a list of strings'),
        ('cpu_backends = [["ort"]]', '["ort"] in the list is a list; write a list of strings'),
        ("cpu_backends = true", "true is a boolean; write a string or a list of strings"),
        ('cpu_backends = ["ort", ""]', '"" in the list is empty; leave it out'),
        ('cpu_report = ["a.json", 3]', "3 in the list is a number; write a list of strings"),
        ("cpu_threads = [1, 2]", "[1, 2] is a list; write a number or a string"),
        ("cpu_threads = true", "true is a boolean; write a number or a string"),
        ("cpu_threads = 1.5", "'1.5' is not a number of threads; write 1 or more"),
        ("cpu_cache_verify = 1", "1 is a number; write true or false"),
        ("cpu_cache_dir = 2020-01-01", '"2020-01-01" is a date; write a string'),
        ('cpu_model = ["a", "b"]', '["a", "b"] is a list; write a string'),
    ],
)
def test_a_native_value_of_a_wrong_type_is_refused(pytester: pytest.Pytester, line: str, said: str) -> None:
    with pytest.raises(UsageError) as refusal:
        settings_in(pytester, "pyproject.toml", "tool.pytest", line)
    assert str(refusal.value) == f"{line.partition(' ')[0]} in pyproject.toml: {said}"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('cpu_backends = [["ort"]]', '["ort"] in the list is a list; write a list of strings'),
        ("cpu_threads = [1, 2]", "[1, 2] is a list; write a number or a string"),
    ],
)
@pytest.mark.filterwarnings("ignore::pytest.PytestDeprecationWarning")
def test_a_list_where_pytest_knows_only_text_is_refused_too(pytester: pytest.Pytester, line: str, said: str) -> None:
    with pytest.raises(UsageError) as refusal:
        settings_in(pytester, "pyproject.toml", "tool.pytest.ini_options", line)
    assert str(refusal.value) == f"{line.partition(' ')[0]} in pyproject.toml: {said}"


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


def test_a_report_of_the_file_that_can_not_be_written_is_told_with_its_path(pytester: pytest.Pytester) -> None:
    pytester.makeini("[pytest]\ncpu_report = taken/run.json")
    (pytester.path / "taken").write_text("a file")
    result = pytester.runpytest_inprocess("-p", "pytest_cpuaccel.plugin.hooks")
    words = f"cpu_report in tox.ini: can't write '{pytester.path}/taken/run.json': "
    result.stderr.fnmatch_lines([f"ERROR: cpuaccel: {words}*"])


def test_an_html_report_without_jinja_ends_the_run_before_any_test(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(without_jinja="import sys\nsys.modules['jinja2'] = None", test_it="def test_it(): print('ran')")
    result = pytester.runpytest_subprocess("-s", *LOADED, "-p", "without_jinja", "--cpu-report=r.json,r.html")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    (line,) = (line for line in result.errlines if line)
    pytest.LineMatcher([line]).fnmatch_lines(
        ["""ERROR: cpuaccel: --cpu-report: '*r.html' needs Jinja2, * pip install "pytest-cpuaccel[[]html[]]\""""]
    )
    result.stdout.no_fnmatch_line("*ran*")
    assert not (pytester.path / "r.json").exists()


def test_other_reports_need_no_jinja(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(without_jinja="import sys\nsys.modules['jinja2'] = None", test_it="def test_it(): pass")
    result = pytester.runpytest_subprocess(*LOADED, "-p", "without_jinja", "--cpu-report=r.json,r.md")
    result.assert_outcomes(passed=1)
    assert (pytester.path / "r.json").exists()


@pytest.mark.parametrize(
    "written", ["github", "github,a.json", "a.json, github", "a.json github", "github a.json", "\n  a.json\n  github"]
)
@pytest.mark.parametrize("where", ["option", "ini"])
def test_github_is_a_word_among_the_reports(pytester: pytest.Pytester, written: str, where: str) -> None:
    given = [f"--cpu-report={written}"] if where == "option" else []
    found = settings_of(pytester, *given, ini=f"cpu_report = {written}" if where == "ini" else "")
    assert found.on_github
    assert [path.name for path in found.reports] == ["a.json"] * ("a.json" in written)


@pytest.mark.parametrize("written", ["./github", "github/", "GitHub", "a.json,github.txt"])
def test_a_path_named_github_is_no_word(pytester: pytest.Pytester, written: str) -> None:
    with pytest.raises(UsageError, match=r"ends in none of \.json, \.md, \.html, and is not the word github$"):
        settings_of(pytester, f"--cpu-report={written}")
    assert not settings_of(pytester, "--cpu-report=github/a.json,my github.md,github.html").on_github
