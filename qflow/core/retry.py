"""When a failed attempt is tried again: backoff and the decision to stop."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import Final, NamedTuple

from qflow.core.durations import Duration, to_ms, until_ms
from qflow.errors import (
    CodecError,
    DefinitionError,
    LimitError,
    NonRetriableError,
    RetryAfterError,
    StepError,
    UsageError,
)

DEFAULT_RETRIES: Final = 4
MAX_RETRIES: Final = 20

# The reference system's table: 15 s doubling to 10 m, then 20 m, 40 m, 1 h, 2 h.
DEFAULT_TABLE_MS: Final = tuple(
    s * 1000 for s in (15, 30, 60, 120, 300, 600, 1200, 2400, 3600, 7200)
)

# These say that the program is wrong; another attempt would fail the same way.
_HOPELESS: Final = (NonRetriableError, StepError, CodecError, LimitError, UsageError)


@dataclass(frozen=True, slots=True)
class Backoff:
    """Delays between attempts: `base`, `base*factor`, … at most `max`.

    With `jitter` the delay is drawn evenly between 0 and that figure (full jitter), so that runs
    that failed together do not come back together.
    """

    base: Duration = "1s"
    factor: float = 2.0
    max: Duration = "1h"
    jitter: bool = True

    def __post_init__(self) -> None:
        to_ms(self.base, "Backoff(base=)")
        to_ms(self.max, "Backoff(max=)")
        if isinstance(self.factor, bool) or not isinstance(self.factor, (int, float)):
            raise DefinitionError(f"Backoff(factor=) must be a number, not {self.factor!r}")
        if not 1 <= self.factor <= 1000:
            raise DefinitionError(
                f"Backoff(factor=) must lie between 1 and 1000, not {self.factor}"
            )

    def ceiling_ms(self, failures: int) -> int:
        """Return the longest delay after the `failures`-th failure (1 for the first)."""
        highest = to_ms(self.max, "Backoff(max=)")
        grown = to_ms(self.base, "Backoff(base=)") * float(self.factor) ** min(failures - 1, 64)
        return int(min(highest, grown))


class Policy(NamedTuple):
    """How often and how soon a step or handler is tried again; `backoff` None is the default table."""

    retries: int = DEFAULT_RETRIES
    backoff: Backoff | None = None
    timeout_ms: int = 0


class TryAgain(NamedTuple):
    """Another attempt after `delay_ms`."""

    delay_ms: int


class GiveUp(NamedTuple):
    """No further attempt."""


def check_retries(value: object, where: str) -> int:
    """Return `value` if it is a whole number from 0 to 20; raise DefinitionError naming `where`."""
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MAX_RETRIES:
        raise DefinitionError(
            f"{where}: retries must be a whole number from 0 to {MAX_RETRIES}, not {value!r}"
        )
    return value


def delay_ms(backoff: Backoff | None, failures: int, seed: str) -> int:
    """Return the delay after the `failures`-th failure; `seed` decides the jitter."""
    if backoff is None:
        ceiling = DEFAULT_TABLE_MS[min(failures, len(DEFAULT_TABLE_MS)) - 1]
    else:
        ceiling = backoff.ceiling_ms(failures)
        if not backoff.jitter:
            return ceiling
    return ceiling * zlib.crc32(seed.encode("utf-8", "surrogatepass")) // 0xFFFFFFFF


def decide(
    error: BaseException, failures: int, policy: Policy, *, seed: str, now_ms: int
) -> TryAgain | GiveUp:
    """Decide what follows the `failures`-th failure (1 for the first) with `error`."""
    if _is_hopeless(error) or failures > policy.retries:
        return GiveUp()
    if isinstance(error, RetryAfterError):
        due = until_ms(error.after, now_ms, "RetryAfterError(after=)")
        return TryAgain(max(0, due - now_ms))
    return TryAgain(delay_ms(policy.backoff, failures, seed))


def _is_hopeless(error: BaseException) -> bool:
    if isinstance(error, BaseExceptionGroup):  # a TaskGroup's: what failed in it fails again
        return any(_is_hopeless(part) for part in error.exceptions)
    return isinstance(error, _HOPELESS)
