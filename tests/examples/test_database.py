"""The upsert, on a real PostgreSQL too where there is one; and a DATABASE_URL gone wrong."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from copies import empty, expected, rows
from local_services.salesforce import contact

from qflow import NonRetriableError
from qflow.dev.redis_process import free_port
from workers.contacts import Contact, save_contacts


def _pg_ctl() -> str:
    """Return PostgreSQL's control program, "" where there is none: Debian keeps it off PATH."""
    places = sorted(Path("/usr/lib/postgresql").glob("*/bin/pg_ctl"))
    return shutil.which("pg_ctl") or (str(places[-1]) if places else "")


@pytest.fixture(scope="module")
def postgres() -> Iterator[str]:
    """The URL of a PostgreSQL database."""
    pytest.importorskip("psycopg")
    control = _pg_ctl()
    if not control:
        pytest.skip("no PostgreSQL server on this machine")
    folder = Path(tempfile.mkdtemp(prefix="qflow-postgres-"))
    quiet: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    if os.getuid() == 0:  # which PostgreSQL refuses to run as
        shutil.chown(folder, "nobody")
        quiet["user"] = "nobody"
    command, port = [control, "-D", str(folder / "data")], free_port()
    listen = f"-p {port} -h 127.0.0.1 -k {folder} -F"
    subprocess.run([*command, "initdb", "-o", "-U acme -A trust -N -E UTF8"], check=True, **quiet)
    try:
        subprocess.run([*command, "-w", "-o", listen, "start"], check=True, **quiet)
        yield f"postgresql+psycopg://acme@127.0.0.1:{port}/postgres"
    finally:
        subprocess.run([*command, "-w", "-m", "immediate", "stop"], check=False, **quiet)
        shutil.rmtree(folder)


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, environment: pytest.MonkeyPatch, tmp_path: Path) -> str:
    """An empty database of each kind, which DATABASE_URL names."""
    made: str = f"sqlite:///{tmp_path}/acme.db"
    if request.param == "postgresql":
        made = request.getfixturevalue("postgres")
    environment.setenv("DATABASE_URL", made)
    empty(made)
    return made


def test_upserting_from_many_threads_doubles_nothing(url: str) -> None:
    found = [Contact.model_validate(contact(number)) for number in range(200)]
    save_contacts(found[:1])  # makes the table

    def save() -> None:
        save_contacts(found)

    threads = [threading.Thread(target=save) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    changed = found[7].model_copy(update={"last_name": "O'Neil"})
    stale = found[8].model_copy(update={"modified": found[8].modified.replace(year=2020)})
    save_contacts([changed, stale.model_copy(update={"last_name": "Old"})])
    first, _, email = expected(200)[changed.id]
    assert rows(url) == {**expected(200), changed.id: (first, "O'Neil", email)}


def test_a_page_is_saved_whole_or_not_at_all(url: str) -> None:
    found = [Contact.model_validate(contact(number)) for number in range(3)]
    nameless = found[2].model_copy(update={"last_name": None})
    with pytest.raises(Exception, match="(?i)null"):
        save_contacts([*found[:2], nameless])
    assert rows(url) == {}


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ("", "is not set"),
        ("not a url", "Could not parse"),
        ("nosuch://host/db", "nosuch"),
        ("mssql+nosuch://host/db", "nosuch"),
        ("mysql://host/db", "(No module|mysql)"),
    ],
)
def test_a_bad_database_url_is_named(
    environment: pytest.MonkeyPatch, value: str, says: str
) -> None:
    environment.setenv("DATABASE_URL", value)
    with pytest.raises(NonRetriableError, match=f"^DATABASE_URL.*{says}.*set it to a database"):
        save_contacts([Contact.model_validate(contact(1))])
