"""The decorator: triggers, retries, flow control."""

from __future__ import annotations

from collections.abc import Iterator

from qflow.authoring.render.reading import Module
from qflow.authoring.render.text import call, literal
from qflow.authoring.spec import Limit, OnEvent, Schedule, Trigger, WorkflowSpec


def decorator(spec: WorkflowSpec, module: Module) -> list[str]:
    """Return the lines of `@app.function(…)`."""
    arguments = [
        literal(spec.id),
        f"name={literal(spec.name)}",
        f"trigger={_triggers(spec, module)}",
    ]
    arguments += [] if spec.retries is None else [f"retries={spec.retries}"]
    arguments += _flow(spec, module)
    cancels = [_cancel(each.event, each.match, module) for each in spec.cancel_on]
    if cancels:
        arguments.append(f"cancel_on={cancels[0] if len(cancels) == 1 else _list(cancels)}")
    if spec.finish:
        module.imports.take("qflow", "Timeouts")
        arguments.append(f"timeouts=Timeouts(finish={literal(spec.finish)})")
    if spec.on_failure:
        arguments.append(f"on_failure={failure_name(spec)}")
    return call(0, "@app.function", arguments)


def failure_name(spec: WorkflowSpec) -> str:
    """Return the name of the handler of failures."""
    return f"after_{spec.module}"


def _triggers(spec: WorkflowSpec, module: Module) -> str:
    shown = [_trigger(trigger, module) for trigger in spec.triggers]
    return shown[0] if len(shown) == 1 else _list(shown)


def _trigger(trigger: Trigger, module: Module) -> str:
    if isinstance(trigger, Schedule):
        module.imports.take("qflow", "Cron")
        zone = "" if trigger.tz == "UTC" else f", tz={literal(trigger.tz)}"
        return f"Cron({literal(trigger.cron)}{zone})"
    assert isinstance(trigger, OnEvent)
    if trigger.when is None:
        return literal(trigger.event)
    module.imports.take("qflow", "EventTrigger")
    return f"EventTrigger({literal(trigger.event)}, when={literal(trigger.when)})"


def _cancel(event: str, match: str | None, module: Module) -> str:
    module.imports.take("qflow", "CancelOn")
    return f"CancelOn({literal(event)}{f', match={literal(match)}' if match else ''})"


def _flow(spec: WorkflowSpec, module: Module) -> Iterator[str]:
    flow = spec.flow
    limits = {
        "concurrency": ("Concurrency", flow.concurrency),
        "throttle": ("Throttle", flow.throttle),
        "rate_limit": ("RateLimit", flow.rate_limit),
    }
    for name, (kind, limit) in limits.items():
        if limit is not None:
            yield f"{name}={_limit(kind, limit, module)}"
    if flow.debounce:
        module.imports.take("qflow", "Debounce")
        yield f"debounce=Debounce({literal(flow.debounce.period)}{_key(flow.debounce.key)})"
    if flow.batch:
        module.imports.take("qflow", "Batch")
        timeout = f"timeout={literal(flow.batch.timeout)}"
        yield f"batch=Batch({flow.batch.size}, {timeout}{_key(flow.batch.key)})"
    if flow.singleton:
        module.imports.take("qflow", "Singleton")
        mode = "" if flow.singleton.mode == "skip" else f"mode={literal(flow.singleton.mode)}"
        key = f"key={literal(flow.singleton.key)}" if flow.singleton.key else ""
        yield f"singleton=Singleton({', '.join(filter(None, (key, mode)))})"
    if flow.idempotency:
        yield f"idempotency={literal(flow.idempotency)}"
    if flow.priority is not None:
        shown = literal(flow.priority) if isinstance(flow.priority, str) else str(flow.priority)
        yield f"priority={shown}"


def _limit(kind: str, limit: Limit, module: Module) -> str:
    module.imports.take("qflow", kind)
    per = f", per={literal(limit.per)}" if limit.per else ""
    return f"{kind}({limit.limit}{per}{_key(limit.key)})"


def _key(key: str | None) -> str:
    return f", key={literal(key)}" if key else ""


def _list(items: list[str]) -> str:
    return f"[{', '.join(items)}]"
