"""What /api/v1 tells of one run beyond its story, and of versions, schedules and limits."""

from __future__ import annotations

from typing import Final

from qflow.read import runs, said, versions
from qflow.read.limits import limits
from qflow.web.exchange import Answer, Ask, Endpoint, Json, Site
from qflow.web.pages.comparing import compared
from qflow.web.pages.limits import BUSIEST
from qflow.web.pages.schedules import schedules
from qflow.web.pages.story import tell


def _logs(site: Site, ask: Ask) -> Answer:
    told = tell(site, runs.find(site.redis, site.keys, ask.path["run"]))
    lines = said.lines(told, ask.query.get("level", ""))
    return Json({"lines": [line._asdict() for line in lines]})


def _against(site: Site, ask: Ask) -> Answer:
    return Json(compared(site, ask).as_dict())


def _versions(site: Site, ask: Ask) -> Answer:
    found = versions.versions(site.redis, site.keys, ask.path["function"])
    return Json({"versions": [each.as_dict() for each in found]})


def _schedules(site: Site, _ask: Ask) -> Answer:
    return Json({"schedules": [each.as_dict() for each in schedules(site)]})


def _limits(site: Site, _ask: Ask) -> Answer:
    return Json({"limits": [view.as_dict(BUSIEST) for view in limits(site.redis, site.keys)]})


TABLE: Final = (
    Endpoint("schedules", _schedules, "Schedules with their next five times"),
    Endpoint("limits", _limits, "Concurrency limits: holders, waiters and the busiest keys"),
    Endpoint(
        "functions/{function}/versions",
        _versions,
        "The versions of a function that workers published: source, when in force, unfinished runs",
    ),
    Endpoint(
        "runs/{run}/against/{other}",
        _against,
        "Two runs of one function: step by step, and the first step in which they differ",
    ),
    Endpoint(
        "runs/{run}/logs",
        _logs,
        "What the steps of a run printed and logged",
        (("level", "this level and above: debug, info, warning or error; print counts as info"),),
    ),
)
