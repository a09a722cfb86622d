"""The pytest plugin: fixtures for tests of durable functions.

pytest loads it wherever qflow is installed, so it imports nothing of qflow until a fixture is asked for.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from qflow.app import App
    from qflow.testing.harness import Harness

_HOW = 'write qflow_app = "workers.client:app" in pytest\'s settings, or a fixture qflow_app of your own'


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the setting `qflow_app`."""
    parser.addini(
        "qflow_app",
        'the App under test, such as "workers.client:app"; its whole folder is imported',
    )


def pytest_configure(config: pytest.Config) -> None:
    """Add the marker `qflow`."""
    config.addinivalue_line(
        "markers", "qflow(**options): options of the Harness that qflow_world is, such as now="
    )


@pytest.fixture(scope="session")
def qflow_app(request: pytest.FixtureRequest) -> App:
    """The App that the setting `qflow_app` names, with all functions of its folder."""
    named = str(request.config.getini("qflow_app"))
    module_name, _, attribute = named.partition(":")
    if not module_name or not attribute:
        raise pytest.UsageError(f"qflow_app is {named!r}: {_HOW}" if named else f"{_HOW}")
    return _load(request.config.rootpath, module_name, attribute)


@pytest.fixture
def qflow_world(qflow_app: App, request: pytest.FixtureRequest) -> Iterator[Harness]:
    """A Harness of `qflow_app`; `@pytest.mark.qflow(now=…, always_replay=True)` gives it options."""
    from qflow.testing.harness import Harness

    marker = request.node.get_closest_marker("qflow")
    with Harness(qflow_app, **(marker.kwargs if marker else {})) as world:
        yield world


def _load(root: Path, module_name: str, attribute: str) -> App:
    """Import the App, and the modules beside it, as a worker does."""
    from qflow.app import App
    from qflow.services.loader import load

    package = module_name.rpartition(".")[0]
    if package and "." not in package and (root / package).is_dir():
        load(str(root / package))
    elif str(root) not in sys.path:
        sys.path.insert(0, str(root))
    found = getattr(importlib.import_module(module_name), attribute, None)
    if not isinstance(found, App):
        raise pytest.UsageError(f"qflow_app: {module_name} has no App {attribute!r}; {_HOW}")
    return found
