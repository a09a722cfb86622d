"""Middleware around events, runs and steps, of sync and async handlers alike."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import pytest
from cases.world import FAST, World

import qflow
from qflow import Event, Middleware, Place, Run, Sealed, Step, StepContext, StepError, SyncStep

inside: ContextVar[str] = ContextVar("inside", default="")


class Noted(Middleware):
    """Notes what it surrounds."""

    def __init__(self, name: str, notes: list[str]) -> None:
        self.name = name
        self.notes = notes

    def send(self, event: Event[Any]) -> Event[Any]:
        assert event.id
        assert event.ts
        self.notes.append(f"send {self.name}")
        return event

    @contextmanager
    def run(self, run: Run) -> Iterator[None]:
        yield from self._around(f"run {run.function_id} {run.attempt}")

    @contextmanager
    def step(self, step: StepContext) -> Iterator[None]:
        assert len(step.run.id) == 26
        token = inside.set(step.id)
        try:
            yield from self._around(f"{step.id} {step.attempt}")
        finally:
            inside.reset(token)

    def _around(self, what: str) -> Iterator[None]:
        self.notes.append(f"> {self.name} {what}")
        try:
            yield
        except BaseException as error:
            self.notes.append(f"! {self.name} {what} {type(error).__name__}")
            raise
        else:
            self.notes.append(f"< {self.name} {what}")


def app_of(world: World, *middleware: Middleware) -> qflow.App:
    return qflow.App(
        "hooked", redis_url=world.url, namespace=world.keys.ns, middleware=list(middleware)
    )


def define(app: qflow.App, kind: str, name: str, work: Any, **options: Any) -> None:
    """Define a handler of one step `work`, sync or async."""
    options = {"trigger": "go", "retries": 1, "backoff": FAST, **options}
    if kind == "sync":

        @app.function(name, **options)
        def handler(step: SyncStep) -> Any:
            return step.run("work", work)
    else:

        @app.function(name, **options)
        async def ahandler(step: Step) -> Any:
            return await step.run("work", work)


both = pytest.mark.parametrize("kind", ["sync", "async"])


@both
def test_order(world: World, kind: str) -> None:
    notes: list[str] = []
    app = app_of(world, Noted("a", notes), Noted("b", notes))
    define(
        app, kind, "f", lambda: notes.append("work") or inside.get(), middleware=[Noted("f", notes)]
    )
    world.worker(app)
    ended = world.ended(app.send(Event("go")), "f")
    assert ended.output == "work"
    assert notes == [
        "send a", "send b",
        "> a run f 0", "> b run f 0", "> f run f 0",
        "> a work 0", "> b work 0", "> f work 0", "work", "< f work 0", "< b work 0", "< a work 0",
        "< f run f 0", "< b run f 0", "< a run f 0",
    ]  # fmt: skip


@both
@pytest.mark.parametrize("how", ["sync", "async", "bounded"])
def test_what_a_middleware_sets_a_step_sees(world: World, kind: str, how: str) -> None:
    async def awork() -> str:
        return inside.get()

    app = app_of(world, Noted("a", []))
    work = awork if how == "async" else inside.get
    define(app, kind, "f", work, timeout="10s" if how == "bounded" else None)
    world.worker(app)
    assert world.ended(app.send(Event("go")), "f").output == "work"


@both
def test_errors_and_retries_pass_through(world: World, kind: str) -> None:
    notes: list[str] = []
    app = app_of(world, Noted("a", notes))

    def work() -> None:
        raise KeyError("no")

    define(app, kind, "f", work)
    world.worker(app)
    ended = world.ended(app.send(Event("go")), "f")
    assert (ended.status, ended.error["name"]) == ("failed", "KeyError")
    assert [note for note in notes if " work " in note] == [
        "> a work 0", "! a work 0 KeyError", "> a work 1", "! a work 1 KeyError",
    ]  # fmt: skip


def test_an_entry_that_waits_is_left_and_entered_again(world: World) -> None:
    notes: list[str] = []
    app = app_of(world, Noted("a", notes))

    @app.function("f", trigger="go")
    def f(step: SyncStep) -> None:
        step.run("one", int)
        step.sleep("nap", "10ms")

    world.worker(app)
    assert world.ended(app.send(Event("go")), "f").status == "completed"
    assert notes == [
        "send a",
        "> a run f 0", "> a one 0", "< a one 0", "! a run f 0 Suspend",
        "> a run f 0", "< a run f 0",
    ]  # fmt: skip


class Broken(Middleware):
    """Fails in one hook, the first so many times."""

    def __init__(self, where: str, times: int) -> None:
        self.where = where
        self.left = times
        self.lock = threading.Lock()

    def _reach(self, where: str) -> None:
        with self.lock:
            if where == self.where and self.left:
                self.left -= 1
                raise LookupError(f"broken {where}")

    def send(self, event: Event[Any]) -> Event[Any]:
        self._reach("send")
        return event

    @contextmanager
    def run(self, run: Run) -> Iterator[None]:
        self._reach("run enter")
        yield
        self._reach("run exit")

    @contextmanager
    def step(self, step: StepContext) -> Iterator[None]:
        self._reach("step enter")
        yield
        self._reach("step exit")

    def encode(self, text: str, place: Place) -> str:
        self._reach(f"encode {place.kind}")
        return text


HOOKS = ["run enter", "run exit", "step enter", "step exit", "encode step", "encode output"]


@both
@pytest.mark.parametrize("hook", HOOKS)
def test_an_error_in_a_hook_is_retried(world: World, kind: str, hook: str) -> None:
    app = app_of(world, Broken(hook, 1))
    define(app, kind, "f", lambda: "done")
    world.worker(app)
    ended = world.ended(app.send(Event("go")), "f")
    assert ended.output == "done"
    told = ended.told("retry")
    assert [entry["error"]["message"] for entry in told] == [f"broken {hook}"]
    of_step = hook.startswith("step") or hook.endswith("step")
    assert told[0]["id"] == ("work" if of_step else "")


@both
@pytest.mark.parametrize("hook", HOOKS)
def test_a_hook_that_goes_on_failing_fails_the_run(world: World, kind: str, hook: str) -> None:
    app = app_of(world, Broken(hook, 1000))
    define(app, kind, "f", lambda: "done")
    world.worker(app)
    ended = world.ended(app.send(Event("go")), "f")
    assert (ended.status, ended.error["name"]) == ("failed", "LookupError")
    assert ended.error["message"] == f"broken {hook}"


def test_a_handler_can_catch_a_hooks_error_of_a_step(world: World) -> None:
    app = app_of(world, Broken("step enter", 1000))

    @app.function("f", trigger="go", retries=0)
    def f(step: SyncStep) -> str:
        try:
            return step.run("work", lambda: "done")
        except StepError as error:
            return error.name

    world.worker(app)
    assert world.ended(app.send(Event("go")), "f").output == "LookupError"


@both
def test_errors_that_cannot_be_encoded_are_kept_without_their_text(world: World, kind: str) -> None:
    app = app_of(world, Broken("encode error", 1000))

    def work() -> None:
        raise ValueError("secret")

    define(app, kind, "f", work)
    world.worker(app)
    ended = world.ended(app.send(Event("go")), "f")
    assert (ended.status, ended.error["name"]) == ("failed", "ValueError")
    assert "LookupError" in ended.error["message"]
    assert "secret" not in str(ended)


def test_an_error_in_send_sends_nothing(world: World) -> None:
    app = app_of(world, Broken("send", 1))
    with pytest.raises(LookupError, match="broken send"):
        app.send([Event("go"), Event("go")])
    assert world.redis.call("XLEN", world.keys.events) == 0
    with pytest.raises(LookupError, match="broken encode event"):
        app_of(world, Broken("encode event", 1)).send([Event("go"), Event("go")])
    assert world.redis.call("XLEN", world.keys.events) == 0


def test_send_may_change_an_event(world: World) -> None:
    class Stamped(Middleware):
        def send(self, event: Event[Any]) -> Event[Any]:
            return Event(event.name, {**event.data, "by": "me"}, id=f"mine-{event.id}")

    app = app_of(world, Stamped())

    @app.function("f", trigger="go")
    def f(event: Event) -> Any:
        return [event.id, event.data]

    world.worker(app)
    sent = app.send(Event("go", {"a": 1}, id="e"))
    assert sent == "mine-e"
    assert world.ended(sent, "f").output == ["mine-e", {"a": 1, "by": "me"}]


class Counted(Middleware):
    """Keeps values elsewhere, in the order in which they came, and stores their numbers."""

    def __init__(self) -> None:
        self.kept: list[str] = []
        self.places: list[str] = []

    def encode(self, text: str, place: Place) -> str:
        self.kept.append(text)
        self.places.append(f"{place.kind} {place.name}".strip())
        return Sealed("kept", str(len(self.kept) - 1)).to_json()

    def decode(self, text: str, place: Place) -> str:
        sealed = Sealed.from_json(text)
        assert sealed is not None
        return self.kept[int(sealed.text)]


@both
def test_everything_that_is_kept_passes_through_encode(world: World, kind: str) -> None:
    counted = Counted()
    app = app_of(world, counted)
    tries: list[int] = []

    def work() -> int:
        tries.append(1)
        if len(tries) == 1:
            raise ValueError("first")
        return 7

    define(app, kind, "f", work)
    world.worker(app)
    ended = world.ended(app.send(Event("go", {"a": 1})), "f")
    assert ended.status == "completed"
    assert counted.places == ["event go", "error work", "step work", "output"]
    assert counted.kept[0] == '{"a":1}'
    assert counted.kept[2:] == ["7", "7"]
    assert Sealed.from_json(ended.fields["output"]) == Sealed("kept", "3")


def test_no_middleware_costs_no_call(world: World) -> None:
    app = app_of(world)

    @app.function("f", trigger="go")
    def f() -> int:
        return 1

    assert f.hooks is None
    world.worker(app)
    assert world.ended(app.send(Event("go")), "f").output == 1
