"""Changes of code are noticed whatever way they come about, and nothing else is."""

from __future__ import annotations

import queue
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from qflow.dev.watch import Watcher

Changes = queue.SimpleQueue[list[str]]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "workers" / "sub").mkdir(parents=True)
    (tmp_path / "workers" / "a.py").write_text("1")
    return tmp_path / "workers"


@pytest.fixture
def watch(folder: Path) -> Iterator[Callable[[], Changes]]:
    made: list[Watcher] = []

    def begin() -> Changes:
        changes: Changes = queue.SimpleQueue()
        made.append(Watcher(folder, changes.put))
        made[0].start()
        return changes

    yield begin
    for watcher in made:
        watcher.stop()


def test_written_added_renamed_removed(folder: Path, watch: Callable[[], Changes]) -> None:
    changes = watch()
    (folder / "a.py").write_text("12")
    assert changes.get(timeout=5) == ["a.py"]
    (folder / "sub" / "b.py").write_text("")
    assert changes.get(timeout=5) == ["sub/b.py"]
    (folder / "a.py").rename(folder / "c.py")
    assert changes.get(timeout=5) == ["a.py", "c.py"]
    (folder / "c.py").unlink()
    assert changes.get(timeout=5) == ["c.py"]


def test_other_files_are_nothing(folder: Path, watch: Callable[[], Changes]) -> None:
    changes = watch()
    (folder / "notes.txt").write_text("12")
    (folder / "a.py").write_text("12")
    assert changes.get(timeout=5) == ["a.py"]


def test_a_change_before_the_first_notice_counts(folder: Path) -> None:
    changes: Changes = queue.SimpleQueue()
    watcher = Watcher(folder, changes.put)
    (folder / "a.py").write_text("12")
    watcher.start()
    assert changes.get(timeout=5) == ["a.py"]
    watcher.stop()


def test_a_folder_that_is_replaced_is_watched_on(
    folder: Path, watch: Callable[[], Changes]
) -> None:
    changes = watch()
    shutil.rmtree(folder)
    assert changes.get(timeout=5) == ["a.py"]
    folder.mkdir()
    (folder / "b.py").write_text("1")
    assert changes.get(timeout=5) == ["b.py"]
    (folder / "b.py").write_text("12")
    assert changes.get(timeout=5) == ["b.py"]
