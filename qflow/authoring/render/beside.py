"""The test that stands beside a workflow: its steps stubbed, so that it runs anywhere."""

from __future__ import annotations

from qflow.authoring.actions import Copy, Fetch
from qflow.authoring.render import data
from qflow.authoring.render.handler import identifier
from qflow.authoring.render.source import Imports
from qflow.authoring.render.text import call, literal
from qflow.authoring.spec import (
    Approve,
    Branch,
    Invoke,
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


def render_test(spec: WorkflowSpec, folder: str = "workers", app: str = "client") -> str:
    """Return a test module: the workflow runs to its end, and a step that fails once is retried."""
    steps = [step for step in spec.every_step() if isinstance(step, Run | Loop)]
    kinds = {type(step.action) for step in steps}
    names = [name for kind, name in ((Copy, "Copied"), (Fetch, "Page")) if kind in kinds]
    handler = identifier(spec.id)
    invoked = [step.function for step in spec.every_step() if isinstance(step, Invoke)]
    imports = Imports()
    imports.take(f"{folder}.{app}", "app")
    imports.take(f"{folder}.{spec.module}", *names, handler)
    retried = [step for step in steps if isinstance(step, Run) and _is_retried(spec, step)]
    lines = [
        '"""The workflow runs to its end with its steps stubbed, so that nothing is sent."""',
        "",
        "from __future__ import annotations",
        "",
        "from typing import Any",
        "",
        *(["from qflow import App"] if invoked else []),
        "from qflow.testing import Harness",
        "",
        *imports.lines()[2:],
        "",
        f"ID = {handler}.id",
        f"DATA: dict[str, Any] = {_sample(spec)}",
        *_stand_ins(invoked),
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


def _stand_ins(invoked: list[str]) -> list[str]:
    """Return functions that stand for those that the workflow runs."""
    lines = ['others = App("others")'] if invoked else []
    for number, function in enumerate(dict.fromkeys(invoked)):
        lines += [
            "",
            "",
            f'@others.function({literal(function)}, trigger="nobody/sends-it")',
            f"def stand_in_{number + 1}() -> None:",
            '    """Stand for a function that the workflow runs."""',
        ]
    return lines


def _body(spec: WorkflowSpec, steps: list[Run | Loop], failing: str) -> list[str]:
    apps, only = "app", "[ID]"
    invoked = [step.function for step in spec.every_step() if isinstance(step, Invoke)]
    if invoked:
        apps, only = "app, others", f"[ID, {', '.join(map(literal, invoked))}]"
    lines = call(
        4,
        "with Harness",
        [apps, f"only={only}", "real_steps=False", "always_replay=True"],
        " as world:",
    )
    for step in steps:
        raises = ['raises=[ConnectionError("down")]'] if step.id == failing else []
        arguments = ["ID", literal(step.id), *raises, f"returns={_returned(step)}"]
        lines += call(8, "world.stub", arguments)
    lines.append("        run = world.start(ID, DATA)")
    if failing and _waits(spec.steps):
        lines.append('        world.advance("1m")')
    for each in spec.steps:
        lines += _passed(each)
    return [*lines, "        world.finish(run)"]


def _passed(step: Step) -> list[str]:
    """Return what makes a run go past a step that waits."""
    match step:
        case Sleep(length=length) | Wait(missed="go on", timeout=length):
            return [f"        world.advance({literal(length)})"]
        case Approve():
            return call(
                8, "world.decide", ["run", literal(step.id), "approved=True", 'by="a test"']
            )
        case Wait():
            return call(8, "world.send", [literal(step.events[0]), "DATA"])
    return []


def _waits(steps: tuple[Step, ...]) -> list[Wait | Approve]:
    return [step for step in steps if isinstance(step, Wait | Approve)]


def _is_retried(spec: WorkflowSpec, step: Run) -> bool:
    """Tell whether a step runs whatever its run is told, and is tried again where it fails."""
    if (spec.retries if step.retries is None else step.retries) == 0:
        return False
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
