"""`qflow doctor`: what is right and wrong, with remedies."""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import urlsplit, urlunsplit

import click

from qflow.cli import display
from qflow.cli.context import CONNECTION, as_json, connect, with_settings
from qflow.config import Settings
from qflow.discovery import redis_url
from qflow.read.audit import Audit, audit
from qflow.read.doctor import Finding, examine, findings

_MARKS: Final = {"ok": "✓", "warn": "!", "bad": "✗"}
_INDENT: Final = 13


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
        _line(finding.level, finding.what, finding.detail)
        if finding.remedy:
            _continue(f"→ {finding.remedy}")
    if audited is None:
        return
    noun = "run" if audited.checked == 1 else "runs"
    stuck = f"{len(audited.findings)} stuck" if audited.findings else "none stuck"
    rescue = f", {audited.rescues} about to be rescued" if audited.rescues else ""
    detail = f"{audited.checked} unfinished {noun}, {stuck}{rescue} ({audited.took_ms} ms)"
    _line("bad" if audited.findings else "ok", "audit", detail)
    for item in audited.findings:
        _continue(f"{item.run} of {item.function} {item.why}")


def _line(level: str, what: str, detail: str) -> None:
    first, *rest = _wrapped(detail)
    click.echo(f"{click.style(_MARKS[level], fg=display.ansi(level))} {what:<{_INDENT - 2}}{first}")
    for line in rest:
        click.echo(" " * _INDENT + line)


def _continue(text: str) -> None:
    for line in _wrapped(text):
        click.echo(" " * _INDENT + line)


def _wrapped(text: str) -> list[str]:
    from textwrap import wrap

    return wrap(display.one_line(text), display.WIDTH - _INDENT) or [""]
