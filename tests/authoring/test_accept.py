"""What keeps a draft from being accepted: its source, then what it does."""

from __future__ import annotations

from pathlib import Path

from qflow.authoring.accept import objections

HEAD = 'import qflow\n\napp = qflow.App("a")\n\n\n@app.function("f", trigger="a")\n'


def of(folder: Path, body: str) -> list[str]:
    return list(objections(str(folder / "workers"), {"f.py": HEAD + body}, "f", tools=False))


def test_a_good_one(tmp_path: Path) -> None:
    assert of(tmp_path, "def f() -> int:\n    return 1\n") == []
    assert list(tmp_path.iterdir()) == []


def test_the_source_is_looked_at_first(tmp_path: Path) -> None:
    [found] = of(tmp_path, "def f() -> int:\n    return 1\n\n\nopen('/tmp/x', 'w')\n")
    assert "f.py:11:1: import-time: " in found


def test_then_what_it_does(tmp_path: Path) -> None:
    [found] = of(tmp_path, "def f() -> int:\n    return 1 // 0\n")
    assert found.startswith("dry run: as it goes: failed: ")
    assert "ZeroDivisionError" in found


def test_modules_that_come_together_see_each_other(tmp_path: Path) -> None:
    drafts = {
        "client.py": 'import qflow\n\napp = qflow.App("a")\n',
        "f.py": "from .client import app\n\n\n"
        '@app.function("f", trigger="a")\ndef f() -> int:\n    return 1\n',
    }
    assert list(objections(str(tmp_path / "workers"), drafts, "f", tools=False)) == []
