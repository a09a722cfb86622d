"""Starts the process of the sandbox, reads what it tells within bounds, and ends it: all of it.

What it says is untrusted: JSON of a bounded size, shown as text and never acted on.
"""

from __future__ import annotations

import json
import os
import selectors
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Any, Final

from qflow.errors import UsageError

MAX_FOLDER_BYTES: Final = 32 << 20
_MAX_FILE_BYTES: Final = 4 << 20
_NAMESPACES: Final = (
    "--user",
    "--map-root-user",
    "--net",
    "--ipc",
    "--pid",
    "--fork",
    "--kill-child",
)
_BOOT: Final = (
    "import sys; sys.path.append(sys.argv.pop(1)); "
    "from qflow.authoring.sandbox.child import main; main()"
)


@dataclass(frozen=True, slots=True)
class Limits:
    """What the process may use. `wall_s` bounds the whole, `output_kb` what it prints."""

    wall_s: float = 60.0
    cpu_s: int = 30
    memory_mb: int = 1024
    files: int = 128
    processes: int = 64
    file_mb: int = 32
    output_kb: int = 256
    result_kb: int = 8192


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of it: `result` as the process told it or, where it is None, the `problem` in words."""

    result: dict[str, Any] | None
    problem: str
    output: str

    @property
    def ok(self) -> bool:
        """Whether the function ran, ended or waits, in every scenario, and reached for nothing itself."""
        if self.result is None or "scenarios" not in self.result:
            return False
        return not list(problems(self.result))


def run(
    folder: str,
    request: Mapping[str, Any],
    *,
    drafts: Mapping[str, str] | None = None,
    limits: Limits | None = None,
) -> Outcome:
    """Play a function of `folder` in a sandbox; `drafts` are sources that stand over its modules.

    Raises UsageError where there is no such folder (and no drafts for it) or it is too large to copy.
    """
    limits = limits or Limits()
    with tempfile.TemporaryDirectory(prefix="qflow-sandbox-", ignore_cleanup_errors=True) as root:
        package = os.path.join(root, "project", os.path.basename(os.path.abspath(folder)))
        if drafts and not os.path.exists(folder):
            os.makedirs(package)  # the folder comes with its first function
        else:
            _copy(folder, package)
        for name, source in (drafts or {}).items():
            with open(os.path.join(package, name), "w", encoding="utf-8") as file:
                file.write(source)
        prefix = _namespaces()
        asked = {
            "now": datetime.now(UTC).replace(microsecond=0).isoformat(),
            **request,
            "package": package,
            "limits": asdict(limits),
            "held_by": ["namespaces"] if prefix else [],
        }
        with open(os.path.join(root, "request.json"), "w", encoding="utf-8") as file:
            json.dump(asked, file)
        return _Process(root, prefix, limits).outcome()


def problems(result: Mapping[str, Any]) -> list[str]:
    """Return what is wrong with a dry run, one line each; a run that waits for an answer is in order."""
    found = []
    first = result["scenarios"][0]
    for scene in result["scenarios"]:
        name, status = scene["name"], scene["status"]
        if status in ("failed", "cancelled", "refused"):
            expected = first["status"] == status and scene is not first
            if not expected:
                found.append(f"{name}: {status}: {scene['error']}")
        elif name == "crash after each step" and scene["output"] != first["output"]:
            found.append(
                f"{name}: it returned {scene['output']!r:.100}, before {first['output']!r:.100}"
            )
    return found


def _copy(folder: str, package: str) -> None:
    if not os.path.isdir(folder):
        raise UsageError(
            f"no folder of functions at {folder!r}: create it, or name another as PATH"
        )
    total, home = 0, os.path.realpath(folder)
    for root, folders, files in os.walk(folder):
        folders[:] = [n for n in folders if not n.startswith(".") and n != "__pycache__"]
        target = os.path.normpath(os.path.join(package, os.path.relpath(root, folder)))
        os.makedirs(target, exist_ok=True)
        for name in files:
            source = os.path.join(root, name)
            inside = os.path.realpath(source).startswith(home + os.sep)
            if name.startswith(".") or not inside or not os.path.isfile(source):
                continue
            size = os.path.getsize(source)
            if size > _MAX_FILE_BYTES and not name.endswith(".py"):
                continue
            total += size
            if total > MAX_FOLDER_BYTES:
                raise UsageError(
                    f"folder {folder!r} has more than {MAX_FOLDER_BYTES >> 20} MiB to copy into the sandbox: "
                    "keep data elsewhere"
                )
            shutil.copyfile(source, os.path.join(target, name))


@cache
def _namespaces() -> tuple[str, ...]:
    """Return the command that starts a process without a network, where this system allows it."""
    unshare = shutil.which("unshare")
    if not unshare or sys.platform != "linux":
        return ()
    prefix = (unshare, *_NAMESPACES)
    try:
        done = subprocess.run([*prefix, "true"], capture_output=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ()
    return prefix if done.returncode == 0 else ()


class _Process:
    """One process, from its start to its end."""

    def __init__(self, root: str, prefix: tuple[str, ...], limits: Limits) -> None:
        self._limits = limits
        self._texts = {"out": bytearray(), "told": bytearray()}
        self._most = {"out": limits.output_kb << 10, "told": limits.result_kb << 10}
        told, tell = os.pipe()
        package = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
        command = [
            *prefix, sys.executable, "-I", "-B", "-X", "utf8", "-c", _BOOT,
            os.path.dirname(package), root, str(tell),
        ]  # fmt: skip
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=os.path.join(root, "project"),
            env={"HOME": root, "TMPDIR": root, "LANG": "C.UTF-8", "SQLITE_TMPDIR": root},
            pass_fds=(tell,),
            start_new_session=True,
        )
        os.close(tell)
        self._told = told

    def outcome(self) -> Outcome:
        """Read until it ends, says too much or takes too long; then end all of it."""
        try:
            problem = self._read()
        finally:
            self._end()
        output = self._texts["out"].decode("utf-8", "replace")
        if problem:
            return Outcome(None, problem, output)
        try:
            result = json.loads(self._texts["told"])
        except ValueError:
            return Outcome(None, self._died(), output)
        if not isinstance(result, dict):
            return Outcome(None, "it told nothing that can be read", output)
        if "problem" in result:
            return Outcome(result, str(result["problem"]), output)
        return Outcome(result, "", output)

    def _read(self) -> str:
        ends = time.monotonic() + self._limits.wall_s
        assert self._process.stdout is not None
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.stdout, selectors.EVENT_READ, "out")
            selector.register(self._told, selectors.EVENT_READ, "told")
            while selector.get_map():
                left = ends - time.monotonic()
                if left <= 0:
                    return f"it ran longer than {self._limits.wall_s:g} s and was ended"
                for key, _ in selector.select(left):
                    chunk = os.read(key.fd, 1 << 16)
                    if not chunk:
                        selector.unregister(key.fileobj)
                        continue
                    kept = self._texts[key.data]
                    kept += chunk
                    if len(kept) > self._most[key.data]:
                        del kept[self._most[key.data] :]
                        return (
                            f"it printed more than {self._most[key.data] >> 10} KiB and was ended"
                        )
        return ""

    def _end(self) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        os.close(self._told)
        if self._process.stdout is not None:
            self._process.stdout.close()

    def _died(self) -> str:
        code = self._process.returncode
        last = self._texts["out"].decode("utf-8", "replace").strip().splitlines()[-1:]
        said = f": {last[0][:300]}" if last else ""
        limits = self._limits
        return (
            f"its process ended without a result (exit {code}); it may use {limits.cpu_s} s of CPU and "
            f"{limits.memory_mb} MiB of memory{said}"
        )
