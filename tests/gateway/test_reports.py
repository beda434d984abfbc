"""Delivery reports only move things forward, and a failure gives the credits back exactly once."""

import asyncio
import itertools

import pytest

from tests.gateway.mailroom import COST, Mailroom, body, change

REPORTS = "SELECT status, pricing, errors FROM delivery_report ORDER BY received_at, status"


async def begun(mailroom: Mailroom) -> None:
    await mailroom.receive(mailroom.text(1))
    mailroom.clock.advance(seconds=5)


@pytest.mark.parametrize("order", list(itertools.permutations(["sent", "delivered", "read"])), ids="-".join)
async def test_reports_in_any_order_end_at_the_furthest(mailroom: Mailroom, order: tuple[str, ...]) -> None:
    await begun(mailroom)
    message_id = await mailroom.sent()
    for word in order:
        mailroom.clock.advance(seconds=1)
        await mailroom.receive(mailroom.status(word), kind="statuses")
        await mailroom.receive(mailroom.status(word), kind="statuses")
    message = await mailroom.message_row(message_id)
    assert message["state"] == "read"
    assert message["delivered_at"] is not None
    assert message["read_at"] is not None
    assert len(await mailroom.rows(REPORTS)) == 3


async def test_a_repeated_report_keeps_no_second_body(mailroom: Mailroom) -> None:
    await begun(mailroom)
    await mailroom.sent()
    before = len(await mailroom.rows("SELECT FROM webhook"))
    for word in ("delivered", "delivered", "failed", "failed"):
        await mailroom.receive(mailroom.status(word), kind="statuses")
    assert len(await mailroom.rows("SELECT FROM webhook")) == before + 2


async def test_read_implies_delivered(mailroom: Mailroom) -> None:
    await begun(mailroom)
    message_id = await mailroom.sent()
    await mailroom.receive(mailroom.status("read"), kind="statuses")
    message = await mailroom.message_row(message_id)
    assert message["delivered_at"] == message["read_at"] == mailroom.clock.now()


async def test_pricing_is_stored_as_meta_gives_it(mailroom: Mailroom) -> None:
    await begun(mailroom)
    await mailroom.sent()
    pricing = {"billable": True, "pricing_model": "PMP", "type": "regular", "category": "service"}
    await mailroom.receive(mailroom.status("delivered", pricing=pricing), kind="statuses")
    assert (await mailroom.row(REPORTS))["pricing"] == pricing


async def test_a_word_that_meta_added_is_stored_and_changes_nothing(mailroom: Mailroom) -> None:
    await begun(mailroom)
    message_id = await mailroom.sent()
    await mailroom.receive(mailroom.status("pondered"), kind="statuses")
    assert (await mailroom.message_row(message_id))["state"] == "sent"
    assert (await mailroom.row(REPORTS))["status"] == "pondered"


async def test_our_own_id_finds_a_message_whose_acknowledgement_was_lost(mailroom: Mailroom) -> None:
    await begun(mailroom)
    message_id = await mailroom.sent(state="queued")
    report = mailroom.status("sent", provider_id="wamid.LOST", biz_opaque_callback_data=str(message_id))
    await mailroom.receive(report, kind="statuses")
    message = await mailroom.message_row(message_id)
    assert (message["state"], message["provider_id"]) == ("sent", "wamid.LOST")
    assert (await mailroom.row("SELECT state FROM outbox"))["state"] == "sent"


async def test_a_failure_gives_the_credits_back_once(mailroom: Mailroom) -> None:
    await begun(mailroom)
    before = await mailroom.balance()
    message_id = await mailroom.sent()
    assert await mailroom.balance() == before - COST.amount_millicredits
    failed = body(change(mailroom.status("failed", errors=[{"code": 131026}]), kind="statuses"))
    assert set(await asyncio.gather(*(mailroom.post(failed) for _ in range(8)))) == {200}
    assert await mailroom.balance() == before
    message = await mailroom.message_row(message_id)
    assert (message["state"], message["failure"]) == ("refunded", "131026")
    assert [row["kind"] for row in await mailroom.rows("SELECT kind FROM alert")] == ["delivery_failed"]


async def test_meta_closing_the_window_later_closes_it_here_and_refunds_once(mailroom: Mailroom) -> None:
    await begun(mailroom)
    before = await mailroom.balance()
    message_id = await mailroom.sent()
    mailroom.clock.advance(seconds=5)
    failed = mailroom.status(
        "failed", errors=[{"code": 131047}], provider_id="wamid.OUT1", biz_opaque_callback_data=str(message_id)
    )
    await mailroom.receive(failed, kind="statuses")
    await mailroom.receive(failed, kind="statuses")
    assert await mailroom.balance() == before
    window = await mailroom.row("SELECT closed_by_provider_at FROM service_window")
    assert window["closed_by_provider_at"] == mailroom.clock.now()
    assert [row["kind"] for row in await mailroom.rows("SELECT kind FROM alert")] == ["window_closed"]
    mailroom.clock.advance(seconds=5)
    await mailroom.receive(mailroom.text(2))
    assert (await mailroom.row("SELECT closed_by_provider_at FROM service_window"))["closed_by_provider_at"] is None


async def test_a_closed_window_reported_after_the_customer_wrote_again_closes_nothing(mailroom: Mailroom) -> None:
    await begun(mailroom)
    await mailroom.sent()
    reported = mailroom.clock.now()
    mailroom.clock.advance(seconds=30)
    await mailroom.receive(mailroom.text(2))
    await mailroom.receive(mailroom.status("failed", errors=[{"code": 131047}], at=reported), kind="statuses")
    assert (await mailroom.row("SELECT closed_by_provider_at FROM service_window"))["closed_by_provider_at"] is None


@pytest.mark.parametrize("word", ["delivered", "read"])
async def test_what_has_arrived_cannot_fail_any_more(mailroom: Mailroom, word: str) -> None:
    await begun(mailroom)
    message_id = await mailroom.sent()
    before = await mailroom.balance()
    await mailroom.receive(mailroom.status(word), kind="statuses")
    await mailroom.receive(mailroom.status("failed", errors=[{"code": 131026}]), kind="statuses")
    assert (await mailroom.message_row(message_id))["state"] == word
    assert await mailroom.balance() == before


async def test_after_a_failure_nothing_moves_any_more(mailroom: Mailroom) -> None:
    await begun(mailroom)
    message_id = await mailroom.sent()
    await mailroom.receive(mailroom.status("failed", errors=[{"code": 131026}]), kind="statuses")
    before = await mailroom.balance()
    await mailroom.receive(mailroom.status("sent"), mailroom.status("delivered"), kind="statuses")
    assert (await mailroom.message_row(message_id))["state"] == "refunded"
    assert await mailroom.balance() == before


async def test_the_parts_behind_a_failed_one_are_given_back_too(mailroom: Mailroom) -> None:
    await begun(mailroom)
    before = await mailroom.balance()
    turn_id = mailroom.services.new_id()
    await mailroom.sent(1, turn_id=turn_id)
    behind = await mailroom.sent(2, state="queued", turn_id=turn_id)
    await mailroom.receive(mailroom.status("failed", errors=[{"code": 131026}]), kind="statuses")
    assert await mailroom.balance() == before
    assert (await mailroom.message_row(behind))["state"] == "refunded"


async def test_an_account_that_cannot_pay_is_one_alert_a_day(mailroom: Mailroom) -> None:
    await begun(mailroom)
    for position in (1, 2, 3):
        await mailroom.sent(position)
        report = mailroom.status("failed", provider_id=f"wamid.OUT{position}", errors=[{"code": 131042}])
        await mailroom.receive(report, kind="statuses")
    assert [row["kind"] for row in await mailroom.rows("SELECT kind FROM alert")] == ["provider_payment"]


async def test_a_report_on_a_message_of_somebody_else_is_stored_and_changes_nothing(mailroom: Mailroom) -> None:
    await begun(mailroom)
    message_id = await mailroom.sent()
    before = await mailroom.balance()
    stranger = mailroom.status(
        "failed", provider_id="wamid.X", biz_opaque_callback_data=str(message_id), errors=[{"code": 131026}]
    )
    await mailroom.receive(stranger, kind="statuses", line="1000002")
    assert (await mailroom.message_row(message_id))["state"] == "sent"
    assert await mailroom.balance() == before
