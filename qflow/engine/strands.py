"""Branches of a sync handler, one after the other on its thread, in an order that is always the same, so
that repeated step ids are numbered alike on every entry.

A branch runs until it asks for steps that are not finished, or ends. It is unwound there, as the handler
is at a sleep, and enters its function again when the handler does: so a thousand branches need no thread
of their own. Once each has had its turn, all that they ask for is known and is opened at once. The
steps' own functions run elsewhere, as jobs, really side by side.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from qflow.core.outcome import Effects, Plan
from qflow.core.replay import Frame
from qflow.errors import Suspend


class Arrive(Protocol):
    """Is told what the handler cannot go on without."""

    def __call__(self, plans: Sequence[Plan], *, inline: bool = True) -> bool:
        """Open these and raise Suspend; `inline`: but return True where the only one is to be carried
        out here."""
        ...


class Crew:
    """All branches of one entry of a handler, those of branches too."""

    def __init__(self, frame: Frame, arrive: Arrive) -> None:
        self._frame = frame
        frame.branching = True
        self._arrive = arrive
        self._left = 0
        self._plans: list[Plan] = []
        self._asking: list[Sequence[Effects]] = []

    def ask(self, plans: Sequence[Plan], asking: Sequence[Effects]) -> None:
        """Return where the only step is to be carried out here, since no other branch asks for any.

        Raises Suspend, which ends the branch.
        """
        if not (self._left or self._plans):
            self._arrive(plans)
            return
        self._plans += plans
        self._asking.append(asking)  # they count as outstanding for as long as they live
        self._frame.unwinding = True
        raise Suspend

    def run(self, branches: Sequence[Callable[[], Any]], *, nested: bool) -> list[Any]:
        """Run branches to their end; raises Suspend where they must wait, else their first error."""
        frame = self._frame
        results: list[Any] = []
        errors: list[BaseException] = []
        waits = False
        self._left += len(branches)
        for branch in branches:
            self._left -= 1
            try:
                results.append(branch())
            except Suspend:
                if not frame.unwinding:
                    raise  # the run was let go of
            except BaseException as error:  # noqa: BLE001  # raised once all have had their turn
                errors.append(error)
            waits = waits or frame.unwinding  # one that caught what unwinds it waits all the same
            frame.unwinding = False
        if waits:
            frame.unwinding = True
            if not nested:
                self._arrive(self._plans, inline=False)
            raise Suspend
        if errors:
            raise errors[0]
        return results
