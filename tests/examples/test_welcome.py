"""The welcome email over real SMTP: in the clear, with STARTTLS and a login, and refused."""

from __future__ import annotations

import shutil
import smtplib
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from local_services.mail import MailServer

from qflow import NonRetriableError
from workers.welcome import send_email


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A key and a certificate for 127.0.0.1 that nobody else trusts."""
    if shutil.which("openssl") is None:
        pytest.skip("no openssl on this machine to make a certificate with")
    folder = tmp_path_factory.mktemp("tls")
    key, made = folder / "key.pem", folder / "certificate.pem"
    what = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1", "-days", "2"]
    files = ["-keyout", str(key), "-out", str(made)]
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", *what, *files],
        check=True,
        capture_output=True,
    )
    return key, made


@pytest.fixture
def safe_mail(
    environment: pytest.MonkeyPatch, mail: MailServer, certificate: tuple[Path, Path]
) -> Iterator[MailServer]:
    """A mail server that insists on TLS and a login, both as the environment says."""
    key, made = certificate
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(made, key)
    with MailServer(tls=context, login=("acme", "s3cret")) as server:
        environment.setenv("SMTP_PORT", str(server.port))
        environment.setenv("SMTP_TLS", "starttls")
        environment.setenv("SMTP_USER", "acme")
        environment.setenv("SMTP_PASSWORD", "s3cret")
        environment.setenv("SSL_CERT_FILE", str(made))
        yield server


def test_the_mail_arrives(mail: MailServer) -> None:
    send_email("jane@example.com", "Jane Müller, M.D.")
    (message,) = mail.messages
    assert message["To"] == '"Jane Müller, M.D." <jane@example.com>'
    assert message["From"] == "hello@acme.example"
    assert message["Subject"] == "Welcome, Jane Müller, M.D."
    assert message["Message-ID"].endswith("@acme.example>")
    assert message.get_content().startswith("Hello Jane Müller, M.D.,")


def test_it_goes_over_tls_with_a_login(safe_mail: MailServer) -> None:
    send_email("jane@example.com", "Jane")
    assert len(safe_mail.messages) == 1


def test_a_wrong_password_is_not_tried_again(
    safe_mail: MailServer, environment: pytest.MonkeyPatch
) -> None:
    environment.setenv("SMTP_PASSWORD", "wrong")
    with pytest.raises(NonRetriableError, match="refused the login.*SMTP_PASSWORD.*: 535 "):
        send_email("jane@example.com", "Jane")


def test_a_server_that_nobody_vouches_for_gets_no_password(
    safe_mail: MailServer, environment: pytest.MonkeyPatch
) -> None:
    environment.delenv("SSL_CERT_FILE")
    with pytest.raises(ssl.SSLCertVerificationError):
        send_email("jane@example.com", "Jane")


def test_a_server_without_tls_is_not_trusted(
    mail: MailServer, environment: pytest.MonkeyPatch
) -> None:
    environment.setenv("SMTP_TLS", "starttls")
    with pytest.raises(NonRetriableError, match="STARTTLS.*SMTP_TLS"):
        send_email("jane@example.com", "Jane")


def test_a_recipient_refused_for_good_is_not_tried_again(mail: MailServer) -> None:
    mail.refused["gone@example.com"] = "550 No such user"
    with pytest.raises(NonRetriableError, match="refused gone@example.com: 550 No such user"):
        send_email("gone@example.com", "Gone")


def test_a_recipient_refused_for_now_is_tried_again(mail: MailServer) -> None:
    mail.refused["grey@example.com"] = "451 Try later"
    with pytest.raises(smtplib.SMTPRecipientsRefused):
        send_email("grey@example.com", "Grey")


def test_a_bad_goodbye_does_not_send_the_mail_again(mail: MailServer) -> None:
    mail.after_quit = "500 What?"
    send_email("jane@example.com", "Jane")
    assert len(mail.messages) == 1


@pytest.mark.parametrize(
    ("email", "name"),
    [("", "x"), ("jane@", "x"), ("a b@c", "x"), ("a@b, c@d", "x"), ("a@b\r\nBcc: c@d", "x")]
    + [("a@b.example", "x\r\nBcc: c@d"), ("a@b.example", None), (7, "x"), (None, "x")],
)
def test_no_mail_goes_to_what_is_no_address(mail: MailServer, email: str, name: str) -> None:
    with pytest.raises(NonRetriableError, match="no mail can go to .*: correct the event's data"):
        send_email(email, name)
    assert not mail.messages


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("SMTP_HOST", "", "SMTP_HOST is not set"),
        ("SMTP_FROM", "", "SMTP_FROM is not set"),
        ("SMTP_TLS", "yes", "SMTP_TLS is 'yes'; set it to one of starttls, tls, none"),
        ("SMTP_PORT", "smtp", "SMTP_PORT is 'smtp'; set it to a port number"),
    ],
)
def test_a_bad_setting_is_named(
    mail: MailServer, environment: pytest.MonkeyPatch, name: str, value: str, says: str
) -> None:
    environment.setenv(name, value)
    with pytest.raises(NonRetriableError, match=says):
        send_email("jane@example.com", "Jane")


def test_a_server_that_is_down_is_tried_again(
    mail: MailServer, environment: pytest.MonkeyPatch
) -> None:
    environment.setenv("SMTP_PORT", "1")
    with pytest.raises(ConnectionRefusedError):
        send_email("jane@example.com", "Jane")
