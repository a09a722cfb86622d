"""The test that stands beside a workflow: its steps stubbed, so that it runs anywhere."""

from __future__ import annotations

from qflow.authoring.actions import Copy, Fetch
from qflow.authoring.render import data
from qflow.authoring.render.handler import identifier
from qflow.authoring.render.text import call, literal
from qflow.authoring.spec import (
    Approve,
    Branch,
    Emit,
    Loop,
    OnEvent,
    Parallel,
    Run,
    Sleep,
    Step,
    Wait,
    WorkflowSpec,
)

_SAMPLES = {"str": "jane@example.com", "float": 1000.0, "bool": True}


def render_test(spec: WorkflowSpec, folder: str = "workers") -> str:
    """Return a test module: the workflow runs to its end, and a step that fails once is retried."""
    steps = [step for step in spec.every_step() if isinstance(step, Run | Loop)]
    copies = {type(step.action) for step in steps} & {Copy, Fetch}
    names = sorted({"Copied" if kind is Copy else "Page" for kind in copies})
    imported = ", ".join([*names, "app"])
    retried = [step for step in steps if _always(spec, step) and not isinstance(step, Loop)]
    lines = [
        f'"""{spec.name}: runs to its end with its steps stubbed, so that nothing is sent."""',
        "",
        "from __future__ import annotations",
        "",
        *(["from qflow.testing import Harness"]),
        f"from {folder}.{spec.module} import {imported}",
        "",
        f"DATA = {_sample(spec)}",
        "",
        "",
        "def test_it_runs_to_its_end() -> None:",
        *_body(spec, steps, ""),
        '        assert run.status == "completed"',
    ]
    if retried:
        first = retried[0].id
        lines += [
            "",
            "",
            "def test_a_step_that_fails_once_is_tried_again() -> None:",
            *_body(spec, steps, first),
            '        assert run.status == "completed"',
            f"        assert run.step({literal(first)}).attempts == 2",
        ]
    return "\n".join(lines) + "\n"


def _body(spec: WorkflowSpec, steps: list[Run | Loop], failing: str) -> list[str]:
    lines = ["    with Harness(app, real_steps=False, always_replay=True) as world:"]
    for step in steps:
        raises = ['raises=[ConnectionError("down")]'] if step.id == failing else []
        arguments = [literal(spec.id), literal(step.id), *raises, f"returns={_returned(step)}"]
        lines += call(8, "world.stub", arguments)
    started = [literal(spec.id), "DATA"]
    if spec.flow.batch:
        lines += call(8, "run = world.start", started)
    else:
        lines += call(8, "run = world.start", started)
    for wait in _waits(spec.steps):
        lines += _answered(wait)
    return [*lines, "        world.finish(run)"]


def _answered(step: Wait | Approve) -> list[str]:
    if isinstance(step, Approve):
        decided = ["run", literal(step.id), "approved=True", 'by="a test"']
        return ["        world.finish(run)", *call(8, "world.decide", decided)]
    if step.missed == "stop":
        sent = [literal(step.events[0]), "DATA"]
        return ["        world.finish(run)", *call(8, "world.send", sent)]
    return []


def _waits(steps: tuple[Step, ...]) -> list[Wait | Approve]:
    return [step for step in steps if isinstance(step, Wait | Approve)]


def _always(spec: WorkflowSpec, step: Run | Loop) -> bool:
    """Tell whether a step runs whatever its run is told, on its first way."""
    for each in spec.steps:
        if each is step:
            return True
        if isinstance(each, Parallel) and step in each.branches:
            return True
        if isinstance(each, Wait | Approve | Branch):
            return False
    return False


def _returned(step: Run | Loop) -> str:
    if isinstance(step.action, Copy):
        return 'Copied(3, "")'
    return 'Page([], "")' if isinstance(step.action, Fetch) else "None"


def _sample(spec: WorkflowSpec) -> str:
    if not any(isinstance(trigger, OnEvent) for trigger in spec.triggers):
        return "{}"
    found: dict[str, object] = {}
    for name, kind in data.used(spec).items():
        base = kind.split(" ")[0]
        found[name] = [] if base.startswith("list") else _SAMPLES.get(base, "7")
    for step in _waits(spec.steps):
        if isinstance(step, Wait) and step.match:
            found.setdefault(step.match.removeprefix("data.").split(".")[0], "7")
    return "{" + ", ".join(f'"{k}": {_shown(v)}' for k, v in found.items()) + "}"


def _shown(value: object) -> str:
    return literal(value) if isinstance(value, str) else repr(value)


__all__ = ["Emit", "Sleep", "identifier", "render_test"]
