"""A function as its author defined it, and the specification that workers publish of it."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Generic, TypeVar, get_args, get_origin, get_type_hints

from qflow.core.cron import Cron
from qflow.core.event import FAILED, Event
from qflow.core.middleware import Hooks
from qflow.core.retry import Policy
from qflow.core.trigger import EventTrigger, Trigger
from qflow.errors import DefinitionError

R = TypeVar("R")

ARGUMENTS: Final = ("event", "events", "step", "run")
_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.\-]{0,119}")


@dataclass(frozen=True, slots=True)
class Function(Generic[R]):
    """A durable function: what `@app.function` returns. Calling it calls the plain handler."""

    id: str
    name: str
    app: str
    triggers: tuple[Trigger, ...]
    policy: Policy
    handler: Callable[..., Any] = field(repr=False)
    wants: frozenset[str] = field(repr=False)
    is_async: bool = field(repr=False)
    hooks: Hooks | None = field(default=None, repr=False, compare=False)
    failure_of: str = field(default="", repr=False)
    control: Mapping[str, Any] = field(default_factory=dict, repr=False)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the handler as the plain Python function it is: no run, no durability."""
        return self.handler(*args, **kwargs)

    @property
    def event_names(self) -> tuple[str, ...]:
        """The event names (or trailing wildcards) that start this function."""
        return tuple(t.event for t in self.triggers if isinstance(t, EventTrigger))

    @property
    def crons(self) -> tuple[Cron, ...]:
        """The schedules that start this function."""
        return tuple(t for t in self.triggers if isinstance(t, Cron))


def check_id(value: object) -> str:
    """Return `value` if it can be a function id; raise DefinitionError otherwise."""
    if not isinstance(value, str) or not _ID.fullmatch(value):
        raise DefinitionError(
            f"function id {value!r} must begin with a letter or digit and have only letters, "
            'digits, "-", "_" and ".", at most 120 of them'
        )
    return value


def check_handler(handler: object, where: str) -> frozenset[str]:
    """Return the argument names that the handler wants, of event, events, step and run.

    Raises DefinitionError, naming `where`, for any other argument without a default.
    """
    if not callable(handler) or inspect.isclass(handler):
        raise DefinitionError(f"{where} must decorate a function, not {handler!r}")
    if inspect.isgeneratorfunction(handler) or inspect.isasyncgenfunction(handler):
        raise DefinitionError(f"{where} must not be a generator: remove `yield` from the handler")
    wanted = set()
    for parameter in inspect.signature(handler).parameters.values():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            raise DefinitionError(
                f"{where} takes *{parameter.name}; name the arguments it wants: {', '.join(ARGUMENTS)}"
            )
        if parameter.name in ARGUMENTS and parameter.kind is not parameter.POSITIONAL_ONLY:
            wanted.add(parameter.name)
        elif parameter.default is parameter.empty:
            raise DefinitionError(
                f"{where} asks for an argument {parameter.name!r} that qflow does not know; "
                f"a handler may take {', '.join(ARGUMENTS)}, by name"
            )
    return frozenset(wanted)


def event_model(handler: Callable[..., Any]) -> Any:
    """Return Model where the handler says `event: Event[Model]`, else None."""
    try:
        hint = get_type_hints(handler).get("event")
    except Exception:  # noqa: BLE001  # an annotation that cannot be resolved validates nothing
        return None
    if get_origin(hint) is not Event:
        return None
    model = get_args(hint)[0]
    plain = model in (Any, dict, Mapping) or get_origin(model) in (dict, Mapping)
    return None if plain or isinstance(model, TypeVar) else model


def failure_handler(function: Function[Any], handler: object) -> Function[Any]:
    """Return `on_failure=` as the function that it is: started once for each failed run of `function`.

    Raises DefinitionError for what cannot be one.
    """
    where = f"on_failure of function {function.id!r}"
    if isinstance(handler, Function):
        raise DefinitionError(
            f"{where} takes a plain handler, not the function {handler.id!r}; to start that one, give "
            f"it the trigger {FAILED!r}"
        )
    wants = check_handler(handler, where)
    assert callable(handler)
    return Function(
        check_id(f"{function.id}-failure"),
        f"{function.name} (failure)",
        function.app,
        (EventTrigger(FAILED),),
        function.policy,
        handler,
        wants,
        inspect.iscoroutinefunction(handler),
        function.hooks,
        function.id,
    )


def describe(function: Function[Any]) -> dict[str, Any]:
    """Return the specification that a worker publishes: JSON values only.

    `version` is a hash of source and configuration; a run keeps the one it began with.
    """
    try:
        lines, first = inspect.getsourcelines(function.handler)
        source, file = "".join(lines), inspect.getsourcefile(function.handler) or ""
    except (OSError, TypeError):
        source, first, file = "", 0, ""
    backoff = function.policy.backoff
    spec: dict[str, Any] = {
        "id": function.id,
        "name": function.name,
        "app": function.app,
        "triggers": [t.to_spec() for t in function.triggers],
        "retries": function.policy.retries,
        "timeout_ms": function.policy.timeout_ms,
        "backoff": None
        if backoff is None
        else {
            "base": str(backoff.base),
            "factor": backoff.factor,
            "max": str(backoff.max),
            "jitter": backoff.jitter,
        },
        "async": function.is_async,
        "source": source,
        **function.control,
    }
    if function.failure_of:
        spec["of"] = function.failure_of
    from hashlib import sha256  # loads OpenSSL: only workers publish

    spec["version"] = sha256(repr(sorted(spec.items())).encode()).hexdigest()[:12]
    spec["file"], spec["line"] = file, first
    return spec
