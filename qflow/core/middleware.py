"""Middleware: hooks of the user's around sending, entering a handler, executing a step and storing.

Which hooks there are is found out once, where a function is defined; where there are none, nothing
is called.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final, Literal, TypeVar

from qflow.core.context import Run
from qflow.core.event import Event
from qflow.core.sealed import sealed_by
from qflow.errors import DefinitionError, SealedError, Suspend, UsageError

T = TypeVar("T")

_HIDDEN: Final = "encrypted"
_PHRASES: Final = {
    "event": "the data of event {name!r} ({id})",
    "step": "the result of step {name!r}",
    "output": "the output of run {id}",
    "error": "the error of step {name!r}",
    "log": "what step {name!r} printed and logged",
}


@dataclass(frozen=True, slots=True)
class StepContext:
    """One execution of a step's function: the run it belongs to, the step's id, its attempt from 0."""

    run: Run
    id: str
    attempt: int


@dataclass(frozen=True, slots=True)
class Place:
    """What a stored text is part of, by names that never change: bind a ciphertext to them.

    | kind | text | id | name |
    |---|---|---|---|
    | event | an event's data | the event's id | the event's name |
    | step | a step's result | the run's id | the step's id |
    | output | what a handler returned | the run's id | "" |
    | error | `[message, traceback]` of an error | the run's id | the step's id, "" for the handler |
    | log | what an attempt of a step printed and logged | the run's id | the step's id |
    """

    kind: Literal["event", "step", "output", "error", "log"]
    id: str
    name: str = ""

    def __str__(self) -> str:
        phrase = "the error of run {id}" if self.kind == "error" and not self.name else ""
        return (phrase or _PHRASES[self.kind]).format(id=self.id, name=self.name)


class Middleware:
    """Hooks around an App's events, runs and steps; override those you need.

    Hooks are plain functions, for sync and async handlers alike: they may not block for long (they
    run on the event loop of async handlers), and are called on whatever thread is at hand, at once
    for many runs. Several are called in the order in which they are registered on the way in (send,
    enter, encode) and in reverse on the way out (exit, decode). An error that a hook raises is an
    error of what it surrounds: of the caller of `send`, of the step, or of the handler.
    """

    def send(self, event: Event[Any]) -> Event[Any]:
        """Return the event to send for `event`, whose id and ts are filled in.

        Called by `App.send` and `App.asend` for each event before the first is written. Only on an
        App: a function sends nothing by itself.
        """
        return event

    def run(self, run: Run) -> AbstractContextManager[object]:
        """Surround one entry of a handler. A run is entered again after every wait and retry.

        A run that goes on later or elsewhere leaves with a BaseException that is no Exception. No
        exception can be swallowed; raising another one replaces it.
        """
        return nullcontext()

    def step(self, step: StepContext) -> AbstractContextManager[object]:
        """Surround one execution of a step's function. Finished steps are not executed again.

        No exception can be swallowed; raising another one replaces it.
        """
        return nullcontext()

    def encode(self, text: str, place: Place) -> str:
        """Return what is to be stored for the JSON text `text`.

        Either `text` itself, or JSON in which what was encoded stands as `Sealed(…).to_json()`; an
        event's data must stay an object.
        """
        return text

    def decode(self, text: str, place: Place) -> str:
        """Undo `encode`. Called where a part of `text` is sealed; one that is not yours goes back as is."""
        return text


class Hooks:
    """The hooks that a row of middleware overrides, in the order in which each kind is called."""

    __slots__ = ("_decoders", "encoders", "runs", "senders", "steps")

    def __init__(self, middleware: Sequence[Middleware]) -> None:
        def overriding(name: str) -> list[Middleware]:
            plain = getattr(Middleware, name)
            return [one for one in middleware if getattr(type(one), name) is not plain]

        self.senders = tuple(one.send for one in overriding("send"))
        self.runs = tuple(one.run for one in overriding("run"))
        self.steps = tuple(one.step for one in overriding("step"))
        self.encoders = tuple(one.encode for one in overriding("encode"))
        self._decoders = tuple(one.decode for one in reversed(overriding("decode")))

    def sent(self, event: Event[Any]) -> Event[Any]:
        """Return the event that goes out for `event`."""
        for send in self.senders:
            event = send(event)
            if not isinstance(event, Event):
                raise UsageError(f"{_named(send)} must return an Event, not {event!r}")
        return event

    def encoded(self, text: str, place: Place) -> str:
        """Return what is stored for a JSON text."""
        for encode in self.encoders:
            given, text = text, encode(text, place)
            if text is not given and text != given:
                _check_encoded(text, encode)
        return text

    def decoded(self, text: str, place: Place) -> str:
        """Return the JSON text of what is stored, as far as these hooks decode it."""
        for decode in self._decoders:
            text = decode(text, place)
            if not isinstance(text, str):
                raise UsageError(f"{_named(decode)} must return text, not {text!r}")
        return text

    def encoded_error(self, error: dict[str, Any], place: Place) -> dict[str, Any]:
        """Return a described error with message and traceback encoded; its class's name stays.

        Never raises: an error must find its way out, though never unencoded.
        """
        whole = json.dumps([error["message"], error["traceback"]])
        try:
            text = self.encoded(whole, place)
        except Exception as problem:  # noqa: BLE001  # whatever a hook raises
            lost = f"<not kept: encoding it raised {type(problem).__name__}>"
            return {**error, "message": lost, "traceback": ""}
        if text == whole:
            return error
        return {**error, "message": _HIDDEN, "traceback": "", "sealed": json.loads(text)}


class Around:
    """Context managers entered in order and left in reverse, through which no exception is lost."""

    __slots__ = ("_context", "_entered", "_hooks")

    def __init__(
        self, hooks: Sequence[Callable[[T], AbstractContextManager[object]]], context: T
    ) -> None:
        self._hooks = hooks
        self._context: Any = context
        self._entered: list[AbstractContextManager[object]] = []

    def __enter__(self) -> None:
        try:
            for hook in self._hooks:
                manager = hook(self._context)
                if not isinstance(manager, AbstractContextManager):
                    problem = f"must return a context manager, not {manager!r}"
                    raise UsageError(f"{_named(hook)} {problem}; is @contextmanager missing?")
                manager.__enter__()
                self._entered.append(manager)
        except BaseException as error:
            self.__exit__(type(error), error, error.__traceback__)
            raise

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        given = error
        for manager in reversed(self._entered):
            try:
                if error is None:
                    manager.__exit__(None, None, None)
                else:
                    manager.__exit__(type(error), error, error.__traceback__)
            except BaseException as other:  # noqa: BLE001  # the outer ones must be left too
                error = error if isinstance(error, Suspend) else other
        if error is not None and error is not given:
            raise error


def check_middleware(middleware: object, where: str) -> tuple[Middleware, ...]:
    """Return a list of middleware; raise DefinitionError, naming `where`, for anything else."""
    if not isinstance(middleware, (list, tuple)):
        raise DefinitionError(f"{where}: middleware must be a list of them, not {middleware!r}")
    for one in middleware:
        if not isinstance(one, Middleware):
            hint = "; call it" if isinstance(one, type) else ""
            raise DefinitionError(f"{where}: {one!r} is no instance of qflow.Middleware{hint}")
    return tuple(middleware)


def opened(hooks: Hooks | None, text: str, place: Place) -> str:
    """Return a stored JSON text as it was before it was encoded.

    Raises SealedError where a part of it stays sealed.
    """
    if not sealed_by(text):
        return text
    if hooks is not None:
        text = hooks.decoded(text, place)
    by = sealed_by(text)
    if by:
        raise SealedError(
            f"{place} was encoded by {by!r}, and no middleware here decodes it: "
            "register the one that does on the App"
        )
    return text


def opened_error(hooks: Hooks | None, error: dict[str, Any], place: Place) -> dict[str, Any]:
    """Return a described error as it was before `encoded_error`; raise SealedError as `opened`."""
    if "sealed" not in error:
        return error
    message, traceback = json.loads(opened(hooks, json.dumps(error["sealed"]), place))
    kept = {key: value for key, value in error.items() if key != "sealed"}
    return {**kept, "message": message, "traceback": traceback}


def _check_encoded(text: object, encode: Callable[..., Any]) -> None:
    if not isinstance(text, str):
        raise UsageError(f"{_named(encode)} must return text, not {text!r}")
    try:
        json.loads(text)
    except ValueError:
        sealed = ""
    else:
        sealed = sealed_by(text)
    if not sealed:
        remedy = "return Sealed(by, text).to_json(), or the text as it was"
        raise UsageError(f"{_named(encode)} changed a text to one that nobody could tell: {remedy}")


def _named(hook: Any) -> str:
    return f"{type(hook.__self__).__name__}.{hook.__name__}"
