"""Retries and flow control: "retry five times", "at most 10 at a time per customer"."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

from qflow.authoring.planner import events
from qflow.authoring.planner.refusals import refused
from qflow.authoring.planner.words import DURATION, NUMBER, Words, duration, name, whole
from qflow.authoring.spec import Cancel

_PER: Final = r"(?: (?:per|for each|for every|by|of (?:the|each)) ([a-z]+))?"
_AT_ONCE: Final = r"(?:at a time|at once|in parallel|concurrently|simultaneously|at the same time)"
_SPANS: Final = {"second": "1s", "minute": "1m", "hour": "1h", "day": "1d"}
_SPAN: Final = r"(?:per|a|an|each|every|in a) (second|minute|hour|day)"
_PLAIN: Final = {"tenant", "email", "plan", "region", "country", "currency", "key", "id", "name"}


@dataclass
class Limits:
    """What the words say about retries and limits."""

    retries: int | None = None
    finish: str | None = None
    flow: dict[str, Any] = field(default_factory=dict)
    cancel_on: list[Cancel] = field(default_factory=list)


def take_limits(words: Words) -> Limits:
    """Find retries and limits."""
    found = Limits()
    _retries(words, found)
    _gathering(words, found.flow)
    _pacing(words, found.flow)
    _single(words, found.flow)
    over = words.take(
        rf"\b(?:give up|giving up|time out|times out|abort|cancel it) after ({DURATION})"
    )
    if over:
        found.finish = duration(over[1])
        words.understood.append(f"cancelled after {found.finish}")
    return found


def take_cancels(words: Words, found: Limits) -> None:
    """Find events that cancel a run; the workflow's own event must be known."""
    cancel = words.take(
        r"\b(?:and |but )?(?:cancel|stop|abort)(?: it| the run| everything)? (?:if|when|as soon as|once) "
        r"([^,;.\x1f]+)"
    )
    if cancel is None:
        return
    event = events.event_of(cancel[1], words.subject)
    if not event:
        words.ask("cancel", f"Which event is meant by “{cancel[1]}”?", needed=True)
        return
    found.cancel_on.append(Cancel(event=event, match=f"data.{key_field(words.subject)}"))
    words.understood.append(f"cancelled by {event}")
    words.ask(
        "cancel-match", f"Which field tells which {words.subject} it is?", "/cancel_on/0/match"
    )


def key_field(noun: str) -> str:
    """Return the field that usually tells things of a kind apart."""
    return name(noun) if noun in _PLAIN else f"{name(noun)}_id" if noun else "id"


def _retries(words: Words, found: Limits) -> None:
    times = words.take(
        rf"\b(?:and |, )?(?:retry|retrying|retries)(?: it| that| them| each step| the \w+)? ?(?:up to |at most |for )?({NUMBER}) (?:more )?times?\b(?: (?:on|if|when) (?:it |there is an? )?(?:fails?|failure|errors?))?"
    ) or words.take(rf"\b(?:with |and |up to )*({NUMBER}) retries\b")
    if times:
        found.retries = whole(times[1])
    elif tries := words.take(rf"\btry(?: it)? (?:up to )?({NUMBER}) times\b"):
        found.retries = whole(tries[1]) - 1
    elif words.take(
        r"\b(?:never retry|(?:do not|don't) retry|without (?:any )?retr(?:ies|ying)|no retries)\b(?: it)?"
    ):
        found.retries = 0
    if found.retries is None:
        return
    if found.retries > 20:
        raise refused(f"{found.retries} retries are more than the 20 that are possible")
    words.understood.append(f"{found.retries} retries for each step")


def _gathering(words: Words, flow: dict[str, Any]) -> None:
    batch = words.take(
        rf"\b(?:in )?batch(?:es)? (?:of |up to )*({NUMBER})\b"
        rf"|\b({NUMBER}) (?:at a time|of them) as a batch\b"
    )
    if batch:
        size = whole(batch[1] or batch[2])
        if not 2 <= size <= 1_000:
            raise refused(f"a batch of {size} is not possible; say 2 to 1,000")
        spent = words.take(
            rf"\b(?:,? ?or |and )?(?:at least )?(?:every|after|within|at the latest after) ({DURATION})(?: at the latest)?"
        )
        flow["batch"] = {"size": size} | ({"timeout": duration(spent[1])} if spent else {})
        if not spent:
            words.ask("batch-timeout", "How long may a batch wait to fill?", "/flow/batch/timeout")
        words.understood.append(f"in batches of {size}")
    quiet = words.take(
        rf"\b(?:debounced? (?:by |for )?|(?:once|when|after) (?:it|things|there) (?:is|has been|have been|are) (?:no \w+ |quiet |calm )(?:for )?|after )({DURATION})(?: of (?:quiet|silence|inactivity))"
        rf"|\bdebounced? (?:by |for )?({DURATION})"
        rf"|\b(?:once|when|after) (?:it|things) (?:is|has been|have been) quiet for ({DURATION})"
    )
    if quiet:
        period = duration(next(each for each in quiet.groups() if each))
        flow["debounce"] = {"period": period}
        words.understood.append(f"once it has been quiet for {period}")


def _pacing(words: Words, flow: dict[str, Any]) -> None:
    lead = r"\b(?:(?:but |and )?(?:with )?(?:at most|no more than|maximum(?: of)?|max|up to|limit(?:ed)? (?:it )?to|only) )"
    at_once = words.take(rf"{lead}({NUMBER})(?: \w+)? {_AT_ONCE}{_PER}")
    at_once = at_once or words.take(rf"\b(?:only )?(one) {_AT_ONCE}{_PER}")
    at_once = at_once or words.take(rf"{lead}({NUMBER}) concurrent(?: \w+)?{_PER}")
    if at_once:
        flow["concurrency"] = {"limit": _count(at_once[1])} | _key(words, at_once[2], "concurrency")
        words.understood.append(f"at most {flow['concurrency']['limit']} at once")
    paced = words.take(rf"{lead}({NUMBER})(?: [a-z]+)? {_SPAN}{_PER}")
    paced = paced or words.take(rf"{lead}(once|twice) {_SPAN}{_PER}")
    if paced:
        kind = (
            "rate_limit"
            if words.take(r"\b(?:,? ?and )?(?:skip|drop|ignore|discard) the (?:rest|others)\b")
            else "throttle"
        )
        limit = {"limit": _count(paced[1]), "per": _SPANS[paced[2].lower()]}
        flow[kind] = limit | _key(words, paced[3], kind)
        how = "the others are skipped" if kind == "rate_limit" else "the others come later"
        words.understood.append(f"at most {limit['limit']} per {paced[2].lower()}; {how}")


def _single(words: Words, flow: dict[str, Any]) -> None:
    if words.take(
        r"\b(?:and |but )?(?:skip(?: it)? (?:if|when|while) (?:it is |one is )?(?:still |already )?running|(?:never|don't|do not|without) overlap(?:ping)?|no overlap(?:ping)?(?: runs)?)\b"
    ):
        flow["singleton"] = {}
        words.understood.append("skipped while one is running")
    once = words.take(
        r"\b(?:only |just )?once per ([a-z]+)\b(?<!hour)(?<!day)(?<!minute)(?<!week)(?<!month)"
    )
    if once:
        flow["idempotency"] = _key(words, once[1], "idempotency")["key"]
        words.understood.append(f"once per {once[1]}")


def _count(text: str) -> int:
    count = whole(text)
    if count < 1:
        raise refused(f"at most {count} would never run")
    return count


def _key(words: Words, noun: str | None, kind: str) -> dict[str, str]:
    if not noun:
        return {}
    field_name = key_field(noun.lower().rstrip("s") if not noun.endswith("ss") else noun.lower())
    where = "/flow/idempotency" if kind == "idempotency" else f"/flow/{kind}/key"
    words.ask(f"{kind}-key", f"Which field of the event tells which {noun.lower()} it is?", where)
    return {"key": f"event.data.{field_name}"}
