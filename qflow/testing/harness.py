"""Harness: what a test of durable functions works with."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self

from qflow.app import App, Outlet
from qflow.core import codec
from qflow.core.durations import Duration, to_ms, until_ms
from qflow.core.event import MAX_EVENT_BYTES, Event, to_text
from qflow.core.function import Function
from qflow.core.ids import step_hash
from qflow.core.memo import value_text
from qflow.core.middleware import Place
from qflow.core.status import ENDED
from qflow.core.waits import INVOKED, approval_signal
from qflow.engine.starting import terms_text
from qflow.errors import UsageError
from qflow.testing.controls import Controls
from qflow.testing.gates import Verdict
from qflow.testing.memory import Memory
from qflow.testing.record import HarnessRun
from qflow.testing.starts import Arrival
from qflow.testing.stub import Raises, Script, Stub, Stubs


class Harness(Controls):
    """Runs the functions of apps in memory, with a clock that the test moves.

    Within `with Harness(app) as world:` the events that `app` sends come here, and no Redis is needed.
    What needs no time happens at once, in one order: `send` and `start` return when all that is left
    waits for time to pass.

    `now` is the time at the beginning (default: the real one). `always_replay` drops all memory after
    each step, so that the handler is entered again for every step, and raises ReplayError for one that
    does not do the same again or has effects outside its steps. `real_steps=False` refuses to execute a
    step that has no stub. `only` names the functions that there are in this world; default: all.
    """

    def __init__(
        self,
        *apps: App,
        now: datetime | None = None,
        always_replay: bool = False,
        real_steps: bool = True,
        only: Sequence[str] = (),
    ) -> None:
        if not apps:
            raise UsageError("a Harness needs an App: Harness(app)")
        now_ms = time.time_ns() // 1_000_000_000 * 1000
        if now is not None:
            now_ms = until_ms(now, now_ms, "Harness(now=)")
        self._apps = apps
        self._stubs = Stubs(real_steps=real_steps)
        every = [function for app in apps for function in app.functions.values()]
        functions = [each for each in every if not only or each.id in only]
        super().__init__(Memory(functions, now_ms, self._stubs, always_replay=always_replay))
        self._exits = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as exits:
            for app in self._apps:
                exits.enter_context(_diverted(app, self._memory.intake))
            self._exits = exits.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._exits.close()

    @property
    def now(self) -> datetime:
        """The time in this harness. What your code asks of the system's clock is not changed."""
        return datetime.fromtimestamp(self._memory.now_ms() / 1000, UTC)

    @property
    def runs(self) -> tuple[HarnessRun, ...]:
        """All runs so far, in the order in which they were created."""
        return self._since(0)

    @property
    def events(self) -> tuple[Event[Any], ...]:
        """All events that were sent so far, by the test and by the functions."""
        return tuple(self._memory.intake.events)

    def stub(
        self,
        function: Function[Any] | str,
        step: str,
        fn: Callable[..., Any] | None = None,
        *,
        returns: Any = ...,
        raises: Raises | None = None,
    ) -> Stub:
        """Let `fn`, or a result, or an error, stand in the place of a step's function.

        `raises` is an error that every attempt raises, or a list of errors for the first attempts;
        those after them give `returns` or, without it, execute the real function. The stub of "id"
        also stands for "id:1" and so on, unless these have their own.
        """
        stub = Script(fn, returns, raises)
        self._stubs.add(self._function(function).id, step, stub)
        return stub

    def send(
        self,
        event: str | Event[Any] | Iterable[Event[Any]],
        data: Mapping[str, Any] | None = None,
        *,
        id: str = "",
    ) -> tuple[HarnessRun, ...]:
        """Send an event, by name and data or as Event(s); return the runs that it started."""
        if isinstance(event, str):
            event = Event(event, dict(data or {}), id)
        elif data is not None or id:
            raise UsageError(
                "send takes data= and id= with an event's name only, not with an Event"
            )
        self.settle()
        known = len(self._memory.states)
        ids = set(self._apps[0].send([event] if isinstance(event, Event) else event))
        self.settle()
        return tuple(run for run in self._since(known) if run.event.id in ids)

    def start(
        self, function: Function[Any] | str, data: Mapping[str, Any] | None = None
    ) -> HarnessRun:
        """Start a run of one function, whatever its triggers say; return it.

        Its event is named as the function's first trigger names one, and has `data`. Limits of when runs
        start (throttle, rate_limit, debounce, batch, singleton, idempotency) are passed by.
        """
        found = self._function(function)
        names = [name for name in found.event_names if not name.endswith("*")]
        name = names[0] if names else INVOKED
        what = f"the data for {found.id!r}"
        text = codec.encode(dict(data or {}), what)
        codec.check_size(text, MAX_EVENT_BYTES, what)
        self.settle()
        event_id = f"start:{len(self._memory.states)}"
        if found.hooks is not None:
            text = found.hooks.encoded(text, Place("event", event_id, name))
        now_ms = self._memory.now_ms()
        event = to_text(event_id, name, now_ms, "", text)
        arrival = Arrival(event_id, event, self._memory.intake.accepted, now_ms)
        terms = terms_text(self._memory.specs[found.id], event, now_ms)
        state = self._memory.starts.made(found.id, arrival, terms)
        self._memory.starts.begin(state, Verdict())
        return self._settled(state)

    def signal(self, name: str, data: Any = None) -> bool:
        """Give a signal to the step that waits for it; return whether one did."""
        self.settle()
        given = self._apps[0].signal(name, data)
        self.settle()
        return given

    def decide(
        self, run: HarnessRun, step: str, *, approved: bool, by: str = "test", note: str = ""
    ) -> None:
        """Decide the approval that a step waits for; raises UsageError where it does not."""
        self.settle()
        at = self._memory.now_ms()
        told = codec.encode({"approved": approved, "by": by, "note": note, "at": at}, "a decision")
        if not self._memory.intake.signal(
            approval_signal(run.id, step_hash(step)), value_text(told)
        ):
            raise UsageError(f"no approval of step {step!r} is asked for: {run}")
        self.settle()

    def advance(self, duration: Duration) -> None:
        """Let so much time pass: retries, sleeps and schedules fall due in order, each at its time."""
        self._memory.pass_until(self._memory.now_ms() + to_ms(duration, "world.advance"))

    def advance_to(self, when: datetime) -> None:
        """Let time pass until `when`, an aware datetime."""
        now_ms = self._memory.now_ms()
        due_ms = until_ms(when, now_ms, "world.advance_to")
        if due_ms < now_ms:
            raise UsageError(f"world.advance_to: {when} has passed; it is {self.now}")
        self._memory.pass_until(due_ms)

    def finish(self, *runs: HarnessRun) -> None:
        """Let as much time pass as these runs need to end, all of them where none is named.

        Raises UsageError where one waits for something that time does not bring.
        """
        self.settle()
        while unfinished := [run for run in runs or self.runs if run.status not in ENDED]:
            dues = [due for state in self._memory.states for due in state.dues]
            if not dues:
                raise UsageError(f"time does not bring what it waits for: {unfinished[0]}")
            self._memory.pass_until(min(dues))

    def settle(self) -> None:
        """Do what needs no time: begin runs of events that code under test sent with `app.send`."""
        self._memory.settle()

    def _since(self, first: int) -> tuple[HarnessRun, ...]:
        states = self._memory.states[first:]
        return tuple(HarnessRun(state, self._memory.now_ms) for state in states)


@contextmanager
def _diverted(app: App, outlet: Outlet) -> Iterator[None]:
    if app.outlet is not None:
        raise UsageError(
            f"the events of app {app.name!r} go to another harness already: leave that one first"
        )
    app.outlet = outlet
    try:
        yield
    finally:
        app.outlet = None
