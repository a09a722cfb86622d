"""All of a company that uses qflow: Redis, router, scheduler, a worker, and the services around."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final, Self

from local_services import salesforce, zendesk
from local_services.exchange import Exchange
from local_services.mail import MailServer
from local_services.salesforce import Salesforce
from local_services.slack import Slack
from local_services.zendesk import Zendesk

from qflow.core.status import ENDED
from qflow.read import runs
from qflow.read.timeline import as_dict, timeline
from qflow.store.keys import Keys
from qflow.store.redis import Redis
from qflow.testing.processes import Process, Qflow
from qflow.testing.server import RedisServer

ROOT: Final = Path(__file__).resolve().parents[2]


class Acme:
    """The company, from `with` to the end of its block; `folder` holds its database and logs."""

    def __init__(self, folder: Path) -> None:
        self._stack = ExitStack()
        self._folder = folder
        self.database = f"sqlite:///{folder}/acme.db"
        self.keys = Keys("qflow")

    def __enter__(self) -> Self:
        enter = self._stack.enter_context
        with self._stack:
            self.redis_server = enter(RedisServer())
            self.redis = Redis(self.redis_server.url)
            self._stack.callback(self.redis.close)
            self.salesforce = enter(Salesforce(25, 10))
            self.zendesk = enter(Zendesk())
            self.slack = enter(Slack())
            self.exchange = enter(Exchange())
            self.mail = enter(MailServer())
            self.processes = enter(Qflow(self._folder, self.redis_server.url, self._environment()))
            self.processes.start("router")
            self.processes.start("scheduler")
            self.worker = self.new_worker()
            self._stack = self._stack.pop_all()
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def new_worker(self, env: Mapping[str, str] | None = None) -> Process:
        """Start a worker on the repository's own examples."""
        self.worker = self.processes.start("worker", str(ROOT / "workers"), env=env)
        return self.worker

    def start(self, function: str, data: str = "{}") -> str:
        """Start a function with `qflow run --detach`; return the run's id."""
        started = self.processes.run("run", function, "--data", data, "--detach")
        assert started.returncode == 0, started.stderr
        return started.stdout.strip()

    def finish(self, run: str) -> dict[str, Any]:
        """Wait until a run has ended; return its story as `qflow runs show --json` gives it."""

        def ended() -> bool:
            status = self.redis.call("HGET", self.keys.run(run), "status")
            return status is not None and status.decode() in ENDED

        self.processes.wait_for(ended, 20, f"run {run} to end")
        return as_dict(timeline(self.redis, self.keys, run))

    def run(self, function: str, data: str = "{}") -> dict[str, Any]:
        """Start a function and wait for its end; return its story."""
        return self.finish(self.start(function, data))

    def runs_of(self, function: str) -> list[str]:
        """Return the ids of a function's runs, newest first."""
        return [row.id for row in runs.page(self.redis, self.keys, function=function).rows]

    def first_run_of(self, function: str) -> str:
        """Wait until a function has a run; return its id."""
        self.processes.wait_for(lambda: self.runs_of(function), 10, f"a run of {function}")
        return self.runs_of(function)[-1]

    def _environment(self) -> dict[str, str]:
        return {
            "QFLOW_LEASE": "1s",
            "NO_PROXY": "127.0.0.1",
            "DATABASE_URL": self.database,
            "SALESFORCE_URL": self.salesforce.url,
            "SALESFORCE_TOKEN": salesforce.TOKEN,
            "ZENDESK_URL": self.zendesk.url,
            "ZENDESK_TOKEN": zendesk.TOKEN,
            "SLACK_WEBHOOK_URL": self.slack.webhook,
            "RATES_URL": f"{self.exchange.url}/v1",
            "SMTP_HOST": "127.0.0.1",
            "SMTP_PORT": str(self.mail.port),
            "SMTP_TLS": "none",
            "SMTP_FROM": "hello@acme.example",
        }
