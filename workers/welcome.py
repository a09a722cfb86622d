"""When a user was created: send them a welcome email.

SMTP_HOST      the mail server
SMTP_FROM      the sender's address
SMTP_TLS       `starttls` (default), `tls` from the first byte, or `none`
SMTP_PORT      by default 587, 465 or 25, as SMTP_TLS says
SMTP_USER      if the server asks for a login, with SMTP_PASSWORD
"""

from __future__ import annotations

import smtplib
import ssl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from email.errors import MessageError
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from typing import Final

from qflow import Event, NonRetriableError, SyncStep

from .client import app
from .environment import optional, required

_PORTS: Final = {"starttls": "587", "tls": "465", "none": "25"}
_TIMEOUT_S: Final = 30.0
_PERMANENT: Final = 500


@app.function("send-welcome-email", name="Welcome email", trigger="user/created", retries=4)
def send_welcome_email(event: Event, step: SyncStep) -> None:
    """Welcome the user that the event is about."""
    step.run("send-email", send_email, event.data["email"], event.data["name"])


def send_email(email: str, name: str) -> None:
    """Send the welcome email; an address or a login that cannot work is not tried again."""
    message = welcome(email, name)
    try:
        with _connection() as server:
            server.send_message(message)
    except smtplib.SMTPRecipientsRefused as error:
        (code, text), *_ = error.recipients.values()
        _sort(error, code, f"the mail server refused {email}: {code} {_said(text)}")
    except smtplib.SMTPNotSupportedError as error:
        raise NonRetriableError(f"the mail server cannot do this: {error}; see SMTP_TLS") from error
    except smtplib.SMTPResponseException as error:
        login = isinstance(error, smtplib.SMTPAuthenticationError)
        what = "the login (SMTP_USER, SMTP_PASSWORD)" if login else "the message"
        said = f"{error.smtp_code} {_said(error.smtp_error)}"
        _sort(error, error.smtp_code, f"the mail server refused {what}: {said}")


def welcome(email: str, name: str) -> EmailMessage:
    """Return the message; an address that no mail can go to ends the step."""
    sender = required("SMTP_FROM", "the sender's address, such as hello@acme.example")
    message = EmailMessage()
    try:
        message["To"] = Address(display_name=name, addr_spec=email or "")
    except (ValueError, TypeError, IndexError, MessageError) as error:  # all that its parser raises
        raise NonRetriableError(
            f"no mail can go to {email!r} ({name!r}): correct the event's data"
        ) from error
    message["From"] = sender
    message["Subject"] = f"Welcome, {name}"
    message["Date"] = formatdate()
    message["Message-ID"] = make_msgid(domain=sender.rpartition("@")[2].strip(" >"))
    message.set_content(f"Hello {name},\n\nwelcome to Acme. Just answer if you need anything.\n")
    return message


@contextmanager
def _connection() -> Iterator[smtplib.SMTP]:
    host = required("SMTP_HOST", "the name of the mail server")
    mode = optional("SMTP_TLS", "starttls")
    if mode not in _PORTS:
        raise NonRetriableError(f"SMTP_TLS is {mode!r}; set it to one of {', '.join(_PORTS)}")
    port = optional("SMTP_PORT", _PORTS[mode])
    if not port.isdecimal():
        raise NonRetriableError(f"SMTP_PORT is {port!r}; set it to a port number")
    server: smtplib.SMTP
    if mode == "tls":
        context = ssl.create_default_context()
        server = smtplib.SMTP_SSL(host, int(port), timeout=_TIMEOUT_S, context=context)
    else:
        server = smtplib.SMTP(host, int(port), timeout=_TIMEOUT_S)
    try:
        if mode == "starttls":
            server.starttls(context=ssl.create_default_context())
        if user := optional("SMTP_USER"):
            server.login(user, required("SMTP_PASSWORD", f"the password of {user}"))
        yield server
        with suppress(OSError):  # the mail is accepted: a bad goodbye must not send it again
            server.quit()
    finally:
        server.close()


def _sort(error: Exception, code: int, message: str) -> None:
    """Raise `error` again to be retried, or what ends the step where the server said never."""
    if code >= _PERMANENT:
        raise NonRetriableError(message) from error
    raise error


def _said(text: bytes | str) -> str:
    return text.decode("utf-8", "replace") if isinstance(text, bytes) else text
