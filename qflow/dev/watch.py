"""Notices changed code: any .py file under a folder that was written, added, renamed or removed."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final

_LOOK_MS: Final = 1000
_STEP_MS: Final = 30

Stamp = dict[str, tuple[int, int]]


class Watcher:
    """Calls `changed` from a thread of its own, with the paths, some 50 ms after files changed.

    The file system's notices only say when to look. What counts are the files' times and sizes, by
    the second at the latest: so it also works where no notices come (some network drives), and no
    change is missed that came before the first notice could, or while the folder was replaced.
    """

    def __init__(self, folder: Path, changed: Callable[[list[str]], None]) -> None:
        self._folder = folder
        self._changed = changed
        self._stop = threading.Event()
        self._seen = stamp(folder)
        self._thread = threading.Thread(target=self._watch, name="watch", daemon=True)

    def start(self) -> None:
        """Begin to watch; changes since the watcher was made count too."""
        self._thread.start()

    def stop(self) -> None:
        """Watch no more."""
        self._stop.set()

    def _watch(self) -> None:
        from watchfiles import (
            PythonFilter,
            watch,
        )  # 100 ms, that the first event should not wait for

        while not self._stop.is_set():
            try:
                for _ in watch(
                    self._folder,
                    watch_filter=PythonFilter(),
                    step=_STEP_MS,
                    debounce=_LOOK_MS,
                    rust_timeout=_LOOK_MS,
                    yield_on_timeout=True,
                    stop_event=self._stop,
                    raise_interrupt=False,
                ):
                    self._compare()
                    if not self._folder.is_dir():
                        break
            except (OSError, RuntimeError):  # the folder is gone, or the system has no notices left
                self._compare()
            self._stop.wait(_LOOK_MS / 1000)

    def _compare(self) -> None:
        now, before = stamp(self._folder), self._seen
        self._seen = now
        paths = [path for path in {**before, **now} if before.get(path) != now.get(path)]
        if paths and not self._stop.is_set():
            self._changed(sorted(paths))


def stamp(folder: Path) -> Stamp:
    """Return time and size of every .py file under `folder`."""
    found: Stamp = {}
    for path in folder.rglob("*.py"):
        try:
            status = path.stat()
        except OSError:  # removed a moment ago
            continue
        found[str(path.relative_to(folder))] = (status.st_mtime_ns, status.st_size)
    return found
