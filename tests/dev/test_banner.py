"""What `qflow dev` says of functions and their triggers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from qflow.core.cron import Cron
from qflow.dev.banner import EXAMPLE, banner, changes, in_words, of_folder


def spec(*triggers: dict[str, Any], version: str = "1", file: str = "") -> dict[str, Any]:
    return {"triggers": list(triggers), "version": version, "file": file}


@pytest.mark.parametrize(
    ("trigger", "words"),
    [
        ({"event": "user/created"}, "on event user/created"),
        ({"event": "user/*"}, "on any event user/*"),
        (Cron("0 * * * *").to_spec(), "every hour"),
    ],
)
def test_triggers_in_words(trigger: dict[str, Any], words: str) -> None:
    assert in_words(trigger) == words


def test_the_table_and_an_event_to_try() -> None:
    functions = {
        "any": spec({"event": "order/*"}),
        "welcome": spec({"event": "user/created"}, Cron("0 * * * *").to_spec()),
    }
    text = "\n".join(
        banner(
            "1.2",
            {"Redis": "redis://host:1/0", "Dashboard": "http://127.0.0.1:8288"},
            "workers",
            functions,
        )
    )
    assert "qflow 1.2 is up" in text
    assert "redis://host:1/0" in text
    assert "    any      on any event order/*" in text
    assert "    welcome  on event user/created; every hour" in text
    assert "qflow send user/created --data '{}'" in text


def test_without_an_event_there_is_a_run_to_try() -> None:
    lines = banner(
        "1",
        {"Redis": "redis://host:1/0", "Dashboard": "http://127.0.0.1:8288"},
        "workers",
        {"tick": spec(Cron("@daily").to_spec())},
    )
    assert any("qflow run tick" in line for line in lines)


def test_without_an_exact_name_an_example_of_the_wildcard() -> None:
    lines = banner(
        "1",
        {"Redis": "redis://host:1/0", "Dashboard": "http://127.0.0.1:8288"},
        "workers",
        {"any": spec({"event": "order/*"})},
    )
    assert any("qflow send order/example" in line for line in lines)


def test_many_functions_are_cut_short() -> None:
    functions = {f"f{i:02}": spec({"event": "a/b"}) for i in range(40)}
    lines = banner(
        "1",
        {"Redis": "redis://host:1/0", "Dashboard": "http://127.0.0.1:8288"},
        "workers",
        functions,
    )
    assert any("and 10 more: qflow functions list" in line for line in lines)


def test_the_example_for_an_empty_folder_is_code() -> None:
    compile(EXAMPLE, "hello.py", "exec")
    lines = banner(
        "1", {"Redis": "redis://host:1/0", "Dashboard": "http://127.0.0.1:8288"}, "my_workers", {}
    )
    assert any("my_workers/hello.py" in line for line in lines)


def test_changes_in_words() -> None:
    before = {"a": spec(), "b": spec(), "c": spec()}
    after = {"b": spec(), "c": spec(version="2"), "d": spec()}
    assert changes(before, after) == "; new: d; changed: c; removed: a"
    assert changes(before, before) == ""


def test_only_functions_of_the_folder_count(tmp_path: Path) -> None:
    inside, outside = tmp_path / "workers" / "a.py", tmp_path / "other" / "b.py"
    for path in (inside, outside):
        path.parent.mkdir()
        path.touch()
    specs = {
        "a": spec(file=str(inside)),
        "b": spec(file=str(outside)),
        "gone": spec(file=str(inside.with_name("gone.py"))),
        "unknown": spec(),
    }
    assert list(of_folder(specs, inside.parent)) == ["a"]
