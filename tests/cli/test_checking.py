"""`qflow check`."""

from __future__ import annotations

from pathlib import Path

from cli.conftest import Command


def test_checking_a_folder(qflow: Command, tmp_path: Path) -> None:
    (tmp_path / "workers").mkdir()
    (tmp_path / "workers" / "a.py").write_text("import os\n\nos.system('true')\n")
    said = qflow("check", "--no-tools")
    assert said.code == 1
    assert [line.split(": ")[:2] for line in said.out.splitlines()] == [
        ["workers/a.py:3:1", "forbidden"],
        ["workers/a.py:3:1", "import-time"],
    ]
    [first, _] = qflow("check", "--no-tools", "--json").json
    assert first["rule"], first["remedy"]


def test_checking_a_file_that_is_good(qflow: Command, tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text('"""Nothing."""\n')
    assert qflow("check", "a.py") == (0, "nothing to object to\n", "")


def test_checking_what_is_not_there(qflow: Command) -> None:
    said = qflow("check", "nowhere")
    assert (said.code, said.err) == (
        2,
        "error: no file or folder at 'nowhere': name another as PATH\n",
    )
