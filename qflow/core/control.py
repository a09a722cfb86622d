"""What a function may say of its runs besides when they start: what follows a failure, what ends them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypedDict

from qflow.core.cancel import CancelOn, Timeouts, parse_cancel_on
from qflow.core.middleware import Middleware
from qflow.errors import DefinitionError


class Control(TypedDict, total=False):
    """The arguments of `@app.function` that control its runs.

    `on_failure`: a handler (sync or async, wanting event, step, run) that runs once for each failed
    run, as a durable function of its own named `<id>-failure`, with the retries of the function. Its
    event's data are `error` (name, message, traceback), `step` (the id, "" outside steps), `attempt`,
    `event` (the run's), `run_id`, `function_id`.

    `cancel_on`: events that cancel a run of it; at most five `CancelOn(…)`.

    `timeouts`: `Timeouts(start=, finish=)`, deadlines at which a run is cancelled.

    `idempotency`: an expression over the event, such as "event.data.order_id": the same value starts
    the function once in 24 hours. Null, false and "" are no value: such events always start it.

    `middleware`: comes after the App's own.
    """

    on_failure: Callable[..., Any] | None
    cancel_on: CancelOn | Sequence[CancelOn] | None
    timeouts: Timeouts | None
    idempotency: str | None
    middleware: Sequence[Middleware]


def control_spec(given: Control, where: str) -> dict[str, Any]:
    """Return what a worker publishes of a function's control; raise DefinitionError for nonsense."""
    unknown = sorted(given.keys() - Control.__annotations__.keys())
    if unknown:
        raise DefinitionError(
            f"{where}: there is no argument {unknown[0]!r}; besides trigger, name, retries, backoff and "
            f"timeout there are {', '.join(Control.__annotations__)}"
        )
    spec: dict[str, Any] = {}
    cancel_on, timeouts = given.get("cancel_on"), given.get("timeouts")
    if cancel_on:
        spec["cancel_on"] = [rule.to_spec() for rule in parse_cancel_on(cancel_on, where)]
    if timeouts is not None:
        if not isinstance(timeouts, Timeouts):
            raise DefinitionError(f"{where}: timeouts must be Timeouts(…), not {timeouts!r}")
        spec["timeouts"] = timeouts.to_spec()
    idempotency = given.get("idempotency")
    if idempotency is not None:
        from qflow.core import expression  # only functions with one pay for it

        expression.compile(idempotency, where=f"{where}: idempotency")
        spec["idempotency"] = idempotency
    return spec
