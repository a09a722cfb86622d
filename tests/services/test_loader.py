"""Importing a folder of functions."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from qflow.errors import DefinitionError, UsageError
from qflow.services.loader import load

APP = "import qflow\napp = qflow.App({name!r})\n"
FUNCTION = "from .client import app\n@app.function({id!r}, trigger='go')\ndef handler(): ...\n"


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Callable[..., str]]:
    """Writes a folder of a name that no other test uses."""
    before = set(sys.modules)
    path = list(sys.path)
    name = f"fns_{tmp_path.name}".replace("-", "_")

    def write(**modules: str) -> str:
        for module, text in modules.items():
            file = tmp_path / name / f"{module.replace('__', '/')}.py"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        return str(tmp_path / name)

    yield write
    sys.path[:] = path
    for module in set(sys.modules) - before:
        if module.startswith("fns_"):
            del sys.modules[module]


def test_every_module_also_in_folders_below(folder: Callable[..., str]) -> None:
    path = folder(
        client=APP.format(name="shop"),
        one=FUNCTION.format(id="one"),
        deep__two="from ..client import app\n@app.function('two', trigger='go')\ndef f(): ...\n",
    )
    functions, apps = load(path)
    assert sorted(functions) == ["one", "two"]
    assert [app.name for app in apps] == ["shop"]


def test_no_folder(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no folder of functions at"):
        load(str(tmp_path / "nothing"))


def test_a_name_that_cannot_be_imported(tmp_path: Path) -> None:
    (tmp_path / "my-workers").mkdir()
    with pytest.raises(UsageError, match="'my-workers' cannot be imported"):
        load(str(tmp_path / "my-workers"))


def test_an_id_used_by_two_apps(folder: Callable[..., str]) -> None:
    path = folder(
        client=APP.format(name="shop"),
        one=FUNCTION.format(id="same"),
        other="import qflow\nmore = qflow.App('more')\n@more.function('same', trigger='x')\ndef f(): ...\n",
    )
    with pytest.raises(DefinitionError, match="'same'.*'more'.*'shop'|'same'.*'shop'.*'more'"):
        load(path)


def test_what_a_module_raises_comes_through(folder: Callable[..., str]) -> None:
    with pytest.raises(ZeroDivisionError):
        load(folder(broken="1 / 0\n"))


def test_a_name_that_another_package_has(tmp_path: Path) -> None:
    (tmp_path / "json").mkdir()
    (tmp_path / "json" / "decoder.py").write_text("")
    with pytest.raises(UsageError, match="another package"):
        load(str(tmp_path / "json"))
    sys.path.remove(str(tmp_path))
