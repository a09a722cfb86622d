"""Cities and zones as people name them, as IANA zones."""

from __future__ import annotations

import re
from functools import cache
from typing import Final

from qflow.authoring.planner.words import Words

_ALIASES: Final = {
    "nyc": "America/New_York", "boston": "America/New_York", "washington": "America/New_York",
    "miami": "America/New_York", "atlanta": "America/New_York", "philadelphia": "America/New_York",
    "eastern": "America/New_York", "est": "America/New_York", "edt": "America/New_York",
    "et": "America/New_York", "central": "America/Chicago", "cst": "America/Chicago",
    "dallas": "America/Chicago", "austin": "America/Chicago", "houston": "America/Chicago",
    "mountain": "America/Denver", "mst": "America/Denver", "pacific": "America/Los_Angeles",
    "pst": "America/Los_Angeles", "pt": "America/Los_Angeles", "pdt": "America/Los_Angeles",
    "san francisco": "America/Los_Angeles", "seattle": "America/Los_Angeles",
    "la": "America/Los_Angeles", "san diego": "America/Los_Angeles", "montreal": "America/Toronto",
    "ottawa": "America/Toronto", "cet": "Europe/Berlin", "cest": "Europe/Berlin",
    "munich": "Europe/Berlin", "hamburg": "Europe/Berlin", "cologne": "Europe/Berlin",
    "frankfurt": "Europe/Berlin", "germany": "Europe/Berlin", "france": "Europe/Paris",
    "geneva": "Europe/Zurich", "bern": "Europe/Zurich", "basel": "Europe/Zurich",
    "milan": "Europe/Rome", "barcelona": "Europe/Madrid", "manchester": "Europe/London",
    "edinburgh": "Europe/London", "uk": "Europe/London", "bst": "Europe/London",
    "mumbai": "Asia/Kolkata", "delhi": "Asia/Kolkata", "new delhi": "Asia/Kolkata",
    "bangalore": "Asia/Kolkata", "bengaluru": "Asia/Kolkata", "india": "Asia/Kolkata",
    "ist": "Asia/Kolkata", "beijing": "Asia/Shanghai", "shenzhen": "Asia/Shanghai",
    "osaka": "Asia/Tokyo", "japan": "Asia/Tokyo", "jst": "Asia/Tokyo", "kyoto": "Asia/Tokyo",
    "abu dhabi": "Asia/Dubai", "tel aviv": "Asia/Jerusalem", "rio": "America/Sao_Paulo",
    "gmt": "UTC", "utc": "UTC", "zulu": "UTC", "greenwich": "UTC",
}  # fmt: skip
_WORDS: Final = {"et", "pt", "la", "central", "mountain", "pacific", "eastern", "ist", "mst", "rio"}
_CITY: Final = r"[A-Z][\w.'-]+(?: [A-Z][\w.'-]+){0,2}"


def take_zone(words: Words) -> str:
    """Return the zone that the words name, "" where they name none."""
    found = words.take(
        r"\b(?:in |at )?((?:Africa|America|Asia|Australia|Europe|Pacific)/\w+(?:/\w+)?)\b"
    )
    if found and found[1].lower() in _zones_by_name():
        return _zones_by_name()[found[1].lower()]
    cities = sorted(_cities(), key=len, reverse=True)
    names = "|".join(re.escape(city) for city in cities)
    sure = rf"(?:\b(?:in |on )?(?:the )?(?<![\w-])({names})(?: standard| daylight)? time\b)"
    after_time = rf"(?:(?<=\d|m|n|t|k) (?<![\w-])({names})(?![\w-]))"
    inside = rf"(?:\b(?:in|for) (?:the )?({names})(?![\w-]))"
    for pattern in (sure, inside, after_time):
        for match in re.finditer(pattern, words.left, re.IGNORECASE):
            city = match[1]
            if pattern == sure or city[0].isupper() or city.lower() in ("utc", "gmt"):
                if city.lower() in _WORDS and pattern != sure and not city.isupper():
                    continue
                words.mark(match.start(), match.end())
                return _cities()[city.lower()]
    return ""


def zone_of(text: str) -> str:
    """Return the zone of a city or of a zone's name, "" where there is no such."""
    flat = " ".join(text.strip().lower().removesuffix(" time").split())
    return _cities().get(flat) or _zones_by_name().get(flat.replace(" ", "_"), "")


def unknown_place(words: Words) -> str:
    """Return the place that stands where a zone would, but is none that we know."""
    found = re.search(
        rf"(?:\d|AM|PM|am|pm|noon|midnight|\x1f) ?(?:in|for) ({_CITY})(?=$|[,.\x1f ])", words.left
    )
    if found is None or found[1].split()[0] in ("Slack", "Salesforce", "Postgres", "S3", "Zendesk"):
        return ""
    words.mark(found.start(1) - 3, found.end(1))
    return found[1]


@cache
def _zones_by_name() -> dict[str, str]:
    from zoneinfo import available_timezones

    return {zone.lower(): zone for zone in available_timezones() if "/" in zone} | {"utc": "UTC"}


@cache
def _cities() -> dict[str, str]:
    """Return zones by city; where two have one name, the first in the order of the alphabet."""
    regions = ("Africa", "America", "Asia", "Atlantic", "Australia", "Europe", "Pacific")
    found: dict[str, str] = {}
    for zone in sorted(_zones_by_name().values()):
        if zone.split("/")[0] in regions:
            found.setdefault(zone.rpartition("/")[2].replace("_", " ").lower(), zone)
    return found | _ALIASES
