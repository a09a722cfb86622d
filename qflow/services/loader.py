"""Imports a folder of functions and collects what its apps define."""

from __future__ import annotations

import importlib
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from qflow.app import App
from qflow.core.function import Function
from qflow.errors import DefinitionError, UsageError
from qflow.telemetry import emit


def load(path: str, *, lenient: bool = False) -> tuple[dict[str, Function[Any]], list[App]]:
    """Import every module of the folder `path`; return its functions by id, and its apps.

    Where `lenient`, a module that lacks an installed package is left out and reported. The folder's
    name becomes the package name, so modules may import each other relatively.
    Raises UsageError where there is no such folder, DefinitionError where an id stands twice;
    whatever a module raises on import comes through.
    """
    folder = Path(path).resolve()
    if not folder.is_dir():
        raise UsageError(f"no folder of functions at {path!r}: create it, or name another as PATH")
    if not folder.name.isidentifier():
        raise UsageError(
            f"folder {folder.name!r} cannot be imported: its name must be a Python identifier"
        )
    sys.path.insert(0, str(folder.parent))  # first, whatever else has a package of that name
    apps: list[App] = []
    left_out: ModuleNotFoundError | None = None
    for name in sorted(_modules(folder)):
        try:
            module = _import(name, folder)
        except ModuleNotFoundError as error:
            missing = (error.name or "").partition(".")[0]
            if not lenient or missing in ("", folder.name):
                raise
            emit("module.skipped", module=name, missing=missing)
            left_out = left_out or error
            continue
        _check_origin(module, folder)
        apps += [
            value for value in vars(module).values() if isinstance(value, App) and value not in apps
        ]
    if left_out is not None and not any(app.functions for app in apps):
        raise left_out
    functions: dict[str, Function[Any]] = {}
    for app in apps:
        for function in app.functions.values():
            if function.id in functions:
                raise DefinitionError(
                    f"function id {function.id!r} is used by app {app.name!r} and by app "
                    f"{functions[function.id].app!r}; give one of them another id"
                )
            functions[function.id] = function
    return functions, apps


def _import(name: str, folder: Path) -> ModuleType:
    try:
        return importlib.import_module(name)
    except DefinitionError as error:
        frames = traceback.extract_tb(error.__traceback__)
        own = [frame for frame in frames if folder in Path(frame.filename).parents]
        place = f"{own[-1].filename}:{own[-1].lineno}" if own else name
        raise DefinitionError(f"{place}: {error}") from error


def _modules(folder: Path) -> Iterator[str]:
    for file in folder.rglob("*.py"):
        parts = file.relative_to(folder.parent).with_suffix("").parts
        if parts[-1] != "__main__" and all(part.isidentifier() for part in parts):
            yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _check_origin(module: ModuleType, folder: Path) -> None:
    file = module.__file__
    if file is not None and folder not in Path(file).resolve().parents:
        raise UsageError(
            f"importing {module.__name__!r} found {file}, not the one in {folder}: another package has "
            "that name; rename the folder"
        )
