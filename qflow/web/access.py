"""Who may do what: tokens with a name and a role, sessions signed with them, keys that events need.

A session is a signed statement in a cookie; its signature hangs on the token it was opened with, so
no state is kept, several dashboards agree, and changing a token ends its sessions.
"""

from __future__ import annotations

import hmac
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Final

from qflow.errors import ConfigError

ROLES: Final = ("viewer", "operator", "admin")
"""What a role may is what those before it may, and more: look; act; read the audit log."""

SESSION_S: Final = 12 * 3600
SHORTEST: Final = 16
_FAILURES: Final = 5
_WINDOW_S: Final = 60.0
_REMEMBERED: Final = 10_000


@dataclass(frozen=True, slots=True)
class Who:
    """Somebody, and what they may do."""

    name: str
    role: str

    def may(self, role: str) -> bool:
        """Return whether this role includes `role`."""
        return ROLES.index(self.role) >= ROLES.index(role)


LOCAL: Final = Who("local", "admin")
"""Whoever sits at this machine, where the dashboard listens on loopback only and has no tokens."""


@dataclass(frozen=True, slots=True)
class Access:
    """The tokens and event keys of a dashboard; without tokens it is open, to this machine only."""

    tokens: Mapping[str, tuple[Who, str]] = field(default_factory=dict)
    event_keys: frozenset[str] = frozenset()

    @property
    def is_open(self) -> bool:
        """Whether no token is set."""
        return not self.tokens

    def by_token(self, token: str) -> Who | None:
        """Return whose token this is, in time that does not tell how much of it was right."""
        found = None
        for who, secret in self.tokens.values():
            if hmac.compare_digest(secret.encode(), token.encode()):
                found = who
        return found

    def session(self, who: Who, now_s: float) -> str:
        """Return the cookie that says who this is, for twelve hours."""
        until = int(now_s) + SESSION_S
        return f"{who.name}.{until}.{self._signature(who.name, until)}"

    def by_session(self, cookie: str, now_s: float) -> Who | None:
        """Return whose session this is; None for one that has ended or was never given."""
        name, _, rest = cookie.partition(".")
        until, _, signature = rest.partition(".")
        if name not in self.tokens or not (until.isascii() and until.isdigit()):
            return None
        if int(until[:12]) < now_s:
            return None
        right = self._signature(name, int(until[:12]))
        return self.tokens[name][0] if hmac.compare_digest(right, signature) else None

    def takes_event_key(self, key: str) -> bool:
        """Return whether events may be sent with this key; where none is set, with any."""
        if not self.event_keys:
            return self.is_open
        return any(hmac.compare_digest(each.encode(), key.encode()) for each in self.event_keys)

    def _signature(self, name: str, until: int) -> str:
        secret = self.tokens[name][1]
        key = sha256(f"qflow session {secret}".encode()).digest()
        return hmac.new(key, f"{name}.{until}".encode(), sha256).hexdigest()


def read_access(tokens: str, event_keys: str) -> Access:
    """Return what the settings say: `name:role:secret,…` and `key,…`; raise ConfigError otherwise."""
    found: dict[str, tuple[Who, str]] = {}
    for number, item in enumerate(filter(None, map(str.strip, tokens.split(","))), 1):
        name, role, secret = [*item.split(":", 2), "", ""][:3]
        where = f"QFLOW_DASHBOARD_TOKENS, entry {number}"
        if not role or not name.replace("-", "").replace("_", "").isalnum():
            raise ConfigError(f"{where}: write name:role:secret, the name of letters and digits")
        if role not in ROLES:
            raise ConfigError(f"{where}: role {role!r} is none of {', '.join(ROLES)}")
        if len(secret) < SHORTEST:
            raise ConfigError(
                f"{where}: a secret has at least {SHORTEST} characters; make one: openssl rand -hex 24"
            )
        found[name] = Who(name, role), secret
    return Access(found, frozenset(filter(None, map(str.strip, event_keys.split(",")))))


class Attempts:
    """Counts failed logins by address, so that secrets cannot be tried out."""

    def __init__(self) -> None:
        self._failed: dict[str, list[float]] = {}
        self._lock = threading.Lock()

    def allows(self, address: str) -> bool:
        """Return whether this address may try again now."""
        with self._lock:
            return len(self._recent(address)) < _FAILURES

    def failed(self, address: str) -> None:
        """Note a failed try."""
        with self._lock:
            if len(self._failed) >= _REMEMBERED:
                self._failed.clear()
            self._failed[address] = [*self._recent(address), time.monotonic()]

    def _recent(self, address: str) -> list[float]:
        since = time.monotonic() - _WINDOW_S
        return [moment for moment in self._failed.get(address, ()) if moment > since]
