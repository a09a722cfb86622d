"""The process inside the sandbox: gives up what it may do, imports the functions, plays one, tells.

Started by `cage` with the folder of the sandbox and the descriptor that the result goes to. What comes out
of here was written by code that nobody trusts.
"""

from __future__ import annotations

import json
import os
import resource
import site
import sys
import sysconfig
import traceback
from typing import Any

from qflow.authoring.sandbox.kernel import confine
from qflow.authoring.sandbox.rehearsal import rehearse
from qflow.authoring.sandbox.sample import sample
from qflow.authoring.sandbox.watch import Watch
from qflow.services import loader


def main() -> None:
    """Play what `request.json` in the folder asks for."""
    folder, told = sys.argv[1], int(sys.argv[2])
    with open(os.path.join(folder, "request.json"), encoding="utf-8") as file:
        request: dict[str, Any] = json.load(file)
    _limit(request["limits"])
    readable = _readable()
    watch = Watch(readable, folder)
    held = confine(readable, folder)
    watch.begin()
    answer = _played(request, watch)
    answer["held_by"] = [*request.get("held_by", ()), *held, "audit hook", "limits"]
    text = json.dumps(answer, default=repr)
    with os.fdopen(told, "w", encoding="utf-8") as out:
        out.write(text)
    sys.stdout.flush()
    os._exit(0)  # threads of the code's own are not waited for


def _played(request: dict[str, Any], watch: Watch) -> dict[str, Any]:
    try:
        functions, apps = loader.load(request["package"])
    except BaseException as error:  # noqa: BLE001  # even a SystemExit at import
        return {**_refusal("import", error), "reached": _reached(watch)}
    function = functions.get(request["function"])
    if function is None:
        known = ", ".join(sorted(functions)) or "none"
        problem = f"there is no function {request['function']!r}; there are: {known}"
        return {"problem": problem, "unknown": request["function"]}
    try:
        if not any(request.get(name) for name in ("event", "data", "history")):
            request["data"] = sample(function)
        return {**rehearse(apps, request, watch), "data": request.get("data")}
    except BaseException as error:  # noqa: BLE001
        return _refusal("run", error)


def _refusal(phase: str, error: BaseException) -> dict[str, Any]:
    last = traceback.extract_tb(error.__traceback__)[-1:]
    where = f" ({os.path.basename(last[0].filename)}:{last[0].lineno})" if last else ""
    return {"problem": f"{phase}: {type(error).__name__}: {error}{where}"[:4000]}


def _reached(watch: Watch) -> list[str]:
    return [f"{c.kind}: {c.what}" for c in list(watch.contacts)[:20]]


def _limit(limits: dict[str, int]) -> None:
    for name, value in (
        ("RLIMIT_CPU", limits["cpu_s"]),
        ("RLIMIT_AS", limits["memory_mb"] << 20),
        ("RLIMIT_NOFILE", limits["files"]),
        ("RLIMIT_NPROC", limits["processes"]),
        ("RLIMIT_FSIZE", limits["file_mb"] << 20),
        ("RLIMIT_CORE", 0),
    ):
        kind = getattr(resource, name)
        _soft, hard = resource.getrlimit(kind)
        most = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(kind, (most, most))


def _readable() -> list[str]:
    """Return the folders that imports need."""
    paths = [*sysconfig.get_paths().values(), sys.prefix, sys.base_prefix, *site.getsitepackages()]
    qflow = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    system = ["/usr/lib", "/usr/lib64", "/usr/share/zoneinfo", "/lib", "/lib64", "/etc/ssl"]
    files = ["/etc/localtime", "/etc/ld.so.cache", "/etc/mime.types"]
    return sorted({p for p in [*paths, qflow, *system, *files] if p not in ("/", "/usr")})


if __name__ == "__main__":
    main()
