"""Load spread over a span of time, while processes are killed at random and replaced."""

from __future__ import annotations

import os
import random
import time
from collections import Counter
from collections.abc import Iterator, Sequence

from chaos.scene import Scene

from qflow.store import pause, script


class Storm:
    """Iterates over the numbers that are to be sent now, `count` of them over `span_s`, a range a turn,
    and kills between two turns. What is chosen comes from `chance`: `CHAOS_SEED` plays it again."""

    def __init__(self, scene: Scene, kinds: Sequence[str], count: int, span_s: float) -> None:
        self.seed = int(os.environ.get("CHAOS_SEED") or random.randrange(10**6))
        print(f"\nCHAOS_SEED={self.seed}")
        self.chance = random.Random(self.seed)
        self.elapsed = 0.0
        self.kills: Counter[str] = Counter()
        self._scene, self._kinds = scene, kinds
        self._count, self._span_s = count, span_s
        self._processes = scene.start_all(*kinds)
        self._victims: list[int] = []

    def __iter__(self) -> Iterator[range]:
        sent, began, next_kill = 0, time.monotonic(), 0.5
        while sent < self._count:
            self.elapsed = time.monotonic() - began
            due = min(self._count, int(self._count * self.elapsed / self._span_s) + 1)
            yield range(sent, due)
            sent = due
            if self.elapsed >= next_kill:
                next_kill = self.elapsed + self.chance.uniform(0.3, 0.9)
                self._kill()
            time.sleep(0.01)  # paces the load, so that it spans the kills

    def _kill(self) -> None:
        if not self._victims:  # each once a round, so that none is spared
            self._victims = self.chance.sample(range(len(self._kinds)), len(self._kinds))
        at = self._victims.pop()
        victim = self._processes[at]
        victim.kill()
        assert victim.exit_code == -9
        self.kills[self._kinds[at]] += 1
        self._processes[at] = self._scene.spawn(self._kinds[at])


class Pauses:
    """Pauses and resumes functions at random in a storm."""

    def __init__(self, scene: Scene, storm: Storm, functions: Sequence[str]) -> None:
        self.count = self.held = 0
        self._scene, self._storm, self._functions = scene, storm, functions
        self._next = 0.3

    def turn(self) -> None:
        """Pause or resume a function, if it is time to."""
        chance = self._storm.chance
        if self._storm.elapsed < self._next:
            return
        self._next = self._storm.elapsed + chance.uniform(0.1, 0.6)
        function = chance.choice(self._functions)
        if chance.random() < 0.5:
            call = pause.pause(self._scene.keys, function, "hold")
            self.count += script.run(self._scene.redis, call)
        else:
            self._resume(function)

    def end(self) -> None:
        """Resume all."""
        for function in self._functions:
            self._resume(function)

    def _resume(self, function: str) -> None:
        self.held += pause.unpause(self._scene.redis, self._scene.keys, function).queued
