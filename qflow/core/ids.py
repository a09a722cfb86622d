"""Identifiers: ULIDs for runs and events, RQ job ids for lanes, repeated step ids.

Ours rather than python-ulid because `import qflow` stands in the start-up of every producer and
that library costs 45 ms there; a ULID is twenty lines.
"""

from __future__ import annotations

from functools import lru_cache

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_PAIRS = [a + b for a in _ALPHABET for b in _ALPHABET]

ENTER = "enter"
"""Stands in a job id where a step's hash would: the job that enters the handler."""


def ulid(ms: int, entropy: bytes) -> str:
    """Return a ULID: 48 bits of time `ms`, then 80 bits of `entropy` (10 bytes); sorts by time."""
    number = (ms << 80) | int.from_bytes(entropy, "big")
    return "".join([_PAIRS[(number >> shift) & 1023] for shift in range(120, -1, -10)])


def ulid_ms(text: str) -> int:
    """Return the milliseconds since the epoch that a ULID carries."""
    value = 0
    for char in text[:10]:
        value = value * 32 + _ALPHABET.index(char)
    return value


def is_ulid(text: str) -> bool:
    """Tell whether `text` has the form of a ULID."""
    return len(text) == 26 and text[0] in "01234567" and all(c in _ALPHABET for c in text)


@lru_cache(maxsize=4096)
def step_hash(step: str) -> str:
    """Return the part of a job id that stands for `step` (empty: entering the handler).

    RQ allows only letters, digits, dash and underscore in a job id, and step ids may be anything.
    """
    if not step:
        return ENTER
    from hashlib import sha1  # loads OpenSSL: producers need no step hash

    return sha1(step.encode("utf-8", "surrogatepass")).hexdigest()[:10]


def job_id(run: str, step: str, token: int) -> str:
    """Return the RQ job id of one attempt: which run, which step, which fencing token."""
    return f"{run}-{step_hash(step)}-{token}"


def run_of(job: str) -> str:
    """Return the run id that a qflow job id begins with, or "" where it is not one of ours."""
    run, _, rest = job.partition("-")
    return run if rest and is_ulid(run) else ""


class StepIds:
    """Numbers repeated step ids within one entry of a handler: `id`, `id:1`, `id:2`."""

    __slots__ = ("_seen",)

    def __init__(self) -> None:
        self._seen: dict[str, int] = {}

    def next(self, step: str) -> str:
        """Return the id that this use of `step` gets."""
        count = self._seen.get(step)
        if count is None:
            self._seen[step] = 0
            return step
        while True:
            count += 1
            candidate = f"{step}:{count}"
            if candidate not in self._seen:
                break
        self._seen[step] = count
        self._seen[candidate] = 0
        return candidate
