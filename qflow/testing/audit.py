"""Finds effects outside steps: files written, connections made, processes started by a handler itself.

The interpreter tells of these by its audit events; a hook, once added, stays, so there is one for the
process, and it looks at nothing unless a handler is being watched in its context.
"""

from __future__ import annotations

import os
import sys
import sysconfig
from collections.abc import Callable
from contextvars import ContextVar
from functools import cache, wraps
from inspect import iscoroutinefunction
from types import FrameType
from typing import Any, Final

from qflow.core.replay import inside_step

Report = Callable[[str], None]

_watching: ContextVar[Report | None] = ContextVar("watching", default=None)

_EFFECTS: Final = frozenset((
    "ftplib.connect", "http.client.connect", "imaplib.open", "os.link", "os.mkdir", "os.posix_spawn",
    "os.remove", "os.rename", "os.rmdir", "os.symlink", "os.system", "os.truncate", "shutil.rmtree",
    "smtplib.connect", "socket.connect", "socket.sendto", "sqlite3.connect", "subprocess.Popen",
))  # fmt: skip
_WRITING: Final = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_QFLOW: Final = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
_LIBRARIES: Final = tuple(sysconfig.get_paths()[name] for name in ("stdlib", "purelib", "platlib"))


def watched(handler: Callable[..., Any], report: Report) -> Callable[..., Any]:
    """Return `handler` such that its effects outside steps are reported."""
    _listen()
    if iscoroutinefunction(handler):

        @wraps(handler)
        async def awatched(*args: Any, **kwargs: Any) -> Any:
            mark = _watching.set(report)
            try:
                return await handler(*args, **kwargs)
            finally:
                _watching.reset(mark)

        return awatched

    @wraps(handler)
    def watched_(*args: Any, **kwargs: Any) -> Any:
        mark = _watching.set(report)
        try:
            return handler(*args, **kwargs)
        finally:
            _watching.reset(mark)

    return watched_


@cache
def _listen() -> None:
    sys.addaudithook(_hear)


def _hear(event: str, args: tuple[Any, ...]) -> None:
    if event not in _EFFECTS and event != "open":
        return
    report = _watching.get()
    if report is None or inside_step.get() or (event == "open" and not _writes(args)):
        return
    place = _place(sys._getframe(1))  # noqa: SLF001  # there is no other way to it
    if place:
        shown = ", ".join(
            repr(arg) for arg in args[:2] if isinstance(arg, (str, bytes, int, tuple))
        )
        report(f"{event}({shown:.200}) at {place}")


def _writes(args: tuple[Any, ...]) -> bool:
    path, mode, flags = args
    if "__pycache__" in str(path):
        return False
    if isinstance(mode, str):
        return any(letter in mode for letter in "wax+")
    return isinstance(flags, int) and bool(flags & _WRITING)


def _place(frame: FrameType | None) -> str:
    """Return the innermost line of the user's own, "" where it was a library of its own accord or a
    middleware, which is entered again on purpose."""
    place = ""
    while frame is not None:
        file = frame.f_code.co_filename
        if file == __file__:
            return place
        if file.startswith(_QFLOW):
            return ""
        if not place and not file.startswith((*_LIBRARIES, "<frozen")):
            place = f"{file}:{frame.f_lineno}"
        frame = frame.f_back
    return place
