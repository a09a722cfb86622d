"""Words that nothing is written for: empty, too long, destructive, out for secrets, against themselves."""

from __future__ import annotations

import re
from typing import Final

from qflow.authoring.planner.words import NUMBER
from qflow.errors import UsageError

MAX_WORDS: Final = 4_000

_THINGS: Final = (
    r"(?:files?|folders?|director(?:y|ies)|databases?|tables?|backups?|disks?|servers?|data|everything|"
    r"records|rows|users|accounts|repositor(?:y|ies)|logs)"
)
_HOSTILE: Final = (
    (rf"\b(?:delete|erase|wipe|destroy|remove|purge|shred|truncate|drop)\b(?: \w+){{0,3}}? {_THINGS}\b",
     "it would destroy data"),
    (r"\brm +-\w*[rf]|\bmkfs\b|\bformat (?:the|all|my) (?:disk|drive)|:\(\)\s*\{|\bdrop (?:table|database)\b",
     "it would destroy data"),
    ((r"\b(?:send|post|mail|e-?mail|upload|leak|exfiltrate|steal|copy|print|log|reveal|show)\b(?: [\w']+){0,6}? "
     r"(?:passwords?|secrets?|credentials?|api keys?|private keys?|environment variables?|\.env|tokens)\b"),
     "it would give secrets away"),
    (r"\bignore (?:all |any |the |your )*(?:previous|prior|above|earlier)? ?(?:instructions|rules|checks)\b",
     "it asks to set the rules aside"),
    (r"\b(?:disable|bypass|turn off|skip) (?:the |all |any )*(?:sandbox|checks?|policy|authentication|approvals?)\b",
     "it asks to set the rules aside"),
    ((r"\b(?:exec|eval|os\.system|subprocess|__import__)\b|\breverse shell\b|\bransomware\b|\bmalware\b|"
     r"\bbrute[- ]?force\b|\bddos\b|\bcrypto ?miner\b"),
     "it would run code that nobody has read"),
)  # fmt: skip
_OPPOSED: Final = (
    (r"\b(?:never|don't|do not|without|no) retr", r"\bretry\b(?! (?:it )?never)[^.]*?\b(?:times|forever)",
     "it asks both to retry and not to"),
    (r"\bnever (?:run|start|do)\b", r"\b(?:every|daily|hourly|weekly|when)\b",
     "it asks both to run and never to run"),
    (r"\b(?:every|each) (?:minute|hour|day|week|month)\b|\b(?:hourly|daily|weekly|monthly)\b",
     r"\b(?:only|just) once ever\b|\bexactly once in total\b",
     "it asks both to repeat and to run once"),
)  # fmt: skip


def check(text: str) -> None:
    """Raise UsageError for words that nothing should be written for, saying why."""
    flat = " ".join(text.split())
    if not re.search(r"\w{2}", flat):
        raise refused("there are no words; say what should happen, and when")
    if len(flat) > MAX_WORDS:
        raise refused(f"these are {len(flat)} characters, {MAX_WORDS} at most; say less at once")
    for pattern, why in _HOSTILE:
        found = re.search(pattern, flat, re.IGNORECASE)
        if found:
            raise refused(f"{found[0]!r}: {why}; write such a function by hand if it is meant")
    for one, other, why in _OPPOSED:
        if re.search(one, flat, re.IGNORECASE) and re.search(other, flat, re.IGNORECASE):
            raise refused(f"{why}; say which")
    _check_limits(flat)


def refused(why: str) -> UsageError:
    """Return the error that says why nothing is written."""
    return UsageError(f"nothing was written: {why}")


def _check_limits(flat: str) -> None:
    for pattern in (
        rf"retry (?:up to )?({NUMBER}) times",
        rf"at most ({NUMBER}) (?:at a time|at once|in parallel)",
        rf"in batches of ({NUMBER})",
    ):
        found = {each.lower() for each in re.findall(pattern, flat, re.IGNORECASE)}
        if len(found) > 1:
            raise refused(f"it says both {' and '.join(sorted(found))} for one limit; say which")
    periods = set(re.findall(r"\b(hour|dai|week|month)ly\b", flat, re.IGNORECASE))
    if len(periods) > 1 and not re.search(r"\band\b|\breport\b|\bsummary\b|\bdigest\b", flat):
        raise refused("it names two periods at once, such as hourly and daily; say which")
