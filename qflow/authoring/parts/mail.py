"""E-mail over SMTP."""

from __future__ import annotations

import smtplib
import ssl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from email.errors import MessageError
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import formatdate, make_msgid

from qflow import NonRetriableError

from .settings import optional, required


def send(to: str, subject: str, text: str) -> None:
    """Send a mail; what the server refuses for good is not tried again."""
    message = mail(to, subject, text)
    try:
        with mail_server() as server:
            server.send_message(message)
    except smtplib.SMTPRecipientsRefused as error:
        ((code, said), *_) = error.recipients.values()
        if code >= 500:
            raise NonRetriableError(f"the mail server refused {to}: {code} {said!r}") from error
        raise
    except smtplib.SMTPNotSupportedError as error:
        raise NonRetriableError(f"the mail server cannot do this: {error}; see SMTP_TLS") from error
    except smtplib.SMTPResponseException as error:
        if error.smtp_code >= 500:
            raise NonRetriableError(f"the mail server refused: {error}") from error
        raise


def mail(to: str, subject: str, text: str) -> EmailMessage:
    """Return the message; an address that no mail can go to ends the step."""
    sender = required("SMTP_FROM", "the sender's address, such as hello@acme.example")
    message = EmailMessage()
    try:
        message["To"] = Address(addr_spec=to)
        message["Subject"] = " ".join(subject.split())
    except (ValueError, TypeError, IndexError, MessageError) as error:  # all that its parser raises
        raise NonRetriableError(f"no mail can go to {to!r}: correct the event's data") from error
    message["From"] = sender
    message["Date"] = formatdate()
    message["Message-ID"] = make_msgid(domain=sender.rpartition("@")[2].strip(" >"))
    message.set_content(text)
    return message


@contextmanager
def mail_server() -> Iterator[smtplib.SMTP]:
    """Give a connection to the mail server: with STARTTLS unless SMTP_TLS is `tls` or `none`."""
    host = required("SMTP_HOST", "the name of the mail server")
    mode = optional("SMTP_TLS", "starttls")
    port = int(optional("SMTP_PORT", {"tls": "465", "none": "25"}.get(mode, "587")))
    context = ssl.create_default_context()
    server = (
        smtplib.SMTP_SSL(host, port, timeout=30, context=context)
        if mode == "tls"
        else smtplib.SMTP(host, port, timeout=30)
    )
    try:
        if mode == "starttls":
            server.starttls(context=context)
        if user := optional("SMTP_USER"):
            server.login(user, required("SMTP_PASSWORD", f"the password of {user}"))
        yield server
        with suppress(OSError):  # the mail is accepted: a bad goodbye must not send it again
            server.quit()
    finally:
        server.close()
