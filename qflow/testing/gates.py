"""What an event passes before a run of it starts, in memory: what `gates.lua` does on Redis.

Keys and numbers of the gates are the engine's own answer (`engine.admit`); `tests/model` and `tests/parity`
hold what is decided here to what the scripts decide.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

from qflow.testing.state import State


class Verdict(NamedTuple):
    """What becomes of a run at a gate: it is skipped, another run (`join`) has its event, or it starts at
    `due_ms`; nothing of the kind where it passes. `gather` is the key under which it takes more events."""

    skip: str = ""
    join: State | None = None
    due_ms: int = 0
    why: str = ""
    gather: str | None = None


class Surroundings(Protocol):
    """What gates need of the harness's memory."""

    def now_ms(self) -> int:
        """Return the time."""
        ...

    def cancel(self, state: State, reason: str) -> bool:
        """Cancel a run."""
        ...

    def fire(self, state: State) -> None:
        """Let a run that waits for its time start now."""
        ...

    def replace(self, pending: State, newer: State, due_ms: int) -> None:
        """Let a run that waits be of a newer event, and wait until `due_ms`."""
        ...


Key = tuple[str, ...]


class Gates:
    """The gates of all functions of a harness."""

    def __init__(self, around: Surroundings) -> None:
        self._around = around
        self._starts: dict[Key, list[int]] = {}
        self._next_us: dict[Key, int] = {}
        self._single: dict[Key, State] = {}
        self._pending: dict[Key, State] = {}

    def passing(self, state: State) -> Verdict:
        """Let a run pass the gates that it has left, as far as it comes."""
        terms = state.terms
        while terms.gate < len(terms.gates):
            kind, *numbers = terms.gates[terms.gate]
            terms.gate += 1
            verdict: Verdict | None = getattr(self, f"_{kind}")(state, *numbers)
            if verdict is not None:
                return verdict
        return Verdict()

    def gather(self, state: State, key: str) -> None:
        """Let a run take the next events of its key."""
        state.terms.gather = key
        self._pending[state.function.id, key] = state

    def leave(self, state: State) -> None:
        """Let a run take no more events, since it starts or has ended."""
        key, state.terms.gather = state.terms.gather, None
        if key is not None and self._pending.get((state.function.id, key)) is state:
            del self._pending[state.function.id, key]

    def release(self, state: State) -> None:
        """Drop what a run that has ended holds."""
        self.leave(state)
        place = state.terms.single
        if place is not None and self._single.get(place) is state:
            del self._single[place]

    def _rate_limit(
        self, state: State, key: str, most: int, per_ms: int, shown: str
    ) -> Verdict | None:
        place, now_ms = (state.function.id, key), self._around.now_ms()
        recent = [at for at in self._starts.get(place, ()) if at > now_ms - per_ms]
        if len(recent) >= most:
            of = "" if key == "*" else f" for {key}"
            return Verdict(skip=f"rate limit: {most} runs in {shown} have started{of}")
        self._starts[place] = [*recent, now_ms]
        return None

    def _throttle(
        self, state: State, key: str, most: int, per_ms: int, burst: int
    ) -> Verdict | None:
        place, now_ms = (state.function.id, f"{most}-{per_ms}-{burst}", key), self._around.now_ms()
        space_us = -(-per_ms * 1000 // most)
        next_us = max(self._next_us.get(place, 0), now_ms * 1000)
        self._next_us[place] = next_us + space_us
        due_ms = -(-(next_us - (burst - 1) * space_us) // 1000)
        return Verdict(due_ms=due_ms, why="throttled") if due_ms > now_ms else None

    def _singleton(self, state: State, key: str, mode: str) -> Verdict | None:
        place = state.function.id, key
        active = self._single.get(place)
        if active is not None and mode == "skip":
            return Verdict(skip=f"singleton: run {active.id} has not ended")
        if active is not None:
            self._around.cancel(active, f"singleton: event {state.event_id} takes its place")
        self._single[place] = state
        state.terms.single = place
        return None

    def _debounce(
        self, state: State, key: str, period_ms: int, timeout_ms: int, ts: int
    ) -> Verdict | None:
        pending, now_ms = self._pending.get((state.function.id, key)), self._around.now_ms()
        state.terms.ts, state.terms.first_ms = ts, now_ms
        if pending is None:
            return Verdict(due_ms=now_ms + period_ms, why="debounced", gather=key)
        if ts >= pending.terms.ts:
            due_ms = now_ms + period_ms
            if timeout_ms:
                due_ms = min(due_ms, pending.terms.first_ms + timeout_ms)
            self._around.replace(pending, state, due_ms)
        return Verdict(join=pending)

    def _batch(
        self, state: State, key: str, size: int, timeout_ms: int, most_bytes: int
    ) -> Verdict | None:
        pending, now_ms = self._pending.get((state.function.id, key)), self._around.now_ms()
        if (
            pending is not None
            and _bytes(pending.event, *pending.terms.batch, state.event) > most_bytes
        ):
            self._around.fire(pending)
            pending = None
        if pending is None:
            return Verdict(due_ms=now_ms + timeout_ms, why="batched", gather=key)
        pending.terms.batch.append(state.event)
        if len(pending.terms.batch) + 1 >= size:
            self._around.fire(pending)
        return Verdict(join=pending)


def _bytes(*texts: str) -> int:
    return sum(len(text.encode("utf-8", "surrogatepass")) for text in texts)
