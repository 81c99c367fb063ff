"""Whether a backend's distributions are installed."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path

import pytest

from pytest_cpuaccel.core.backend import Requirement


def install(folder: Path, name: str, version: str) -> None:
    info = folder / f"{name}-{version}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")


def test_a_version_is_looked_up_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def version(name: str) -> str:
        asked.append(name)
        return "1.0"

    monkeypatch.setattr(metadata, "version", version)
    assert [Requirement("half").installed for _ in range(3)] == ["1.0"] * 3
    assert asked == ["half"]


def test_what_comes_onto_the_path_later_is_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert Requirement("cpuaccel-later").installed is None
    install(tmp_path, "cpuaccel_later", "2.0")
    monkeypatch.syspath_prepend(tmp_path)
    assert Requirement("cpuaccel-later").installed == "2.0"
