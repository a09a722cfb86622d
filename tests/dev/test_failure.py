"""What `qflow dev` says of code that cannot be imported."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from qflow.dev.failure import summarise


def fail(folder: Path, code: str) -> tuple[str, list[str]]:
    """Import `code` as workers/broken.py, the way a worker does, and summarise what that says."""
    (folder / "workers").mkdir()
    (folder / "workers" / "broken.py").write_text(code)
    run = (
        "import importlib, sys; sys.path.insert(0, '.'); importlib.import_module('workers.broken')"
    )
    ended = subprocess.run(
        [sys.executable, "-c", run],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=20,
    )
    return summarise(ended.stderr.splitlines(), ended.returncode, folder)


def test_an_exception_is_shown_from_the_users_first_frame(tmp_path: Path) -> None:
    reason, lines = fail(tmp_path, "def f():\n    raise ValueError('no')\n\nf()\n")
    assert reason == "workers/broken.py:2: ValueError: no"
    shown = [line for line in lines if "^" not in line]
    assert shown == [
        '  File "workers/broken.py", line 4, in <module>',
        "    f()",
        '  File "workers/broken.py", line 2, in f',
        "    raise ValueError('no')",
        "ValueError: no",
    ]


def test_a_syntax_error_has_its_line(tmp_path: Path) -> None:
    reason, lines = fail(tmp_path, "x = 1\nx = (\n")
    assert reason == "workers/broken.py:2: SyntaxError: '(' was never closed"
    assert lines[0] == '  File "workers/broken.py", line 2'


def test_an_error_below_a_library_is_placed_in_the_users_code(tmp_path: Path) -> None:
    reason, lines = fail(tmp_path, "import json\njson.loads('{')\n")
    assert reason.startswith("workers/broken.py:2: json.decoder.JSONDecodeError: ")
    assert lines[0] == '  File "workers/broken.py", line 2, in <module>'
    assert any("json" in line and "decoder.py" in line for line in lines)


def test_of_chained_errors_the_last_counts(tmp_path: Path) -> None:
    code = (
        "try:\n    1 / 0\nexcept ZeroDivisionError as error:\n    raise OSError('a') from error\n"
    )
    assert fail(tmp_path, code)[0] == "workers/broken.py:4: OSError: a"


def test_an_error_of_qflow_is_its_line() -> None:
    said = ["loading", "error: function id 'a b' must begin with a letter"]
    assert summarise(said, 2, Path()) == (
        "function id 'a b' must begin with a letter",
        ["loading"],
    )


def test_silence_is_an_exit_code() -> None:
    assert summarise([], 3, Path()) == ("it ended with exit code 3 and no word", [])
