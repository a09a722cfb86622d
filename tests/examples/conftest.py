"""What the tests of the examples need: local services, and an environment that names them."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from local_services import salesforce as salesforce_service
from local_services import zendesk as zendesk_service
from local_services.exchange import Exchange
from local_services.mail import MailServer
from local_services.salesforce import Salesforce
from local_services.slack import Slack
from local_services.zendesk import Zendesk

ROOT: Final = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))  # `workers` and `examples` are a user's folders, not installed


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """An environment with no variable of the examples."""
    for name in (
        *("SALESFORCE_URL", "SALESFORCE_TOKEN", "ZENDESK_URL", "ZENDESK_TOKEN", "RATES_URL"),
        *("SLACK_WEBHOOK_URL", "DATABASE_URL", "SMTP_HOST", "SMTP_PORT", "SMTP_FROM", "SMTP_TLS"),
        *("SMTP_USER", "SMTP_PASSWORD"),
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")
    return monkeypatch


@pytest.fixture
def database(environment: pytest.MonkeyPatch, tmp_path: Path) -> str:
    """The URL of an empty database, which DATABASE_URL names."""
    url = f"sqlite:///{tmp_path}/acme.db"
    environment.setenv("DATABASE_URL", url)
    return url


@pytest.fixture
def salesforce(environment: pytest.MonkeyPatch) -> Iterator[Salesforce]:
    """An organisation with 25 contacts, 10 on a page."""
    with Salesforce(25, 10) as service:
        environment.setenv("SALESFORCE_URL", service.url)
        environment.setenv("SALESFORCE_TOKEN", salesforce_service.TOKEN)
        yield service


@pytest.fixture
def zendesk(environment: pytest.MonkeyPatch) -> Iterator[Zendesk]:
    """An account without tickets."""
    with Zendesk() as service:
        environment.setenv("ZENDESK_URL", service.url)
        environment.setenv("ZENDESK_TOKEN", zendesk_service.TOKEN)
        yield service


@pytest.fixture
def slack(environment: pytest.MonkeyPatch) -> Iterator[Slack]:
    """A channel with a webhook."""
    with Slack() as service:
        environment.setenv("SLACK_WEBHOOK_URL", service.webhook)
        yield service


@pytest.fixture
def exchange(environment: pytest.MonkeyPatch) -> Iterator[Exchange]:
    """A rates API that is up."""
    with Exchange() as service:
        environment.setenv("RATES_URL", f"{service.url}/v1")
        yield service


@pytest.fixture
def mail(environment: pytest.MonkeyPatch) -> Iterator[MailServer]:
    """A mail server in the clear."""
    with MailServer() as server:
        environment.setenv("SMTP_HOST", "127.0.0.1")
        environment.setenv("SMTP_PORT", str(server.port))
        environment.setenv("SMTP_TLS", "none")
        environment.setenv("SMTP_FROM", "hello@acme.example")
        yield server
