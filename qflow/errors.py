"""Every error qflow raises, as one small tree, and the signals that unwind a handler.

QflowError                      base; carries a remedy in its message
├── UsageError                  the caller's input is wrong (CLI exit code 2)
│   ├── DefinitionError         a function, trigger or option that cannot work, found at definition
│   ├── EventError              an event that cannot be accepted
│   └── ConfigError             a setting that cannot be read
├── LimitError                  something is larger than its limit; nothing was written
├── ExpressionError             an expression has no value for these data
├── CodecError                  a value that cannot be stored and come back as the same type
├── SealedError                 what is stored is encoded, and cannot be decoded here: a missing key
│   └── AlteredError            it is not what was stored in that place; also a NonRetriableError
├── RedisError                  Redis refused or is out of reach
│   ├── RedisUnavailable        no connection: absent, refused, lost
│   ├── RedisRefused            Redis answered with an error that waiting does not mend
│   └── RedisBusy               Redis answered with an error that waiting mends (loading, full, read-only)
├── NonRetriableError           raised by users: end the step or run without another attempt
├── RetryAfterError             raised by users: the next attempt starts after this delay
├── StepError                   raised in a handler: a step used all its attempts
├── StepTimeout                 a step's attempt ran longer than its time-out
├── NestedStepError             a step was called inside a step
└── WorkerDied                  a step whose worker died too often while running it

Suspend (BaseException)         unwinds a handler that has nothing more to do for now
Fenced (Suspend)                unwinds a handler whose lease was taken by someone else

This module imports nothing of qflow, so every layer may import it.
"""

from __future__ import annotations

from datetime import datetime, timedelta


class QflowError(Exception):
    """Base of every error that qflow raises on purpose."""


class UsageError(QflowError):
    """The caller's input is wrong; the message names the thing, the place and the remedy."""


class DefinitionError(UsageError):
    """A function, trigger or option that cannot work, refused where it is defined."""


class EventError(UsageError):
    """An event that cannot be accepted."""


class ConfigError(UsageError):
    """A setting that cannot be read."""


class LimitError(QflowError):
    """Something is larger than its limit; the message names the limit and the size."""


class ExpressionError(QflowError):
    """An expression that has no value for these data, or would cost too much."""


class CodecError(QflowError):
    """A value that cannot be stored and come back as the same type."""


class RedisError(QflowError):
    """Redis refused a request or is out of reach."""


class RedisUnavailable(RedisError):
    """No connection to Redis: absent, refused, or lost on the way."""


class RedisRefused(RedisError):
    """Redis answered with an error that waiting does not mend."""


class RedisBusy(RedisError):
    """Redis answered with an error that waiting mends: loading, out of memory, read-only."""


class NonRetriableError(QflowError):
    """Raise it in a step or handler to end it at once, without another attempt."""


class RetryAfterError(QflowError):
    """Raise it in a step or handler to choose when the next attempt starts.

    `after` is a timedelta, seconds, a duration text such as "90s", or an aware datetime.
    The attempt still counts against `retries`.
    """

    def __init__(self, message: str, after: timedelta | float | str | datetime) -> None:
        super().__init__(message)
        self.after = after


class StepError(QflowError):
    """A step that used all its attempts, raised where the handler awaits its result.

    `name` is the class name of the last error, `message` its text, `traceback` its formatted
    traceback without qflow's own frames, `step_id` the step, `attempt` the number of its last attempt.
    """

    def __init__(
        self, name: str, message: str, traceback: str, step_id: str, attempt: int = 0
    ) -> None:
        super().__init__(f"step {step_id!r} failed: {name}: {message}")
        self.attempt = attempt
        self.name = name
        self.message = message
        self.traceback = traceback
        self.step_id = step_id

    def __reduce__(self) -> tuple[type[StepError], tuple[str, str, str, str, int]]:
        return type(self), (self.name, self.message, self.traceback, self.step_id, self.attempt)


class StepTimeout(QflowError):
    """One attempt of a step ran longer than its time-out."""


class SealedError(QflowError):
    """What is stored is encoded, and cannot be decoded here: a key or a middleware is missing.

    An error of the handler's entry, before any of its code runs; another attempt may meet a worker
    that has the key. Its message holds nothing of what is encoded, and is itself never encoded.
    """


class AlteredError(SealedError, NonRetriableError):
    """What is stored is not what was encoded in that place: altered, or moved there from elsewhere."""


class NestedStepError(NonRetriableError):
    """A step was called inside another step."""


class WorkerDied(QflowError):
    """The worker running a step died; recorded when it happened too often to try again."""


class Suspend(BaseException):
    """Unwinds a handler that has nothing more to do for now.

    Not an Exception, so that a handler's `except Exception` does not catch it.
    """


class Fenced(Suspend):
    """Unwinds a handler whose lease was taken by someone else: its work no longer counts."""
