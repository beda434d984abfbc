"""What will not arrive is given back once, with everything of its answer that waits behind it."""

import asyncio

from gateway import report_store
from gateway.refunds import BEHIND_A_FAILURE, give_up_part, give_up_unsent_behind
from gateway.report_store import SentPart
from metering.connection import Connection
from tests.gateway.mailroom import COST, Mailroom

PARTS = "SELECT m.state, m.failure, o.state AS outbox FROM message m JOIN outbox o USING (message_id) ORDER BY position"


async def answer(mailroom: Mailroom, *states: str) -> list[SentPart]:
    """Put an answer of several parts into Anna's conversation."""
    await mailroom.receive(mailroom.text(1))
    turn_id = mailroom.services.new_id()
    ids = [
        await mailroom.sent(position, state=state, turn_id=turn_id) for position, state in enumerate(states, start=1)
    ]
    async with mailroom.services.db.transaction(mailroom.cast.acme) as connection:
        parts = [await report_store.lock_part(connection, mailroom.cast.acme, message_id) for message_id in ids]
    return [part for part in parts if part is not None]


async def give_up(mailroom: Mailroom, part: SentPart) -> bool:
    tenant_id = mailroom.cast.acme

    async def still_due(connection: Connection) -> bool:
        current = await report_store.lock_part(connection, tenant_id, part.message_id)
        return current is not None and current.outbox_state == "pending"

    async def end(connection: Connection, refunded: bool) -> None:
        await report_store.fail_part(connection, tenant_id, part.message_id, refunded=refunded, failure="t")

    return await give_up_part(mailroom.services, tenant_id, part, reason="t", still_due=still_due, on_end=end)


async def test_two_who_give_a_part_up_at_the_same_moment_give_it_back_once(mailroom: Mailroom) -> None:
    before = await mailroom.balance()
    [part] = await answer(mailroom, "queued")
    assert await mailroom.balance() == before - COST.amount_millicredits
    ended = await asyncio.gather(*(give_up(mailroom, part) for _ in range(5)))
    assert any(ended)
    assert await mailroom.balance() == before
    assert await mailroom.rows(PARTS) == [{"state": "refunded", "failure": "t", "outbox": "failed"}]
    shown = mailroom.services.metrics.render().decode()
    assert f"turnmeter_refunded_millicredits_total {float(COST.amount_millicredits)}" in shown


async def test_a_part_that_left_in_the_last_moment_is_not_given_back(mailroom: Mailroom) -> None:
    [part] = await answer(mailroom, "queued")
    paid = await mailroom.balance()
    await mailroom.rows("UPDATE outbox SET state = 'sent'")
    assert await give_up(mailroom, part) is False
    assert await mailroom.balance() == paid
    [row] = await mailroom.rows(PARTS)
    assert row["state"] == "queued"


async def test_a_free_message_ends_without_a_refund(mailroom: Mailroom) -> None:
    [part] = await answer(mailroom, "queued")
    await mailroom.rows("UPDATE outbox SET charge_key = NULL, refund_lines = '[]'")
    async with mailroom.services.db.transaction(mailroom.cast.acme) as connection:
        free = await report_store.lock_part(connection, mailroom.cast.acme, part.message_id)
    assert free is not None
    before = await mailroom.balance()
    assert await give_up(mailroom, free) is True
    assert await mailroom.balance() == before
    assert await mailroom.rows(PARTS) == [{"state": "failed", "failure": "t", "outbox": "failed"}]


async def test_what_waits_behind_a_failure_is_given_back_and_what_is_leaving_is_not(mailroom: Mailroom) -> None:
    before = await mailroom.balance()
    first, leaving, _ = await answer(mailroom, "sent", "queued", "queued")
    await mailroom.rows("UPDATE outbox SET state = 'sending' WHERE message_id = $1", leaving.message_id)
    await give_up_unsent_behind(mailroom.services, mailroom.cast.acme, first, reason="t")
    rows = await mailroom.rows(PARTS)
    assert [row["state"] for row in rows] == ["sent", "queued", "refunded"]
    assert rows[2]["failure"] == BEHIND_A_FAILURE
    assert await mailroom.balance() == before - 2 * COST.amount_millicredits


async def test_another_answers_parts_are_left_alone(mailroom: Mailroom) -> None:
    [first] = await answer(mailroom, "sent")
    await mailroom.sent(2, state="queued", turn_id=mailroom.services.new_id())
    await give_up_unsent_behind(mailroom.services, mailroom.cast.acme, first, reason="t")
    assert [row["state"] for row in await mailroom.rows(PARTS)] == ["sent", "queued"]
