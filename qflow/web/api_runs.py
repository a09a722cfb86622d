"""What /api/v1 tells of one run beyond its story."""

from __future__ import annotations

from typing import Final

from qflow.read import runs, said
from qflow.web.exchange import Answer, Ask, Endpoint, Json, Site
from qflow.web.pages.comparing import compared
from qflow.web.pages.story import tell


def _logs(site: Site, ask: Ask) -> Answer:
    told = tell(site, runs.find(site.redis, site.keys, ask.path["run"]))
    lines = said.lines(told, ask.query.get("level", ""))
    return Json({"lines": [line._asdict() for line in lines]})


def _against(site: Site, ask: Ask) -> Answer:
    return Json(compared(site, ask).as_dict())


TABLE: Final = (
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
