"""The tagged form in which the codec keeps what JSON lacks, apart from the types themselves.

Apart so that a producer that sends plain JSON does not import decimals, paths, zones and dataclasses.
"""

from __future__ import annotations

from typing import Final, TypeVar

from qflow.errors import CodecError

TAG: Final = "$qflow"
CLASS_KINDS: Final = frozenset(("dataclass", "enum", "model", "namedtuple", "url"))
"""The tags that name a class."""
MAX_BRIEF: Final = 200

Tag = dict[str, object]
T = TypeVar("T")


class Refused(Exception):
    """A value that cannot be stored; each level of the walk adds its piece to `path`."""

    def __init__(self, reason: str, remedy: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.remedy = remedy
        self.path: list[str] = []


def part(tag: Tag, key: str, kind: type[T]) -> T:
    """Return one part of a stored tag, which must be of that kind."""
    value = tag.get(key)
    if not isinstance(value, kind):
        raise CodecError(f"a stored {tag[TAG]} is malformed: {key!r} is not a {kind.__name__}")
    return value


def brief(problem: object) -> str:
    """Return a text as one line of bounded length, for an error message."""
    line = " ".join(str(problem).split()).partition(" For further information visit")[0]
    return line if len(line) <= MAX_BRIEF else f"{line[: MAX_BRIEF - 3]}..."
