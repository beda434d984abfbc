"""Twilio's count corrects what was charged for an SMS downwards, once, and never upwards."""

import asyncio
from uuid import UUID

import pytest

from gateway.channels.base import DeliveryStatus
from gateway.segment_corrections import correct_segments
from tests.gateway.mailroom import Mailroom
from tests.gateway.sms_mailroom import SENT, TOKENS, SmsMailroom

SEGMENT = SENT.unit_millicredits
COST = SENT.amount_millicredits + TOKENS.amount_millicredits
USED = "SELECT quantity, amount_millicredits AS amount FROM usage_day WHERE item = 'sms_sent'"


@pytest.fixture
async def begun(sms: SmsMailroom) -> SmsMailroom:
    await sms.grant(10 * COST)
    await sms.write(1)
    return sms


async def correct(sms: SmsMailroom, message_id: UUID, segments: int) -> None:
    await correct_segments(sms.services, sms.mailroom.cast.acme, message_id, segments)


def undercharged(sms: SmsMailroom) -> float | None:
    return sms.services.metrics.registry.get_sample_value("turnmeter_segments_undercharged_total")


async def test_fewer_segments_give_the_difference_back_once_however_often_twilio_says_so(begun: SmsMailroom) -> None:
    before = await begun.mailroom.balance()
    message_id = await begun.sent()
    await asyncio.gather(*(correct(begun, message_id, 1) for _ in range(8)))
    assert await begun.mailroom.balance() == before - COST + 2 * SEGMENT
    assert (await begun.mailroom.message_row(message_id))["segments"] == 1
    assert await begun.mailroom.row(USED) == {"quantity": 1, "amount": SEGMENT}
    await begun.audit()


async def test_a_report_brings_the_correction_whatever_comes_first(begun: SmsMailroom) -> None:
    before = await begun.mailroom.balance()
    message_id = await begun.sent(state="queued")
    for status in (DeliveryStatus.UNKNOWN, DeliveryStatus.DELIVERED, DeliveryStatus.SENT):
        await begun.receive(begun.report(status, message_id=message_id, segments=2))
    assert await begun.mailroom.balance() == before - COST + SEGMENT
    message = await begun.mailroom.message_row(message_id)
    assert (message["state"], message["segments"]) == ("delivered", 2)


async def test_a_second_opinion_gives_nothing_more_back(begun: SmsMailroom) -> None:
    before = await begun.mailroom.balance()
    message_id = await begun.sent()
    for segments in (2, 1, 2, 3):
        await correct(begun, message_id, segments)
    assert await begun.mailroom.balance() == before - COST + SEGMENT
    assert (await begun.mailroom.message_row(message_id))["segments"] == 2
    await begun.audit()


async def test_more_segments_are_never_charged_and_counted_once(begun: SmsMailroom) -> None:
    before = await begun.mailroom.balance()
    message_id = await begun.sent()
    for _ in range(3):
        await correct(begun, message_id, 5)
    assert await begun.mailroom.balance() == before - COST
    assert (await begun.mailroom.message_row(message_id))["segments"] == 3
    assert undercharged(begun) == 2


@pytest.mark.parametrize("segments", [0, 3])
async def test_what_twilio_does_not_know_yet_or_confirms_changes_nothing(begun: SmsMailroom, segments: int) -> None:
    before = await begun.mailroom.balance()
    message_id = await begun.sent()
    await correct(begun, message_id, segments)
    assert await begun.mailroom.balance() == before - COST
    assert undercharged(begun) == 0


async def test_a_failure_after_a_correction_gives_back_what_is_left_of_the_charge(begun: SmsMailroom) -> None:
    before = await begun.mailroom.balance()
    await begun.sent()
    await begun.receive(begun.report(DeliveryStatus.SENT, segments=1))
    await begun.receive(begun.report(DeliveryStatus.FAILED, code=30001))
    assert await begun.mailroom.balance() == before
    await begun.audit()


async def test_a_failure_and_a_correction_at_the_same_moment_give_no_more_back_than_was_paid(
    begun: SmsMailroom,
) -> None:
    """Where parts share one charge, only the part's own lines keep a refund within its price."""
    before = await begun.mailroom.balance()
    ids = [await begun.sent(position) for position in range(1, 7)]
    failures = [
        begun.receive(begun.report(DeliveryStatus.FAILED, provider_id=f"SM-OUT{n}", code=30001)) for n in range(1, 7)
    ]
    corrections = [correct(begun, message_id, 1) for message_id in ids]
    await asyncio.gather(*(step for pair in zip(failures, corrections, strict=True) for step in pair))
    assert await begun.mailroom.balance() == before
    refunds = await begun.mailroom.rows("SELECT amount_millicredits AS back FROM ledger_entry WHERE kind = 'refund'")
    assert sum(row["back"] for row in refunds) == 6 * COST
    await begun.audit()


async def test_what_was_refunded_is_not_corrected(begun: SmsMailroom) -> None:
    before = await begun.mailroom.balance()
    message_id = await begun.sent()
    await begun.receive(begun.report(DeliveryStatus.FAILED, code=30001))
    await correct(begun, message_id, 1)
    assert await begun.mailroom.balance() == before


async def test_a_message_on_whatsapp_has_no_segments_to_correct(mailroom: Mailroom) -> None:
    await mailroom.receive(mailroom.text(1))
    message_id = await mailroom.sent()
    before = await mailroom.balance()
    await correct_segments(mailroom.services, mailroom.cast.acme, message_id, 1)
    assert await mailroom.balance() == before
