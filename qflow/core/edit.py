"""A step's input as an operator gave it anew: JSON instead of the arguments that the handler passes."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, NamedTuple, get_type_hints

from qflow.core import codec
from qflow.core.outcome import StepCall
from qflow.errors import UsageError


class Edit(NamedTuple):
    """What `step` is to be called with: a list of its positional arguments, or an object of some by
    name, over those that the handler passes; any other value is its first argument."""

    step: str
    data: Any


def edited(call: StepCall, edit: Edit) -> StepCall:
    """Return a call with its arguments replaced; raise UsageError where they do not fit."""
    data = edit.data
    try:
        signature = inspect.signature(call.fn)
        if isinstance(data, dict):
            named = signature.bind(*call.args, **call.kwargs).arguments
            unknown = sorted(data.keys() - signature.parameters.keys())
            if unknown:
                raise UsageError(
                    f"the new input of step {edit.step!r} names {unknown[0]!r}, which is no argument of "
                    f"its function; they are {', '.join(signature.parameters) or 'none'}"
                )
            bound = signature.bind_partial()
            bound.arguments.update(named, **_revived(call.fn, data))
        else:
            given = data if isinstance(data, list) else [data, *call.args[1:]]
            bound = signature.bind(*given, **({} if isinstance(data, list) else call.kwargs))
            bound.arguments.update(_revived(call.fn, dict(bound.arguments)))
    except (TypeError, ValueError) as error:
        raise UsageError(
            f"the new input of step {edit.step!r} does not fit its function: {error}"
        ) from error
    return call._replace(args=bound.args, kwargs=bound.kwargs)


def _revived(fn: Callable[..., Any], arguments: dict[str, Any]) -> dict[str, Any]:
    """Return arguments as their annotations say: models, dataclasses, dates."""
    try:
        hints = get_type_hints(fn)
    except Exception:  # noqa: BLE001  # an annotation that cannot be resolved revives nothing
        return arguments
    return {
        name: codec.revive(value, hints[name]) if name in hints else value
        for name, value in arguments.items()
    }
