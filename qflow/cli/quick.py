"""Answers what scripts ask in a loop: `qflow functions show ID --json`.

Loading the command-line parser takes a third of that command's time, and whoever polls takes it from
the workers beside; so this one shape is answered without. A test holds the answers to be the same.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from qflow.errors import QflowError


def answer(arguments: Sequence[str]) -> bool:
    """Answer a command line of that shape, or return False."""
    match arguments:
        case ["functions", "show", function, "--json"] if not function.startswith("-"):
            code = _show_function(function)
            if code:
                sys.exit(code)
            return True
    return False


def _show_function(function: str) -> int:
    from qflow.cli import endings
    from qflow.cli.display import print_json
    from qflow.read import functions
    from qflow.store.keys import Keys
    from qflow.store.redis import Redis

    try:
        url, namespace = _place()
        redis, keys = Redis(url), Keys(namespace)
        print_json(functions.function(redis, keys, function).as_dict())
        sys.stdout.flush()
    except QflowError as error:
        return endings.report(error)
    except BrokenPipeError:
        return endings.hush()
    except KeyboardInterrupt:
        return endings.INTERRUPTED
    return 0


def _place() -> tuple[str, str]:
    """Return URL and namespace; the table of settings is loaded only where it has something to say."""
    from qflow import discovery

    files = map(os.path.exists, ("pyproject.toml", "qflow.toml"))
    if any(files) or "QFLOW_NAMESPACE" in os.environ:
        from qflow import config

        settings = config.load()
        return discovery.redis_url(settings), settings.namespace
    url = os.environ.get("QFLOW_REDIS_URL") or discovery.recorded_url() or discovery.DEFAULT_URL
    return url, "qflow"
