"""`qflow send` and `qflow run`."""

from __future__ import annotations

import json
import re
import threading
from pathlib import Path

import pytest
from cli.conftest import Command
from read.scenes import Scene

from qflow.store.keys import Keys
from qflow.store.redis import Redis


def sent(redis: Redis, keys: Keys) -> dict[str, str]:
    ((_, flat),) = redis.call("XRANGE", keys.events, "-", "+")
    texts = [item.decode() for item in flat]
    return dict(zip(texts[::2], texts[1::2], strict=True))


def test_send_prints_the_id(redis: Redis, keys: Keys, qflow: Command) -> None:
    said = qflow("send", "user/created", "--data", '{"email": "jané"}', "--ts", "5", "--v", "2")
    fields = sent(redis, keys)
    assert said == (0, f"{fields['id']}\n", "")
    assert (fields["name"], fields["ts"], fields["v"]) == ("user/created", "5", "2")
    assert json.loads(fields["data"]) == {"email": "jané"}


def test_send_with_an_id_of_its_own(redis: Redis, keys: Keys, qflow: Command) -> None:
    assert qflow("send", "a/b", "--id", "order-7", "--json").json == {"ids": ["order-7"]}
    assert sent(redis, keys)["id"] == "order-7"


def test_data_from_a_file_and_from_standard_input(
    redis: Redis, keys: Keys, qflow: Command, tmp_path: Path
) -> None:
    (tmp_path / "event.json").write_text('{"from": "file"}', "utf-8-sig")
    assert qflow("send", "a/b", "--data", "@event.json").code == 0
    assert json.loads(sent(redis, keys)["data"]) == {"from": "file"}
    redis.call("DEL", keys.events)
    assert qflow("send", "a/b", "--data", "-", stdin=b'{"from": "pipe"}').code == 0
    assert json.loads(sent(redis, keys)["data"]) == {"from": "pipe"}


@pytest.mark.parametrize(
    ("data", "named"),
    [
        ('{"a": }', "line 1 column 7"),
        ('{"a": 1}\n{"b": 2}', "line 2 column 1"),
        ("{a: 1}", "single quotes"),
        ('{"a": NaN}', "NaN"),
        ("[1, 2]", "not a list"),
        ("7", "not a number"),
        ("null", "not null"),
        ("@missing.json", "'missing.json': No such file"),
        ("@", "cannot read ''"),
        ("", "line 1 column 1"),
        ("[" * 100_000, "nested too deeply"),
    ],
)
def test_bad_data_is_one_line_and_sends_nothing(
    redis: Redis, keys: Keys, qflow: Command, data: str, named: str
) -> None:
    said = qflow("send", "a/b", "--data", data)
    assert (said.code, said.out) == (2, "")
    assert said.err.startswith("error: --data")
    assert said.err.count("\n") == 1
    assert named in said.err
    assert redis.call("EXISTS", keys.events) == 0


@pytest.mark.parametrize(
    ("name", "code", "named"),
    [
        ("", 2, "needs a name"),
        ("qflow/x", 2, "reserved"),
        ("a\tb", 2, "printed"),
        ("x" * 300, 2, "over"),
    ],
)
def test_bad_names_are_refused(qflow: Command, name: str, code: int, named: str) -> None:
    said = qflow("send", name)
    assert (said.code, named in said.err) == (code, True)


@pytest.mark.parametrize("size", [600 * 1024, 3 * 1024 * 1024])
def test_too_much_data_is_refused(redis: Redis, keys: Keys, qflow: Command, size: int) -> None:
    said = qflow("send", "a/b", "--data", "-", stdin=json.dumps({"x": "y" * size}).encode())
    assert (said.code, bool(re.search(r"512(\.0)? KiB", said.err))) == (1, True)
    assert redis.call("EXISTS", keys.events) == 0


def worked(scene: Scene, *, well: bool) -> threading.Thread:
    """A worker that takes one job as soon as there is one."""
    other = Scene(Redis(f"redis://{scene.redis.target.shown.partition('//')[2]}"), scene.keys)

    def work() -> None:
        other.redis.block(20, "BLPOP", scene.keys.wake, 20)
        hand = other.claim().open("charge")
        if well:
            hand.store(1).complete({"paid": True})
        else:
            hand.store_error().fail()

    thread = threading.Thread(target=work)
    thread.start()
    return thread


def test_run_follows_a_function_to_its_end(scene: Scene, qflow: Command) -> None:
    thread = worked(scene, well=True)
    said = qflow("run", "pay", "--data", '{"n": 3}')
    thread.join()
    assert (said.code, said.err) == (0, "")
    lines = said.out.splitlines()
    assert "step charge" in said.out
    assert lines[-1] == '{"paid": true}'
    told = qflow("runs", "show", lines[0].removeprefix("run "), "--json").json
    assert (told["event"]["name"], told["event"]["data"]) == ("qflow/function.invoked", {"n": 3})
    assert told["app"] == "shop"


def test_run_exits_1_where_the_run_fails(scene: Scene, qflow: Command) -> None:
    thread = worked(scene, well=False)
    said = qflow("run", "pay")
    thread.join()
    assert said.code == 1
    assert "ValueError: no such thing" in said.err
    thread = worked(scene, well=False)
    said = qflow("run", "pay", "--json")
    thread.join()
    assert (said.code, said.json["status"]) == (1, "failed")


def test_run_detached_prints_the_id(scene: Scene, qflow: Command) -> None:
    run = qflow("run", "pay", "--detach").out.strip()
    assert qflow("runs", "list", "--json").json[0]["id"] == run
    assert qflow("run", "ship", "--detach", "--json").json["id"]


def test_run_of_an_unknown_function_starts_nothing(scene: Scene, qflow: Command) -> None:
    said = qflow("run", "pa")
    assert (said.code, "did you mean 'pay'" in said.err) == (1, True)
    assert qflow("runs", "list", "--json").json == []


def test_run_of_a_function_that_is_no_longer_published(scene: Scene, qflow: Command) -> None:
    scene.start("pay")
    scene.publish("ship")
    said = qflow("run", "pay", "--detach")
    assert (said.code, said.out) == (1, "")
    assert "no function 'pay'" in said.err


def test_run_without_a_worker_says_that_it_waits(scene: Scene, qflow: Command) -> None:
    scene.redis.call("DEL", scene.keys.leases)
    other = Scene(Redis(f"redis://{scene.redis.target.shown.partition('//')[2]}"), scene.keys)

    def come_late() -> None:
        other.redis.block(20, "BLPOP", scene.keys.wake, 20)
        other.enlist()
        other.claim().complete()

    thread = threading.Thread(target=come_late)
    thread.start()
    said = qflow("run", "pay")
    thread.join()
    assert said.code == 0
