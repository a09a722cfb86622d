"""Branches of a sync handler: threads of which exactly one runs at a time, in an order that is always
the same, so that repeated step ids are numbered alike on every entry.

A branch runs until it asks for steps that are not finished, waits for branches of its own, or ends.
Once no branch can run on, all that they ask for is known and is opened at once. The steps' own
functions run elsewhere, as jobs, really side by side.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from qflow.core.outcome import Plan
from qflow.engine.threads import Threads
from qflow.errors import Suspend


class Strand:
    """One branch on its thread. It and the crew hand the turn to each other."""

    def __init__(self, crew: Crew, branch: Callable[[], Any], group: Group) -> None:
        self._crew = crew
        self._branch = branch
        self._group = group
        self._go = threading.Semaphore(0)
        self._stopped = threading.Semaphore(0)
        self._started = False
        self._unwinding = False
        self.plans: Sequence[Plan] = ()
        self.ended = False
        self.result: Any = None
        self.error: BaseException | None = None

    def advance(self, *, unwind: bool = False) -> None:
        """Run the branch until it can go no further; `unwind` ends it, whatever it waits for."""
        self._unwinding = unwind
        self.plans = ()
        if not self._started:
            self._started = True
            self._crew.threads.run(self._run)
        else:
            self._go.release()
        self._stopped.acquire()

    def ask(self, plans: Sequence[Plan]) -> bool:
        """Wait for steps, on the branch's own thread; return True where the only one is to be carried
        out here, raise Suspend where they are opened."""
        self.plans = plans
        self._pause()
        return True

    def join(self, branches: Sequence[Callable[[], Any]]) -> list[Any]:
        """Run branches of this branch."""
        group = Group(self._crew, branches, self)
        if group.left:
            self._crew.ready.extend(group.strands)
            self._pause()
        return group.outcome()

    def child_ended(self) -> None:
        """Note that one more branch of the group has ended."""
        group = self._group
        group.left -= 1
        if not group.left and group.parent is not None:
            self._crew.ready.append(group.parent)

    def _pause(self) -> None:
        self._stopped.release()
        self._go.acquire()
        if self._unwinding:
            raise Suspend

    def _run(self) -> None:
        self._crew.local.strand = self
        try:
            self.result = self._branch()
        except BaseException as error:  # noqa: BLE001  # told to whoever waits for the group
            self.error = error
        self._crew.local.strand = None
        self.ended = True
        self.child_ended()
        self._stopped.release()


class Group:
    """Branches that one caller waits for together; `parent` None: the handler itself."""

    def __init__(
        self, crew: Crew, branches: Sequence[Callable[[], Any]], parent: Strand | None
    ) -> None:
        self.parent = parent
        self.left = len(branches)
        self.strands = [Strand(crew, branch, self) for branch in branches]
        crew.strands += self.strands

    def outcome(self) -> list[Any]:
        """Return the results in order, or raise the first error; Suspend before all others."""
        errors = [strand.error for strand in self.strands if strand.error is not None]
        for error in errors:
            if isinstance(error, Suspend):
                raise error
        if errors:
            raise errors[0]
        return [strand.result for strand in self.strands]


class Crew:
    """All branches of one entry of a handler. `arrive` is told what they ask for once none can go on;
    it returns True for the only one that is to be carried out at once, else raises Suspend."""

    def __init__(self, threads: Threads, arrive: Callable[[Sequence[Plan]], bool]) -> None:
        self.threads = threads
        self.local = threading.local()
        self.strands: list[Strand] = []
        self.ready: deque[Strand] = deque()
        self._arrive = arrive

    def strand(self) -> Strand | None:
        """Return the branch that runs on this thread."""
        return getattr(self.local, "strand", None)

    def run(self, branches: Sequence[Callable[[], Any]]) -> list[Any]:
        """Run branches to their end, on the handler's thread; raises Suspend where they must wait."""
        group = Group(self, branches, None)
        self.ready.extend(group.strands)
        try:
            while group.left:
                while self.ready:
                    self.ready.popleft().advance()
                if group.left:
                    asking = [strand for strand in self.strands if strand.plans]
                    self._arrive([plan for strand in asking for plan in strand.plans])
                    self.ready.append(asking[0])
        except BaseException:
            self._unwind()
            raise
        return group.outcome()

    def _unwind(self) -> None:
        """End every branch that has begun; innermost first, for others wait for those."""
        for strand in reversed(self.strands):
            while strand._started and not strand.ended:  # noqa: SLF001  # of one module
                strand.advance(unwind=True)
