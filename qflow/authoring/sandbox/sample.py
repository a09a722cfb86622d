"""Event data for a function that is tried without any: what its model, or its source, asks for."""

from __future__ import annotations

import inspect
import re
from typing import Any, Final

from pydantic import TypeAdapter

from qflow.authoring.sandbox.stand_in import example
from qflow.core.function import Function, event_model

_PATHS: Final = re.compile(
    r"""event\.data\[["'](\w+)["']\]"""  # event.data["id"]
    r"""|event\.data\.get\(["'](\w+)["']"""
    r"""|["']data\.(\w+)["']"""  # match="data.id"
    r"""|event\.data\.(\w+)"""
)
_METHODS: Final = frozenset(("get", "items", "keys", "values", "model_dump"))


def sample(function: Function[Any]) -> dict[str, Any]:
    """Return data that a function's event may have: an example of its model, or of the names it reads."""
    model = event_model(function.handler)
    if model is not None:
        plain = TypeAdapter(model).dump_python(example(model), mode="json", by_alias=True)
        return plain if isinstance(plain, dict) else {}
    try:
        source = inspect.getsource(inspect.getmodule(function.handler) or function.handler)
    except (OSError, TypeError):
        return {}
    found = {name for names in _PATHS.findall(source) for name in names if name} - _METHODS
    return dict.fromkeys(sorted(found), "text")
