"""Why an event starts a function or does not: the values that decided each of its conditions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from qflow.core.cel_operators import shown, truthy
from qflow.core.cel_syntax import CONDITIONAL, INFIX, Call, Macro, Name, Node, Select, parts, text
from qflow.core.expression import Expression
from qflow.core.match import condition
from qflow.core.trigger import names_matching
from qflow.errors import DefinitionError, ExpressionError

Outcome = Literal["matched", "other name", "condition", "error", "cron"]

_CLOCKED: Final = ("now", "now_plus", "now_minus")


@dataclass(frozen=True, slots=True)
class Fact:
    """What a part of a condition gave."""

    source: str
    value: Any

    def __str__(self) -> str:
        return f"{self.source} is {shown(self.value)}"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of one trigger, and the values that decided it."""

    trigger: Mapping[str, Any]
    outcome: Outcome
    facts: tuple[Fact, ...] = ()
    error: str = ""

    @property
    def matched(self) -> bool:
        """Whether it starts the function."""
        return self.outcome == "matched"

    @property
    def shown(self) -> str:
        """The trigger as one reads it."""
        if "event" not in self.trigger:
            return f"cron {self.trigger.get('cron', '?')}"
        when = self.trigger.get("when")
        return f"{self.trigger['event']} when {when}" if when else str(self.trigger["event"])

    @property
    def reason(self) -> str:
        """The reason in words."""
        told = ", ".join(map(str, self.facts))
        match self.outcome:
            case "matched":
                return told or "the name matches and there is no condition"
            case "other name":
                return "the event has another name"
            case "condition":
                return told or "the condition is never true"
            case "error":
                return f"{self.error} ({told})" if told else self.error
            case "cron":
                return "a schedule, which no event starts"

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON values; moments and bytes as text."""
        facts = [{"expression": fact.source, "value": _json(fact.value)} for fact in self.facts]
        told = {**self.trigger, "outcome": self.outcome, "matched": self.matched, "facts": facts}
        return {**told, "error": self.error or None, "reason": self.reason}


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why an event starts a function or does not: one verdict for each of its triggers."""

    function: str
    event: str
    verdicts: tuple[Verdict, ...]

    @property
    def starts(self) -> bool:
        """Whether the event starts the function."""
        return any(verdict.matched for verdict in self.verdicts)

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON values."""
        triggers = [verdict.as_dict() for verdict in self.verdicts]
        told = {"function": self.function, "event": self.event, "starts": self.starts}
        return {**told, "triggers": triggers}


def explain(spec: Mapping[str, Any], event: Mapping[str, Any], now_ms: int) -> Explanation:
    """Return why `event`, accepted at that time, starts the published function or does not."""
    verdicts = (_verdict(trigger, event, now_ms) for trigger in spec["triggers"])
    return Explanation(spec["id"], event["name"], tuple(verdicts))


def deciding(expression: Expression, bindings: Mapping[str, Any], now_ms: int) -> tuple[Fact, ...]:
    """Return the values within an expression that decided its own, in the order of reading."""
    walk = _Walk(expression.variables, bindings, now_ms)
    return tuple({fact.source: fact for fact in walk.facts(expression.tree)}.values())


def _verdict(trigger: Mapping[str, Any], event: Mapping[str, Any], now_ms: int) -> Verdict:
    if "event" not in trigger:
        return Verdict(trigger, "cron")
    if trigger["event"] not in names_matching(event["name"]):
        return Verdict(trigger, "other name")
    when = trigger.get("when")
    if when is None:
        return Verdict(trigger, "matched")
    bindings = {"event": event}
    try:
        compiled = condition(when)
    except DefinitionError as error:
        return Verdict(trigger, "error", error=str(error))
    facts = deciding(compiled, bindings, now_ms)
    try:
        holds = compiled.truthy(bindings, now_ms)
    except ExpressionError as error:
        return Verdict(trigger, "error", facts, str(error))
    return Verdict(trigger, "matched" if holds else "condition", facts)


class _Walk:
    """Finds the parts that decided, by evaluating them one by one."""

    def __init__(
        self, variables: tuple[str, ...], bindings: Mapping[str, Any], now_ms: int
    ) -> None:
        self._variables = variables
        self._bindings = bindings
        self._now_ms = now_ms

    def facts(self, node: Node) -> Iterator[Fact]:
        """Give the facts that decided the value of `node`."""
        match node:
            case Call(function="_&&_", args=(left, right)):
                holds = self._truth(left)
                if not holds or self._truth(right):
                    yield from self.facts(left)
                if holds:
                    yield from self.facts(right)
            case Call(function="_||_", args=(left, right)):
                yield from self.facts(left)
                if not self._truth(left):
                    yield from self.facts(right)
            case Call(function=function, args=(asked, then, otherwise)) if function == CONDITIONAL:
                yield from self.facts(asked)
                yield from self.facts(then if self._truth(asked) else otherwise)
            case Call(function="!_", args=(negated,)):
                yield from self.facts(negated)
            case Call():
                for part in parts(node):
                    yield from self._operand(part)
            case Macro(over=over):
                yield from self._operand(over)
            case _:
                yield from self._operand(node)

    def _operand(self, node: Node) -> Iterator[Fact]:
        """Give the value of an operand; one that is calculated is told by its own operands."""
        if not _varies(node):
            return
        if isinstance(node, Call) and node.function in INFIX:
            yield from self.facts(node)
            return
        try:
            yield Fact(text(node), self._value(node))
        except ExpressionError:  # the error of the whole is told beside the facts
            yield from (fact for part in parts(node)[:1] for fact in self._operand(part))

    def _truth(self, node: Node) -> bool:
        try:
            return truthy(self._value(node))
        except ExpressionError:
            return False

    def _value(self, node: Node) -> Any:
        part = Expression(text(node), self._variables, node)
        return part.raw(self._bindings, self._now_ms)


def _varies(node: Node) -> bool:
    """Return whether the value hangs on a variable or the time."""
    if isinstance(node, (Name, Select)) or (isinstance(node, Call) and node.function in _CLOCKED):
        return True
    return any(map(_varies, parts(node)))


def _json(value: Any) -> Any:
    if isinstance(value, list):
        return [_json(each) for each in value]
    if isinstance(value, dict):
        return {key: _json(each) for key, each in value.items()}
    plain = value is None or isinstance(value, (str, int, float))
    return value if plain else shown(value)
