import asyncio, sys, time, threading, os
import pytest, qflow
from qflow import Step, SyncStep
from cases.world import World, FAST
def one(): return 1
def test_sleep_latency(world):
    @world.app.function("f", trigger="a/b")
    def f(step: SyncStep):
        step.sleep("z", 0.1)
        return 1
    world.worker()
    late=[]
    for _ in range(20):
        r=world.outcome("f","a/b")
        late.append(int(r.fields["ended"])-int(r.fields["started"])-100)
    print(sorted(late), os.getloadavg())
def test_tg_latency(world):
    def bad(): raise qflow.NonRetriableError("no")
    async def slow(): await asyncio.sleep(0.2)
    @world.app.function("g", trigger="a/b", retries=0)
    async def g(step: Step):
        try:
            async with asyncio.TaskGroup() as tg:
                tg.create_task(step.run("bad", bad))
                tg.create_task(step.run("slow", slow))
        except* qflow.StepError: pass
        await step.sleep("zzz", 0.1)
    world.worker()
    late=[]
    for _ in range(5):
        r=world.outcome("g","a/b")
        late.append(int(r.fields["ended"])-int(r.fields["started"])-100)
        print(r.trace)
    print(late)
