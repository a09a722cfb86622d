"""Steps side by side: groups of async handlers, branches and maps of sync ones, on any worker."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter

from cases.world import FAST, World

from qflow import Event, NonRetriableError, Step, StepError, SyncStep


def test_steps_of_a_gather_run_at_the_same_time(world: World) -> None:
    barrier = threading.Barrier(4)

    @world.app.function("many", trigger="go")
    async def many(step: Step) -> list[int]:
        await asyncio.gather(*(step.run(f"s{n}", barrier.wait, 10) for n in range(4)))
        return await asyncio.gather(*(step.run("t", lambda n=n: n) for n in range(4)))

    world.worker()
    run = world.outcome("many", "go")
    assert run.output == [0, 1, 2, 3]
    assert run.fields["forked"] == "1"
    assert world.redis.call("EXISTS", world.keys.forks, world.keys.open(run.id)) == 0
    for key in (world.keys.waits(run.id), world.keys.order(run.id)):
        assert world.redis.call("TTL", key) != -1


def test_every_kind_in_one_group(world: World) -> None:
    flaky = Counter[str]()

    def fails_once() -> str:
        flaky["ran"] += 1
        if flaky["ran"] == 1:
            raise ValueError("once")
        return "flaky"

    @world.app.function("child", trigger="never")
    def child() -> str:
        return "child"

    @world.app.function("many", trigger="go", backoff=FAST)
    async def many(step: Step) -> list[object]:
        async def chain() -> object:
            first = await step.run("first", lambda: 1)
            await step.sleep("nap", 0.05)
            return await step.run("second", lambda: first + 1)

        event, signal, *rest = await asyncio.gather(
            step.wait_for_event("event", "said", timeout="1m"),
            step.wait_for_signal("signal", "door", timeout="1m"),
            step.invoke("child", child),
            step.run("flaky", fails_once),
            step.send_event("send", Event("said", data={"n": 5})),
            chain(),
            step.sleep("long", 0.2),
        )
        return [event and event.data["n"], signal, *rest[:2], *rest[3:]]

    world.worker()
    sent = world.send("go")
    world.until(lambda: world.app.signal("door", "open"))
    assert world.ended(sent, "many").output == [5, "open", "child", "flaky", 2, None]


def test_branches_of_a_sync_handler(world: World) -> None:
    entered = []
    barrier = threading.Barrier(2)

    @world.app.function("many", trigger="go")
    def many(step: SyncStep) -> object:
        def chain(n: int) -> int:
            step.run("meet", barrier.wait, 10)
            step.sleep("nap", 0.02)
            return step.run("double", lambda: n * 2)

        def nested() -> list[int]:
            return step.parallel(lambda: step.run("x", lambda: 7), lambda: 8)

        before = step.run("before", lambda: 1)
        results = step.parallel(lambda: chain(1), lambda: chain(2), nested, lambda: "plain")
        entered.append(1)
        return [before, *results, step.run("after", lambda: "end")]

    world.worker()
    run = world.outcome("many", "go")
    assert run.output == [1, 2, 4, [7, 8], "plain", "end"]
    ids = {"before", "meet", "meet:1", "nap", "nap:1", "double", "double:1", "x", "after"}
    assert set(run.steps) == ids
    assert entered == [1], "the code after the group is entered once"


def test_a_map_with_a_limit(world: World) -> None:
    now, most = [], []

    def square(n: int) -> int:
        now.append(n)
        most.append(len(now))
        threading.Event().wait(0.02)
        now.remove(n)
        return n * n

    @world.app.function("sync", trigger="go")
    def sync(step: SyncStep) -> list[int]:
        return step.map("square", square, range(8), limit=2)

    @world.app.function("async", trigger="ago")
    async def asynchronous(step: Step) -> list[int]:
        return await step.map("square", square, range(8), limit=2)

    @world.app.function("one", trigger="one")
    def one(step: SyncStep) -> list[int]:
        return step.map("square", square, range(3), limit=1)

    world.worker()
    for function, event in (("sync", "go"), ("async", "ago")):
        most.clear()
        run = world.outcome(function, event)
        assert run.output == [n * n for n in range(8)]
        assert sorted(run.steps) == ["square", *(f"square:{n}" for n in range(1, 8))]
        assert max(most) == 2
    assert world.outcome("one", "one").output == [0, 1, 4]


def test_a_failing_branch(world: World) -> None:
    ended = []

    def bad() -> None:
        raise NonRetriableError("bad")

    @world.app.function("sync", trigger="go")
    def sync(step: SyncStep) -> str:
        try:
            step.parallel(
                lambda: step.run("bad", bad), lambda: step.run("good", lambda: ended.append(1))
            )
        except StepError as error:
            return f"{error.step_id} {error.message} {len(ended)}"
        return ""

    @world.app.function("maps", trigger="go", retries=1, backoff=FAST)
    def maps(step: SyncStep) -> str:
        try:
            step.map("item", lambda n: 1 // n, [1, 0, 2])
        except StepError as error:
            return error.step_id
        return ""

    @world.app.function("uncaught", trigger="go", retries=0)
    async def uncaught(step: Step) -> None:
        await asyncio.gather(step.run("bad", bad), step.run("other", bad))

    world.worker()
    sent = world.send("go")
    assert world.ended(sent, "sync").output == "bad bad 1"
    assert world.ended(sent, "maps").output == "item:1"
    assert world.ended(sent, "uncaught").error["name"] == "NonRetriableError"


def test_a_cancelled_branch_is_dropped(world: World) -> None:
    @world.app.function("many", trigger="go")
    async def many(step: Step) -> str:
        long = asyncio.create_task(step.sleep("long", "1h"))
        wait = asyncio.create_task(step.wait_for_signal("wait", "door"))
        await step.run("first", lambda: 1)
        await asyncio.sleep(0.05)
        long.cancel()
        wait.cancel()
        return await step.run("last", lambda: "done")

    world.worker()
    run = world.outcome("many", "go")
    assert run.output == "done"
    assert world.redis.call("ZCARD", world.keys.scheduled) == 0
    assert world.redis.call("EXISTS", world.keys.signal("door")) == 0


def test_a_race_has_one_winner_on_every_entry(world: World) -> None:
    seen = []
    gate = threading.Event()

    @world.app.function("race", trigger="go")
    async def race(step: Step) -> str:
        slow = asyncio.create_task(step.run("slow", gate.wait, 10))
        quick = asyncio.create_task(step.run("quick", lambda: 1))
        done, _ = await asyncio.wait({slow, quick}, return_when=asyncio.FIRST_COMPLETED)
        winner = "quick" if quick in done and slow not in done else "slow"
        seen.append(winner)
        step_result = await step.run(f"won by {winner}", lambda: winner)
        await slow
        await step.sleep("nap", 0.02)  # the handler is entered again after this
        return step_result

    world.worker()
    sent = world.send("go")
    run = world.run_of(sent, "race")
    world.until(lambda: world.redis.call("HEXISTS", world.keys.steps(run), "won by quick"))
    gate.set()
    ended = world.ended(sent, "race")
    assert ended.output == "quick"
    assert set(seen) == {"quick"} and len(seen) >= 2
    assert "won by slow" not in ended.steps


def test_two_workers_share_a_group(world: World) -> None:
    ran = Counter[str]()
    barrier = threading.Barrier(8)  # more than one worker has places

    @world.app.function("many", trigger="go")
    async def many(step: Step) -> int:
        await asyncio.gather(*(step.run("meet", barrier.wait, 20) for _ in range(8)))
        after = await asyncio.gather(*(step.run("t", _count, ran) for _ in range(30)))
        return len(after)

    @world.app.function("sync", trigger="sgo")
    def sync(step: SyncStep) -> int:
        step.map("meet", lambda _: barrier.wait(20), range(8))
        return len(step.map("t", lambda _: _count(ran), range(30)))

    world.worker(slots=4)
    world.worker(slots=4)
    assert world.outcome("many", "go").output == 30
    assert world.outcome("sync", "sgo").output == 30
    assert ran["t"] == 60


def _count(ran: Counter[str]) -> int:
    ran["t"] += 1
    return ran["t"]


def test_work_between_steps_of_a_branch(world: World) -> None:
    """The frame has let go of its run when it asks for more, or ends."""

    @world.app.function("many", trigger="go")
    async def many(step: Step) -> list[object]:
        async def chain() -> int:
            first = await step.run("first", lambda: 1)
            await asyncio.sleep(0.1)
            return first + await step.run("second", lambda: 1)

        other = asyncio.create_task(step.wait_for_signal("wait", "door", timeout="1m"))
        value = await chain()
        done, _ = await asyncio.wait({other}, timeout=0.1)
        return [value, len(done)]

    world.worker()
    run = world.outcome("many", "go")
    assert run.output == [2, 0]
    assert world.redis.call("EXISTS", world.keys.signal("door")) == 0


def test_a_step_that_is_not_asked_for_again(world: World) -> None:
    entries = []

    @world.app.function("chance", trigger="go", retries=0)
    def chance(step: SyncStep) -> object:
        entries.append(1)
        name = f"s{min(len(entries), 3)}"
        return step.parallel(lambda: step.run(name, lambda: name), lambda: step.run("b", lambda: 1))

    worker = world.worker(slots=1)
    worker.worker.slots._frames.keep_calls = lambda run, line: None  # nothing is remembered
    run = world.outcome("chance", "go")
    assert run.output == ["s3", 1]
    assert '"name": "StepVanished"' in run.steps["s1"]


def test_open_steps_count_among_the_thousand(world: World) -> None:
    @world.app.function("many", trigger="go", retries=0)
    async def many(step: Step) -> None:
        await asyncio.gather(*(step.sleep(f"s{n}", "1h") for n in range(1001)))

    @world.app.function("maps", trigger="mgo", retries=0)
    def maps(step: SyncStep) -> None:
        step.map("s", lambda n: n, range(1001))

    world.worker()
    for function, event in (("many", "go"), ("maps", "mgo")):
        error = world.outcome(function, event).error
        assert error["name"] == "LimitError"
        assert "would be step 1001 of this run" in error["message"]
    assert world.redis.call("ZCARD", world.keys.scheduled) == 0


def test_a_worker_that_leaves_gives_its_branches_back(world: World) -> None:
    entered, go = threading.Event(), threading.Event()
    ran = Counter[str]()

    def hold(name: str) -> str:
        ran[name] += 1
        entered.set()
        assert go.wait(20)
        return name

    @world.app.function("many", trigger="go", retries=0)
    async def many(step: Step) -> list[str]:
        return await asyncio.gather(*(step.run(name, hold, name) for name in "abcdef"))

    first = world.worker(slots=2, grace="0.2s")
    sent = world.send("go")
    assert entered.wait(10)
    first.stop.set()
    assert first.join() is False
    world.worker()
    go.set()
    run = world.ended(sent, "many")
    assert run.output == list("abcdef")
    assert world.counter("deaths") == 0
    assert run.told("died") == []


def test_a_branch_whose_function_is_elsewhere_waits_for_a_worker_that_has_it(world: World) -> None:
    other = world.make_app("other")

    @other.function("nothing", trigger="never")
    def nothing() -> None: ...

    @world.app.function("many", trigger="go")
    async def many(step: Step) -> list[int]:
        return await asyncio.gather(*(step.run("s", lambda n=n: n) for n in range(4)))

    first = world.worker(slots=1)
    world.worker(other)
    world.publish(world.app, other)
    sent = world.send("go")
    assert world.ended(sent, "many", 60).output == [0, 1, 2, 3]
    assert first.worker.slots.free == 1


def test_the_handler_s_own_error_beside_open_steps(world: World) -> None:
    gate, failures = threading.Event(), []
    ran = Counter[str]()

    def hold() -> str:
        ran["hold"] += 1
        assert gate.wait(20)
        return "held"

    @world.app.function("many", trigger="go", backoff=FAST)
    async def many(step: Step) -> list[str]:
        async def fails_once() -> str:
            value = await step.run("quick", lambda: "quick")
            if not failures:
                failures.append(1)
                raise ValueError("once")
            gate.set()
            return value

        return await asyncio.gather(step.run("hold", hold), fails_once())

    world.worker()
    run = world.outcome("many", "go")
    assert run.output == ["held", "quick"]
    assert ran["hold"] == 1, "what is open goes on beside the handler's retry"
    assert run.fields["attempt"] == "1"


def test_what_the_handler_does_not_wait_for_is_given_up(world: World) -> None:
    ran = Counter[str]()

    @world.app.function("first", trigger="go")
    async def first(step: Step) -> str:
        tasks = {
            asyncio.create_task(step.run("quick", lambda: "quick")),
            asyncio.create_task(step.sleep("long", "1h")),
            asyncio.create_task(step.wait_for_event("never", "never")),
        }
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        return str(done.pop().result())

    @world.app.function("again", trigger="again")
    async def again(step: Step) -> str:
        async with asyncio.TaskGroup() as group:
            task = group.create_task(step.sleep("long", "1h"))
            await step.run("quick", lambda: ran.update(quick=1))
            task.cancel()
        return "done"

    world.worker()
    for function, event, output in (("first", "go", "quick"), ("again", "again", "done")):
        run = world.outcome(function, event)
        assert run.output == output
        assert world.redis.call("EXISTS", world.keys.open(run.id)) == 0
    assert ran["quick"] == 1
    assert world.redis.call("ZCARD", world.keys.scheduled) == 0
