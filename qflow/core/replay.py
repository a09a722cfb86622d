"""Drives one entry of a handler against what is already known about its run.

The rules of a step stand here once, as generators of effects (`core.outcome`); two small drivers
in the engine carry the effects out for sync and for async handlers. Nothing here touches Redis,
a clock or randomness: times come in with the answers, and the jitter seed is made of ids.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Generator
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Final

from qflow.core import codec
from qflow.core.ids import StepIds, step_hash
from qflow.core.memo import MAX_RESULT_BYTES, Memo, error_text, value_text
from qflow.core.outcome import (
    Again,
    Answer,
    Complete,
    Done,
    Effect,
    Execute,
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
from qflow.core.retry import GiveUp, Policy, decide
from qflow.core.waits import Spec, approval_signal, sleep_spec
from qflow.errors import (
    CodecError,
    DefinitionError,
    LimitError,
    NestedStepError,
    StepError,
    UsageError,
    WorkerDied,
)

MAX_ID: Final = 500
MAX_DEATHS: Final = 3
"""A step whose worker died this often while running it is failed instead of tried again."""

inside_step: ContextVar[str] = ContextVar("inside_step", default="")
"""The id of the step whose function is executing in this context, or ""."""

Effects = Generator[Effect, Answer, Any]


@dataclass(frozen=True, slots=True)
class Target:
    """What the claimed job is for: a step id (empty: entering the handler) and its attempt.

    `deaths` counts the attempts that ended with their worker; they are part of `attempt` but not
    of the retry budget.
    """

    step: str
    attempt: int
    deaths: int


class Frame:
    """One entry of a handler: the steps it knows and the step that its job is for.

    `event_text` is the run's event.
    """

    __slots__ = (
        "_attempt",
        "_ids",
        "_known",
        "_live",
        "_memo",
        "_outstanding",
        "_policy",
        "_target",
        "event_text",
        "now_ms",
        "run_id",
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
        event_text: str = "",
    ) -> None:
        self.run_id = run
        self._memo = memo
        self._target: Target | None = target
        self._known = len(memo)
        self._live = not (target.step or self._known)
        self._policy = policy
        self._attempt = attempt
        self._ids = StepIds()
        self.now_ms = now_ms
        self.event_text = event_text
        self._outstanding = 0

    @property
    def replaying(self) -> bool:
        """Whether the handler is still among steps that finished in an earlier entry."""
        return not self._live

    def expect(self, count: int) -> None:
        """Take into account that `count` steps are finished that the memo is not told of yet."""
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
        answer = yield from self._plan(Plan("run", step, call, {}))
        if isinstance(answer, Settled):
            self._hear(step, answer)
            return revived(self._memo.recall(step), call.fn)
        target, fresh = self._take_target(step)
        if fresh:
            yield Open(step, target.attempt, target.deaths, call.timeout_ms)
        return (yield from attempt(self.run_id, call, target, self._memo, self.now_ms))

    def sleep(self, step_id: str, delay_ms: int, due_ms: int) -> Effects:
        """Pass if this sleep is over, else ask for the rest of it."""
        return self._sleep(self._begin(step_id), delay_ms, due_ms)

    def _sleep(self, step: str, delay_ms: int, due_ms: int) -> Effects:
        if step in self._memo:
            self._pass_by()
            return None
        answer = yield from self._plan(
            Plan("sleep", step, None, sleep_spec(step, delay_ms, due_ms))
        )
        if isinstance(answer, Settled):
            self._hear(step, answer)
            return self._memo.recall(step)
        _, fresh = self._take_target(step)
        if fresh:
            yield Sleep(step, delay_ms, due_ms)
        now = self.now_ms()
        self._memo.add(step, text := value_text("null"))
        yield Store(Done(step, text, 0, now, now, True))
        return None

    def wait(self, step_id: str, make: Callable[[], Spec], read: Callable[[str], Any]) -> Effects:
        """Give what came of a wait: `make` says what for, `read` makes the value of its JSON text."""
        return self._wait(self._begin(step_id), make, read)

    def _wait(self, step: str, make: Callable[[], Spec], read: Callable[[str], Any]) -> Effects:
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
        return read(self._memo.raw(step))

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
        self._outstanding += 1
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
                codec.check_size(output, MAX_RESULT_BYTES, what)
                return Complete(output)
            except (CodecError, LimitError) as problem:
                answer = Raised(problem, answer.started_ms, answer.ended_ms)
        assert isinstance(answer, Raised)
        error = answer.error
        described = _described(error)
        now = self.now_ms()
        decision = _decide(f"{self.run_id}/", error, self._attempt + 1, self._policy, now)
        if isinstance(decision, GiveUp) or isinstance(error, DefinitionError):
            return Fail(described)  # an option that cannot work does not mend by trying again
        return Again("", self._attempt + 1, 0, decision.delay_ms, described)

    def _begin(self, step_id: str) -> str:
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
        self._memo.add(step, settled.text)
        self._pass_by()

    def _pass_by(self) -> None:
        """Note that a finished step was passed; after the last one, the handler's code is new again
        where its job is to enter the handler and not to go on with some step."""
        self._known -= 1
        if self._known == 0 and self._target is not None and not self._target.step:
            self._live = True

    def _take_target(self, step: str) -> tuple[Target, bool]:
        """Return this step's target, and whether its job has yet to be opened.

        A worker that died while entering may have died in the first step, before its job was
        opened; so the first new step inherits the deaths of the entry.
        """
        self._live = True
        target = self._target
        if target is None or target.step not in ("", step):
            return Target(step, 0, 0), True  # what the job is for may come later: new code, a group
        self._target = None
        if target.step:
            return target, False
        return Target(step, target.deaths, target.deaths), True


def attempt(
    run: str, call: StepCall, target: Target, memo: Memo, now_ms: Callable[[], int]
) -> Effects:
    """Execute a step once and say what follows: its value is kept, it is tried again, or has failed.

    `memo` is where the result must find room.
    """
    step = target.step
    if target.deaths >= MAX_DEATHS:
        error: BaseException = WorkerDied(
            f"its worker died {target.deaths} times while running it; see what the step does "
            "to its process (memory, signals, native code)"
        )
        return (yield from _give_up(target, Raised(error, now_ms(), now_ms()), memo))
    answer = yield Execute(call, step, target.attempt)
    if isinstance(answer, Returned):
        try:
            text, value = codec.roundtrip(answer.value, f"the result of step {step!r}")
            memo.add(step, text := value_text(text))
            value = revived(value, call.fn)
        except (CodecError, LimitError) as problem:
            answer = Raised(problem, answer.started_ms, answer.ended_ms)
        else:
            yield Store(Done(step, text, target.attempt, answer.started_ms, answer.ended_ms, True))
            return value
    assert isinstance(answer, Raised)
    failures = target.attempt - target.deaths + 1
    policy = Policy(call.retries, call.backoff)
    decision = _decide(f"{run}/{step}", answer.error, failures, policy, now_ms())
    if not isinstance(decision, GiveUp):
        yield Again(
            step,
            target.attempt + 1,
            target.deaths,
            decision.delay_ms,
            _described(answer.error),
            answer.started_ms,
            answer.ended_ms,
        )
    return (yield from _give_up(target, answer, memo))


def _described(error: BaseException) -> str:
    if isinstance(error, StepError):
        described: dict[str, object] = {
            "name": error.name,
            "message": error.message,
            "traceback": error.traceback,
            "step": error.step_id,
        }
    else:
        described = codec.encode_error(error)
    return json.dumps(described)


def _decide(seed: str, error: BaseException, failures: int, policy: Policy, now_ms: int) -> Any:
    try:
        return decide(error, failures, policy, seed=f"{seed}/{failures}", now_ms=now_ms)
    except UsageError:
        return GiveUp()  # RetryAfterError(after=) cannot be read


def _give_up(target: Target, raised: Raised, memo: Memo) -> Effects:
    error = codec.encode_error(raised.error)
    text = error_text(error)
    memo.add(target.step, text)
    yield Store(Done(target.step, text, target.attempt, raised.started_ms, raised.ended_ms, False))
    failure = StepError(
        str(error["name"]), str(error["message"]), str(error["traceback"]), target.step
    )
    raise failure from raised.error


def _told(spec: Spec) -> str:
    """Return what the trace says that a step waits for."""
    if spec["kind"] == "event":
        return ", ".join(spec["names"])
    if spec["kind"] == "child":
        return str(spec["fn"])
    return str(spec["approval"]["title"] if "approval" in spec else spec["signal"])
