"""What Twilio says of an SMS: not sent is refunded, not delivered is not, and nothing moves twice."""

import asyncio
import itertools
from dataclasses import replace

import pytest

from gateway.channels.base import DeliveryStatus
from tests.gateway.mailroom import Mailroom
from tests.gateway.sms_mailroom import SENT, TOKENS, SmsMailroom, with_sms

OPTED_OUT = "SELECT channel FROM service_window WHERE opted_out_at IS NOT NULL"
COST = SENT.amount_millicredits + TOKENS.amount_millicredits
ORDERS = list(itertools.permutations([DeliveryStatus.UNKNOWN, DeliveryStatus.SENT, DeliveryStatus.DELIVERED]))


@pytest.fixture
async def begun(sms: SmsMailroom) -> SmsMailroom:
    await sms.grant(10 * COST)
    await sms.write(1)
    sms.mailroom.clock.advance(seconds=5)
    return sms


@pytest.mark.parametrize("order", ORDERS, ids="-".join)
async def test_reports_in_any_order_end_at_the_furthest(begun: SmsMailroom, order: tuple[DeliveryStatus, ...]) -> None:
    message_id = await begun.sent(state="queued")
    for status in order:
        for _ in range(2):
            await begun.receive(begun.report(status, message_id=message_id))
    message = await begun.mailroom.message_row(message_id)
    assert (message["state"], message["provider_id"]) == ("delivered", "SM-OUT1")
    assert (await begun.mailroom.row("SELECT state FROM outbox"))["state"] == "sent"


async def test_what_never_left_gives_back_its_segments_and_its_tokens_once(begun: SmsMailroom) -> None:
    before = await begun.mailroom.balance()
    message_id = await begun.sent()
    failed = begun.report(DeliveryStatus.FAILED, code=30006)
    await asyncio.gather(*(begun.receive(failed) for _ in range(8)))
    assert await begun.mailroom.balance() == before
    message = await begun.mailroom.message_row(message_id)
    assert (message["state"], message["failure"]) == ("refunded", "30006")
    assert await begun.alerts() == ["delivery_failed"]
    await begun.audit()


@pytest.mark.parametrize("state", ["sent", "queued"], ids=["acknowledged", "not acknowledged yet"])
async def test_what_left_and_did_not_arrive_stays_paid_and_the_owner_is_told_once(
    begun: SmsMailroom, state: str
) -> None:
    before = await begun.mailroom.balance()
    message_id = await begun.sent(state=state)
    for code in (30003, 30003, 30008):
        await begun.receive(begun.report(DeliveryStatus.UNDELIVERED, message_id=message_id, code=code))
    assert await begun.mailroom.balance() == before - COST
    message = await begun.mailroom.message_row(message_id)
    assert (message["state"], message["failure"], message["provider_id"]) == ("failed", "30003", "SM-OUT1")
    assert (await begun.mailroom.row("SELECT state FROM outbox"))["state"] == "sent"
    assert await begun.alerts() == ["undelivered"]


async def test_after_undelivered_nothing_moves_any_more(begun: SmsMailroom) -> None:
    message_id = await begun.sent()
    before = await begun.mailroom.balance()
    for status in (DeliveryStatus.UNDELIVERED, DeliveryStatus.SENT, DeliveryStatus.FAILED):
        await begun.receive(begun.report(status))
    assert (await begun.mailroom.message_row(message_id))["state"] == "failed"
    assert await begun.mailroom.balance() == before


async def test_what_has_arrived_cannot_be_undelivered(begun: SmsMailroom) -> None:
    message_id = await begun.sent()
    for status in (DeliveryStatus.DELIVERED, DeliveryStatus.UNDELIVERED):
        await begun.receive(begun.report(status))
    assert (await begun.mailroom.message_row(message_id))["state"] == "delivered"
    assert await begun.alerts() == []


async def test_the_unsent_parts_behind_an_undelivered_one_are_given_back(begun: SmsMailroom) -> None:
    turn_id = begun.services.new_id()
    await begun.sent(1, turn_id=turn_id)
    before = await begun.mailroom.balance()
    behind = await begun.sent(2, state="queued", turn_id=turn_id)
    await begun.receive(begun.report(DeliveryStatus.UNDELIVERED, code=30005))
    assert await begun.mailroom.balance() == before
    assert (await begun.mailroom.message_row(behind))["state"] == "refunded"


@pytest.mark.parametrize("status", [DeliveryStatus.FAILED, DeliveryStatus.UNDELIVERED])
async def test_a_contact_who_has_stopped_us_at_twilio_is_not_answered_until_start(
    begun: SmsMailroom, status: DeliveryStatus
) -> None:
    await begun.sent()
    await begun.receive(begun.report(status, code=21610, opted_out=True))
    assert await begun.mailroom.rows(OPTED_OUT) == [{"channel": "sms"}]
    await begun.write(2, "Hallo?")
    assert (await begun.states())["SM2"] == "recorded"
    await begun.write(3, "START")
    assert await begun.mailroom.rows(OPTED_OUT) == []


async def test_a_stop_that_is_reported_after_start_stops_nothing(begun: SmsMailroom) -> None:
    await begun.sent()
    begun.mailroom.clock.advance(seconds=5)
    await begun.write(2, "START")
    await begun.receive(begun.report(DeliveryStatus.FAILED, code=21610, opted_out=True))
    assert await begun.mailroom.rows(OPTED_OUT) == []


async def test_what_whatsapp_could_not_deliver_is_given_back(mailroom: Mailroom) -> None:
    """By Twilio, a closed window may be reported in either word."""
    sms = await with_sms(mailroom)
    await mailroom.receive(mailroom.text(1))
    before = await mailroom.balance()
    await mailroom.sent()
    report = sms.report(DeliveryStatus.UNDELIVERED, provider_id="wamid.OUT1", code=63016)
    await sms.receive(replace(report, channel="whatsapp"))
    assert await mailroom.balance() == before
    assert await sms.alerts() == ["delivery_failed"]
