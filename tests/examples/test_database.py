"""The upsert, against a real PostgreSQL too where this machine has one; and bad DATABASE_URLs."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine

from qflow import NonRetriableError
from qflow.dev.redis_process import free_port
from test_contacts import expected, rows
from workers.contacts import Contact, save_contacts
from local_services.salesforce import contact


def _binary(name: str) -> str:
    """Return the path of one of PostgreSQL's programs, "" where there is none."""
    places = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    return shutil.which(name) or (str(places[-1]) if places else "")


@pytest.fixture
def postgres(environment: pytest.MonkeyPatch) -> Iterator[str]:
    """The URL of an empty PostgreSQL database, which DATABASE_URL names."""
    pytest.importorskip("psycopg")
    initdb, server = _binary("initdb"), _binary("postgres")
    if not (initdb and server):
        pytest.skip("no PostgreSQL server on this machine")
    user = "nobody" if os.getuid() == 0 else None  # PostgreSQL refuses to run as root
    folder = Path(tempfile.mkdtemp(prefix="qflow-postgres-"))
    data, port = folder / "data", free_port()
    if user:
        shutil.chown(folder, user)
    quiet = {"user": user, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    made = [initdb, "-D", data, "-U", "acme", "-A", "trust", "-N", "--no-locale", "-E", "UTF8"]
    subprocess.run(made, check=True, **quiet)
    options = ["-p", str(port), "-h", "127.0.0.1", "-k", folder, "-F"]
    child = subprocess.Popen([server, "-D", data, *options], **quiet)
    url = f"postgresql+psycopg://acme@127.0.0.1:{port}/postgres"
    ready = _binary("pg_isready")
    try:
        ask = [ready, "-h", "127.0.0.1", "-p", str(port), "-q", "-t", "10"]
        while subprocess.run(ask, check=False).returncode and child.poll() is None:
            pass
        environment.setenv("DATABASE_URL", url)
        yield url
    finally:
        child.terminate()
        child.wait()
        shutil.rmtree(folder)
