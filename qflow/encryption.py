"""Payload encryption: what qflow keeps of events, steps, outputs and errors is ciphertext in Redis.

AES-256-GCM. Each value has a key of its own, derived from the configured one and 16 random bytes, so
no number of values wears a key out; and each is bound to its place, so that a value that somebody
moved to another run, step or event is refused.
"""

from __future__ import annotations

import hmac
import json
import os
from base64 import b64decode, urlsafe_b64encode
from collections.abc import Sequence
from hashlib import sha256
from typing import Any, Final

from qflow.core.middleware import Middleware, Place
from qflow.core.sealed import KEYS_VARIABLE, Sealed
from qflow.errors import AlteredError, ConfigError, SealedError

_BY: Final = "aes-gcm:"
_KEY_BYTES: Final = 32
_SALT_BYTES: Final = 16
_NONCE_BYTES: Final = 12
_REMEDY: Final = "make one with: openssl rand -base64 32"


class Encryption(Middleware):
    """Encrypts event data, step results, outputs and errors; `App("acme", middleware=[Encryption()])`.

    `keys` are 32 bytes each, in base64; without, they come from QFLOW_ENCRYPTION_KEYS, separated by
    commas. The first encrypts, all decrypt. With `field`, only that field of an event's data is
    encrypted, and the rest stays readable to expressions and to other services.

    Raises ConfigError for a missing or malformed key, or where the package cryptography is missing.
    """

    def __init__(self, keys: Sequence[str] | None = None, *, field: str = "") -> None:
        try:
            from cryptography.exceptions import InvalidTag
            from cryptography.hazmat.primitives.ciphers.aead import AESGCM
        except ImportError:
            raise ConfigError(
                "encryption needs the package cryptography: pip install 'qflow[encryption]'"
            ) from None
        self._cipher = AESGCM
        self._wrong_tag = InvalidTag
        self._field = field
        self._keys = _read(keys)
        self._first = next(iter(self._keys))

    def __repr__(self) -> str:
        return f"Encryption(keys: {', '.join(self._keys)})"

    def encode(self, text: str, place: Place) -> str:
        """Return the text encrypted; of an event's data, where there is a `field`, that one."""
        if place.kind != "event" or not self._field:
            return self._encrypt(text, place, "")
        data: dict[str, Any] = json.loads(text)
        if self._field not in data:
            return text
        inner = self._encrypt(json.dumps(data[self._field]), place, self._field)
        return json.dumps({**data, self._field: json.loads(inner)}, separators=(",", ":"))

    def decode(self, text: str, place: Place) -> str:
        """Return the text decrypted, whole or field by field, under whichever of the keys it needs.

        Raises SealedError where the key is not here, AlteredError where the text does not belong here.
        """
        value = json.loads(text)
        sealed = Sealed.of(value)
        if sealed is not None:
            return self._decrypt(sealed, place, "") if _is_ours(sealed) else text
        if place.kind != "event" or not isinstance(value, dict):
            return text
        found = {key: part for key, item in value.items() if (part := Sealed.of(item))}
        for key, part in found.items():
            if _is_ours(part):
                value[key] = json.loads(self._decrypt(part, place, key))
        return json.dumps(value)

    def _encrypt(self, text: str, place: Place, field: str) -> str:
        random = os.urandom(_SALT_BYTES + _NONCE_BYTES)
        cipher = self._cipher(_derived(self._keys[self._first], random))
        raw = text.encode("utf-8", "surrogatepass")
        body = cipher.encrypt(random[_SALT_BYTES:], raw, _bound(place, field))
        return Sealed(_BY + self._first, urlsafe_b64encode(random + body).decode()).to_json()

    def _decrypt(self, sealed: Sealed, place: Place, field: str) -> str:
        name = sealed.by.removeprefix(_BY)
        key = self._keys.get(name)
        if key is None:
            here = ", ".join(self._keys)
            raise SealedError(
                f"{place} is encrypted under key {name}, which is not here (here: {here}); "
                f"add that key to {KEYS_VARIABLE}, after the first"
            )
        try:
            raw = b64decode(sealed.text, b"-_", validate=True)
            random, body = raw[: _SALT_BYTES + _NONCE_BYTES], raw[_SALT_BYTES + _NONCE_BYTES :]
            plain = self._cipher(_derived(key, random)).decrypt(
                random[_SALT_BYTES:], body, _bound(place, field)
            )
            return plain.decode("utf-8", "surrogatepass")
        except (ValueError, self._wrong_tag):
            raise AlteredError(
                f"{place} is not what was encrypted there under key {name}: it was altered, or moved "
                "from elsewhere; see who else can write to this Redis"
            ) from None


def _read(keys: Sequence[str] | None) -> dict[str, bytes]:
    """Return keys by their ids, the first first."""
    source = "Encryption(keys=)"
    if keys is None:
        source = KEYS_VARIABLE
        keys = [part for part in os.environ.get(KEYS_VARIABLE, "").split(",") if part.strip()]
    if isinstance(keys, str) or not keys:
        problem = "must be a list of keys" if isinstance(keys, str) else "has no key"
        raise ConfigError(f"{source} {problem}; {_REMEDY}")
    found: dict[str, bytes] = {}
    for position, text in enumerate(keys, 1):
        try:
            plain = text.strip().replace("+", "-").replace("/", "_")
            key = b64decode(plain, b"-_", validate=True)
        except (AttributeError, TypeError, ValueError):
            key = b""
        if len(key) != _KEY_BYTES:  # the key itself must not get into a log
            raise ConfigError(
                f"{source}: key {position} is not {_KEY_BYTES} bytes in base64; {_REMEDY}"
            )
        found[sha256(b"qflow key " + key).hexdigest()[:8]] = key
    return found


def _derived(key: bytes, random: bytes) -> bytes:
    return hmac.digest(key, b"qflow aes-gcm" + random[:_SALT_BYTES], "sha256")


def _bound(place: Place, field: str) -> bytes:
    return json.dumps([place.kind, place.id, place.name, field], separators=(",", ":")).encode()


def _is_ours(sealed: Sealed) -> bool:
    return sealed.by.startswith(_BY)
