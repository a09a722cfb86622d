"""The rates: from the API, and what the cache keeps of them."""

from __future__ import annotations

import asyncio
from datetime import date
from decimal import Decimal

import pytest
from local_services.exchange import Exchange

from qflow import NonRetriableError
from workers.rates import Rates, fetch_live, read_cache, write_cache


def test_what_was_fetched_comes_back_from_the_cache(exchange: Exchange, database: str) -> None:
    rates = asyncio.run(fetch_live("EUR"))
    assert rates.date == date(2024, 11, 25)
    assert rates.rates == {"USD": Decimal("1.0495"), "CHF": Decimal("0.9321")}
    write_cache(rates)
    write_cache(asyncio.run(fetch_live("USD")))
    assert read_cache("EUR") == rates


def test_the_cache_keeps_the_newest(database: str) -> None:
    for day in (2, 4, 3):
        write_cache(Rates(base="EUR", date=date(2024, 1, day), rates={"USD": Decimal(day)}))
    assert read_cache("EUR").rates == {"USD": Decimal(4)}


def test_an_empty_cache_says_so(database: str) -> None:
    with pytest.raises(NonRetriableError, match="no rates of EUR are cached"):
        read_cache("EUR")


def test_a_currency_that_the_api_does_not_know_is_not_tried_again(exchange: Exchange) -> None:
    with pytest.raises(NonRetriableError, match="The rates API answered 404"):
        asyncio.run(fetch_live("XXX"))
