"""Threads for blocking code."""

from __future__ import annotations

import subprocess
import sys
import threading
from contextvars import ContextVar

import pytest

from qflow.engine.threads import Threads

WHO: ContextVar[str] = ContextVar("WHO", default="")


def test_results_errors_and_context() -> None:
    threads = Threads()
    WHO.set("me")
    assert threads.run(WHO.get).result(5) == "me"
    with pytest.raises(SystemExit):
        threads.run(sys.exit).result(5)
    assert threads.run(lambda: 1).result(5) == 1


def test_as_many_as_are_busy_and_used_again() -> None:
    threads = Threads()
    barrier = threading.Barrier(40)
    names: set[str] = set()

    def meet() -> int:
        names.add(str(threading.get_ident()))
        return barrier.wait(10)

    for _ in range(3):
        futures = [threads.run(meet) for _ in range(40)]
        assert sorted(future.result(10) for future in futures) == list(range(40))
    assert 40 <= len(names) <= 80


def test_the_interpreter_does_not_wait_for_them() -> None:
    code = (
        "import time; from qflow.engine.threads import Threads; "
        "Threads().run(lambda: time.sleep(60)); print('leaving')"
    )
    said = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=20, check=True
    )
    assert said.stdout == "leaving\n"
