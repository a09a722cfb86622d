"""Every hour and on demand: today's exchange rates, or the last known ones while the API is down.

RATES_URL     an API such as https://api.frankfurter.dev/v1
DATABASE_URL  keeps the last rates of each currency, so that any worker can fall back on them
"""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any, Final

from pydantic import BaseModel, Field
from sqlalchemy import Column, Date, String, Table, Text, select

from qflow import Backoff, Cron, Event, NonRetriableError, Run, Step, StepError

from .client import app
from .database import metadata, transaction, upsert
from .rest import Service

RATES: Final = Service("The rates API", "RATES_URL")

cached_rates: Final = Table(
    "cached_rates",
    metadata,
    Column("base", String(3), primary_key=True),
    Column("day", Date, nullable=False),
    Column("json", Text, nullable=False),
)


class Wanted(BaseModel):
    """The currency that rates are wanted for; the hourly event names none."""

    base: str = Field("EUR", pattern=r"^[A-Z]{3}$")


class Rates(BaseModel):
    """What one unit of `base` cost in other currencies on a day."""

    base: str
    date: date
    rates: dict[str, Decimal]


@app.function(
    "fetch-rates",
    name="Exchange rates",
    trigger=["rates/requested", Cron("0 * * * *")],
    retries=2,
    backoff=Backoff(base="1s", max="10s"),
)
async def fetch_rates(event: Event[Wanted], step: Step, run: Run) -> dict[str, Any]:
    """Return the rates, with their day and where they come from: `live` or `cache`."""
    base = event.data.base
    try:
        rates = await step.run("fetch-live", fetch_live, base)
    except StepError as error:
        if error.name == NonRetriableError.__name__:
            raise  # we asked wrongly: old rates would only hide that
        run.logger.warning("rates.fallback", base=base, error=error.message)
        return _result("cache", await step.run("read-cache", read_cache, base))
    await step.run("write-cache", write_cache, rates)
    return _result("live", rates)


async def fetch_live(base: str) -> Rates:
    """Ask the API."""
    return await RATES.get("/latest", Rates, {"base": base})


def write_cache(rates: Rates) -> None:
    """Keep these rates, unless newer ones are kept already."""
    row = {"base": rates.base, "day": rates.date, "json": rates.model_dump_json()}
    upsert(cached_rates, [row], newer="day")


def read_cache(base: str) -> Rates:
    """Return the rates that were kept last; end the step where there are none."""
    with transaction(cached_rates) as connection:
        text = connection.scalar(
            select(cached_rates.columns.json).where(cached_rates.columns.base == base)
        )
    if text is None:
        raise NonRetriableError(f"the API is down and no rates of {base} are cached: try later")
    return Rates.model_validate_json(text)


def _result(source: str, rates: Rates) -> dict[str, Any]:
    return {"source": source, **rates.model_dump(mode="json")}
