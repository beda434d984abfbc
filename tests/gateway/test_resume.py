"""Who waited while nothing could be answered is answered afterwards, the newest first."""

from datetime import datetime, timedelta
from typing import Any

from gateway import work_queue
from gateway.resume import wake_line, wake_waiting
from gateway.takeover import take_over
from gateway.turn_scene import Lease
from gateway.turns import run_turn
from tests.gateway.mailroom import ANNA, EMRE, Mailroom
from tests.gateway.sms_mailroom import SmsMailroom

QUEUE = """SELECT a.address, c.conversation_id, c.due_at, c.pending_since, c.waiting_for FROM conversation c
           JOIN contact_address a USING (tenant_id, contact_id) ORDER BY c.due_at NULLS LAST"""


async def claimed(mailroom: Mailroom) -> list[Lease]:
    mailroom.clock.advance(seconds=10)
    now = mailroom.clock.now()
    async with mailroom.services.db.queue() as connection:
        return await work_queue.claim_conversations(
            connection, now=now, lease_until=now + timedelta(seconds=30), limit=10
        )


async def run(mailroom: Mailroom, leases: list[Lease]) -> None:
    for lease in leases:
        assert await run_turn(mailroom.services, lease) == ()


async def woken(mailroom: Mailroom) -> list[str]:
    """Wake what waits for credits and for the line; return who is due, the first first."""
    line_id, now = mailroom.line_ids[mailroom.cast.acme], mailroom.clock.now()
    async with mailroom.services.db.transaction(mailroom.cast.acme) as connection:
        await wake_waiting(connection, mailroom.cast.acme, now)
        await wake_line(connection, mailroom.cast.acme, line_id, now)
    return [str(row["address"]).removeprefix("+") for row in await queue(mailroom) if row["due_at"] is not None]


async def queue(mailroom: Mailroom) -> list[dict[str, Any]]:
    return await mailroom.rows(QUEUE)


async def write(mailroom: Mailroom, number: int, wa_id: str, *, at: datetime | None = None) -> None:
    await mailroom.receive(mailroom.text(number, wa_id=wa_id, at=at), wa_id=wa_id)


async def test_those_who_waited_for_credits_become_due_newest_first(mailroom: Mailroom) -> None:
    await mailroom.rows("UPDATE wallet SET state = 'paused'")
    await write(mailroom, 1, ANNA)
    mailroom.clock.advance(seconds=60)
    await write(mailroom, 2, EMRE)
    await run(mailroom, await claimed(mailroom))
    assert {row["waiting_for"] for row in await queue(mailroom)} == {"credits"}
    assert await woken(mailroom) == [EMRE, ANNA]
    assert {row["waiting_for"] for row in await queue(mailroom)} == {None}


async def test_those_who_waited_for_their_line_become_due_newest_first(mailroom: Mailroom) -> None:
    await write(mailroom, 1, ANNA)
    leases = await claimed(mailroom)
    await mailroom.rows("UPDATE line SET state = 'suspended'")
    await run(mailroom, leases)  # suspended after the burst
    await write(mailroom, 2, EMRE)
    assert await claimed(mailroom) == []
    assert all(row["pending_since"] is not None for row in await queue(mailroom))
    await mailroom.rows("UPDATE line SET state = 'active'")
    assert await woken(mailroom) == [EMRE, ANNA]


async def test_who_is_answered_by_a_person_or_not_waiting_is_not_woken(mailroom: Mailroom) -> None:
    await mailroom.rows("UPDATE line SET state = 'suspended'")
    await write(mailroom, 1, ANNA)
    await write(mailroom, 2, EMRE)
    first, second = await queue(mailroom)
    async with mailroom.services.db.transaction(mailroom.cast.acme) as connection:
        await take_over(connection, mailroom.cast.acme, first["conversation_id"], mailroom.clock.now())
    await mailroom.rows("UPDATE message SET state = 'recorded' WHERE conversation_id = $1", second["conversation_id"])
    assert await woken(mailroom) == []


async def test_whom_nothing_may_be_written_to_any_more_stays_as_he_is(sms: SmsMailroom) -> None:
    """By WhatsApp the window has closed, by SMS a day has passed: only the next message of theirs changes that."""
    mailroom, old, new = sms.mailroom, "4917000001", "4917000002"
    await mailroom.rows("UPDATE wallet SET state = 'paused'")
    await write(mailroom, 1, ANNA)
    await sms.write(1, wa_id=old)
    mailroom.clock.advance(seconds=3600)
    await write(mailroom, 2, EMRE)
    await sms.write(2, wa_id=new)
    await run(mailroom, await claimed(mailroom))
    assert {row["waiting_for"] for row in await queue(mailroom)} == {"credits"}
    mailroom.clock.advance(seconds=23 * 3600)
    assert sorted(await woken(mailroom)) == sorted([EMRE, new])
    assert {row["address"]: row["waiting_for"] for row in await queue(mailroom)} == {
        f"+{ANNA}": "credits",
        f"+{old}": "credits",
        f"+{EMRE}": None,
        f"+{new}": None,
    }


async def test_an_sms_that_nobody_paid_is_answered_once_there_are_credits(sms: SmsMailroom) -> None:
    await sms.mailroom.rows("UPDATE wallet SET state = 'paused'")
    await sms.write(1)
    await run(sms.mailroom, await claimed(sms.mailroom))
    assert await sms.charges() == {}
    await sms.grant(1_000)
    assert [row["due_at"] for row in await queue(sms.mailroom)] != [None]
    assert await sms.charges() == {}
