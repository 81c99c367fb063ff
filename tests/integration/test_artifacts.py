"""What sessions keep for each other on disk: exported once, checked before use, bounded, safe."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.integration.conftest import CONFTEST

TEST = """
import pytest, torch

@pytest.mark.parity
def test_it(cpu_model):
    cpu_model(torch.ones(2, 16))
"""


@pytest.fixture
def stored(mlp_project: pytest.Pytester) -> pytest.Pytester:
    """A project that has run once under ``stored``."""
    mlp_project.makepyfile(test_it=TEST)
    session(mlp_project)
    return mlp_project


def session(project: pytest.Pytester, *args: str) -> list[str]:
    """Run the test in a session; return the notes for the user."""
    result = project.runpytest_inprocess("--cpu-backends=stored", "--cpu-cache-dir=kept", *args)
    result.assert_outcomes(passed=1)
    return [line for line in result.outlines if line.startswith("note: ")]


def entry(project: pytest.Pytester) -> Path:
    (folder,) = (path for path in (project.path / "kept" / "pytest-cpuaccel-1").iterdir() if path.is_dir())
    return folder


def test_a_second_session_does_not_export_again(stored: pytest.Pytester, builds: Any) -> None:
    assert session(stored) == []
    assert builds() == ["export", "load Mlp", "load Mlp"]


def test_other_weights_are_exported_anew(stored: pytest.Pytester, builds: Any) -> None:
    stored.makeconftest(CONFTEST.replace("manual_seed(0)", "manual_seed(1)"))
    assert session(stored) == []
    assert len(builds("export")) == 2


@pytest.mark.parametrize(
    ("harm", "fault"),
    [
        (lambda folder: (folder / "weights.pt").write_bytes(b"x" * 10), "was altered"),
        (lambda folder: (folder / "weights.pt").unlink(), "was altered"),
        (lambda folder: (folder / "more").write_bytes(b""), "was altered"),
        (lambda folder: (folder / "manifest.json").unlink(), "is incomplete"),
        (lambda folder: (folder / "manifest.json").write_text('{"files": '), "has an unreadable manifest"),
        (lambda folder: (folder / "manifest.json").write_text("[]"), "has an unreadable manifest"),
        (lambda folder: (folder / "manifest.json").write_bytes(b"\xff\xfe"), "has an unreadable manifest"),
    ],
)
def test_a_damaged_entry_is_exported_again_saying_so(
    stored: pytest.Pytester, builds: Any, harm: Any, fault: str
) -> None:
    folder = entry(stored)
    harm(folder)
    assert session(stored) == [f"note: cache entry {folder} {fault}; exported again"]
    assert session(stored) == []
    assert len(builds("export")) == 2


def test_an_entry_altered_without_a_trace_is_found_where_the_user_asks(stored: pytest.Pytester, builds: Any) -> None:
    weights = entry(stored) / "weights.pt"
    before = weights.stat()
    weights.write_bytes(weights.read_bytes()[::-1])
    os.utime(weights, ns=(before.st_atime_ns, before.st_mtime_ns))
    note = f"note: cache entry {weights.parent} was altered; exported again"
    assert session(stored, "--cpu-cache-verify") == [note]
    stored.makeini("[pytest]\ncpu_cache_verify = true")
    assert session(stored) == []
    assert len(builds("export")) == 2


def test_two_sessions_at_once_export_once(mlp_project: pytest.Pytester, builds: Any) -> None:
    mlp_project.makepyfile(test_it=TEST)
    command = [sys.executable, "-m", "pytest", "--cpu-backends=stored", "--cpu-cache-dir=kept"]
    sessions = [subprocess.Popen(command, cwd=mlp_project.path, stdout=subprocess.DEVNULL) for _ in range(2)]
    assert [process.wait() for process in sessions] == [0, 0]
    assert len(builds("export")) == 1
    assert len(builds("load")) == 2


def test_the_cache_stays_within_its_limit_but_keeps_what_is_in_use(stored: pytest.Pytester, builds: Any) -> None:
    first = entry(stored)
    stored.makeconftest(CONFTEST.replace("manual_seed(0)", "manual_seed(1)"))
    session(stored, "--cpu-cache-limit=1 KB")
    assert not first.exists()
    assert (entry(stored) / "weights.pt").exists()
    assert len(builds("export")) == 2


def test_an_export_that_fails_leaves_nothing(stored: pytest.Pytester) -> None:
    stored.makeconftest(
        """
        import pytest
        from dataclasses import replace
        from tests import doubles, models

        def export(subject, folder):
            (folder / "half").touch()
            raise RuntimeError("disk on fire")

        @pytest.hookimpl(optionalhook=True)
        def pytest_cpuaccel_backends(config):
            return [replace(doubles.STORED, export=export)]

        @pytest.fixture
        def eager_model():
            return models.mlp()
        """
    )
    before = entry(stored)
    result = stored.runpytest_inprocess("--cpu-backends=stored", "--cpu-cache-dir=kept")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["stored: RuntimeError: disk on fire", "  at test_it.py:5"])
    assert entry(stored) == before


def test_nothing_of_the_users_is_removed_from_the_cache_folder(mlp_project: pytest.Pytester, builds: Any) -> None:
    kept = mlp_project.path / "kept"
    own = ["thesis/chapter.tex", "models/Mlp-stored-0123456789abcdef0123.1/weights.pt", "pytest-cpuaccel-1/notes/note"]
    for name in own:
        (kept / name).parent.mkdir(parents=True)
        (kept / name).write_bytes(bytes(5000))
    (kept / "pytest-cpuaccel-1" / "Mlp-stored-0123456789abcdef0123.1").symlink_to(kept / "models")
    moved = kept / "pytest-cpuaccel-1" / "moved"
    mlp_project.makepyfile(test_it=TEST)
    session(mlp_project, "--cpu-cache-limit=1 KB")
    entry_of_today = next(path.parent for path in kept.rglob("manifest.json"))
    shutil.copytree(entry_of_today, moved)
    mlp_project.makepyfile(test_it=TEST.replace("2, 16", "3, 16"))
    session(mlp_project, "--cpu-cache-limit=1 KB")
    assert all((kept / name).stat().st_size == 5000 for name in own)
    assert (moved / "manifest.json").exists()
    assert sorted(path.name for path in kept.iterdir()) == ["models", "pytest-cpuaccel-1", "thesis"]
    assert len(builds("export")) == 2
