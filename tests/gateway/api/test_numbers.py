from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any
from uuid import UUID

import aiohttp
import pytest
from aiohttp.test_utils import TestClient, TestServer

from gateway.api.openapi import describe
from gateway.api.routes import ROUTES, routes
from gateway.services import Services
from gateway.simulator.twilio import FakeTwilio
from gateway.twilio.rest import TwilioRest
from gateway.web import application
from tests.cast import grant
from tests.gateway.api.conftest import Caller, Salon
from tests.gateway.api.json_schema import violations

SID = "AC" + "0" * 32
ORDER = {"country": "DE", "kind": "mobile", "agent": "Rezeption", "channels": ["sms", "voice"]}


@pytest.fixture
async def shop() -> AsyncIterator[FakeTwilio]:
    fake = FakeTwilio(account_sid=SID, auth_token="token", public_url="http://localhost:8080")
    async with fake.running():
        yield fake


@pytest.fixture
async def client(services: Services, shop: FakeTwilio) -> AsyncIterator["TestClient[Any, Any]"]:
    async with aiohttp.ClientSession() as http:
        sold = replace(services, twilio=TwilioRest(http, shop.url, SID, "token", shop.url))
        app = application(routes(sold), body_bytes_max=64 * 1024, https=False, stopping=lambda: False)
        async with TestClient(TestServer(app)) as client:
            yield client


async def an_order(salon: Salon) -> UUID:
    order_id = salon.services.new_id()
    await salon.sql(
        """INSERT INTO number_order (tenant_id, order_id, line_id, number, kind, country, agent_id, channels,
                                     claimed_until, created_at)
           VALUES ($1, $2, $3, '+4915735990000', 'mobile', 'DE', $4, '{sms}', $5, $5)""",
        salon.tenant_id,
        order_id,
        salon.services.new_id(),
        salon.agent_id,
        salon.services.now(),
    )
    return order_id


async def enough(salon: Salon) -> None:
    services = salon.services
    await grant(services.db, salon.tenant_id, 200_000_000, now=services.now(), new_id=services.new_id)


async def test_numbers_that_could_be_ordered_are_shown_as_described(acme: Caller) -> None:
    found = await acme.get("/numbers/available", country="DE", kind="local", limit=2)
    assert [offer["number"][:5] for offer in found["items"]] == ["+4930", "+4930"]
    document = describe(ROUTES, server="https://gateway.example")
    assert list(violations(found, {"$ref": "#/components/schemas/AvailableNumbers"}, document)) == []


async def test_an_ordered_number_is_a_line_until_it_is_given_up(acme: Caller, salon: Salon, shop: FakeTwilio) -> None:
    await enough(salon)
    order = await acme.post("/numbers", ORDER)
    assert (order.status, order.content["state"]) == (201, "done")
    assert (await acme.get(f"/numbers/orders/{order.content['id']}"))["line_id"] == order.content["line_id"]
    states = {line["id"]: line["state"] for line in (await acme.get("/lines"))["items"]}
    assert states[order.content["line_id"]] == "active"
    assert (await acme.ask("DELETE", f"/lines/{order.content['line_id']}")).status == 204
    states = {line["id"]: line["state"] for line in (await acme.get("/lines"))["items"]}
    assert states[order.content["line_id"]] == "released"
    assert list(shop.numbers) == []


async def test_the_same_key_orders_one_number(acme: Caller, salon: Salon, shop: FakeTwilio) -> None:
    await enough(salon)
    first = await acme.post("/numbers", ORDER, Idempotency_Key="one")
    again = await acme.post("/numbers", ORDER, Idempotency_Key="one")
    assert (again.status, again.content) == (201, first.content)
    assert len(list(shop.numbers)) == 1
    other = await acme.post("/numbers", {**ORDER, "channels": ["voice"]}, Idempotency_Key="one")
    assert (other.status, other.code) == (409, "idempotency_key_reused")


@pytest.mark.usefixtures("salon")
async def test_another_kind_is_told_what_to_order(acme: Caller) -> None:
    refused = await acme.post("/numbers", {**ORDER, "kind": "toll_free"})
    assert (refused.status, refused.fields) == (422, ["kind"])
    assert "order a local number (voice, WhatsApp) or a mobile number" in refused.content["detail"]
    local = await acme.post("/numbers", {**ORDER, "kind": "local"})
    assert (local.status, "order a mobile number" in local.content["detail"]) == (400, True)


@pytest.mark.usefixtures("broke_salon")
async def test_without_credits_nothing_is_ordered(broke: Caller, shop: FakeTwilio) -> None:
    refused = await broke.post("/numbers", ORDER)
    assert (refused.status, refused.code) == (402, "insufficient_credits")
    assert list(shop.numbers) == []


async def test_nobody_sees_or_gives_up_what_belongs_to_another(
    acme: Caller, mallory: Caller, nobody: Caller, salon: Salon
) -> None:
    order_id = await an_order(salon)
    assert (await mallory.ask("GET", f"/numbers/orders/{order_id}")).status == 404
    assert (await mallory.ask("DELETE", f"/lines/{salon.line_id}")).status == 404
    assert (await nobody.ask("DELETE", f"/lines/{salon.line_id}")).status == 401
    assert (await acme.get("/lines"))["items"][0]["state"] == "active"
