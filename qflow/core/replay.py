"""Drives one entry of a handler against what is already known about its run.

The rules of a step stand here once, as generators of effects (`core.outcome`); two small drivers
in the engine carry the effects out for sync and for async handlers. Nothing here touches Redis,
a clock or randomness: times come in with the answers, and the jitter seed is made of ids.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any, Final

from qflow.core import codec
from qflow.core.attempt import Target, attempt, decision_on, described
from qflow.core.edit import Edit, edited
from qflow.core.ids import StepIds, step_hash
from qflow.core.memo import MAX_RESULT_BYTES, Memo, value_text
from qflow.core.middleware import Hooks, Place
from qflow.core.origin import Origin
from qflow.core.outcome import (
    Again,
    Answer,
    Complete,
    Done,
    Effect,
    Effects,
    Fail,
    Open,
    Plan,
    Raised,
    Returned,
    Send,
    Settled,
    Sleep,
    StepCall,
    Store,
)
from qflow.core.results import revived
from qflow.core.retry import GiveUp, Policy
from qflow.core.waits import Spec, approval_signal, sleep_spec
from qflow.errors import (
    DefinitionError,
    NestedStepError,
    Suspend,
    UsageError,
)

MAX_ID: Final = 500

inside_step: ContextVar[str] = ContextVar("inside_step", default="")
"""The id of the step whose function is executing in this context, or ""."""


class Frame:
    """One entry of a handler: the steps it knows and the step that its job is for.

    `origin` is what the run came from, as far as it is known. `alone` says that the handler waits for
    the step that it asks for now and nothing else: then it need not be planned, but is carried out.
    `branching` says that it has come to branches of a sync handler,
    `unwinding` while a branch of it is left that waits: what it asks for on its way out is not asked for.
    """

    __slots__ = (
        "_ahead",
        "_attempt",
        "_hooks",
        "_ids",
        "_known",
        "_live",
        "_memo",
        "_outstanding",
        "_overtaken",
        "_policy",
        "_target",
        "alone",
        "branching",
        "edit",
        "now_ms",
        "origin",
        "run_id",
        "unwinding",
    )  # fmt: skip

    def __init__(
        self,
        run: str,
        memo: Memo,
        target: Target,
        policy: Policy,
        *,
        attempt: int,
        now_ms: Callable[[], int],
        hooks: Hooks | None = None,
    ) -> None:
        self.run_id = run
        self._memo = memo
        self._target: Target | None = target
        self._known = len(memo)
        self._live = not (target.step or self._known)
        self._policy = policy
        self._attempt = attempt
        self.edit: Edit | None = None
        self._overtaken = False
        self._ahead: set[str] = set()
        self._ids = StepIds()
        self._hooks = hooks
        self.now_ms = now_ms
        self.origin = Origin(run, hooks, {})
        self._outstanding = 0
        self.alone = False
        self.branching = False
        self.unwinding = False

    @property
    def replaying(self) -> bool:
        """Whether the handler is still among steps that finished in an earlier entry."""
        return not self._live

    @property
    def behind(self) -> bool:
        """Whether the handler has yet to come to where an earlier entry was."""
        return not self._live or bool(self._ahead)

    def open(self) -> None:
        """Decode the finished steps; raise SealedError where that cannot be done here."""
        self._memo.open(self.origin.opened)

    def expect(self, count: int, open_steps: frozenset[str] = frozenset()) -> None:
        """Take into account that `count` steps are finished that the memo is not told of yet, and
        that earlier entries asked for `open_steps`."""
        self._ahead.update(open_steps)
        self._known += count
        self._live = self._live and not count

    def run(self, call: StepCall) -> Effects:
        """Give a step's value: from memory, or by executing it; raise StepError if it failed."""
        if not callable(call.fn):
            raise UsageError(
                f"step {call.id!r} needs a function to call, not {type(call.fn).__name__}: pass it "
                f"and its arguments apart, as in step.run({call.id!r}, fn, argument)"
            )
        return self._run(self._begin(call.id), call)

    def _run(self, step: str, call: StepCall) -> Effects:
        if step in self._memo:
            self._pass_by()
            return revived(self._memo.recall(step), call.fn)
        if self.edit is not None and self.edit.step == step:
            call = edited(call, self.edit)
        if self.alone:
            self._memo.check_room(step, self._outstanding)
        else:
            answer = yield from self._plan(Plan("run", step, call, {}))
            if isinstance(answer, Settled):
                self._hear(step, answer)
                return revived(self._memo.recall(step), call.fn)
        target, fresh = self._take_target(step)
        if fresh:
            yield Open(step, target.attempt, target.deaths, call.timeout_ms)
        return (yield from attempt(self.run_id, call, target, self._memo, self.now_ms, self._hooks))

    def sleep(self, step_id: str, delay_ms: int, due_ms: int) -> Effects:
        """Pass if this sleep is over, else ask for the rest of it."""
        return self._sleep(self._begin(step_id), delay_ms, due_ms)

    def _sleep(self, step: str, delay_ms: int, due_ms: int) -> Effects:
        if step in self._memo:
            self._pass_by()
            return None
        over = self._target is not None and self._target.step == step
        answer = yield from self._plan(
            Plan("sleep", step, None, sleep_spec(step, delay_ms, due_ms))
        )
        if isinstance(answer, Settled):
            self._hear(step, answer)
            return self._memo.recall(step)
        _, fresh = self._take_target(step)
        if not over:
            yield Sleep(step, delay_ms, due_ms)
        elif fresh:
            yield Open(step, 0, 0, 0)
        now = self.now_ms()
        self._memo.add(step, text := value_text("null"))
        yield Store(Done(step, text, 0, now, now, True))
        return None

    def wait(
        self, step_id: str, make: Callable[[], Spec], read: Callable[[str, Hooks | None], Any]
    ) -> Effects:
        """Give what came of a wait: `make` says what for, `read` makes the value of its JSON text."""
        return self._wait(self._begin(step_id), make, read)

    def _wait(
        self, step: str, make: Callable[[], Spec], read: Callable[[str, Hooks | None], Any]
    ) -> Effects:
        if step in self._memo:
            self._pass_by()
        else:
            spec = make()
            kind = "approval" if "approval" in spec else spec["kind"]
            note = {"t": "wait", "id": step, "kind": kind, "for": _told(spec)}
            spec.update(note=json.dumps(note), at=self.now_ms())
            if "approval" in spec:
                spec["signal"] = approval_signal(self.run_id, step_hash(step))
            answer = yield from self._plan(Plan(spec["kind"], step, None, spec))
            assert isinstance(answer, Settled), "a wait has no part in the main lane"
            self._hear(step, answer)
        return read(self._memo.raw(step), self._hooks)

    def send(self, step_id: str, events: Callable[[str], tuple[list[str], ...]]) -> Effects:
        """Send events once, and give their ids; `events` makes the entries, given a stem for ids."""
        return self._send(self._begin(step_id), events)

    def _send(self, step: str, events: Callable[[str], tuple[list[str], ...]]) -> Effects:
        if step in self._memo:
            self._pass_by()
            return self._memo.recall(step)
        entries = events(f"{self.run_id}-{step_hash(step)}")
        ids = [entry[entry.index("id") + 1] for entry in entries]
        text = value_text(json.dumps(ids))
        spec = {"kind": "send", "events": entries, "result": text}
        answer = yield from self._plan(Plan("send", step, None, spec))
        if isinstance(answer, Settled):
            self._hear(step, answer)
            return self._memo.recall(step)
        target, fresh = self._take_target(step)
        if fresh:
            yield Open(step, target.attempt, target.deaths, 0)
        now = self.now_ms()
        self._memo.add(step, text)
        yield Send(Done(step, text, target.attempt, now, now, True), entries)
        return ids

    def _plan(self, plan: Plan) -> Effects:
        self._memo.check_room(plan.step, self._outstanding)
        if plan.kind != "run" and self.edit is not None and self.edit.step == plan.step:
            raise UsageError(
                f"step {plan.step!r} calls no function that could be given other input"
            )
        self._outstanding += 1
        self._ahead.discard(plan.step)
        try:
            return (yield plan)
        finally:
            self._outstanding -= 1

    def inherit(self, step: str) -> tuple[int, int]:
        """Return attempt and deaths of a step that is to go on beside the main lane."""
        target = self._target
        if target is None or target.step != step:
            return 0, 0
        self._target = None
        return target.attempt, target.deaths

    def conclude(self, answer: Answer) -> Effect:
        """Say what follows from the handler's return or error."""
        if isinstance(answer, Returned):
            try:
                what = "the value that the handler returned"
                output = codec.encode(answer.value, what)
                if self._hooks is not None:
                    output = self._hooks.encoded(output, Place("output", self.run_id))
                codec.check_size(output, MAX_RESULT_BYTES, what)
                return Complete(output)
            except Exception as problem:  # noqa: BLE001  # a codec's, a limit's, or whatever a hook raises
                answer = Raised(problem, answer.started_ms, answer.ended_ms)
        assert isinstance(answer, Raised)
        error = answer.error
        text = described(error, self._hooks, Place("error", self.run_id), self._attempt)
        now = self.now_ms()
        decision = decision_on(f"{self.run_id}/", error, self._attempt + 1, self._policy, now)
        if isinstance(decision, GiveUp) or isinstance(error, DefinitionError):
            return Fail(text)  # an option that cannot work does not mend by trying again
        return Again("", self._attempt + 1, 0, decision.delay_ms, text)

    def _begin(self, step_id: str) -> str:
        if self.unwinding:
            raise Suspend
        outer = inside_step.get()
        if outer:
            raise NestedStepError(
                f"step {step_id!r} was called inside step {outer!r}: a step cannot contain steps; "
                "call it from the handler, or make the outer one a plain function"
            )
        if not isinstance(step_id, str) or not step_id:
            raise UsageError(f'a step needs an id, such as "send-email"; got {step_id!r}')
        if len(step_id) > MAX_ID or not step_id.isprintable():
            raise UsageError(
                f"step id {step_id[:40]!r} is longer than {MAX_ID} characters or has some that cannot "
                "be printed; ids are names, data belongs into arguments"
            )
        return self._ids.next(step_id)

    def _hear(self, step: str, settled: Settled) -> None:
        self._memo.add(step, self.origin.opened(step, settled.text))
        self._pass_by()

    def _pass_by(self) -> None:
        """Note that a finished step was passed; after the last one, the handler's code is new again
        where its job is to enter the handler and not to go on with some step."""
        self._known -= 1
        if self._known == 0 and self._target is not None and not self._target.step:
            self._live = True

    def _take_target(self, step: str) -> tuple[Target, bool]:
        """Return this step's target, and whether its job has yet to be opened: it is new, or another
        step came before it that new code has there.

        A worker that died while entering may have died in the first step, before its job was
        opened; so the first new step inherits the deaths of the entry.
        """
        self._live = True
        self._ahead.clear()
        target = self._target
        if target is None or target.step not in ("", step):
            self._overtaken = target is not None
            return Target(step, 0, 0), True  # what the job is for may come later: new code, a group
        self._target = None
        if target.step:
            return target, self._overtaken
        return Target(step, target.deaths, target.deaths), True


def _told(spec: Spec) -> str:
    """Return what the trace says that a step waits for."""
    if spec["kind"] == "event":
        return ", ".join(spec["names"])
    if spec["kind"] == "child":
        return str(spec["fn"])
    return str(spec["approval"]["title"] if "approval" in spec else spec["signal"])
