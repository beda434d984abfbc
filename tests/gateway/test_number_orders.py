import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import aiohttp
import pytest
from typing_extensions import override

from gateway.db import Database
from gateway.errors import BadInputError, ProblemError
from gateway.number_orders import WantedNumber, order_number, search_numbers
from gateway.number_return import release_line
from gateway.number_store import NumberOrder, list_open
from gateway.rentals import collect_rents, tenants_with_rents_due
from gateway.repeat_keys import RepeatKey
from gateway.services import Services
from gateway.simulator.twilio import FakeTwilio
from gateway.tenants import Tenant
from gateway.twilio.rest import Answer, Form, TwilioRest
from metering.audit import audit
from metering.entries import read_wallet
from metering.operations import ExpireHold
from tests.conftest import Clock
from tests.gateway.letting import (
    AGENT,
    LOCAL_RENT,
    MOBILE_RENT,
    alerts_of,
    applied,
    balance_of,
    granted,
    line_of,
    lines_of,
    made,
    put_to,
    rents_of,
)
from tests.gateway.wiring import wired

SID = "AC" + "0" * 32
PUBLIC = "http://localhost:8080"
OTHER_LINE = """[[line]]
number = "+4915100000001"
kind = "mobile"
agent = "Rezeption"
channels = ["voice"]
"""
WANTED = WantedNumber(country="DE", kind="mobile", agent="Rezeption", channels=("sms", "voice"))


@pytest.fixture
async def shop() -> AsyncIterator[FakeTwilio]:
    fake = FakeTwilio(account_sid=SID, auth_token="token", public_url=PUBLIC)
    async with fake.running():
        yield fake


@pytest.fixture
async def services(
    db: Database, clock: Clock, new_id: Callable[[], UUID], tmp_path: Path, shop: FakeTwilio
) -> AsyncIterator[Services]:
    async with wired(db, clock, new_id, tmp_path) as bare, aiohttp.ClientSession() as http:
        limits = replace(bare.limits, hold_wait_s=0.05)
        yield replace(bare, twilio=TwilioRest(http, shop.url, SID, "token", shop.url), limits=limits)


@pytest.fixture
async def acme(services: Services) -> Tenant:
    tenant = await made(services, "Acme", millicredits=100_000_000)
    await applied(services, tenant, AGENT)
    return tenant


def owned(shop: FakeTwilio) -> list[str]:
    return [number.number for number in shop.numbers]


async def held_of(services: Services, tenant: Tenant) -> int:
    async with services.db.transaction(tenant.tenant_id) as connection:
        return (await read_wallet(connection, tenant.tenant_id)).held_millicredits


async def open_orders(services: Services, tenant: Tenant) -> list[NumberOrder]:
    async with services.db.transaction(tenant.tenant_id) as connection:
        return await list_open(connection, tenant.tenant_id)


async def problem_of(services: Services, tenant: Tenant, wanted: WantedNumber = WANTED) -> ProblemError:
    with pytest.raises(ProblemError) as caught:
        await order_number(services, tenant, wanted)
    return caught.value


async def nothing_happened(services: Services, tenant: Tenant, shop: FakeTwilio) -> bool:
    return (
        owned(shop) == []
        and await lines_of(services, tenant) == []
        and await balance_of(services, tenant) == 100_000_000
        and await held_of(services, tenant) == 0
        and await open_orders(services, tenant) == []
    )


async def test_numbers_are_searched_by_country_and_kind(services: Services) -> None:
    mobile = await search_numbers(services, country="de", kind="mobile", limit=3)
    local = await search_numbers(services, country="DE", kind="local", limit=3)
    assert [len(mobile), len(local)] == [3, 3]
    assert all(offer.number.startswith("+4915") for offer in mobile)
    assert all(offer.number.startswith("+4930") for offer in local)
    assert await search_numbers(services, country="AQ", kind="local", limit=3) == []
    with pytest.raises(BadInputError, match="two letters"):
        await search_numbers(services, country="Germany", kind="local", limit=3)


async def test_an_ordered_number_is_a_line_whose_first_month_is_paid(
    services: Services, acme: Tenant, shop: FakeTwilio
) -> None:
    order = await order_number(services, acme, WANTED)
    line = await line_of(services, acme)
    (bought,) = shop.numbers
    assert (order.state, order.line_id, order.number) == ("done", line.line_id, line.number)
    assert (line.number, line.kind, line.channels, line.state) == (bought.number, "mobile", ("sms", "voice"), "active")
    assert (line.provisioned_on, line.rented_until) == (date(2026, 11, 24), date(2026, 12, 24))
    assert line.twilio_number_sid == bought.sid
    assert await rents_of(services, acme) == [(date(2026, 11, 24), MOBILE_RENT)]
    assert await held_of(services, acme) == 0
    assert bought.friendly_name == str(order.order_id)
    assert bought.sms_url == f"{PUBLIC}/webhooks/twilio/messages"
    assert bought.voice_url == bought.voice_fallback_url == f"{PUBLIC}/webhooks/twilio/voice"
    assert bought.status_callback == f"{PUBLIC}/webhooks/twilio/voice/status"
    await collect_rents(services, acme)
    assert await balance_of(services, acme) == 100_000_000 - MOBILE_RENT


async def test_a_number_of_ones_own_choice_is_bought_if_it_is_of_that_kind(
    services: Services, acme: Tenant, shop: FakeTwilio
) -> None:
    wanted = replace(WANTED, number="+49309018207", kind="local", channels=("voice",))
    chosen = (await search_numbers(services, country="DE", kind="local", limit=9))[8].number
    order = await order_number(services, acme, replace(wanted, number=chosen))
    assert (order.number, owned(shop)) == (chosen, [chosen])
    assert await balance_of(services, acme) == 100_000_000 - LOCAL_RENT
    another = (await search_numbers(services, country="DE", kind="local", limit=1))[0].number
    refused = await problem_of(services, acme, replace(wanted, number=another, kind="mobile"))
    assert refused.code == "number_not_available"


async def test_who_cannot_pay_the_first_month_orders_nothing_and_is_not_paused(
    services: Services, shop: FakeTwilio
) -> None:
    poor = await made(services, "Poor", millicredits=MOBILE_RENT - 1)
    await applied(services, poor, AGENT)
    assert (await problem_of(services, poor)).code == "insufficient_credits"
    assert owned(shop) == []
    async with services.db.transaction(poor.tenant_id) as connection:
        wallet = await read_wallet(connection, poor.tenant_id)
    assert (wallet.held_millicredits, wallet.state) == (0, "active")


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"kind": "local"}, "order a mobile number"),
        ({"agent": "Niemand"}, "no published agent"),
        ({"channels": ()}, "at least one of"),
        ({"country": "D"}, "two letters"),
    ],
)
async def test_what_could_never_be_a_line_is_refused_before_anything_is_bought(
    services: Services, acme: Tenant, shop: FakeTwilio, changed: dict[str, object], said: str
) -> None:
    with pytest.raises(BadInputError, match=said):
        await order_number(services, acme, replace(WANTED, **changed))  # type: ignore[arg-type]  # of a parameter
    assert await nothing_happened(services, acme, shop)


async def test_without_an_account_at_twilio_it_is_said_what_is_missing(services: Services, acme: Tenant) -> None:
    refused = await problem_of(replace(services, twilio=None), acme)
    assert "TWILIO_ACCOUNT_SID" in refused.detail


@pytest.mark.parametrize(
    ("fault", "code"),
    [({"purchase_codes": [21631]}, "order_refused"), ({"numbers_gone": 1}, "number_not_available")],
)
async def test_a_refusal_gives_the_credits_back_and_says_why(
    services: Services, acme: Tenant, shop: FakeTwilio, fault: dict[str, Any], code: str
) -> None:
    for name, value in fault.items():
        setattr(shop.faults, name, value)
    assert (await problem_of(services, acme)).code == code
    assert await nothing_happened(services, acme, shop)


async def test_an_unknown_outcome_is_looked_up_by_our_name_before_anything_else(
    services: Services, acme: Tenant, shop: FakeTwilio, clock: Clock
) -> None:
    shop.faults.purchases_dropped = 1
    order = await order_number(services, acme, WANTED)
    assert order.state == "buying"
    assert await lines_of(services, acme) == []
    assert await held_of(services, acme) == MOBILE_RENT
    clock.advance(seconds=30)
    await collect_rents(services, acme)  # too early to know
    assert [each.state for each in await open_orders(services, acme)] == ["buying"]
    clock.advance(seconds=31)
    async with services.db.queue() as connection:
        assert await tenants_with_rents_due(connection, now=clock.now()) == [acme.tenant_id]
    await collect_rents(services, acme)
    assert (await line_of(services, acme)).state == "active"
    assert len(owned(shop)) == 1
    assert await rents_of(services, acme) == [(date(2026, 11, 24), MOBILE_RENT)]


async def test_a_number_whose_credits_are_gone_when_it_is_found_waits_suspended(
    services: Services, acme: Tenant, shop: FakeTwilio, clock: Clock
) -> None:
    shop.faults.purchases_dropped = 1
    await order_number(services, acme, WANTED)
    put_to(clock, acme, date(2026, 11, 26))  # the hold is over, and others have had the credits
    (order,) = await open_orders(services, acme)
    await services.ledger.submit(acme.tenant_id, ExpireHold(hold_key=order.hold_key))
    await applied(services, acme, AGENT + OTHER_LINE)
    await collect_rents(services, acme)
    states = {line.number: line.state for line in await lines_of(services, acme)}
    assert sorted(states.values()) == ["active", "suspended"]
    await granted(services, acme, MOBILE_RENT)
    await collect_rents(services, acme)
    assert {line.state for line in await lines_of(services, acme)} == {"active"}
    assert len(owned(shop)) == 1


async def test_one_key_orders_one_number_however_often_it_is_sent(services: Services, shop: FakeTwilio) -> None:
    rich = await made(services, "Rich", millicredits=500_000_000)
    await applied(services, rich, AGENT)
    wanted = replace(WANTED, repeat=RepeatKey(key="k", request_hash=b"1"))
    orders = await asyncio.gather(*(order_number(services, rich, wanted) for _ in range(5)))
    assert len({order.order_id for order in orders}) == 1
    assert len(owned(shop)) == 1
    again = await order_number(services, rich, wanted)
    assert (again.state, again.order_id) == ("done", orders[0].order_id)
    other = replace(WANTED, repeat=RepeatKey(key="k", request_hash=b"2"))
    assert (await problem_of(services, rich, other)).code == "idempotency_key_reused"
    assert await balance_of(services, rich) == 500_000_000 - MOBILE_RENT


class DiedError(Exception):
    """The process is gone at this point."""


@pytest.mark.parametrize("where", ["clock", "id"])
async def test_a_process_that_dies_at_any_step_leaves_one_number_and_one_charge_or_neither(
    services: Services, shop: FakeTwilio, clock: Clock, new_id: Callable[[], UUID], where: str
) -> None:
    outcomes = set()
    for step in range(1, 40):
        tenant = await made(services, f"Acme {step}", millicredits=MOBILE_RENT)
        await applied(services, tenant, AGENT)
        steps, before = [0], len(owned(shop))

        def die(at: int, steps: list[int] = steps) -> None:
            steps[0] += 1
            if steps[0] == at:
                raise DiedError

        def now(at: int = step, die: Callable[[int], None] = die) -> datetime:
            die(at)
            return clock.now()

        def an_id(at: int = step, die: Callable[[int], None] = die) -> UUID:
            die(at)
            return new_id()

        dying = replace(services, now=now) if where == "clock" else replace(services, new_id=an_id)
        try:
            await order_number(dying, tenant, WANTED)
        except DiedError:
            clock.advance(seconds=121)
            await asyncio.gather(*(collect_rents(services, tenant) for _ in range(3)))
        bought, lines = len(owned(shop)) - before, await lines_of(services, tenant)
        outcomes.add(bought)
        assert bought == len(lines) == len(await rents_of(services, tenant)) <= 1
        assert await open_orders(services, tenant) == []
        assert await held_of(services, tenant) == 0
        assert await balance_of(services, tenant) == (0 if bought else MOBILE_RENT)
        async with services.db.snapshot(tenant.tenant_id) as connection:
            assert await audit(connection, tenant.tenant_id, services.rate_cards) == ()
        if steps[0] < step:
            break
    else:
        raise AssertionError("the order never came to its end")
    assert outcomes == {0, 1}


class DyingRest(TwilioRest):
    """A process that dies before, or after, Twilio has taken its purchase."""

    after = False

    @override
    async def post(self, path: str, form: Form) -> Answer:
        if self.after:
            await super().post(path, form)
        raise DiedError


@pytest.mark.parametrize("after", [False, True])
async def test_a_process_that_dies_while_it_buys_is_followed_by_one_that_finds_or_buys_the_number(
    services: Services, acme: Tenant, shop: FakeTwilio, clock: Clock, after: bool
) -> None:
    async with aiohttp.ClientSession() as http:
        dying = DyingRest(http, shop.url, SID, "token", shop.url)
        dying.after = after
        with pytest.raises(DiedError):
            await order_number(replace(services, twilio=dying), acme, WANTED)
    assert len(owned(shop)) == after
    await collect_rents(services, acme)  # somebody may still be at it
    assert len(await open_orders(services, acme)) == 1
    clock.advance(seconds=121)
    await asyncio.gather(*(collect_rents(services, acme) for _ in range(5)))
    assert len(owned(shop)) == 1
    assert (await line_of(services, acme)).state == "active"
    assert await rents_of(services, acme) == [(date(2026, 11, 24), MOBILE_RENT)]


async def test_an_order_that_fails_behind_the_owners_back_is_told(
    services: Services, acme: Tenant, shop: FakeTwilio, clock: Clock
) -> None:
    async with aiohttp.ClientSession() as http:
        with pytest.raises(DiedError):
            await order_number(
                replace(services, twilio=DyingRest(http, shop.url, SID, "token", shop.url)), acme, WANTED
            )
    clock.advance(seconds=121)
    shop.faults.purchase_codes = [21649]
    await collect_rents(services, acme)
    assert [alert["failure"] for alert in await alerts_of(services, acme, "number_order_failed")] == ["twilio_21649"]
    assert await nothing_happened(services, acme, shop)


async def test_a_released_number_goes_back_to_twilio_and_costs_nothing_more(
    services: Services, acme: Tenant, shop: FakeTwilio, clock: Clock
) -> None:
    await order_number(services, acme, WANTED)
    line = await line_of(services, acme)
    assert await release_line(services, acme.tenant_id, line.line_id)
    assert owned(shop) == []
    put_to(clock, acme, date(2027, 3, 1))
    await collect_rents(services, acme)
    assert await balance_of(services, acme) == 100_000_000 - MOBILE_RENT
    released = await line_of(services, acme)
    assert (released.state, released.twilio_number_sid) == ("released", None)
    assert not await release_line(services, acme.tenant_id, services.new_id())


async def test_a_number_that_twilio_did_not_take_back_is_given_back_the_next_time(
    services: Services, acme: Tenant, shop: FakeTwilio
) -> None:
    await order_number(services, acme, WANTED)
    line = await line_of(services, acme)
    async with aiohttp.ClientSession() as http:
        nobody = TwilioRest(http, "http://127.0.0.1:9", SID, "token", "http://127.0.0.1:9")
        await release_line(replace(services, twilio=nobody), acme.tenant_id, line.line_id)
    assert len(owned(shop)) == 1
    assert (await line_of(services, acme)).state == "released"
    async with services.db.queue() as connection:
        assert await tenants_with_rents_due(connection, now=services.now()) == [acme.tenant_id]
    await collect_rents(services, acme)
    await collect_rents(services, acme)
    assert owned(shop) == []
