"""Settings: one table gives defaults, environment names, TOML keys, flags and the docs.

Order of precedence: flags, `QFLOW_*` variables, `[tool.qflow]` in pyproject.toml or `qflow.toml`
in the current folder, defaults. Only the composition roots (app, cli, dev) see Settings; what lies
below receives the values it needs.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Final

from qflow.errors import ConfigError, DefinitionError


def _option(default: Any, help: str, kind: str = "text") -> Any:  # noqa: A002
    return field(default=default, metadata={"help": help, "kind": kind})


@dataclass(frozen=True)
class Settings:
    """Every setting, with its default. Durations are kept as text and read with `ms`."""

    redis_url: str = _option(
        "",
        "Redis to use: `redis://`, `rediss://` (TLS), `unix://` or `redis+sentinel://host:port,…/service`. "
        "Empty: the Redis that `qflow dev` started in this folder, else `redis://127.0.0.1:6379/0`.",
    )
    namespace: str = _option("qflow", "Prefix of every key and name of the RQ queue.")
    path: str = _option("workers", "Folder of functions.")
    lease: str = _option(
        "30s", "A worker that is silent for this long is dead; its jobs go to others.", "duration"
    )
    slots: int = _option(10, "Steps that one worker process executes at once.", "count")
    processes: int = _option(1, "Worker processes that `qflow worker` starts.", "count")
    grace: str = _option(
        "25s",
        "On SIGTERM, time that running steps get before their jobs are given back.",
        "duration",
    )
    time_slice: str = _option(
        "1s", "After this long a run's next step goes to the queue if others wait.", "duration"
    )
    retention: str = _option("7d", "Ended runs are kept this long.", "duration")
    retention_failed: str = _option("30d", "Failed runs are kept this long.", "duration")
    step_log: int = _option(
        64,
        "KiB of what each attempt of a step prints and logs that its run keeps, at most 1024; 0: nothing.",
        "kib",
    )
    event_retention: str = _option("7d", "Events are kept this long.", "duration")
    rq_ttl: str = _option(
        "500s", "Finished RQ jobs are kept this long (RQ's own default).", "duration"
    )
    metrics_port: int = _option(0, "Port of `/metrics` on the loopback address; 0: none.", "port")
    metrics_host: str = _option("127.0.0.1", "Address that `/metrics` listens on.")
    dashboard_host: str = _option("127.0.0.1", "Address that the dashboard listens on.")
    dashboard_port: int = _option(8288, "Port of the dashboard.", "port")
    dashboard_prefix: str = _option("", "Path that the dashboard lives under, such as `/qflow`.")
    dashboard_tokens: str = _option(
        "",
        "Who may use the dashboard: `name:role:secret,…`, a role of viewer, operator, admin. "
        "Empty: this machine only.",
    )
    event_keys: str = _option(
        "", "Keys that `POST /e/<key>` takes, separated by commas. Empty: any, without tokens only."
    )
    masked: str = _option(
        "*password*,*passwd*,*passphrase*,*secret*,*token,*authorization,*api_key,*private_key,"
        "*credential*,cookie,set_cookie,card_number,cvc,cvv,ssn",
        "Fields whose values dashboard, API, agents and models are not shown: names, with `*` "
        "anywhere, or ends of paths such as `card.number`; case, `_` and `-` do not matter.",
    )
    unmask: str = _option(
        "nobody", "Who may have masked values shown: `nobody` or `admin`; it is audited.", "unmask"
    )
    mcp_port: int = _option(8289, "Port of `qflow mcp --http`, on the loopback address.", "port")
    ai_provider: str = _option(
        "auto",
        "Who turns words into workflows: `offline` (rules, no model), `openai` (any compatible service), "
        "`anthropic`, or `auto`: the model that the other settings name, else offline.",
        "provider",
    )
    ai_base_url: str = _option(
        "",
        "The model's service, such as `http://127.0.0.1:11434/v1` (Ollama). Empty: the provider's own.",
    )
    ai_model: str = _option("", "The model to ask.")
    ai_key: str = _option("", "Its key; set the variable, not a file that others read.")
    ai_timeout: str = _option("60s", "Each answer of a model may take this long.", "duration")
    log_format: str = _option(
        "auto", "`console`, `json`, or `auto`: console on a terminal, else json.", "log"
    )
    log_level: str = _option("info", "`debug`, `info`, `warning` or `error`.", "level")
    crash_at: str = _option("", "Tests only: end the process at this crash point.")

    def __post_init__(self) -> None:
        problems = [
            problem
            for f in fields(self)
            if (value := getattr(self, f.name)) != f.default
            and (problem := _problem(f.name, value, f.metadata))
        ]
        if problems:
            raise ConfigError("; ".join(problems))

    @property
    def kept_s(self) -> tuple[int, int]:
        """How long RQ's ended jobs and runs that ended without an error are kept, in seconds."""
        return max(1, self.ms("rq_ttl") // 1000), self.ms("retention") // 1000

    def ms(self, name: str) -> int:
        """Return a duration setting in milliseconds."""
        from qflow.core.durations import to_ms  # commands that read no duration start without it

        return to_ms(getattr(self, name), name)


_NAMESPACE: Final = re.compile(r"[A-Za-z0-9_.\-]{1,64}|\{[A-Za-z0-9_.:\-]{1,64}\}")
_CHOICES: Final = {
    "provider": ("auto", "offline", "openai", "anthropic"),
    "log": ("auto", "console", "json"),
    "level": ("debug", "info", "warning", "error"),
    "unmask": ("nobody", "admin"),
}


def _problem(name: str, value: Any, metadata: Mapping[str, str]) -> str:
    kind = metadata["kind"]
    env = env_name(name)
    if kind == "duration":
        from qflow.core.durations import to_ms

        try:
            if to_ms(value, name) < 100:
                return f"{env}={value!r}: at least 100ms"
        except DefinitionError as error:
            return f"{env}: {error}"
    if kind == "count" and value < 1:
        return f"{env}={value}: at least 1"
    if kind == "kib" and not 0 <= value <= 1024:
        return f"{env}={value}: from 0 to 1024 KiB"
    if kind == "port" and not 0 <= value <= 65535:
        return f"{env}={value}: a port lies between 0 and 65535"
    if kind in _CHOICES and value not in _CHOICES[kind]:
        return f"{env}={value!r}: one of {', '.join(_CHOICES[kind])}"
    if name == "namespace" and not _NAMESPACE.fullmatch(value):
        return f"{env}={value!r}: letters, digits, '_', '.' and '-' only, at most 64"
    return ""


def env_name(name: str) -> str:
    """Return the environment variable of a setting."""
    return "QFLOW_" + name.upper()


def load(
    flags: Mapping[str, Any] | None = None,
    environ: Mapping[str, str] | None = None,
    folder: str | None = None,
) -> Settings:
    """Return the settings from `flags` (None values are unset), environment and files.

    Raises ConfigError, naming every bad setting and where it stands.
    """
    environ = os.environ if environ is None else environ
    values: dict[str, Any] = {}
    known = {f.name: f for f in fields(Settings)}
    for source, found in _from_files(folder or os.getcwd()):
        for key, value in found.items():
            name = key.replace("-", "_")
            if name not in known:
                raise ConfigError(f"{source}: unknown setting {key!r}; one of {', '.join(known)}")
            values[name] = _typed(name, value, source)
    for name in known:
        text = environ.get(env_name(name))
        if text is not None:
            values[name] = _typed(name, text, env_name(name))
    for name, value in (flags or {}).items():
        if value is not None:
            values[name] = _typed(name, value, f"--{name.replace('_', '-')}")
    return Settings(**values)


def _from_files(folder: str) -> list[tuple[str, dict[str, Any]]]:
    found = []
    for file, keys in (("pyproject.toml", ("tool", "qflow")), ("qflow.toml", ())):
        path = os.path.join(folder, file)
        if not os.path.isfile(path):
            continue
        import tomllib  # only where there is a file: producers start faster without

        try:
            with open(path, "rb") as opened:
                table: Any = tomllib.load(opened)
        except (tomllib.TOMLDecodeError, OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"{path}: {error}") from None
        for key in keys:
            table = table.get(key, {})
        if table:
            found.append((path, table))
    return found


def _typed(name: str, value: Any, source: str) -> Any:
    if isinstance(getattr(Settings, name), int):
        try:
            return int(value)
        except (TypeError, ValueError):
            raise ConfigError(f"{source}: {name} must be a whole number, not {value!r}") from None
    return str(value)
