"""One try of a step: it is executed, and what follows from its value or error is said."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from qflow.core import codec
from qflow.core.memo import Memo, error_text, value_text
from qflow.core.middleware import Hooks, Place
from qflow.core.outcome import (
    Again,
    Done,
    Effects,
    Execute,
    Raised,
    Returned,
    StepCall,
    Store,
)
from qflow.core.results import revived
from qflow.core.retry import GiveUp, Policy, decide
from qflow.core.said import kept
from qflow.errors import SealedError, StepError, UsageError, WorkerDied

MAX_DEATHS: Final = 3
"""A step whose worker died this often while running it is failed instead of tried again."""


class Target(NamedTuple):
    """What the claimed job is for: a step id (empty: entering the handler) and its attempt.

    `deaths` counts the attempts that ended with their worker; they are part of `attempt` but not
    of the retry budget.
    """

    step: str
    attempt: int
    deaths: int


def attempt(
    run: str,
    call: StepCall,
    target: Target,
    memo: Memo,
    now_ms: Callable[[], int],
    hooks: Hooks | None = None,
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
        return (yield from _give_up(target, Raised(error, now_ms(), now_ms()), memo, hooks, run))
    answer = yield Execute(call, step, target.attempt)
    assert isinstance(answer, (Returned, Raised))
    log = kept(answer.said, hooks, Place("log", run, step)) if answer.said else ""
    if isinstance(answer, Returned):
        try:
            value = answer.value
            text = codec.scalar_text(value)
            if text is None:
                text, value = codec.roundtrip(value, f"the result of step {step!r}")
            if hooks is not None:
                text = hooks.encoded(text, Place("step", run, step))
            memo.add(step, text := value_text(text))
            value = revived(value, call.fn)
        except Exception as problem:  # noqa: BLE001  # a codec's, a limit's, or whatever a hook raises
            answer = Raised(problem, answer.started_ms, answer.ended_ms)
        else:
            started_ms, ended_ms = answer.started_ms, answer.ended_ms
            yield Store(Done(step, text, target.attempt, started_ms, ended_ms, True, log))
            return value
    failures = target.attempt - target.deaths + 1
    policy = Policy(call.retries, call.backoff)
    decision = decision_on(f"{run}/{step}", answer.error, failures, policy, now_ms())
    if not isinstance(decision, GiveUp):
        yield Again(
            step,
            target.attempt + 1,
            target.deaths,
            decision.delay_ms,
            described(answer.error, hooks, Place("error", run, step), failures - 1),
            answer.started_ms,
            answer.ended_ms,
            log,
        )
    return (yield from _give_up(target, answer, memo, hooks, run, log))


def described(error: BaseException, hooks: Hooks | None, place: Place, attempt: int) -> str:
    """Return the JSON text of an error as a run keeps it, encoded by middleware; `attempt` is which
    try it ended, unless it is a step's."""
    if isinstance(error, StepError):
        described: dict[str, object] = {
            "name": error.name,
            "message": error.message,
            "traceback": error.traceback,
            "step": error.step_id,
            "attempt": error.attempt,
        }
    else:
        described = {**codec.encode_error(error), "attempt": attempt}
    return json.dumps(_encoded(described, error, hooks, place))


def _encoded(
    described: dict[str, object], error: BaseException, hooks: Hooks | None, place: Place
) -> dict[str, object]:
    if hooks is None or isinstance(error, SealedError):
        return described
    return hooks.encoded_error(described, place)


def decision_on(seed: str, error: BaseException, failures: int, policy: Policy, now_ms: int) -> Any:
    """Return whether and when to try again; `seed` makes the jitter."""
    try:
        return decide(error, failures, policy, seed=f"{seed}/{failures}", now_ms=now_ms)
    except UsageError:
        return GiveUp()  # RetryAfterError(after=) cannot be read


def _give_up(
    target: Target, raised: Raised, memo: Memo, hooks: Hooks | None, run: str, log: str = ""
) -> Effects:
    error = codec.encode_error(raised.error)
    attempt = target.attempt - target.deaths  # the same, however many workers died meanwhile
    kept = _encoded(error, raised.error, hooks, Place("error", run, target.step))
    text = error_text({**kept, "attempt": attempt})
    memo.add(target.step, text)
    started_ms, ended_ms = raised.started_ms, raised.ended_ms
    yield Store(Done(target.step, text, target.attempt, started_ms, ended_ms, False, log))
    failure = StepError(
        str(error["name"]), str(error["message"]), str(error["traceback"]), target.step, attempt
    )
    raise failure from raised.error
