"""`qflow doctor`: what is right and wrong, with remedies."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit, urlunsplit

import click

from qflow.cli import display
from qflow.cli.context import CONNECTION, as_json, connect, with_settings
from qflow.config import Settings
from qflow.discovery import redis_url
from qflow.read.audit import Audit, audit
from qflow.read.doctor import Finding, examine, findings

_MARKS = {"ok": "✓", "warn": "!", "bad": "✗"}


@click.command()
@click.option("--audit", "with_audit", is_flag=True, help="Check also that no run is stuck.")
@as_json
@with_settings(*CONNECTION)
def command(settings: Settings, with_audit: bool, as_json: bool) -> int:
    """Examine Redis and qflow on it; exit 1 where a finding is bad or a run is stuck."""
    redis, keys = connect(settings)
    facts = examine(redis, keys)
    found = findings(facts)
    audited = audit(redis, keys) if with_audit else None
    if as_json:
        report: dict[str, Any] = {
            "redis": {"url": _usable_url(settings), "version": facts.version},
            "namespace": settings.namespace,
            "findings": [finding.as_dict() for finding in found],
        }
        if audited is not None:
            report["audit"] = audited.as_dict()
        display.print_json(report)
    else:
        click.echo(f"Redis at {redis.target.shown}, namespace {settings.namespace}")
        _print(found, audited)
    bad = any(finding.level == "bad" for finding in found)
    return 1 if bad or (audited is not None and audited.findings) else 0


def _usable_url(settings: Settings) -> str:
    """Return the URL for other tools; credentials only where the user's own setting has them."""
    if settings.redis_url:
        return settings.redis_url
    parts = urlsplit(redis_url(settings))
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def _print(found: list[Finding], audited: Audit | None) -> None:
    for finding in found:
        mark = click.style(
            _MARKS[finding.level], fg={"ok": "green", "warn": "yellow", "bad": "red"}[finding.level]
        )
        click.echo(f"{mark} {finding.what:<11}{display.one_line(finding.detail)}")
        if finding.remedy and finding.level != "ok":
            click.echo(f"{'':13}→ {finding.remedy}")
    if audited is None:
        return
    mark = click.style(
        *(("✗",) if audited.findings else ("✓",)), fg="red" if audited.findings else "green"
    )
    noun = "run" if audited.checked == 1 else "runs"
    stuck = f"{len(audited.findings)} stuck" if audited.findings else "none stuck"
    rescue = f", {audited.rescues} about to be rescued" if audited.rescues else ""
    click.echo(
        f"{mark} {'audit':<11}{audited.checked} unfinished {noun}, {stuck}{rescue} ({audited.took_ms} ms)"
    )
    for item in audited.findings:
        click.echo(f"{'':13}{item.run} of {item.function} {item.why}")
