"""Values that listings do not show: by the names of their fields, in data and in text about them.

Data keeps its shape. In text (messages of errors, reasons, logs) `name=value`, `name: value` and
`name is value` lose their values; and within one run or event, so does every other place where a
value stands that its data have under such a name.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields, is_dataclass, replace
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import Any, Final

from qflow.errors import UsageError

MASKED: Final = "[masked]"
"""What stands in a value's place."""

_NAMED: Final = re.compile(
    r"""([A-Za-z_][\w.-]*)["']?\s*(?:[=:]|\bis(?=\s+["'\d-]))\s*""", re.IGNORECASE
)
_VALUE: Final = re.compile(
    r"""(?:[{\[][^}\]]*[}\]]*|"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|(?:(?:Bearer|Basic)\s+)?[^\s,;&)\]}"']+)""",
    re.IGNORECASE,
)
_LEAST: Final = 6
"""Characters that a value must have to be looked for elsewhere: a shorter one stands anywhere."""

_OWN: Final = frozenset(("id", "status", "kind", "outcome", "function", "app", "version", "worker"))
"""Fields of a story that are qflow's, not the user's."""


class Mask:
    """Hides what stands under some names. A name is compared without case, `_` and `-`, may have `*`,
    and with dots stands for the end of a path: `card.number` is `number` within `card`."""

    def __init__(self, names: Iterable[str] = ()) -> None:
        self._paths = [
            tuple(map(_plain, name.strip().split("."))) for name in names if name.strip()
        ]
        self._hides = lru_cache(maxsize=4096)(self._matches)
        self._deepest = max(map(len, self._paths), default=0)

    @property
    def is_empty(self) -> bool:
        """Whether it hides nothing."""
        return not self._paths

    def value(self, value: Any, path: tuple[str, ...] = ()) -> Any:
        """Return a value read from JSON with what is to be hidden in it replaced."""
        if not self._paths:
            return value
        if isinstance(value, dict):
            return {name: self._field(each, (*path, str(name))) for name, each in value.items()}
        if isinstance(value, list):
            return [self.value(each, path) for each in value]
        return self.text(value) if isinstance(value, str) else value

    def text(self, text: str) -> str:
        """Return text with the values hidden that stand beside their names."""
        if self._paths and text[:1] in ("{", "["):
            try:
                data = json.loads(text)
                shown = self.value(data)
                return text if shown == data else json.dumps(shown, ensure_ascii=False)
            except (ValueError, RecursionError):
                pass  # not JSON, or too deep to be anything: text like any other
        parts, done = list[str](), 0
        for named in _NAMED.finditer(text) if self._paths else ():
            path = tuple(named[1].split("."))[-self._deepest :]
            value = _VALUE.match(text, named.end()) if named.start() >= done else None
            if value and self._hides(path):
                parts += text[done : value.start()], MASKED
                done = value.end()
        return "".join([*parts, text[done:]])

    def secrets(self, *values: Any) -> frozenset[str]:
        """Return what is hidden in these values, as far as it can be looked for elsewhere."""
        found = (secret for value in values for secret in self._secrets(value, ()))
        return frozenset(each for each in found if len(each) >= _LEAST)

    def restore(self, value: Any, shown_of: Any) -> Any:
        """Return a value that somebody wrote by what was shown of another: what is hidden in it is
        taken from there. Raises UsageError where there is nothing in that place."""
        return self._restored(value, shown_of, self.value(shown_of), "the data")

    def _field(self, value: Any, path: tuple[str, ...]) -> Any:
        hidden = value is not None and self._hides(path[-self._deepest :])
        return MASKED if hidden else self.value(value, path)

    def _matches(self, path: tuple[str, ...]) -> bool:
        plain = tuple(map(_plain, path))
        return any(
            len(wanted) <= len(plain)
            and all(map(fnmatchcase, plain[-len(wanted) :], wanted))
            for wanted in self._paths
        )  # fmt: skip

    def _secrets(self, value: Any, path: tuple[str, ...], hidden: bool = False) -> Iterator[str]:
        if isinstance(value, dict):
            for name, each in value.items():
                own = (*path, str(name))
                yield from self._secrets(each, own, hidden or self._hides(own[-self._deepest :]))
        elif isinstance(value, list):
            for each in value:
                yield from self._secrets(each, path, hidden)
        elif hidden and not isinstance(value, bool):
            yield str(value)

    def _restored(self, new: Any, old: Any, shown: Any, place: str) -> Any:
        if new == shown:
            return old
        if isinstance(new, dict):
            before = old if isinstance(old, Mapping) else {}
            seen = shown if isinstance(shown, Mapping) else {}
            return {
                name: self._restored(each, before.get(name), seen.get(name), f"{place}: {name!r}")
                for name, each in new.items()
            }
        if isinstance(new, list):
            olds, shown_then = (_padded(each, len(new)) for each in (old, shown))
            return [
                self._restored(each, olds[at], shown_then[at], place) for at, each in enumerate(new)
            ]
        if isinstance(new, str) and MASKED in new:
            raise UsageError(
                f"{place} is {MASKED}, which stands for a value that is not shown: write one"
            )
        return new


def hidden(told: Any, secrets: frozenset[str]) -> Any:
    """Return what is told of a run or event without these texts, wherever they stand in it."""
    if not secrets:
        return told
    longest_first = sorted(secrets, key=len, reverse=True)
    return _without(told, re.compile("|".join(map(re.escape, longest_first))))


def _without(told: Any, secrets: re.Pattern[str]) -> Any:
    if isinstance(told, str):
        return secrets.sub(MASKED, told)
    if isinstance(told, dict):
        return {name: _without(each, secrets) for name, each in told.items()}
    if isinstance(told, (list, tuple)) and not hasattr(told, "_fields"):
        return type(told)(_without(each, secrets) for each in told)
    if is_dataclass(told) and not isinstance(told, type):
        names = [each.name for each in fields(told) if each.name not in _OWN]
        return replace(told, **{name: _without(getattr(told, name), secrets) for name in names})
    return told


def _padded(value: Any, least: int) -> list[Any]:
    return [*(value if isinstance(value, list) else ()), *[None] * least]


def _plain(name: str) -> str:
    return name.strip().lower().replace("_", "").replace("-", "")
