"""What commands share: flags that come from the table of settings, and the connection to Redis."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import fields
from functools import wraps
from typing import TYPE_CHECKING, Any, Final

import click

from qflow import config
from qflow.config import Settings
from qflow.core.sealed import KEYS_VARIABLE
from qflow.discovery import redis_url
from qflow.store.keys import Keys
from qflow.store.redis import Redis

if TYPE_CHECKING:
    from qflow.core.middleware import Hooks
    from qflow.read.opened import Opener

CONNECTION: Final = ("redis_url", "namespace")

_OPTIONS: Final = {option.name: option for option in fields(Settings)}


def with_settings(*names: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Give a command the flags of the settings `names`, and the settings as its first argument."""

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(command)
        def run(**values: Any) -> Any:
            flags = {name: values.pop(name) for name in names}
            if "path" in values:
                flags["path"] = values.pop("path")
            return command(config.load(flags), **values)

        flagged: Callable[..., Any] = run
        for name in reversed(names):
            flagged = _flag(name)(flagged)
        return flagged

    return decorate


def _flag(name: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    option = _OPTIONS[name]
    shown = f" [default: {option.default}]" if option.default else ""
    help_text = option.metadata["help"].replace("`", "") + shown
    flag = "--" + name.replace("_", "-")
    return click.option(flag, name, metavar=option.metadata["kind"].upper(), help=help_text)


as_json: Final = click.option("--json", "as_json", is_flag=True, help="Print JSON; times in ms.")
path: Final = click.argument("path", required=False, metavar="[PATH]")


def connect(settings: Settings) -> tuple[Redis, Keys]:
    """Return the client of a command: it says at once where Redis is out of reach."""
    return Redis(redis_url(settings)), Keys(settings.namespace)


def opener() -> Opener:
    """Return what shows encrypted values: opened where the environment has their key, else marked.

    Raises ConfigError for keys that cannot be used.
    """
    from qflow.read.opened import Opener

    if not os.environ.get(KEYS_VARIABLE):
        return Opener()
    from qflow.encryption import Encryption  # loads OpenSSL

    return Opener(Encryption().decode)


def hooks() -> Hooks | None:
    """Return what encodes results anew that are encrypted, None where the environment has no key.

    Raises ConfigError for keys that cannot be used.
    """
    if not os.environ.get(KEYS_VARIABLE):
        return None
    from qflow.core.middleware import Hooks
    from qflow.encryption import Encryption

    return Hooks([Encryption()])
