"""Encryption by itself: what it makes, what it refuses."""

from __future__ import annotations

import hashlib
import hmac
import json
import subprocess
import sys
from base64 import b64encode, urlsafe_b64encode
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from qflow import ConfigError, Place, Sealed, SealedError
from qflow.core.sealed import KEYS_VARIABLE
from qflow.encryption import Encryption
from qflow.errors import AlteredError, NonRetriableError
from qflow.testing.processes import Qflow

OLD, NEW = (b64encode(bytes([n]) * 32).decode() for n in (1, 251))
EVENT = Place("event", "e1", "user/created")
PLACES = [
    EVENT,
    Place("event", "e2", "user/created"),
    Place("event", "e1", "user/deleted"),
    Place("step", "r1", "fetch"),
    Place("step", "r2", "fetch"),
    Place("step", "r1", "fetch:1"),
    Place("output", "r1"),
    Place("error", "r1"),
    Place("error", "r1", "fetch"),
]


@pytest.mark.parametrize("place", PLACES, ids=str)
def test_a_value_belongs_to_its_place(place: Place) -> None:
    encryption = Encryption([OLD])
    text = encryption.encode('"secret"', place)
    assert "secret" not in text
    assert encryption.decode(text, place) == '"secret"'
    for other in PLACES:
        if other != place:
            with pytest.raises(AlteredError, match="altered, or moved"):
                encryption.decode(text, other)


def test_no_two_ciphertexts_are_alike() -> None:
    encryption = Encryption([OLD])
    assert len({encryption.encode("1", EVENT) for _ in range(100)}) == 100


def test_the_first_key_encrypts_and_all_decrypt() -> None:
    old = Encryption([OLD]).encode("1", EVENT)
    rotated = Encryption([NEW, OLD])
    assert rotated.decode(old, EVENT) == "1"
    new = rotated.encode("2", EVENT)
    with pytest.raises(
        SealedError, match=r"user/created.*under key [0-9a-f]{8}, which is not here"
    ):
        Encryption([OLD]).decode(new, EVENT)


def test_a_missing_key_may_be_elsewhere_an_altered_text_is_altered_everywhere() -> None:
    assert not issubclass(SealedError, NonRetriableError)
    assert issubclass(AlteredError, NonRetriableError)


@pytest.mark.parametrize("at", [0, 20, 40, -5])
def test_an_altered_text_is_refused(at: int) -> None:
    encryption = Encryption([OLD])
    sealed = Sealed.from_json(encryption.encode('"secret"', EVENT))
    assert sealed is not None
    other = "A" if sealed.text[at] != "A" else "B"
    position = at % len(sealed.text)
    altered = sealed.text[:position] + other + sealed.text[position + 1 :]
    for text in (altered, "", "A", "ü", sealed.text[:30], "A" * 40):
        with pytest.raises(AlteredError):
            encryption.decode(Sealed(sealed.by, text).to_json(), EVENT)


def test_a_field_alone() -> None:
    encryption = Encryption([OLD], field="encrypted")
    data = {"plan": "pro", "encrypted": {"card": [1.5, None, "ü"]}}
    text = encryption.encode(json.dumps(data), EVENT)
    assert json.loads(text)["plan"] == "pro"
    assert "card" not in text
    for reader in (encryption, Encryption([OLD])):
        assert json.loads(reader.decode(text, EVENT)) == data
    assert encryption.encode('{"plan":"pro"}', EVENT) == '{"plan":"pro"}'
    assert "pro" not in encryption.encode('["pro"]', Place("step", "r", "s"))


def test_a_field_is_bound_to_its_name() -> None:
    encryption = Encryption([OLD], field="secret")
    moved = encryption.encode('{"secret":1}', EVENT).replace('"secret":{', '"shown":{')
    with pytest.raises(AlteredError):
        encryption.decode(moved, EVENT)


def test_what_others_sealed_is_left_alone() -> None:
    text = Sealed("zlib", "x").to_json()
    encryption = Encryption([OLD])
    assert encryption.decode(text, EVENT) == text
    assert json.loads(encryption.decode(f'{{"a":{text}}}', EVENT)) == {"a": json.loads(text)}


def test_keys_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QFLOW_ENCRYPTION_KEYS", f"{NEW}, {OLD},")
    found = Encryption()
    assert found.decode(Encryption([OLD]).encode("1", EVENT), EVENT) == "1"
    assert Encryption([NEW]).decode(found.encode("1", EVENT), EVENT) == "1"


def test_either_alphabet_of_base64_will_do() -> None:
    url = urlsafe_b64encode(b"\xfb" * 32).decode()
    assert url != NEW
    assert repr(Encryption([url])) == repr(Encryption([NEW]))


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ([], "has no key"),
        (OLD, "must be a list"),
        ([OLD, "tooshort"], "key 2 is not 32 bytes"),
        (["!" + OLD], "key 1 is not 32 bytes"),
        ([b"x" * 32], "key 1 is not 32 bytes"),
    ],
)
def test_a_bad_key_is_refused_and_not_shown(given: Any, problem: str) -> None:
    with pytest.raises(ConfigError, match=rf"{problem}.*openssl rand") as caught:
        Encryption(given)
    assert OLD not in str(caught.value)
    assert OLD not in repr(Encryption([OLD]))


def test_no_key_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("QFLOW_ENCRYPTION_KEYS", raising=False)
    with pytest.raises(ConfigError, match="QFLOW_ENCRYPTION_KEYS has no key"):
        Encryption()


def test_without_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cryptography.exceptions", None)
    with pytest.raises(ConfigError, match=r"pip install 'qflow\[encryption\]'"):
        Encryption([OLD])


def test_the_form_is_as_the_documentation_says() -> None:
    """Another language's producer, word for word from docs/middleware.md."""
    key = bytes([1]) * 32
    key_id = hashlib.sha256(b"qflow key " + key).hexdigest()[:8]
    salt, nonce = b"s" * 16, b"n" * 12
    cipher = AESGCM(hmac.digest(key, b"qflow aes-gcm" + salt, "sha256"))
    bound = b'["event","e1","user/cr\\u00e9ated","card"]'
    raw = salt + nonce + cipher.encrypt(nonce, b'"4111"', bound)
    part = {"v": urlsafe_b64encode(raw).decode(), "by": f"aes-gcm:{key_id}", "$qflow": "sealed"}
    text = Encryption([OLD]).decode(
        json.dumps({"card": part}), Place("event", "e1", "user/créated")
    )
    assert json.loads(text) == {"card": "4111"}


def test_a_worker_without_keys_does_not_start(qflow_processes: Qflow) -> None:
    folder = qflow_processes.folder / "workers"
    folder.mkdir()
    source = "import qflow\nfrom qflow.encryption import Encryption\n"
    (folder / "client.py").write_text(source + 'app = qflow.App("a", middleware=[Encryption()])\n')
    ended = subprocess.run(
        [sys.executable, "-m", "qflow", "worker"],
        cwd=qflow_processes.folder,
        env={key: text for key, text in qflow_processes.env.items() if key != KEYS_VARIABLE},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert ended.returncode == 2
    assert ended.stderr.splitlines()[-1].startswith("error: QFLOW_ENCRYPTION_KEYS has no key;")
