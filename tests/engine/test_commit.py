"""Group commit: every writer gets its own replies, whoever wrote for it."""

from __future__ import annotations

import asyncio
import random
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from qflow.engine import commit
from qflow.engine.commit import Committer
from qflow.errors import RedisUnavailable
from qflow.store.keys import Keys
from qflow.store.redis import Redis
from qflow.store.script import Call


class Recorder:
    """Stands where the one round trip is made: notes the batches, and answers after a while."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.batches: list[list[Call]] = []
        self.hold = threading.Event()
        self.hold.set()
        self.entered = threading.Semaphore(0)
        self.fails = False
        monkeypatch.setattr(commit, "run_all", self.run_all)

    def run_all(self, _redis: Redis, calls: Sequence[Call]) -> list[Any]:
        self.batches.append(list(calls))
        self.entered.release()
        assert self.hold.wait(10)
        time.sleep(random.random() * 0.0005)
        if self.fails:
            raise RedisUnavailable("gone")
        return [call.args[0] for call in calls]


@pytest.fixture
def recorder(monkeypatch: pytest.MonkeyPatch) -> Recorder:
    return Recorder(monkeypatch)


@pytest.fixture
def committer(redis: Redis) -> Committer:
    return Committer(redis)


def wait_until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.001)


def call(*what: object) -> Call:
    return Call("none", (), (what,))


def test_threads_and_tasks_each_get_their_own(committer: Committer, recorder: Recorder) -> None:
    wrong: list[object] = []

    def thread(name: int) -> None:
        for n in range(300):
            mine = [call(name, n, part) for part in range(1 + n % 3)]
            if committer.submit(mine) != [each.args[0] for each in mine]:
                wrong.append((name, n))

    async def task(name: int) -> None:
        for n in range(100):
            if await committer.asubmit([call("task", name, n)]) != [("task", name, n)]:
                wrong.append((name, n))

    async def tasks() -> None:
        await asyncio.gather(*(task(n) for n in range(8)))

    threads = [threading.Thread(target=thread, args=(n,), daemon=True) for n in range(8)]
    threads.append(threading.Thread(target=lambda: asyncio.run(tasks()), daemon=True))
    for each in threads:
        each.start()
    for each in threads:
        each.join(60)
        assert not each.is_alive(), "somebody waits for ever"
    assert not wrong
    written = [each for batch in recorder.batches for each in batch]
    assert len(written) == len(set(written)) == 8 * 600 + 800
    assert len(recorder.batches) < len(written), "some were written together"
    assert committer._leaders == 0


def test_what_queues_up_meanwhile_goes_together(committer: Committer, recorder: Recorder) -> None:
    recorder.hold.clear()
    threads = [
        threading.Thread(target=committer.submit, args=([call(n)],), daemon=True) for n in range(9)
    ]
    for each in threads:
        each.start()
    recorder.entered.acquire(timeout=5)
    deadline = time.monotonic() + 5
    while len(committer._queue) + len(recorder.batches) < 9 and time.monotonic() < deadline:
        time.sleep(0.001)
    recorder.hold.set()
    for each in threads:
        each.join(10)
        assert not each.is_alive()
    assert len(recorder.batches) <= 4


def test_a_second_leader_writes_only_for_several(committer: Committer, recorder: Recorder) -> None:
    recorder.hold.clear()
    threads = [
        threading.Thread(target=committer.submit, args=([call(n)],), daemon=True)
        for n in range(1 + commit._WORTHWHILE)
    ]
    threads[0].start()
    assert recorder.entered.acquire(timeout=5)
    for waiting, each in enumerate(threads[1:-1], start=1):
        each.start()
        wait_until(lambda waiting=waiting: len(committer._queue) == waiting)  # type: ignore[misc]
    assert len(recorder.batches) == 1
    threads[-1].start()
    assert recorder.entered.acquire(timeout=5)
    assert [len(batch) for batch in recorder.batches] == [1, commit._WORTHWHILE]
    recorder.hold.set()
    for each in threads:
        each.join(10)
        assert not each.is_alive()
    assert committer._leaders == 0


def test_tasks_of_a_batch_wake_their_loop_once(
    committer: Committer, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> int:
        loop = asyncio.get_running_loop()
        recorder.hold.clear()
        first = asyncio.ensure_future(committer.asubmit([call(0)]))
        await loop.run_in_executor(None, recorder.entered.acquire)
        rest = [asyncio.ensure_future(committer.asubmit([call(n)])) for n in range(1, 6)]
        await asyncio.sleep(0)
        woken: list[object] = []
        wake = loop.call_soon_threadsafe

        def counted(fn: Any, *args: Any) -> asyncio.Handle:
            woken.append(fn)
            return wake(fn, *args)

        monkeypatch.setattr(loop, "call_soon_threadsafe", counted)
        recorder.hold.set()
        found = await asyncio.gather(first, *rest)
        assert found == [[(n,)] for n in range(6)]
        return len(woken)

    assert asyncio.run(main()) == 2
    assert len(recorder.batches) == 2


def test_a_failure_reaches_every_writer_and_the_next_goes_through(
    committer: Committer, recorder: Recorder
) -> None:
    recorder.fails = True
    errors: list[str] = []

    def write() -> None:
        try:
            committer.submit([call("x")])
        except RedisUnavailable as error:
            errors.append(str(error))

    threads = [threading.Thread(target=write, daemon=True) for _ in range(6)]
    for each in threads:
        each.start()
    for each in threads:
        each.join(10)
    assert errors == ["gone"] * 6

    async def awrite() -> None:
        with pytest.raises(RedisUnavailable):
            await committer.asubmit([call("x")])

    asyncio.run(awrite())
    recorder.fails = False
    assert committer.submit([call("y")]) == [("y",)]


def test_a_cancelled_task_does_no_harm(committer: Committer, recorder: Recorder) -> None:
    async def main() -> None:
        recorder.hold.clear()
        task = asyncio.ensure_future(committer.asubmit([call("a")]))
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        recorder.hold.set()
        assert await committer.asubmit([call("b")]) == [("b",)]

    asyncio.run(main())


def test_against_redis(committer: Committer, keys: Keys) -> None:
    bid = Call("lead", (keys.leader,), ("a", 1000, 0))
    first, second = committer.submit([bid, bid])
    assert first[0] == second[0] == 1
