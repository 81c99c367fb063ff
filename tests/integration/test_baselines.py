"""Baselines: what a run saves, and how a later one is held to it."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

from pytest_cpuaccel.baselines.store import Draft
from pytest_cpuaccel.builder.artifact import MANIFEST
from pytest_cpuaccel.report.run import new_run
from tests.integration.conftest import CONFTEST
from tests.integration.test_reports import results_of

TESTS = """
import pytest, torch

@pytest.mark.latency_budget(p50="10 s")
def test_it(cpu_model):
    cpu_model(torch.ones(2, 16))
"""


@pytest.fixture
def rounds_project(project: pytest.Pytester) -> pytest.Pytester:
    rounds = 'models.Rounds(int(os.environ.get("ROUNDS", 10))).eval()'
    project.makeconftest(CONFTEST.replace("import pytest", "import os, pytest").replace("models.mlp()", rounds))
    project.makepyfile(test_it=TESTS)
    return project


def run(project: pytest.Pytester, *args: str, backend: str = "shipped") -> pytest.RunResult:
    return project.runpytest_inprocess(f"--cpu-backends={backend}", "--cpu-report=r.json", *args)


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where baselines are kept from test to test."""
    return tmp_path_factory.mktemp("shelf")


Save = Callable[..., Path]


@pytest.fixture
def saved(rounds_project: pytest.Pytester, shelf: Path) -> Save:
    """``saved(backend)`` gives the project a baseline, "main", and returns its folder; the first one saves it."""

    def save(backend: str = "shipped") -> Path:
        folder = rounds_project.path / ".cpuaccel" / "baselines" / "main"
        if not (shelf / backend).exists():
            run(rounds_project, "--cpu-save=main", backend=backend).assert_outcomes(passed=1)
            shutil.copytree(folder.parent, shelf / backend)
        shutil.copytree(shelf / backend, folder.parent, dirs_exist_ok=True)
        return folder

    return save


def held(project: pytest.Pytester) -> dict[str, Any]:
    """Return what the last run found on the baseline."""
    (result,) = results_of(project)["results"]
    found: dict[str, Any] = result["baseline"]
    return found


def edit(folder: Path, **environment: object) -> None:
    """Change what a baseline says of where it was saved."""
    report = json.loads((folder / "baseline.json").read_text())
    report["environment"] |= environment
    (folder / "baseline.json").write_text(json.dumps(report))


def set_ratio(folder: Path, ratio: float) -> None:
    report = json.loads((folder / "baseline.json").read_text())
    report["results"][0]["latency"] |= {"ratio": ratio, "ratio_low": ratio * 0.99, "ratio_high": ratio * 1.01}
    (folder / "baseline.json").write_text(json.dumps(report))


def test_an_unchanged_artifact_passes_without_a_race(rounds_project: pytest.Pytester, saved: Save) -> None:
    saved()
    run(rounds_project, "--cpu-against=main").assert_outcomes(passed=1)
    found = held(rounds_project)
    assert (found["verdict"], found["how"], found["name"]) == ("PASS", "unchanged", "main")
    assert "ratio" not in found


def test_a_slower_artifact_fails_with_both_numbers(
    rounds_project: pytest.Pytester, saved: Save, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved()
    monkeypatch.setenv("ROUNDS", "40")
    result = run(rounds_project, "--cpu-against=main")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            'shipped: forward 2x16: *x as long as baseline "main" [[]*], allowed 1.05x, p50 * against *; '
            "changed since: the model or its weights",
            "*vs baseline*",
            "*FAIL baseline",
        ]
    )
    found = held(rounds_project)
    assert (found["how"], found["confirmed"]) == ("race", True)
    assert found["ratio_low"] > 1.5


def test_a_faster_artifact_passes(
    rounds_project: pytest.Pytester, saved: Save, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved()
    monkeypatch.setenv("ROUNDS", "2")
    run(rounds_project, "--cpu-against=main").assert_outcomes(passed=1)
    assert held(rounds_project)["verdict"] == "PASS"
    assert held(rounds_project)["ratio_high"] < 1


def test_what_is_allowed_can_be_set(
    rounds_project: pytest.Pytester, saved: Save, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved()
    monkeypatch.setenv("ROUNDS", "40")
    run(rounds_project, "--cpu-against=main", "--cpu-against-slowdown=900%").assert_outcomes(passed=1)
    assert held(rounds_project)["allowed"] == 10


def test_without_an_artifact_ratios_are_compared_and_the_verdict_says_so(
    rounds_project: pytest.Pytester, saved: Save
) -> None:
    folder = saved("twin")
    set_ratio(folder, 1.0)
    run(rounds_project, "--cpu-against=main", "--cpu-against-slowdown=200%", backend="twin").assert_outcomes(passed=1)
    found = held(rounds_project)
    assert (found["verdict"], found["how"]) == ("PASS", "ratio")
    assert "by ratio, not by a race" in found["sentence"]
    assert " then" in found["sentence"].partition("p50")[2]
    set_ratio(folder, 0.2)
    run(rounds_project, "--cpu-against=main", backend="twin").assert_outcomes(failed=1)
    assert held(rounds_project)["verdict"] == "FAIL"


def test_another_cpu_gets_no_times_compared_and_no_fail_by_ratio(rounds_project: pytest.Pytester, saved: Save) -> None:
    folder = saved("twin")
    set_ratio(folder, 0.2)
    edit(folder, cpu="Another CPU")
    result = run(rounds_project, "--cpu-against=main", backend="twin")
    result.assert_outcomes(passed=1)
    found = held(rounds_project)
    assert found["verdict"] == "INCONCLUSIVE"
    assert "on another CPU ratios may differ by themselves" in found["sentence"]
    assert "p50" not in found["sentence"]
    (line,) = (line for line in result.outlines if line.startswith('note: baseline "main" was saved on Another CPU'))
    assert line.endswith("times are not compared")


def test_an_artifact_is_raced_on_another_cpu_and_under_other_versions_too(
    rounds_project: pytest.Pytester, saved: Save, monkeypatch: pytest.MonkeyPatch
) -> None:
    edit(saved(), cpu="Another CPU", versions=["torch 1.0"])
    monkeypatch.setenv("ROUNDS", "40")
    run(rounds_project, "--cpu-against=main").assert_outcomes(failed=1)
    assert held(rounds_project)["how"] == "race"
    assert f"torch 1.0 -> {metadata.version('torch')}" in held(rounds_project)["changes"]


@pytest.mark.parametrize(
    ("backend", "words"),
    [
        ("shipped", "its artifact was made for a CPU with avx9000, which this one lacks"),
        ("twin", "on a CPU with other vector instructions ratios differ by themselves"),
    ],
)
def test_what_was_saved_for_other_instructions_is_not_run(
    rounds_project: pytest.Pytester, saved: Save, monkeypatch: pytest.MonkeyPatch, backend: str, words: str
) -> None:
    edit(saved(backend), isa=["avx9000"])
    monkeypatch.setenv("ROUNDS", "11")
    result = run(rounds_project, "--cpu-against=main", backend=backend)
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines([f'note: {backend}: not held to baseline "main": {words}'])


def test_an_unchanged_artifact_under_other_versions_is_compared_by_ratio(
    rounds_project: pytest.Pytester, saved: Save
) -> None:
    folder = saved()
    edit(folder, versions=["torch 1.0"])
    set_ratio(folder, 0.2)
    run(rounds_project, "--cpu-against=main").assert_outcomes(failed=1)
    assert held(rounds_project)["how"] == "ratio"
    assert "torch 1.0 -> " in held(rounds_project)["sentence"]


def test_an_artifact_that_does_not_load_is_one_line(
    rounds_project: pytest.Pytester, saved: Save, monkeypatch: pytest.MonkeyPatch
) -> None:
    (artifact,) = (saved() / "artifacts").iterdir()
    content = b"of another version"
    replace_file(artifact / "module.pt", content)
    manifest = json.loads((artifact / MANIFEST).read_text())
    manifest["files"] = {"module.pt": hashlib.sha256(content).hexdigest()}
    replace_file(artifact / MANIFEST, json.dumps(manifest).encode())
    monkeypatch.setenv("ROUNDS", "11")
    result = run(rounds_project, "--cpu-against=main")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(
        ['INCONCLUSIVE *: shipped: forward 2x16: the artifact of baseline "main" does not run here: shipped: *']
    )
    result.stdout.no_fnmatch_line("*Traceback*")


def test_an_altered_artifact_is_one_line(rounds_project: pytest.Pytester, saved: Save) -> None:
    (artifact,) = (saved() / "artifacts").iterdir()
    replace_file(artifact / "module.pt", b"altered")
    run(rounds_project, "--cpu-against=main").assert_outcomes(passed=1)
    assert held(rounds_project)["verdict"] == "INCONCLUSIVE"
    assert "was altered" in held(rounds_project)["sentence"]


def replace_file(path: Path, content: bytes) -> None:
    """Write a file anew: the cache may share the one that is there."""
    path.unlink()
    path.write_bytes(content)


def test_a_baseline_needs_neither_its_place_nor_the_cache(
    rounds_project: pytest.Pytester, saved: Save, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved().parent.rename(rounds_project.path / "moved")
    monkeypatch.setenv("XDG_CACHE_HOME", str(rounds_project.path / "another-cache"))
    monkeypatch.setenv("ROUNDS", "40")
    run(rounds_project, "--cpu-against=main", "--cpu-baselines-dir=moved").assert_outcomes(failed=1)
    assert held(rounds_project)["how"] == "race"


def test_a_test_that_the_baseline_lacks_is_a_note(rounds_project: pytest.Pytester, saved: Save) -> None:
    saved()
    rounds_project.makepyfile(test_it=TESTS.replace("test_it", "test_new"))
    result = run(rounds_project, "--cpu-against=main")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(
        ['note: baseline "main" has no forward 2x16 of test_it.py::test_new[[]shipped[]]; --cpu-save makes one']
    )


def test_eager_has_nothing_to_be_held_by(rounds_project: pytest.Pytester, saved: Save) -> None:
    saved("eager")
    result = run(rounds_project, "--cpu-against=main", backend="eager")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(['note: eager: not held to baseline "main": it has no artifact to race, *'])


def test_saving_replaces_a_baseline_only_when_the_run_is_through(rounds_project: pytest.Pytester, saved: Save) -> None:
    folder = saved()
    before = (folder / "baseline.json").read_text()
    rounds_project.makepyfile(test_it=f"{TESTS}\ndef test_stop(cpu_model): raise KeyboardInterrupt")
    result = rounds_project.runpytest_subprocess("--cpu-backends=shipped", "--cpu-save=main")
    assert result.ret == pytest.ExitCode.INTERRUPTED
    result.stdout.fnmatch_lines(['note: 1 result saved as baseline "main.partial": the run was cut short'])
    assert (folder / "baseline.json").read_text() == before
    run(rounds_project, "-k", "not stop", "--cpu-against=main.partial").assert_outcomes(passed=1, deselected=1)
    result = run(rounds_project, "-k", "not stop", "--cpu-save=main")
    result.stdout.fnmatch_lines([f'note: 1 result saved as baseline "main" in {folder}'])
    assert [path.name for path in folder.parent.iterdir()] == ["main"]


def test_what_somebody_put_beside_a_baseline_stays(rounds_project: pytest.Pytester, saved: Save) -> None:
    folder = saved()
    (folder / "README.md").write_text("why this one")
    run(rounds_project, "--cpu-save=main").assert_outcomes(passed=1)
    assert (folder / "README.md").read_text() == "why this one"
    assert sorted(path.name for path in folder.parent.iterdir()) == [folder.name]


def test_one_name_is_saved_by_one_session(rounds_project: pytest.Pytester) -> None:
    draft = Draft(rounds_project.path / ".cpuaccel" / "baselines", "main", new_run([], rounds_project.path), {})
    result = rounds_project.runpytest_subprocess("--cpu-backends=shipped", "--cpu-save=main")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: *--cpu-save: another session is saving baseline 'main' in *; save under *"])
    draft.finish(whole=False)
    run(rounds_project, "--cpu-save=main").assert_outcomes(passed=1)


def test_a_run_that_timed_nothing_saves_nothing(rounds_project: pytest.Pytester, saved: Save) -> None:
    folder = saved()
    rounds_project.makepyfile(test_it="def test_it(): pass")
    run(rounds_project, "--cpu-save=main").stdout.fnmatch_lines(
        ['note: nothing was saved as baseline "main": no latency was judged']
    )
    assert (folder / "baseline.json").exists()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (
            ["--cpu-against=mian"],
            "--cpu-against: no baseline named 'mian' in *; there are: holed, linked, main, n*",
        ),
        (["--cpu-against=../main"], "--cpu-against: '../main' is no name for a baseline; use letters, *"),
        (["--cpu-save=.."], "--cpu-save: '..' is no name for a baseline; use letters, *, the first a letter or digit"),
        (["--cpu-save=new", "--cpu-baselines-dir=a_file"], "--cpu-save: *a_file' is a file, not a folder for *"),
        (["--cpu-save=new", "--cpu-baselines-dir=/proc"], "--cpu-save: can't write '/proc': *"),
        (["--cpu-save=thesis"], "--cpu-save: '*/thesis' is there and no baseline; choose another name or folder"),
        (["--cpu-save=plan"], "--cpu-save: '*/plan.partial' is there and no baseline; choose another name or folder"),
        (["--cpu-save=linked"], "--cpu-save: '*/linked' is there and no baseline; choose another name or folder"),
        (["--cpu-save=a.partial"], "--cpu-save: 'a.partial' ends in '.partial', *"),
        (["--cpu-save=main", "--cpu-against=main"], "--cpu-save and --cpu-against both name 'main': *"),
        (["--cpu-against=main", "--cpu-against-slowdown=5"], "--cpu-against-slowdown: '5' has no unit; *"),
        (["--cpu-against-slowdown=3%"], "--cpu-against-slowdown=3% needs --cpu-against=NAME, or another *"),
        (["--cpu-against=torn"], "--cpu-against: *torn/baseline.json: is damaged, or no report in JSON: *"),
        (
            ["--cpu-against=newer"],
            "--cpu-against: *newer/baseline.json: has schema 99, and this version reads 1 and 2; *",
        ),
        (["--cpu-against=holed"], "--cpu-against: *holed/baseline.json: is damaged: KeyError: 'environment'"),
    ],
)
def test_a_mistake_is_one_line(project: pytest.Pytester, options: list[str], words: str) -> None:
    machine = {"cpu": "A CPU", "isa": [], "threads": 1, "versions": []}
    write(project, "main", {"schema": 1, "environment": machine, "results": []})
    (project.path / "a_file").touch()
    write(project, "newer", {"schema": 99})
    write(project, "holed", {"schema": 1})
    write(project, "torn", {"schema": 1})
    (project.path / ".cpuaccel" / "baselines" / "torn" / "baseline.json").write_text('{"schema": 1, "envi')
    for name in ("thesis", "plan.partial"):
        (project.path / ".cpuaccel" / "baselines" / name).mkdir()
        (project.path / ".cpuaccel" / "baselines" / name / "chapter.tex").touch()
    (project.path / ".cpuaccel" / "baselines" / "linked").symlink_to("main", target_is_directory=True)
    result = project.runpytest_inprocess(*options)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    (line,) = (line for line in result.errlines if line)
    pytest.LineMatcher([line]).fnmatch_lines([f"ERROR: cpuaccel: {words}"])
    assert len([*(project.path / ".cpuaccel" / "baselines").rglob("chapter.tex")]) == 2


def write(project: pytest.Pytester, name: str, report: object) -> None:
    folder = project.path / ".cpuaccel" / "baselines" / name
    folder.mkdir(parents=True)
    (folder / "baseline.json").write_text(json.dumps(report))


def test_no_baseline_yet_says_how_to_save_one(project: pytest.Pytester) -> None:
    result = project.runpytest_inprocess("--cpu-against=main")
    result.stderr.fnmatch_lines(["ERROR: cpuaccel: *; there is none yet; --cpu-save=NAME makes one"])


def test_workers_are_held_and_save(
    rounds_project: pytest.Pytester, saved: Save, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("xdist")
    folder = saved()
    rounds_project.makepyfile(test_it=f"{TESTS}{TESTS.replace('test_it', 'test_other').replace('(2,', '(3,')}")
    monkeypatch.setenv("ROUNDS", "40")
    result = rounds_project.runpytest_subprocess(
        "-n2", "--cpu-backends=shipped", "--cpu-report=r.json", "--cpu-against=main", "--cpu-save=next"
    )
    result.assert_outcomes(passed=1, failed=1)
    found = {result["test"]: result for result in results_of(rounds_project)["results"]}
    assert found["test_it.py::test_it[shipped]"]["baseline"]["how"] == "race"
    assert "baseline" not in found["test_it.py::test_other[shipped]"]
    kept = results_of(rounds_project, f"{folder.parent}/next/baseline.json")["results"]
    assert {result["test"] for result in kept} == set(found)
    artifacts = {path.name for path in (folder.parent / "next" / "artifacts").iterdir()}
    assert artifacts == {result["latency"]["artifact"] for result in kept}


def test_a_baseline_holds_figures_and_no_explanations(saved: Save) -> None:
    report = json.loads((saved() / "baseline.json").read_text())
    (result,) = report["results"]
    assert report["schema"] == 2
    assert result["latency"]["ratio"] > 0
    for group in (found for found in result.values() if isinstance(found, dict)):
        assert not {"pairs_ns", "sentence", "evidence", "diagnoses", "notes"} & set(group)


def test_a_baseline_of_schema_1_is_raced(rounds_project: pytest.Pytester, saved: Save) -> None:
    file = saved() / "baseline.json"
    report = json.loads(file.read_text())
    del report["run"]
    file.write_text(json.dumps(report | {"schema": 1}))
    run(rounds_project, "--cpu-against=main", "--cpu-against-slowdown=900%").assert_outcomes(passed=1)
    assert held(rounds_project)["name"] == "main"


def test_a_baseline_that_cannot_be_written_leaves_the_results(rounds_project: pytest.Pytester) -> None:
    folder = rounds_project.path / ".cpuaccel" / "baselines"
    with (rounds_project.path / "conftest.py").open("a") as conftest:
        conftest.write(
            f"""
@pytest.fixture(autouse=True)
def no_folder():
    yield
    import shutil
    shutil.rmtree({str(folder)!r})
"""
        )
    result = run(rounds_project, "--cpu-save=main")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(
        ['note: nothing was saved as baseline "main": can\'t write *: No such file or directory']
    )
    assert len(results_of(rounds_project)["results"]) == 1
