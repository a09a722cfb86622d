"""Which functions an event starts: names by look-up, then the conditions of those names only."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from qflow.core.trigger import names_matching
from qflow.errors import DefinitionError, QflowError

if TYPE_CHECKING:
    from qflow.core.expression import Expression

Specs = Mapping[str, Mapping[str, Any]]


class Matched(NamedTuple):
    """What an event starts.

    `failed` has the functions a condition of which could not be evaluated, with the error; such a
    trigger does not match. `unmet` counts the conditions that did not hold or failed.
    """

    functions: tuple[str, ...] = ()
    failed: Mapping[str, str] = {}
    unmet: int = 0


NOTHING: Final = Matched()


class _Candidate(NamedTuple):
    function: str
    holds: Callable[[Mapping[str, Any], int], bool] | None


class Triggers:
    """The event triggers of published functions, their conditions compiled."""

    def __init__(self, specs: Specs) -> None:
        self._by_name: dict[str, list[_Candidate]] = {}
        for function, spec in specs.items():
            for trigger in spec["triggers"]:
                if "event" in trigger:
                    candidate = _Candidate(function, _condition(trigger.get("when")))
                    name = _name(trigger["event"], spec.get("of", ""))
                    self._by_name.setdefault(name, []).append(candidate)

    def matching(
        self, name: str, event: Callable[[], Mapping[str, Any]], now_ms: int, *, of: str = ""
    ) -> Matched:
        """Return what an event of that name starts: each function once.

        `event` reads it; only where a condition asks for it is that done, and then once. An event of
        qflow's own is `of` a function, and starts what handles that one's failures.
        """
        found: dict[str, None] = {}
        failed: dict[str, str] = {}
        unmet = 0
        bindings: dict[str, Any] = {}
        for pattern in (*names_matching(name), _name(name, of)) if of else names_matching(name):
            for function, holds in self._by_name.get(pattern, ()):
                if function in found:
                    continue
                try:
                    if holds is not None and not bindings:
                        bindings["event"] = event()
                    met = holds is None or holds(bindings, now_ms)
                except QflowError as error:
                    failed[function] = str(error)
                    met = False
                if met:
                    found[function] = None
                else:
                    unmet += 1
        return Matched(tuple(found), failed, unmet)


def _name(event: str, of: str) -> str:
    """Return the name by which a trigger is found; names of events hold no line breaks."""
    return f"{event}\n{of}" if of else event


def condition(when: str) -> Expression:
    """Return the compiled condition of a published trigger; raise DefinitionError for a bad one."""
    from qflow.core import expression  # a router whose triggers have no condition never loads it

    return expression.compile(when, where="the published condition")


def _condition(when: str | None) -> Callable[[Mapping[str, Any], int], bool] | None:
    if when is None:
        return None
    try:
        return condition(when).truthy
    except DefinitionError as error:  # published by another version of qflow: the others go on
        return _refusing(error)


def _refusing(error: DefinitionError) -> Callable[[Mapping[str, Any], int], bool]:
    def refuse(bindings: Mapping[str, Any], now_ms: int) -> bool:
        raise error

    return refuse
