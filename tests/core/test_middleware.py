"""What Hooks, Around and their checks do, without a run."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import pytest

import qflow
from qflow import Event, Middleware, Place, Run, Sealed, SealedError
from qflow.core.middleware import Around, Hooks, check_middleware, opened, opened_error
from qflow.errors import DefinitionError, Suspend, UsageError

RUN = Run("r", "f", 0, None)
STEP = Place("step", "r", "fetch")


class Named(Middleware):
    """Notes each hook as it is called; encodes by its name."""

    def __init__(self, name: str, calls: list[str]) -> None:
        self.name = name
        self.calls = calls

    def send(self, event: Event[Any]) -> Event[Any]:
        self.calls.append(f"send {self.name}")
        return event

    @contextmanager
    def run(self, run: Run) -> Iterator[None]:
        self.calls.append(f"in {self.name}")
        try:
            yield
        except BaseException as error:
            self.calls.append(f"{type(error).__name__} {self.name}")
            raise
        else:
            self.calls.append(f"out {self.name}")

    def encode(self, text: str, place: Place) -> str:
        self.calls.append(f"encode {self.name}")
        return Sealed(self.name, text).to_json()

    def decode(self, text: str, place: Place) -> str:
        self.calls.append(f"decode {self.name}")
        sealed = Sealed.from_json(text)
        return sealed.text if sealed and sealed.by == self.name else text


def two() -> tuple[Hooks, list[str]]:
    calls: list[str] = []
    return Hooks((Named("a", calls), Named("b", calls))), calls


def test_forward_on_the_way_in_reverse_on_the_way_out() -> None:
    hooks, calls = two()
    event = hooks.sent(Event("x"))
    with Around(hooks.runs, RUN):
        calls.append("handler")
    text = hooks.encoded("[1]", STEP)
    assert (event, hooks.decoded(text, STEP)) == (Event("x"), "[1]")
    assert calls == [
        "send a", "send b", "in a", "in b", "handler", "out b", "out a",
        "encode a", "encode b", "decode b", "decode a",
    ]  # fmt: skip


def test_only_what_is_overridden_is_called() -> None:
    hooks = Hooks((Middleware(), Middleware()))
    assert (hooks.senders, hooks.runs, hooks.steps, hooks.encoders) == ((), (), (), ())
    assert hooks.encoded("1", STEP) == hooks.decoded("1", STEP) == "1"


class Custom(Middleware):
    """A middleware of one given hook."""

    def __init__(self, result: Any) -> None:
        self.result = result

    def send(self, event: Event[Any]) -> Any:
        return self.result

    def run(self, run: Run) -> Any:
        return self.result

    def encode(self, text: str, place: Place) -> Any:
        return self.result

    def decode(self, text: str, place: Place) -> Any:
        return self.result


@pytest.mark.parametrize("result", [None, 1, "no json", '{"a":1}', b"x"])
def test_what_encode_may_not_return(result: Any) -> None:
    with pytest.raises(UsageError, match=r"Custom.encode"):
        Hooks((Custom(result),)).encoded("[1]", STEP)


def test_what_the_others_may_not_return() -> None:
    hooks = Hooks((Custom(None),))
    with pytest.raises(UsageError, match=r"Custom.send must return an Event, not None"):
        hooks.sent(Event("x"))
    with pytest.raises(UsageError, match=r"Custom.decode must return text"):
        hooks.decoded("1", STEP)
    with pytest.raises(
        UsageError, match=r"Custom.run must return a context manager.*@contextmanager"
    ):
        Around(hooks.runs, RUN).__enter__()


class Swallow(Middleware):
    def __init__(self, instead: BaseException | None = None) -> None:
        self.instead = instead

    @contextmanager
    def run(self, run: Run) -> Iterator[None]:
        try:
            yield
        except BaseException:
            if self.instead is not None:
                raise self.instead from None


def test_no_exception_is_swallowed() -> None:
    calls: list[str] = []
    hooks = Hooks((Named("outer", calls), Swallow()))
    with pytest.raises(KeyError), Around(hooks.runs, RUN):
        raise KeyError
    assert calls == ["in outer", "KeyError outer"]


def test_another_exception_replaces_it() -> None:
    calls: list[str] = []
    hooks = Hooks((Named("outer", calls), Swallow(OSError("mine"))))
    with pytest.raises(OSError, match="mine"), Around(hooks.runs, RUN):
        raise KeyError
    assert calls == ["in outer", "OSError outer"]


def test_what_unwinds_a_handler_is_not_replaced() -> None:
    hooks = Hooks((Swallow(OSError("mine")),))
    with pytest.raises(Suspend), Around(hooks.runs, RUN):
        raise Suspend


def test_those_entered_are_left_when_the_next_fails() -> None:
    class Refuses(Middleware):
        def run(self, run: Run) -> AbstractContextManager[object]:
            raise LookupError

    calls: list[str] = []
    hooks = Hooks((Named("outer", calls), Refuses(), Named("inner", calls)))
    with pytest.raises(LookupError), Around(hooks.runs, RUN):
        calls.append("handler")
    assert calls == ["in outer", "LookupError outer"]


def test_an_error_keeps_its_name_and_hides_the_rest() -> None:
    hooks, _ = two()
    error = {"name": "ValueError", "message": "secret", "traceback": "secret too", "step": "s"}
    kept = hooks.encoded_error(error, STEP)
    assert {**kept, "sealed": ""} == {
        "name": "ValueError", "message": "encrypted", "traceback": "", "step": "s", "sealed": "",
    }  # fmt: skip
    assert opened_error(hooks, kept, STEP) == error


def test_an_error_that_cannot_be_encoded_is_not_kept_in_plain() -> None:
    error = {"name": "ValueError", "message": "secret", "traceback": "secret too"}
    kept = Hooks((Custom(None),)).encoded_error(error, STEP)
    assert "secret" not in json.dumps(kept)
    assert kept["name"] == "ValueError"
    assert "UsageError" in kept["message"]


def test_what_nobody_decodes_is_named() -> None:
    text = Sealed("aes-gcm:1234", "x").to_json()
    for hooks in (None, Hooks((Middleware(),)), two()[0]):
        with pytest.raises(SealedError, match=r"step 'fetch'.*aes-gcm:1234.*register"):
            opened(hooks, text, STEP)


def test_registration_is_checked() -> None:
    with pytest.raises(DefinitionError, match="call it"):
        qflow.App("a", middleware=[Middleware])  # type: ignore[list-item]
    with pytest.raises(DefinitionError, match="app 'a': middleware must be a list"):
        qflow.App("a", middleware=Middleware())  # type: ignore[arg-type]
    app = qflow.App("a")
    with pytest.raises(DefinitionError, match="function 'f' of app 'a'"):
        app.function("f", trigger="x", middleware=[object()])  # type: ignore[list-item]
    with pytest.raises(DefinitionError):
        check_middleware(None, "app")


def test_no_middleware_no_hooks() -> None:
    app = qflow.App("a")

    @app.function("f", trigger="x")
    def f() -> None: ...

    @app.function("g", trigger="x", middleware=[Swallow()])
    def g() -> None: ...

    assert f.hooks is None
    assert g.hooks is not None
    assert len(g.hooks.runs) == 1
