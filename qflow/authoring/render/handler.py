"""The handler: its decorator, its signature, and its steps in order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from qflow.authoring.actions import Action, Copy, Fetch
from qflow.authoring.render import doing, records
from qflow.authoring.render.doing import Given
from qflow.authoring.render.reading import Module
from qflow.authoring.render.text import call, literal
from qflow.authoring.spec import (
    Approve,
    Branch,
    Condition,
    Emit,
    Invoke,
    Loop,
    Parallel,
    Run,
    Sleep,
    Step,
    Wait,
    WorkflowSpec,
)


@dataclass
class Body:
    """The handler's lines, as its steps are written."""

    spec: WorkflowSpec
    module: Module
    data: str
    lines: list[str] = field(default_factory=list)
    fetched: dict[str, Fetch] = field(default_factory=dict)
    wants_event: bool = False

    def write(self, steps: Sequence[Step], indent: int = 4) -> None:
        """Write steps, in order."""
        for step in steps:
            self._step(step, indent)

    def _step(self, step: Step, indent: int) -> None:
        match step:
            case Run():
                self._run(step, indent)
            case Sleep():
                self._add(indent, "await step.sleep", [literal(step.id), literal(step.length)])
            case Wait():
                self._wait(step, indent)
            case Approve():
                self._approve(step, indent)
            case Invoke():
                more = [f"timeout={literal(step.timeout)}"] if step.timeout else []
                more = [f"data={self._plain()}", *more] if self.data else more
                arguments = [literal(step.id), literal(step.function), *more]
                self._add(indent, "await step.invoke", arguments)
            case Emit():
                self.module.imports.take("qflow", "Event")
                given = f", data={self._plain()}" if self.data else ""
                sent = f"Event({literal(step.event)}{given})"
                self._add(indent, "await step.send_event", [literal(step.id), sent])
            case Branch():
                self._branch(step, indent)
            case Parallel():
                self._parallel(step, indent)
            case Loop():
                self._loop(step, indent)

    def _run(self, step: Run, indent: int) -> None:
        name = identifier(step.id)
        given = self._given(step.action)
        doing.write(self.module, name, step.action, given)
        run = _runner(step)
        if isinstance(step.action, Copy):
            self._pages(
                indent,
                "total",
                [
                    *call(indent + 4, f"copied = await {run}", [literal(step.id), name, "place"]),
                    f"{' ' * (indent + 4)}total, place = total + copied.records, copied.next",
                ],
            )
            return
        if isinstance(step.action, Fetch):
            self.fetched[step.id] = step.action
            what = step.action.what
            kind = records.record(step.action)
            if "Any" in kind:
                self.module.imports.take("typing", "Any")
            self._pages(
                indent,
                f"{what}: list[{kind}]",
                [
                    *call(indent + 4, f"page = await {run}", [literal(step.id), name, "place"]),
                    f"{' ' * (indent + 4)}{what} += page.records",
                    f"{' ' * (indent + 4)}place = page.next",
                ],
            )
            return
        arguments = [literal(step.id), name, *self._arguments(step.action, given)]
        self._add(indent, f"await {run}", arguments)

    def _pages(self, indent: int, start: str, body: list[str]) -> None:
        blank = " " * indent
        if start == "total":
            self.lines.append(f'{blank}total, place = 0, ""')
        else:
            self.lines += [f"{blank}{start} = []", f'{blank}place = ""']
        self.lines += [
            f"{blank}while True:",
            *body,
            f"{blank}    if not place:",
            f"{blank}        break",
        ]

    def _wait(self, step: Wait, indent: int) -> None:
        names = [literal(name) for name in step.events]
        events = names[0] if len(names) == 1 else f"[{', '.join(names)}]"
        arguments = [literal(step.id), events]
        arguments += [f"match={literal(step.match)}"] if step.match else []
        arguments += [f"timeout={literal(step.timeout)}"]
        name = identifier(step.id)
        stops = step.arrived != step.missed
        assigned = f"{name} = " if stops or self._is_used(step.id) else ""
        self._add(indent, f"{assigned}await step.wait_for_event", arguments)
        if stops:
            kept = "is not None" if step.arrived == "stop" else "is None"
            self._stop(indent, f"{name} {kept}")

    def _approve(self, step: Approve, indent: int) -> None:
        name = identifier(step.id)
        arguments = [literal(step.id), literal(step.title)]
        arguments += [f"assignee={literal(step.assignee)}"] if step.assignee else []
        arguments += [f"timeout={literal(step.timeout)}"]
        self._add(indent, f"{name} = await step.approval", arguments)
        self._stop(indent, f"{name} is None or not {name}.approved")

    def _stop(self, indent: int, condition: str) -> None:
        blank = " " * indent
        self.lines += [f"{blank}if {condition}:", f"{blank}    return"]

    def _branch(self, step: Branch, indent: int) -> None:
        self.lines.append(f"{' ' * indent}if {self._condition(step.condition)}:")
        self.write(step.then, indent + 4)
        if step.otherwise:
            self.lines.append(f"{' ' * indent}else:")
            self.write(step.otherwise, indent + 4)

    def _condition(self, condition: Condition) -> str:
        value = condition.value
        shown = literal(value) if isinstance(value, str) else repr(value)
        if condition.of == "event":
            self.wants_event = True
            return f"event.data.{condition.field} {condition.op} {shown}"
        of = identifier(condition.of)
        return f'{of} is not None and {of}.data["{condition.field}"] {condition.op} {shown}'

    def _parallel(self, step: Parallel, indent: int) -> None:
        self.module.imports.take("asyncio")
        calls = []
        for branch in step.branches:
            name, given = identifier(branch.id), self._given(branch.action)
            doing.write(self.module, name, branch.action, given)
            arguments = [literal(branch.id), name, *self._arguments(branch.action, given)]
            calls.append("\n".join(call(0, _runner(branch), arguments)))
        blank = " " * indent
        self.lines.append(f"{blank}await asyncio.gather(")
        self.lines += [f"{blank}    {line}," for each in calls for line in [each]]
        self.lines.append(f"{blank})")

    def _loop(self, step: Loop, indent: int) -> None:
        name = identifier(step.id)
        fetch = self.fetched.get(step.of)
        self.module.imports.take("typing", "Any")
        doing.write(self.module, name, step.action, Given("dict[str, Any]"))
        if fetch is None:
            self.wants_event = True
        items = fetch.what if fetch else f"event.data.{step.items}"
        limit = [f"limit={step.limit}"] if step.limit else []
        self._add(indent, "await step.map", [literal(step.id), name, items, *limit])

    def _given(self, action: Action) -> Given:
        fetch = self.fetched.get(getattr(action, "of", ""))
        data = self.data if doing.needs_data(action) else ""
        if fetch is None:
            return Given(data)
        return Given(data, records.record(fetch), fetch.what)

    def _arguments(self, action: Action, given: Given) -> list[str]:
        found = [given.what] if given.records else []
        if given.data:
            self.wants_event = True
            found.append("event.data")
        return found

    def _plain(self) -> str:
        self.wants_event = True
        return "event.data" if self.data.startswith("dict") else "event.data.model_dump()"

    def _is_used(self, id: str) -> bool:
        return any(
            isinstance(step, Branch) and step.condition.of == id for step in self.spec.every_step()
        )

    def _add(self, indent: int, head: str, arguments: list[str]) -> None:
        self.lines += call(indent, head, arguments)


def identifier(id: str) -> str:
    """Return the Python name of a step or function."""
    import keyword

    name = id.replace("-", "_")
    return f"{name}_" if keyword.iskeyword(name) or name in _TAKEN else name


_TAKEN = {"event", "events", "step", "run", "app", "place", "page", "total", "data", "text", "send"}


def _runner(step: Run) -> str:
    options = [] if step.retries is None else [f"retries={step.retries}"]
    options += [f"timeout={literal(step.timeout)}"] if step.timeout else []
    return f"step.options({', '.join(options)}).run" if options else "step.run"
