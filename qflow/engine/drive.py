"""Carries the effects of a step out on a thread, for sync handlers: one after the other, or in groups.

The rules are in `core.replay`, written once; this and `engine.group` differ in how they wait. Steps
that have to wait for something outside, and groups, unwind the handler once they are open: it is
entered again when one of them is settled.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from qflow import crashpoints
from qflow.core.outcome import Answer, Effect, Effects, Execute, Plan, StepCall, Store
from qflow.core.replay import Frame, inside_step
from qflow.engine.execute import Awaited, Engine, Surround, execute, execute_within
from qflow.engine.lookback import Lookback
from qflow.engine.opening import INLINE, examine, opening, prepare
from qflow.engine.session import Notes, Session
from qflow.engine.strands import Crew
from qflow.errors import RedisError, StepError, Suspend, UsageError
from qflow.store.open import Suspension
from qflow.store.script import Call


class Known:
    """What a worker knows of a run beside its memo when it enters the handler."""

    def __init__(
        self,
        fields: Mapping[str, str],
        open_steps: frozenset[str],
        settled: int,
        lookback: Lookback,
    ) -> None:
        self.fields = fields
        self.open_steps = open_steps
        self.settled = settled
        self.lookback = lookback
        self.notes = Notes()

    @property
    def suspended(self) -> int:
        """The token under which the handler is suspended, or was until a moment ago; 0 where it runs."""
        state, token = self.fields["lane"].split("|")[:2]
        return int(token) - (state == "q") if state in "wq" else 0


class Line:
    """One entry of a sync handler on its thread.

    `session` is the hold on its run; without one the handler is entered only to learn what it asks
    for (`calls`), and unwound there.
    """

    def __init__(self, engine: Engine, session: Session | None) -> None:
        self._engine = engine
        self.session = session
        self.around: Surround | None = None
        self._known: Known | None = None
        self._lock = threading.Lock()
        self._thread = threading.get_ident()
        self._crew: Crew | None = None
        self._frame: Frame | None = None
        self.calls: dict[str, StepCall] = {}
        self.notes = Notes()
        self._awaited = Awaited()

    def begin(self, frame: Frame, known: Known) -> None:
        """Take the frame of the handler that is entered now."""
        self._frame, self._known = frame, known
        self.notes = known.notes
        if self.session is not None:
            self.session.notes = known.notes

    def __call__(self, effects: Effects) -> Any:
        """Run a step's effects to its value."""
        crew = self._branches()
        alone = crew is None and self.session is not None
        if self._frame is not None:
            self._frame.alone = alone
        if alone:
            return self._carry_out(effects)
        try:
            effect = effects.send(None)
        except StopIteration as stop:
            return stop.value
        assert isinstance(effect, Plan)
        if crew is not None:
            crew.ask([effect], [effects])
        else:
            self._arrive([effect])
        return self._carry_out(effects)

    def many(self, effects: Sequence[Effects], limit: int) -> list[Any]:
        """Return the values of steps side by side, `limit` at once; raise the first StepError at the
        end."""
        results: list[Any] = [None] * len(effects)
        errors: list[StepError] = []
        asked: list[tuple[int, Plan]] = []
        if self._frame is not None:
            self._frame.alone = False
        for at, each in enumerate(effects):
            try:
                effect = each.send(None)
                assert isinstance(effect, Plan)
                asked.append((at, effect))
            except StopIteration as stop:
                results[at] = stop.value
            except StepError as error:
                errors.append(error)
        while asked:
            crew, plans = self._branches(), [plan for _, plan in asked[:limit]]
            if crew is not None:
                crew.ask(plans, effects)
            else:
                self._arrive(plans)
            at, _ = asked.pop(0)  # the only one of these, to be carried out here
            try:
                results[at] = self._carry_out(effects[at])
            except StepError as error:
                errors.append(error)
        if errors:
            raise errors[0]
        return results

    def parallel(self, branches: Sequence[Callable[[], Any]]) -> list[Any]:
        """Return what branches with steps of their own give; raise the first error at the end."""
        crew = self._branches()
        if crew is not None:
            return crew.run(branches, nested=True)
        assert self._frame is not None
        self._crew = Crew(self._frame, self._arrive)
        try:
            return self._crew.run(branches, nested=False)
        finally:
            self._crew = None

    def write(self, effect: Effect) -> None:
        """Carry out an outcome."""
        session = self.session
        if session is None:
            raise Suspend
        with self._lock:
            calls = session.plan(effect)
            if calls:
                self.send(calls)

    def flush(self) -> None:
        """Write what is outstanding, from another thread."""
        session = self.session
        if session is not None and self._lock.acquire(
            blocking=False
        ):  # else being written just now
            try:
                commits = session.holds_result
                self.send(session.plan_flush(), commits=commits)
            finally:
                self._lock.release()

    def send(self, calls: list[Call], *, commits: bool = True) -> None:
        """Write `calls` and settle their replies; raises Suspend where the run is let go of."""
        session = self.session
        if calls and session is not None:
            try:
                replies = self._engine.committer.submit(calls)
            except RedisError as error:
                raise session.lose(str(error)) from error
            if commits:
                crashpoints.reach("commit.after")
            else:
                crashpoints.reach("step.opened")
            session.settle(replies)

    def interrupt(self) -> None:
        """Tell the handler, from another thread, that its run was cancelled: an async step is
        cancelled, and a sync one's handler goes no further than to its next step."""
        session = self.session
        if session is not None and (session.cancelled or not session.closed):
            session.cancel()
            self._awaited.cancel()

    def _carry_out(self, effects: Effects) -> Any:
        """Carry out a step that is granted the main lane."""
        answer: Answer = None
        send = effects.send
        try:
            while True:
                effect = send(answer)
                answer = None
                if isinstance(effect, Execute):
                    around = self.around
                    if around is None:
                        answer = execute(self._engine, effect, self._awaited)
                    else:
                        answer = execute_within(around(effect), self._engine, effect, self._awaited)
                elif isinstance(effect, Store) and self.session is not None:
                    self.session.keep(effect.done)
                elif isinstance(effect, Plan):
                    if effect.kind not in INLINE and effect.kind != "sleep":
                        self._arrive([effect])
                else:
                    self.write(effect)
        except StopIteration as stop:
            return stop.value

    def _branches(self) -> Crew | None:
        """Return the branches that the handler runs now, None where it runs none."""
        if threading.get_ident() != self._thread and not inside_step.get():
            raise UsageError(
                "a step of a sync handler was called on another thread: call steps from the handler "
                "itself, or from the branches of step.parallel"
            )
        return self._crew

    def _arrive(self, plans: Sequence[Plan], *, inline: bool = True) -> bool:
        """The handler can go no further without these: return True where the only one is to be
        carried out here (never unless `inline`), else open them and raise Suspend."""
        session = self.session
        if session is None:
            self.calls.update({plan.step: plan.call for plan in plans if plan.call is not None})
            raise Suspend
        known, frame = self._known, self._frame
        assert known is not None
        assert frame is not None
        if inline and len(plans) == 1 and not known.open_steps and plans[0].kind in INLINE:
            return True
        openings = [opening(frame, plan) for plan in plans if plan.step not in known.open_steps]
        self.calls.update({plan.step: plan.call for plan in plans if plan.call is not None})
        events = prepare(known.lookback, openings, known.fields)
        grouped = len(plans) > 1 or bool(known.open_steps) or known.fields.get("forked") == "1"
        state = Suspension(known.settled, grouped)
        while True:
            with self._lock:
                crashpoints.reach("fork.before")
                try:
                    self.send(session.plan_fork(state, openings, suspend=True))
                finally:
                    crashpoints.reach("fork.after")
            examine(known.lookback, events, frame.run_id, known.fields, session.heard)
