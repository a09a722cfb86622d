"""Which answers of a service are worth another attempt, when, and what the others say."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import timedelta
from email.utils import formatdate
from time import time

import pytest
from local_services.http import Answer, HttpService, Request
from pydantic import BaseModel

from qflow import NonRetriableError, RetryAfterError
from workers.rest import Service, ServiceError

SHOP = Service("The shop", "SHOP_URL", "SHOP_TOKEN")


class Item(BaseModel):
    """What the shop sells."""

    price: int


class Shop(HttpService):
    """Sells one thing."""

    def answer(self, request: Request) -> Answer:
        """Say its price."""
        return Answer(200, {"price": 7})


@pytest.fixture
def shop(environment: pytest.MonkeyPatch) -> Iterator[Shop]:
    """A shop that the environment names."""
    with Shop() as service:
        environment.setenv("SHOP_URL", f"{service.url}/")
        environment.setenv("SHOP_TOKEN", "secret")
        yield service


def get() -> Item:
    """Ask the shop."""
    return asyncio.run(SHOP.get("/item", Item))


def test_an_answer_comes_as_its_model(shop: Shop) -> None:
    assert get() == Item(price=7)
    (request,) = shop.requests
    assert (request.path, request.bearer) == ("/item", "secret")


@pytest.mark.parametrize("name", ["SHOP_URL", "SHOP_TOKEN"])
def test_a_missing_variable_is_named(
    shop: Shop, environment: pytest.MonkeyPatch, name: str
) -> None:
    environment.setenv(name, " ")
    with pytest.raises(NonRetriableError, match=f"^{name} is not set: "):
        get()
    assert not shop.requests


def test_an_address_that_is_none_is_named(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("SHOP_URL", "shop.example.com")
    with pytest.raises(NonRetriableError, match="SHOP_URL must begin with https://"):
        get()


def test_a_refused_token_names_its_variable(shop: Shop) -> None:
    shop.fail(1, 401, {"error": "expired"})
    with pytest.raises(NonRetriableError, match="401 Unauthorized.*valid token into SHOP_TOKEN"):
        get()


@pytest.mark.parametrize("status", [302, 400, 403, 404, 410, 422])
def test_asking_again_mends_no_bad_request(shop: Shop, status: int) -> None:
    shop.fail(1, status, "no such\nthing")
    with pytest.raises(NonRetriableError, match=f"The shop answered {status} .*no such thing"):
        get()


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize(
    ("value", "seconds"),
    [("0", 0), ("7", 7), ("-3", 0), ("9" * 30, 86400), (formatdate(0, usegmt=True), 0)],
)
def test_the_service_says_when_to_come_back(
    shop: Shop, status: int, value: str, seconds: int
) -> None:
    shop.fail(1, status, Retry_After=value)
    with pytest.raises(RetryAfterError) as caught:
        get()
    assert caught.value.after == timedelta(seconds=seconds)


def test_the_service_says_it_with_a_date(shop: Shop) -> None:
    shop.fail(1, 503, Retry_After=formatdate(time() + 60, usegmt=True))
    with pytest.raises(RetryAfterError) as caught:
        get()
    assert isinstance(caught.value.after, timedelta)
    assert timedelta(seconds=30) < caught.value.after <= timedelta(seconds=60)


@pytest.mark.parametrize("header", [{}, {"Retry_After": "soon"}])
@pytest.mark.parametrize("status", [408, 429, 500, 502, 503])
def test_other_failures_are_left_to_the_backoff(
    shop: Shop, status: int, header: dict[str, str]
) -> None:
    shop.fail(1, status, **header)
    with pytest.raises(ServiceError, match=f"The shop answered {status} "):
        get()


@pytest.mark.parametrize("body", ["<h1>Maintenance</h1>", {"price": "much"}, [], {}])
def test_an_answer_of_another_shape_says_so(shop: Shop, body: object) -> None:
    shop.fail(1, 200, body)
    with pytest.raises(ServiceError, match="The shop answered no proper Item"):
        get()


def test_a_service_that_is_down_is_tried_again(shop: Shop) -> None:
    shop.stop()
    with pytest.raises(ServiceError, match=r"The shop \(SHOP_URL\) is out of reach: ConnectError"):
        get()


def test_an_address_that_is_a_secret_is_never_told(
    shop: Shop, environment: pytest.MonkeyPatch
) -> None:
    environment.setenv("SHOP_URL", f"{shop.url}/hidden-hook")
    hook = Service("The hook", "SHOP_URL")
    for status in (404, 500, 503):
        shop.fail(1, status, "no")
        with pytest.raises(Exception, match="The hook answered") as caught:
            asyncio.run(hook.post({"text": "hi"}))
        assert "hidden-hook" not in str(caught.value)
