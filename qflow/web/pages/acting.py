"""What an operator does to runs and workflows: cancel, run again, hurry on, pause, resume, replay."""

from __future__ import annotations

import json
from typing import Any, Final

from qflow.engine.cancelling import cancel_all
from qflow.engine.rerunning import Change, Rerunner
from qflow.errors import UsageError
from qflow.read import functions, runs
from qflow.read.faults import faults
from qflow.read.finished import before
from qflow.read.nearest import NotFound, unknown_function
from qflow.read.timeline import timeline
from qflow.store import again, pause, script
from qflow.web.exchange import Answer, Ask, Go, Html, Refused, Site
from qflow.web.pages.bulk import begin_on
from qflow.web.pages.story import tell

_HURRIED: Final = {"skip-sleep": "sleep", "retry-now": "retry"}
_DOES_NOT: Final = {"sleep": "does not sleep", "retry": "does not wait for another attempt"}


def cancel(site: Site, ask: Ask) -> Answer:
    """Cancel a run; refuse where it has ended."""
    return Go(f"/runs/{cancel_run(site, ask)}")


def cancel_run(site: Site, ask: Ask) -> str:
    """Cancel the run of a request and return its id."""
    run = runs.find(site.redis, site.keys, ask.path["run"])
    (ended,) = cancel_all(site.redis, site.keys, [run], f"by {ask.who.name}", site.keep)
    if ended.status:
        raise Refused(409, f"run {run} had ended before: it is {ended.status}")
    return run


def again_form(site: Site, ask: Ask) -> Answer:
    """Show the form that runs a run again, whole or from a step, as it was or with edits."""
    told = tell(site, runs.find(site.redis, site.keys, ask.path["run"]))
    fields = {"step": ask.query.get("step", ""), "data": ""}
    return Html("again.html", {"at": "runs", "told": told, "fields": fields, "problem": ""})


def rerun(site: Site, ask: Ask) -> Answer:
    """Run a run again; show the form with what is wrong where that cannot be."""
    fields = {"step": ask.form.get("step", ""), "data": ask.form.get("data", "").strip()}
    try:
        return Go(f"/runs/{rerun_run(site, ask, **fields)}")
    except UsageError as error:
        told = tell(site, runs.find(site.redis, site.keys, ask.path["run"]))
        context = {"at": "runs", "told": told, "fields": fields, "problem": str(error)}
        return Html("again.html", context, 400)


def rerun_run(site: Site, ask: Ask, step: str, data: str) -> str:
    """Run the run of a request again and return the new one's id.

    `data` is JSON, "" for no change: the event's data, or with `step` what that is called with.
    """
    old = runs.find(site.redis, site.keys, ask.path["run"])
    kept = before(site.redis, site.keys, old, step) if step else None
    change = Change()
    if data:
        value = _json(data)
        if kept is None and not isinstance(value, dict):
            raise UsageError("the event's data must be a JSON object")
        if kept is not None and kept.waits:
            raise UsageError(f"step {step!r} calls no function and has no input: leave it empty")
        value = site.opener.mask.restore(value, _data(site, old) if kept is None else None)
        change = Change(data=value) if kept is None else Change(step=step, input=value)
    rerunner = Rerunner(site.redis, site.keys, site.keep, site.hooks)
    return rerunner.rerun(old, change, kept.kept if kept else ())


def hurry(site: Site, ask: Ask) -> Answer:
    """Let a run go on now that sleeps or waits for its next attempt."""
    run = runs.find(site.redis, site.keys, ask.path["run"])
    what = _HURRIED.get(ask.path["what"], "")
    if not what:
        raise Refused(404, f"{ask.path['what']!r} is none of {', '.join(_HURRIED)}")
    call = again.hasten(site.keys, run, what, ask.form.get("step", ""), site.keep.ttl_s)
    outcome, *_ = script.run(site.redis, call)
    if outcome != 1:
        raise Refused(409, f"run {run} {_DOES_NOT[what]} any more")
    return Go(f"/runs/{run}")


def pause_workflow(site: Site, ask: Ask) -> Answer:
    """Start no more steps of a workflow until it is resumed."""
    function = ask.path["function"]
    pause_function(site, function, ask.form.get("how", "hold"))
    return Go(f"/workflows/{function}")


def pause_function(site: Site, function: str, how: str) -> None:
    """Pause a function; `how` says what becomes of its events: hold or skip."""
    if how not in ("hold", "skip"):
        raise UsageError(f"how={how!r}: hold (new events wait) or skip (they are skipped)")
    if script.run(site.redis, pause.pause(site.keys, function, how)) == pause.UNPUBLISHED:
        raise unknown_function(function, (), site.keys.ns)


def resume_workflow(site: Site, ask: Ask) -> Answer:
    """End a workflow's pause, and start what it held back."""
    function = ask.path["function"]
    resume_function(site, function)
    return Go(f"/workflows/{function}")


def resume_function(site: Site, function: str) -> int:
    """End a function's pause; return how many runs had waited."""
    functions.function(site.redis, site.keys, function)
    done = pause.unpause(site.redis, site.keys, function)
    if not done.was_paused and not done.queued:
        raise Refused(409, f"function {function!r} is not paused")
    queued = done.queued
    while done.left:
        done = pause.unpause(site.redis, site.keys, function)
        queued += done.queued
    return queued


def replay(site: Site, ask: Ask) -> Answer:
    """Run again those runs of a group of failures that were not run again before."""
    wanted = ask.path["fingerprint"]
    group = next((f for f in faults(site.redis, site.keys) if f.fingerprint == wanted), None)
    if group is None:
        raise NotFound(f"no failures of group {wanted!r} are among the newest any more")
    ids = [row.id for row in reversed(group.runs)]
    what = f"{group.function}: {group.name}"
    return Go(f"/bulk/{begin_on(site, ask, 'rerun', what, ids)}")


def _data(site: Site, run: str) -> Any:
    """Return the data of a run's event with nothing masked."""
    told = timeline(site.redis, site.keys, run)
    return site.opener.unmasked().story(told).event.get("data")


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        at = f"line {error.lineno} column {error.colno}"
        raise UsageError(f"the data are not JSON at {at}: {error.msg}") from None
    except RecursionError:
        raise UsageError("the data are nested too deeply") from None
