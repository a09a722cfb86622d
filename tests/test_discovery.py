"""Which Redis a command uses: the one set, the one that `qflow dev` recorded, the local default."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from qflow.config import Settings
from qflow.discovery import DEFAULT_URL, RECORD, recorded_url, redis_url

URL = "redis://127.0.0.1:7123/0"


def record(folder: Path, **fields: object) -> None:
    path = folder / RECORD
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(fields))


def test_a_setting_wins(tmp_path: Path) -> None:
    record(tmp_path, url=URL, pid=os.getpid())
    assert redis_url(Settings(redis_url="redis://db/1"), str(tmp_path)) == "redis://db/1"


def test_a_record_is_found_in_its_folder_and_below(tmp_path: Path) -> None:
    record(tmp_path, url=URL, pid=os.getpid())
    below = tmp_path / "a" / "b"
    below.mkdir(parents=True)
    assert redis_url(Settings(), str(tmp_path)) == URL
    assert redis_url(Settings(), str(below)) == URL


def test_the_record_of_a_process_that_ended_is_passed_over(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        pass
    record(tmp_path, url=URL, pid=os.getpid())
    record(tmp_path / "a", url="redis://gone", pid=ended.pid)
    assert recorded_url(str(tmp_path / "a")) == URL


def test_without_a_record_the_local_default_is_used(tmp_path: Path) -> None:
    assert redis_url(Settings(), str(tmp_path)) == DEFAULT_URL


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "null", '{"url": 7, "pid": 1}', '{"url": "x"}', '{"url": "x", "pid": -1}'],
)
def test_a_record_that_cannot_be_read_is_none(tmp_path: Path, text: str) -> None:
    record(tmp_path)
    (tmp_path / RECORD).write_text(text)
    assert recorded_url(str(tmp_path)) == ""
