"""Drives one entry of a handler against what is already known about its run.

The rules of a step stand here once, as generators of effects (`core.outcome`); two small drivers
in the engine carry the effects out for sync and for async handlers. Nothing here touches Redis,
a clock or randomness: times come in with the answers, and the jitter seed is made of ids.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Generator
from contextvars import ContextVar
from functools import lru_cache
from typing import Any, Final, NamedTuple, get_type_hints

from qflow.core import codec
from qflow.core.edit import Edit, edited
from qflow.core.ids import StepIds
from qflow.core.memo import MAX_RESULT_BYTES, Memo, error_text, value_text
from qflow.core.middleware import Hooks, Place
from qflow.core.outcome import (
    Again,
    Answer,
    Complete,
    Done,
    Effect,
    Execute,
    Fail,
    Open,
    Raised,
    Returned,
    Sleep,
    StepCall,
    Store,
)
from qflow.core.retry import GiveUp, Policy, decide
from qflow.errors import (
    NestedStepError,
    SealedError,
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


class Target(NamedTuple):
    """What the claimed job is for: a step id (empty: entering the handler) and its attempt.

    `deaths` counts the attempts that ended with their worker; they are part of `attempt` but not
    of the retry budget.
    """

    step: str
    attempt: int
    deaths: int


class Frame:
    """One entry of a handler: the steps it knows and the step that its job is for."""

    __slots__ = (
        "_attempt",
        "_hooks",
        "_ids",
        "_known",
        "_live",
        "_memo",
        "_overtaken",
        "_policy",
        "_run",
        "_target",
        "edit",
        "now_ms",
    )

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
        self._run = run
        self._memo = memo
        self._target: Target | None = target
        self._known = len(memo)
        self._live = not (target.step or self._known)
        self._policy = policy
        self._attempt = attempt
        self.edit: Edit | None = None
        self._overtaken = False
        self._ids = StepIds()
        self._hooks = hooks
        self.now_ms = now_ms

    @property
    def replaying(self) -> bool:
        """Whether the handler is still among steps that finished in an earlier entry."""
        return not self._live

    def open(self) -> None:
        """Decode the finished steps; raise SealedError where that cannot be done here."""
        self._memo.open(self._run, self._hooks)

    def run(self, call: StepCall) -> Effects:
        """Give a step's value: from memory, or by executing it; raise StepError if it failed."""
        if not callable(call.fn):
            raise UsageError(
                f"step {call.id!r} needs a function to call, not {type(call.fn).__name__}: pass it "
                f"and its arguments apart, as in step.run({call.id!r}, fn, argument)"
            )
        step = self._begin(call.id)
        if step in self._memo:
            self._pass_by()
            return _revived(self._memo.recall(step), call.fn)
        self._memo.check_room(step)
        target, fresh = self._take_target(step)
        if fresh:
            yield Open(step, target.attempt, target.deaths, call.timeout_ms)
        if target.deaths >= MAX_DEATHS:
            error: BaseException = WorkerDied(
                f"its worker died {target.deaths} times while running it; see what the step does "
                "to its process (memory, signals, native code)"
            )
            now = self.now_ms()
            return (yield from self._give_up(target, Raised(error, now, now)))
        if self.edit is not None and self.edit.step == step:
            call = edited(call, self.edit)
        answer = yield Execute(call, step, target.attempt)
        if isinstance(answer, Returned):
            try:
                text, value = codec.roundtrip(answer.value, f"the result of step {step!r}")
                if self._hooks is not None:
                    text = self._hooks.encoded(text, Place("step", self._run, step))
                self._memo.add(step, text := value_text(text))
                value = _revived(value, call.fn)
            except Exception as problem:  # noqa: BLE001  # a codec's, a limit's, or whatever a hook raises
                answer = Raised(problem, answer.started_ms, answer.ended_ms)
            else:
                yield Store(
                    Done(step, text, target.attempt, answer.started_ms, answer.ended_ms, True)
                )
                return value
        assert isinstance(answer, Raised)
        yield from self._try_again(target, answer, Policy(call.retries, call.backoff))
        return (yield from self._give_up(target, answer))

    def sleep(self, step_id: str, delay_ms: int, due_ms: int) -> Effects:
        """Pass if this sleep is over, else ask for the rest of it."""
        step = self._begin(step_id)
        if step in self._memo:
            self._pass_by()
            return None
        self._memo.check_room(step)
        over = self._target is not None and self._target.step == step
        _, fresh = self._take_target(step)
        if not over:
            yield Sleep(step, delay_ms, due_ms)
        elif fresh:
            yield Open(step, 0, 0, 0)
        now = self.now_ms()
        self._memo.add(step, text := value_text("null"))
        yield Store(Done(step, text, 0, now, now, True))
        return None

    def conclude(self, answer: Answer) -> Effect:
        """Say what follows from the handler's return or error."""
        if isinstance(answer, Returned):
            try:
                what = "the value that the handler returned"
                output = codec.encode(answer.value, what)
                if self._hooks is not None:
                    output = self._hooks.encoded(output, Place("output", self._run))
                codec.check_size(output, MAX_RESULT_BYTES, what)
                return Complete(output)
            except Exception as problem:  # noqa: BLE001  # a codec's, a limit's, or whatever a hook raises
                answer = Raised(problem, answer.started_ms, answer.ended_ms)
        assert isinstance(answer, Raised)
        error = answer.error
        described = self._describe(error, "")
        decision = self._decide(error, self._attempt + 1, self._policy, "")
        if isinstance(decision, GiveUp):
            return Fail(described)
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
        target = self._target
        if target is None or target.step not in ("", step):
            self._overtaken = target is not None
            return Target(step, 0, 0), True  # what the job is for may come later: new code, a group
        self._target = None
        if target.step:
            return target, self._overtaken
        return Target(step, target.deaths, target.deaths), True

    def _decide(self, error: BaseException, failures: int, policy: Policy, step: str) -> Any:
        seed = f"{self._run}/{step}/{failures}"
        try:
            return decide(error, failures, policy, seed=seed, now_ms=self.now_ms())
        except UsageError:
            return GiveUp()  # RetryAfterError(after=) cannot be read

    def _try_again(self, target: Target, raised: Raised, policy: Policy) -> Effects:
        failures = target.attempt - target.deaths + 1
        decision = self._decide(raised.error, failures, policy, target.step)
        if not isinstance(decision, GiveUp):
            yield Again(
                target.step,
                target.attempt + 1,
                target.deaths,
                decision.delay_ms,
                self._describe(raised.error, target.step),
                raised.started_ms,
                raised.ended_ms,
            )

    def _give_up(self, target: Target, raised: Raised) -> Effects:
        error = codec.encode_error(raised.error)
        attempt = target.attempt - target.deaths  # the same, however many workers died meanwhile
        kept = {**self._encoded(error, raised.error, target.step), "attempt": attempt}
        text = error_text(kept)
        self._memo.add(target.step, text)
        yield Store(
            Done(target.step, text, target.attempt, raised.started_ms, raised.ended_ms, False)
        )
        failure = StepError(
            str(error["name"]),
            str(error["message"]),
            str(error["traceback"]),
            target.step,
            attempt,
        )
        raise failure from raised.error

    def _describe(self, error: BaseException, step: str) -> str:
        if isinstance(error, StepError):
            described: dict[str, object] = {
                "name": error.name,
                "message": error.message,
                "traceback": error.traceback,
                "step": error.step_id,
                "attempt": error.attempt,
            }
        else:
            described = {**codec.encode_error(error), "attempt": self._attempt}
        return json.dumps(self._encoded(described, error, step))

    def _encoded(
        self, described: dict[str, object], error: BaseException, step: str
    ) -> dict[str, object]:
        if self._hooks is None or isinstance(error, SealedError):
            return described
        return self._hooks.encoded_error(described, Place("error", self._run, step))


@lru_cache(maxsize=4096)
def _return_annotation(fn: Callable[..., Any]) -> Any:
    try:
        return get_type_hints(fn).get("return")
    except Exception:  # noqa: BLE001  # an annotation that cannot be resolved revives nothing
        return None


def _revived(value: Any, fn: Callable[..., Any]) -> Any:
    try:
        annotation = _return_annotation(fn)
    except TypeError:  # an unhashable callable
        return value
    if annotation is None or type(value) is annotation:
        return value
    return codec.revive(value, annotation)
