"""A stock RQ worker executes encrypted runs, and RQ keeps nothing readable of them."""

from __future__ import annotations

from base64 import b64encode

import pytest
from cases.test_encryption import SECRET, app_of, everything
from cases.world import World
from contract.stock import CLASSES, stock_worker

from qflow import Event

KEY = b64encode(b"k" * 32).decode()
SOURCE = f"""
    from qflow import App
    from qflow.encryption import Encryption

    app = App("vault", middleware=[Encryption(["{KEY}"])])

    def bad(card):
        raise ValueError("declined " + card)

    @app.function("pay", trigger="paid")
    def pay(event, step):
        return step.run("charge", str.upper, event.data["card"])

    @app.function("fail", trigger="paid", retries=0)
    async def fail(event, step):
        await step.run("charge", bad, event.data["card"])
"""


@pytest.mark.parametrize("kind", CLASSES)
def test_nothing_is_readable(world: World, kind: str) -> None:
    world.write_module(SOURCE)
    app = app_of(world, KEY)
    for name in ("pay", "fail"):
        app.function(name, trigger="paid")(lambda: None)
    world.publish(app)
    sent = app.send(Event("paid", {"card": SECRET}))
    with stock_worker(world, kind):
        paid, failed = world.ended(sent, "pay", 40), world.ended(sent, "fail", 40)
        world.until(lambda: "ValueError: encrypted" in everything(world.redis), "RQ's own record")
    assert (paid.status, failed.status) == ("completed", "failed")
    dump = everything(world.redis)
    assert SECRET not in dump
    assert SECRET.upper() not in dump
