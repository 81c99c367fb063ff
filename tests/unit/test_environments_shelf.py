"""Folders kept in the cache: made once, whole or made anew, bounded, and nothing of others is removed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pytest_cpuaccel.environments.own_folder import begin, remove
from pytest_cpuaccel.environments.shelf import Shelf


def filled(folder: Path) -> tuple[str, ...]:
    (folder / "file").write_text("x" * 100)
    return ("a note",)


def made_again(folder: Path) -> tuple[str, ...]:
    raise AssertionError(f"{folder} was made again")


def names_in(root: Path) -> set[str]:
    return {path.name for path in root.iterdir() if path.is_dir()}


def test_a_folder_is_made_once_and_kept_with_its_notes(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path / "cache", 8, 1 << 20)
    with shelf.folder("one", filled) as (folder, notes):
        assert (folder / "file").exists()
        assert notes == ("a note",)
    with shelf.folder("one", made_again) as (folder, notes):
        assert (folder / "file").exists()
        assert notes == ("a note",)


def test_what_a_killed_process_left_is_made_anew(tmp_path: Path) -> None:
    begin(tmp_path / "one")
    (tmp_path / "one" / "half").touch()
    with Shelf(tmp_path, 8, 1 << 20).folder("one", filled) as (folder, _):
        assert not (folder / "half").exists()
        assert (folder / "file").exists()


def test_nothing_is_left_of_what_can_not_be_made(tmp_path: Path) -> None:
    def fails(folder: Path) -> tuple[str, ...]:
        filled(folder)
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"), Shelf(tmp_path, 8, 1 << 20).folder("one", fails):
        pass
    assert names_in(tmp_path) == set()


@pytest.mark.parametrize(("most", "limit_bytes"), [(2, 1 << 20), (8, 300)])
def test_the_least_recently_used_go(tmp_path: Path, most: int, limit_bytes: int) -> None:
    shelf = Shelf(tmp_path, most, limit_bytes)
    for second, name in enumerate(["one", "two", "one", "three"]):
        with shelf.folder(name, filled) as (folder, _):
            os.utime(folder / "cpuaccel-notes.json", (second, second))
    assert names_in(tmp_path) == {"one", "three"}


def test_one_in_use_stays(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path, 1, 1 << 20)
    with shelf.folder("one", filled):
        with shelf.folder("two", filled):
            pass
        assert names_in(tmp_path) == {"one", "two"}


def test_folders_of_others_stay_and_the_folder_is_made_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "mine").touch()
    with Shelf(tmp_path, 0, 0).folder("one", filled) as (folder, _):
        assert folder.parent != tmp_path
    assert (tmp_path / "one" / "mine").exists()
    assert not folder.exists()


def test_nothing_is_removed_through_a_link_or_from_a_copy(tmp_path: Path) -> None:
    begin(tmp_path / "made")
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "mine").touch()
    (tmp_path / "made" / "link").symlink_to(tmp_path / "kept")
    (tmp_path / "alias").symlink_to(tmp_path / "made")
    remove(tmp_path / "alias")
    assert (tmp_path / "made").exists()
    (tmp_path / "made").rename(tmp_path / "moved")
    remove(tmp_path / "moved")
    assert (tmp_path / "moved").exists()
    (tmp_path / "moved").rename(tmp_path / "made")
    remove(tmp_path / "made")
    assert not (tmp_path / "made").exists()
    assert (tmp_path / "kept" / "mine").exists()


def test_a_cache_that_can_not_be_written_is_done_without(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with Shelf(tmp_path / "file" / "cache", 8, 1 << 20).folder("one", filled) as (folder, notes):
        assert (folder / "file").exists()
        assert notes == ("a note",)
    assert not folder.exists()
