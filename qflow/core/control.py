"""What a function may say of its runs besides when they start: what follows a failure, what ends them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypedDict

from qflow.errors import DefinitionError


class Control(TypedDict, total=False):
    """The arguments of `@app.function` that control its runs.

    `on_failure`: a handler (sync or async, wanting event, step, run) that runs once for each failed
    run, as a durable function of its own named `<id>-failure`, with the retries of the function. Its
    event's data are `error` (name, message, traceback), `step` (the id, "" outside steps), `attempt`,
    `event` (the run's), `run_id`, `function_id`.
    """

    on_failure: Callable[..., Any] | None


def check_names(given: Mapping[str, Any], where: str) -> None:
    """Refuse an argument that `Control` does not list, with a DefinitionError."""
    unknown = sorted(given.keys() - Control.__annotations__.keys())
    if unknown:
        raise DefinitionError(
            f"{where}: there is no argument {unknown[0]!r}; besides trigger, name, retries, backoff and "
            f"timeout there are {', '.join(Control.__annotations__)}"
        )
