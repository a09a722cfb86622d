"""A whole module: docstring, imports, models, the function, what its steps do, what these need."""

from __future__ import annotations

from qflow.authoring import connectors
from qflow.authoring.actions import Copy, Fetch
from qflow.authoring.render import data, doing, options
from qflow.authoring.render.emitters import emitter
from qflow.authoring.render.handler import Body, identifier
from qflow.authoring.render.reading import Module
from qflow.authoring.render.source import copied
from qflow.authoring.render.text import call, literal, prose, wrapped
from qflow.authoring.spec import Approve, Run, Wait, WorkflowSpec


def render(spec: WorkflowSpec, app: str = "") -> str:
    """Return the module of a workflow, "" where nothing starts it or it does nothing.

    `app` is the module of the folder that has the App, such as "client"; without one, the code makes an
    App of its own.
    """
    if not spec.triggers or not spec.steps:
        return ""
    module = Module()
    if app:
        module.imports.take(f".{app}", "app")
    else:
        module.imports.take("qflow", "App")
    function = _function(spec, module)
    for each in spec.emitters:
        module.functions.append(emitter(module, each))
    constants, helpers = copied(sorted(module.roots), module.imports)
    own = [] if app else [f"app = App({literal('workflows')})"]
    top = "\n".join([*own, *constants, *_apart(module.constants)])
    blocks = [top] if top else []
    blocks += [*module.models, *function, *module.functions, *helpers]
    head = [_docstring(spec), "", *module.imports.lines(), ""]
    return "\n".join(head) + ("\n" if top else "\n\n") + "\n\n\n".join(blocks) + "\n"


def _apart(constants: list[str]) -> list[str]:
    return list(dict.fromkeys(constants))


def _docstring(spec: WorkflowSpec) -> str:
    lines = wrapped(prose(spec.summary), 97)
    variables = connectors.secrets(spec)
    if variables:
        width = max(len(each.name) for each in variables) + 2
        lines.append("")
        for each in variables:
            blank = " " * width
            lines += wrapped(each.meaning, 100, f"{each.name:<{width}}", blank)
    if packages := connectors.packages(spec):
        lines += ["", f"Needs: pip install {' '.join(packages)}"]
    if len(lines) == 1:
        return f'"""{lines[0]}"""'
    return "\n".join(['"""' + lines[0], *lines[1:], '"""'])


def _function(spec: WorkflowSpec, module: Module) -> list[str]:
    """Return the handler of failures, where there is one, and the handler."""
    blocks = []
    kind = data.data_type(spec)
    if kind == data.PLAIN:
        module.imports.take("typing", "Any")
    if text := data.model(spec):
        module.imports.take("pydantic", "BaseModel")
        if "Any" in text:
            module.imports.take("typing", "Any")
        module.model(text)
    if spec.on_failure:
        blocks.append(_failure(spec, module))
    body = Body(spec, module, kind)
    body.write(spec.steps)
    counts = _counts(spec)
    if counts:
        body.lines.append(f"    return {counts}")
    module.imports.take("qflow", "Step")
    parameters = []
    if body.wants_event:
        module.imports.take("qflow", "Event")
        parameters.append(f"event: Event[{kind}]")
    name = identifier(spec.id)
    parameters.append("step: Step")
    signature = call(0, f"async def {name}", parameters, f" -> {'int' if counts else 'None'}:")
    said = prose(spec.summary)
    first = [*options.decorator(spec, module), *signature]
    blocks.append("\n".join([*first, *_said(said), *body.lines]))
    return blocks


def _said(text: str) -> list[str]:
    """Return a docstring of the handler."""
    first, *rest = wrapped(text, 93)
    if not rest:
        return [f'    """{text}"""']
    return [f'    """{first}', *(f"    {line}" for line in rest), '    """']


def _counts(spec: WorkflowSpec) -> str:
    """Return what the handler returns: how many records there were, where it reads just once."""
    if any(isinstance(step, Wait | Approve) for step in spec.every_step()):
        return ""
    reading = [s for s in spec.steps if isinstance(s, Run) and isinstance(s.action, Copy | Fetch)]
    if len(reading) != 1:
        return ""
    action = reading[0].action
    return f"len({action.what})" if isinstance(action, Fetch) else "total"


def _failure(spec: WorkflowSpec, module: Module) -> str:
    module.imports.take("typing", "Any")
    module.imports.take("qflow", "Event", "Step")
    lines = [
        f"async def {options.failure_name(spec)}(event: Event[dict[str, Any]], step: Step) -> None:",
        '    """Say that a run failed, and why."""',
        '    why = event.data["error"]["message"]',
    ]
    for number, action in enumerate(spec.on_failure):
        id = f"say-it-failed-{number + 1}" if number else "say-it-failed"
        doing.write_told(module, identifier(id), action)
        lines += call(4, "await step.run", [literal(id), identifier(id), "why"])
    return "\n".join(lines)
