"""What a handler asks for next: a closed union of frozen values that the engine carries out.

Named tuples rather than dataclasses: several are made for each step, and these cost a third.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any, NamedTuple, TypeAlias

from qflow.core.retry import Backoff
from qflow.core.said import Line


class StepCall(NamedTuple):
    """A call of `step.run`: what to execute and how often to try."""

    id: str
    fn: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    retries: int
    timeout_ms: int
    backoff: Backoff | None


class Done(NamedTuple):
    """A finished step: `text` is what the steps hash keeps, a value or an error; `log` the JSON text
    of what its attempt said, "" for nothing."""

    step: str
    text: str
    attempt: int
    started_ms: int
    ended_ms: int
    ok: bool
    log: str = ""


class Plan(NamedTuple):
    """A step that is not known yet is asked for: a call to make, or something to wait for (`spec`).

    Answered with None where it is to be carried out here and now, as a part of the main lane; with
    Settled once it has been carried out elsewhere.
    """

    kind: str
    step: str
    call: StepCall | None
    spec: dict[str, Any]


class Settled(NamedTuple):
    """A step that was carried out beside the main lane; `text` is what the steps hash keeps of it."""

    text: str


class Send(NamedTuple):
    """Append `events` (fields of the stream's entries) and keep the step, both or neither."""

    done: Done
    events: tuple[list[str], ...]


class Open(NamedTuple):
    """Open the job of `step`, started by this worker."""

    step: str
    attempt: int
    deaths: int
    timeout_ms: int


class Execute(NamedTuple):
    """Execute the user's function now; answered with Returned or Raised."""

    call: StepCall
    step: str
    attempt: int


class Store(NamedTuple):
    """Keep a finished step; it is written together with whatever comes next."""

    done: Done


class Sleep(NamedTuple):
    """Hold nothing until `due_ms` (since the epoch), or for `delay_ms` where that is 0."""

    step: str
    delay_ms: int
    due_ms: int


class Again(NamedTuple):
    """Try `step` (empty: the handler's own code) again after `delay_ms`."""

    step: str
    attempt: int
    deaths: int
    delay_ms: int
    error: str
    started_ms: int = 0
    ended_ms: int = 0
    log: str = ""


class Complete(NamedTuple):
    """The handler returned; `output` is JSON text."""

    output: str


class Fail(NamedTuple):
    """The run failed; `error` is JSON text with name, message, traceback and step."""

    error: str


class Returned(NamedTuple):
    """The user's function returned `value`, and `said` this; times are ms since the epoch."""

    value: Any
    started_ms: int
    ended_ms: int
    said: tuple[Line, ...] = ()


class Raised(NamedTuple):
    """The user's function raised `error`, and `said` this; times are ms since the epoch."""

    error: BaseException
    started_ms: int
    ended_ms: int
    said: tuple[Line, ...] = ()


Effect: TypeAlias = Plan | Open | Execute | Store | Send | Sleep | Again | Complete | Fail
Answer: TypeAlias = Returned | Raised | Settled | None
Effects: TypeAlias = Generator[Effect, Answer, Any]
"""What a step asks for, one effect at a time; its value is what it returns in the end."""
