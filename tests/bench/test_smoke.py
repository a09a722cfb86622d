"""The benchmarks run; how fast is not a test's business."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from benchmarks import parallel, report, waits
from benchmarks.peers import figures
from benchmarks.rivals.record import MARK
from qflow.cli import bench
from qflow.errors import QflowError
from qflow.testing.server import RedisServer

ROOT = Path(__file__).parents[2]


def test_quick_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(ROOT)
    saved = tmp_path / "figures.json"
    code = bench.command.main(
        ["--quick", "--no-peers", "--json", str(saved)], standalone_mode=False
    )
    assert code == 0
    rounds = json.loads(saved.read_text())["rounds"]
    assert {"qflow sync 2w", "qflow sync 1w", "qflow async 2w", "latency"} <= rounds.keys()
    assert rounds["qflow sync 2w"][0]["evalsha"] > 0
    assert "2 workers : 1 worker" in capsys.readouterr().out


def test_open_steps() -> None:
    with RedisServer() as server:
        assert waits.measure(server, (2, 6), 3).keys() == {2, 6}
        assert parallel.measure(server, "fan", 20)["wakes"] >= 1


def test_clock_starts_when_every_process_works() -> None:
    second = 1_000_000_000
    marks = [(1, 0), (1, second), (2, 2 * second), (1, 3 * second), (2, 4 * second)]
    found = figures(b"".join(MARK.pack(pid, at) for pid, at in marks))
    assert found == {"tasks_per_s": 1.0, "processes": 2, "counted": 2}


def test_medians_are_taken_figure_by_figure() -> None:
    assert report.medians([{"a": 1, "b": 9}, {"a": 2, "b": 7}, {"a": 5, "b": 8}]) == {
        "a": 2,
        "b": 8,
    }


def test_elsewhere_it_says_where_the_benchmarks_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", [p for p in sys.path if p not in ("", str(ROOT))])
    for name in [name for name in sys.modules if name.split(".")[0] == "benchmarks"]:
        monkeypatch.delitem(sys.modules, name)
    result = CliRunner().invoke(bench.command, [])
    assert isinstance(result.exception, QflowError)
    assert "no benchmarks here" in str(result.exception)
