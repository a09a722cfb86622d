"""What a workflow is before it is code: the spec that words, models and people fill in.

`render` makes Python of it, and nothing else decides what the code says. The JSON schema
(`WorkflowSpec.model_json_schema()`) is what models are constrained to; `VERSION` counts its forms.

A spec is always complete: where the words left something open, it says what would hold, and a
`Question` points at that place. Questions without such a value (`needed`) must be answered.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated, Any, Final, Literal, Self, TypeAlias

from pydantic import AfterValidator, Field, model_validator

from qflow.authoring.actions import Action, Mail, Name, Slack, Strict, Text
from qflow.core import expression, flow
from qflow.core.cancel import CancelOn
from qflow.core.cron import Cron
from qflow.core.durations import to_ms
from qflow.core.trigger import EventTrigger
from qflow.errors import DefinitionError

VERSION: Final = 1

MAX_STEPS: Final = 50

StepId: TypeAlias = Annotated[str, Field(pattern=r"^[a-z][a-z0-9]*(-[a-z0-9]+)*$", max_length=60)]


def _duration(value: str) -> str:
    try:
        to_ms(value, "length of time")
    except DefinitionError as error:
        raise ValueError(str(error)) from None
    return value


def _expression(value: str) -> str:
    try:
        expression.compile(value)
    except DefinitionError as error:
        raise ValueError(str(error)) from None
    return value


Length: TypeAlias = Annotated[str, AfterValidator(_duration), Field(max_length=30)]
"""A length of time as qflow writes it: "90s", "1h30m", "3d"."""

Expression: TypeAlias = Annotated[str, AfterValidator(_expression), Field(max_length=500)]
"""CEL over `event`, such as "event.data.amount > 100"."""

EventName: TypeAlias = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_.-]*/[a-z][a-z0-9_.-]*$")]


class Schedule(Strict):
    """Starts the workflow at the ticks of a cron expression."""

    kind: Literal["schedule"] = "schedule"
    cron: str
    tz: str = "UTC"

    @model_validator(mode="after")
    def _check(self) -> Self:
        try:
            Cron(self.cron, self.tz)
        except DefinitionError as error:
            raise ValueError(str(error)) from None
        return self

    def shown(self) -> dict[str, str]:
        """Return it as `qflow new --json` prints it."""
        return {"cron": self.cron, "tz": self.tz}


class OnEvent(Strict):
    """Starts the workflow for each event of a name, where a condition holds."""

    kind: Literal["event"] = "event"
    event: str
    when: Expression | None = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        try:
            EventTrigger(self.event, self.when)
        except DefinitionError as error:
            raise ValueError(str(error)) from None
        return self

    def shown(self) -> dict[str, str | None]:
        """Return it as `qflow new --json` prints it."""
        return {"event": self.event, "when": self.when}


Trigger: TypeAlias = Annotated[Schedule | OnEvent, Field(discriminator="kind")]


class Condition(Strict):
    """A comparison of a field of the event, or of the event that a wait was given."""

    of: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]*$")] = "event"
    field: Name
    op: Literal["==", "!=", ">", ">=", "<", "<="]
    value: bool | int | float | str


class _Step(Strict):
    id: StepId


class Run(_Step):
    """Does one thing, retried until it is done, and remembers it."""

    kind: Literal["run"] = "run"
    action: Action
    retries: Annotated[int, Field(ge=0, le=20)] | None = None
    timeout: Length | None = None


class Sleep(_Step):
    """Lets time pass."""

    kind: Literal["sleep"] = "sleep"
    length: Length


class Wait(_Step):
    """Waits for an event; says what becomes of the run when it comes, and when it does not."""

    kind: Literal["wait"] = "wait"
    events: Annotated[tuple[EventName, ...], Field(min_length=1, max_length=5)]
    match: Annotated[str, Field(pattern=r"^data(\.[A-Za-z_]\w*)+$")] | None = None
    timeout: Length
    arrived: Literal["stop", "go on"] = "go on"
    missed: Literal["stop", "go on"] = "stop"


class Approve(_Step):
    """Waits for a person; the run stops where it is not approved in time."""

    kind: Literal["approval"] = "approval"
    title: Annotated[str, Field(min_length=1, max_length=200)]
    assignee: str = ""
    timeout: Length = "7d"


class Invoke(_Step):
    """Runs another function with this event's data, and waits for it."""

    kind: Literal["invoke"] = "invoke"
    function: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,119}$")]
    timeout: Length | None = None


class Emit(_Step):
    """Sends an event with this event's data, exactly once."""

    kind: Literal["emit"] = "emit"
    event: EventName


class Branch(_Step):
    """Goes one way or the other."""

    kind: Literal["branch"] = "branch"
    condition: Condition
    then: Annotated[tuple[Step, ...], Field(min_length=1)]
    otherwise: tuple[Step, ...] = ()


class Parallel(_Step):
    """Runs actions side by side."""

    kind: Literal["parallel"] = "parallel"
    branches: Annotated[tuple[Run, ...], Field(min_length=2, max_length=10)]


class Loop(_Step):
    """Does one thing for each record of an earlier step, or each item of a field of the event."""

    kind: Literal["loop"] = "loop"
    of: str = Field(
        default="", description="The id of the step that fetched; empty: the event's field."
    )
    items: Name = "items"
    action: Action
    limit: Annotated[int, Field(ge=1, le=100)] | None = None


Step: TypeAlias = Annotated[
    Run | Sleep | Wait | Approve | Invoke | Emit | Branch | Parallel | Loop,
    Field(discriminator="kind"),
]


class Limit(Strict):
    """At most `limit` at once, or in each `per`, by the value of `key`."""

    limit: Annotated[int, Field(ge=1, le=100_000)]
    per: Length | None = None
    key: Expression | None = None


class Gathered(Strict):
    """Events gathered into one run."""

    size: Annotated[int, Field(ge=2, le=1_000)]
    timeout: Length = "5s"
    key: Expression | None = None


class Settled(Strict):
    """One run once events have been quiet for `period`."""

    period: Length
    key: Expression | None = None


class Single(Strict):
    """One unfinished run at a time."""

    key: Expression | None = None
    mode: Literal["skip", "cancel"] = "skip"


class Flow(Strict):
    """How many runs start and execute, and when."""

    concurrency: Limit | None = None
    throttle: Limit | None = None
    rate_limit: Limit | None = None
    debounce: Settled | None = None
    batch: Gathered | None = None
    singleton: Single | None = None
    idempotency: Expression | None = None
    priority: Annotated[int, Field(ge=-600, le=600)] | Expression | None = None


class Cancel(Strict):
    """An event that cancels the run."""

    event: EventName
    match: Annotated[str, Field(pattern=r"^data(\.[A-Za-z_]\w*)+$")] | None = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        try:
            CancelOn(self.event, self.match or "")
        except DefinitionError as error:
            raise ValueError(str(error)) from None
        return self


class Emitter(Strict):
    """The place that emits an event nobody emits yet."""

    event: EventName
    table: Name


class Question(Strict):
    """What the words left open.

    `sets` is a JSON pointer into the spec: the answer goes there, and what stands there holds until it
    is given. Without `sets` the answer is further words. `needed` ones have nothing that could hold.
    """

    id: StepId
    text: Annotated[str, Field(min_length=1, max_length=300)]
    sets: str = ""
    needed: bool = False
    choices: tuple[str, ...] = ()


class WorkflowSpec(Strict):
    """A workflow as data."""

    version: Literal[1] = 1
    id: StepId
    name: Annotated[str, Field(min_length=1, max_length=80)]
    summary: Annotated[str, Field(min_length=1, max_length=200)]
    triggers: Annotated[tuple[Trigger, ...], Field(max_length=10)] = ()
    steps: Annotated[tuple[Step, ...], Field(max_length=MAX_STEPS)] = ()
    retries: Annotated[int, Field(ge=0, le=20)] | None = None
    finish: Length | None = Field(default=None, description="After this long the run is cancelled.")
    flow: Flow = Flow()
    cancel_on: Annotated[tuple[Cancel, ...], Field(max_length=5)] = ()
    on_failure: Annotated[tuple[Slack | Mail, ...], Field(max_length=5)] = ()
    emitters: Annotated[tuple[Emitter, ...], Field(max_length=5)] = ()
    questions: tuple[Question, ...] = ()
    understood: tuple[Text, ...] = ()
    assumed: tuple[Text, ...] = ()
    ignored: tuple[Text, ...] = ()

    @model_validator(mode="after")
    def _check(self) -> Self:
        ids = [step.id for step in self.every_step()]
        doubled = sorted({id for id in ids if ids.count(id) > 1})
        if doubled:
            raise ValueError(f"step id {doubled[0]!r} stands twice; give each step its own")
        known = {"", *ids}
        for step in self.every_step():
            of = getattr(step, "of", "") or getattr(getattr(step, "action", None), "of", "")
            if of not in known:
                raise ValueError(f"step {step.id!r} uses the step {of!r}, which there is not")
        if self.flow.batch:
            self._check_batch()
        return self

    def _check_batch(self) -> None:
        given: dict[str, Any] = {"batch": flow.Batch(2, "1s"), "cancel_on": self.cancel_on}
        given |= {"debounce": flow.Debounce("1s")} if self.flow.debounce else {}
        given |= {"singleton": flow.Singleton()} if self.flow.singleton else {}
        given |= {"rate_limit": flow.RateLimit(1, "1s")} if self.flow.rate_limit else {}
        given |= {"priority": 0} if self.flow.priority is not None else {}
        try:
            flow.flow_spec(given, self.id, "app", f"function {self.id!r}")
        except DefinitionError as error:
            raise ValueError(str(error)) from None

    def every_step(self) -> Iterator[Step]:
        """Give all steps, those inside of others too, in the order in which they stand."""
        return _walk(self.steps)

    def actions(self) -> Iterator[Action]:
        """Give what the steps and the handler of failures do."""
        for step in self.every_step():
            if isinstance(step, Run | Loop):
                yield step.action
        yield from self.on_failure

    @property
    def by_schedule(self) -> bool:
        """Whether a schedule starts it, so that its events have no data of anybody's."""
        return any(isinstance(trigger, Schedule) for trigger in self.triggers)

    @property
    def module(self) -> str:
        """The name of its module in the folder of functions."""
        return self.id.replace("-", "_")


def _walk(steps: Sequence[Step]) -> Iterator[Step]:
    for step in steps:
        yield step
        if isinstance(step, Branch):
            yield from _walk(step.then)
            yield from _walk(step.otherwise)
        elif isinstance(step, Parallel):
            yield from step.branches
