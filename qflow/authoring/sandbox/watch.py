"""Watches what code in the sandbox reaches for: an audit hook refuses, and notes, what leads outside.

The hook is the second line: it says in words what was refused, also where the kernel has no means of its
own. Code that sets out to get around it may; around the kernel's it may not.
"""

from __future__ import annotations

import os
import sys
from collections import deque
from collections.abc import Iterable
from typing import Any, Final, NamedTuple

_NETWORK: Final = frozenset((
    "ftplib.connect", "http.client.connect", "imaplib.open", "nntplib.connect", "poplib.connect",
    "smtplib.connect", "socket.bind", "socket.connect", "socket.getaddrinfo", "socket.gethostbyaddr",
    "socket.gethostbyname", "socket.sendmsg", "socket.sendto", "telnetlib.Telnet.open", "urllib.Request",
))  # fmt: skip
_PROCESSES: Final = frozenset((
    "ctypes.dlopen", "ctypes.dlsym", "os.exec", "os.fork", "os.forkpty", "os.kill", "os.killpg",
    "os.posix_spawn", "os.spawn", "os.startfile", "os.system", "pty.spawn", "signal.pthread_kill",
    "subprocess.Popen", "sys.setprofile", "resource.setrlimit", "resource.prlimit",
))  # fmt: skip
_FILES: Final = frozenset((
    "os.chmod", "os.chown", "os.link", "os.mkdir", "os.remove", "os.rename", "os.rmdir", "os.symlink",
    "os.truncate", "shutil.copyfile", "shutil.move", "shutil.rmtree", "sqlite3.connect",
))  # fmt: skip
_WRITING: Final = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


class Refused(PermissionError):
    """Raised in code that reaches outside the sandbox."""


class Contact(NamedTuple):
    """Something that code reached for: `kind` network, process, file or environment."""

    kind: str
    what: str


class Watch:
    """The contacts so far, in order."""

    def __init__(self, readable: Iterable[str], writable: str) -> None:
        self.contacts: deque[Contact] = deque(maxlen=1000)
        self.count = 0
        self._readable = tuple(os.path.realpath(path) + os.sep for path in readable)
        self._writable = os.path.realpath(writable) + os.sep

    def begin(self) -> None:
        """Refuse from now on; there is no way back."""
        os.environ = _Environment(self)  # type: ignore[assignment]  # noqa: B003
        sys.addaudithook(self._hear)

    def note(self, kind: str, what: str) -> None:
        """Note a contact."""
        self.count += 1
        self.contacts.append(Contact(kind, what[:200]))

    def since(self, count: int) -> list[Contact]:
        """Return the contacts after the first `count`, the last 1,000 at most."""
        new = min(self.count - count, len(self.contacts))
        return list(self.contacts)[len(self.contacts) - new :]

    def _hear(self, event: str, args: tuple[Any, ...]) -> None:
        if event in _NETWORK:
            self._refuse("network", f"{event} {_shown(args[1:] or args)}", "no network")
        elif event in _PROCESSES:
            self._refuse("process", f"{event} {_shown(args)}", "no other process")
        elif event == "open":
            path, mode, flags = args
            if isinstance(path, (str, bytes)) and not self._may_open(
                os.fsdecode(path), mode, flags
            ):
                self._refuse("file", f"open {os.fsdecode(path)}", "only files of its own")
        elif event in _FILES:
            for path in args[:2]:
                if isinstance(path, (str, bytes)) and not self._own(os.fsdecode(path)):
                    self._refuse("file", f"{event} {os.fsdecode(path)}", "only files of its own")

    def _may_open(self, path: str, mode: object, flags: object) -> bool:
        if self._own(path) or path == os.devnull:
            return True
        writes = isinstance(flags, int) and bool(flags & _WRITING)
        return not writes and os.path.realpath(path).startswith(self._readable)

    def _own(self, path: str) -> bool:
        if path in (":memory:", ""):
            return True
        return (os.path.realpath(path) + os.sep).startswith(self._writable)

    def _refuse(self, kind: str, what: str, allowed: str) -> None:
        self.note(kind, what)
        raise Refused(f"the sandbox has {allowed}: {what[:200]}")


class _Environment(dict[str, str]):
    """An environment that notes what is asked for and not there."""

    def __init__(self, watch: Watch) -> None:
        super().__init__(os.environ)
        self._watch = watch

    def __missing__(self, name: str) -> str:
        self._watch.note("environment", name)
        raise KeyError(name)

    def get(self, name: str, default: Any = None) -> Any:
        """Return a variable, noting one that is not there."""
        if name not in self:
            self._watch.note("environment", str(name))
        return super().get(name, default)


def _shown(args: tuple[Any, ...]) -> str:
    return " ".join(repr(arg)[:80] for arg in args if isinstance(arg, (str, bytes, int, tuple)))
