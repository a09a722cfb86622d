"""What is left of the words: what could be done, and what nobody understood."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

_IDLE: Final = {
    *[
        "a",
        "an",
        "the",
        "this",
        "that",
        "these",
        "those",
        "it",
        "its",
        "of",
        "to",
        "in",
        "on",
        "at",
        "for",
        "with",
        "and",
        "or",
        "then",
        "by",
        "from",
        "into",
        "our",
        "my",
        "your",
        "we",
        "i",
    ],
    *[
        "us",
        "you",
        "me",
        "they",
        "them",
        "please",
        "want",
        "need",
        "would",
        "like",
        "should",
        "must",
        "can",
        "could",
        "will",
        "have",
        "has",
        "be",
        "is",
        "are",
        "do",
        "does",
    ],
    *[
        "create",
        "make",
        "build",
        "write",
        "add",
        "set",
        "up",
        "setup",
        "workflow",
        "workflows",
        "job",
        "jobs",
        "function",
        "functions",
        "task",
        "automation",
    ],
    *[
        "which",
        "who",
        "when",
        "so",
        "also",
        "all",
        "every",
        "new",
        "run",
        "runs",
        "start",
        "starts",
        "running",
        "schedule",
        "scheduled",
        "using",
        "via",
        "per",
        "just",
    ],
    *[
        "some",
        "any",
        "there",
        "here",
        "time",
        "times",
        "each",
        "once",
        "after",
        "before",
        "but",
        "if",
        "as",
        "sure",
        "sends",
        "send",
        "daily",
        "weekly",
        "monthly",
    ],
    *[
        "hourly",
        "process",
        "processes",
        "handle",
        "handles",
        "it's",
        "events",
        "event",
        "off",
        "out",
        "let",
        "lets",
        "go",
        "gets",
        "get",
        "instead",
        "now",
    ],
    *["salesforce", "slack", "up", "api"],
}


def unread(parts: Sequence[str]) -> list[str]:
    """Return the runs of words that say something, of those that nobody has read."""
    found = []
    for part in parts:
        kept = [word for word in re.findall(r"[\w#@'/-]+", part) if word.lower() not in _IDLE]
        if kept:
            found.append(part)
    return found


def parts(clause: re.Match[str]) -> list[tuple[int, int]]:
    """Return where the parts of a clause begin and end: "and" and "then" stand between them."""
    found, start = [], clause.start()
    for joint in re.finditer(r"\b(?:and then|then|and)\b", clause[0]):
        found.append((start, clause.start() + joint.start()))
        start = clause.start() + joint.end()
    return [*found, (start, clause.end())]


def stripped(text: str) -> str:
    """Return a clause without what introduces it: "please create a workflow that"."""
    flat = " ".join(text.split()).strip(" -:!?\"'")
    lead = r"^(?:please|and|then|also|to|i (?:want|need|would like)(?: you)?(?: to)?|we (?:want|need)(?: to)?|(?:create|add|set up|make|build|write) (?:a|an|the) (?:new )?(?:daily |hourly |weekly |nightly |monthly |recurring |scheduled )?(?:workflow|job|function|task|automation|process|cron job)|(?:workflow|job|function) |that|which|should|will|it|must|can|a|have|let(?:'s)?|go|me|us|you)\b[ ,:]*"
    while (cut := re.sub(lead, "", flat, flags=re.IGNORECASE)) != flat:
        flat = cut.strip()
    return flat


def is_deed(clause: str) -> bool:
    """Tell whether a clause begins with something that can be done."""
    kept = [word for word in re.findall(r"[a-z'-]+", clause.lower()) if word not in _IDLE]
    first = clause.split(maxsplit=1)[0].lower()
    return len(kept) >= 2 and first.isalpha() and first not in _IDLE
