"""A turn begins with everything that has been written, and nobody is left waiting by one that does not begin."""

import asyncio
from datetime import timedelta
from uuid import UUID

from gateway import work_queue
from gateway.turn_begin import RunningTurn, begin
from gateway.turn_scene import Lease
from tests.gateway.mailroom import Mailroom
from tests.gateway.waiting import until_somebody_waits

CONVERSATION = "SELECT mode, due_at, pending_since, lease_until FROM conversation"


async def claimed(mailroom: Mailroom) -> Lease:
    """Let the burst end and claim Anna's conversation, as a worker does."""
    mailroom.clock.advance(seconds=10)
    now = mailroom.clock.now()
    async with mailroom.services.db.queue() as connection:
        [lease] = await work_queue.claim_conversations(
            connection, now=now, lease_until=now + timedelta(seconds=30), limit=1
        )
    return lease


async def written_while_it_begins(mailroom: Mailroom, lease: Lease) -> RunningTurn | None:
    """Begin a turn at the moment at which another message of the customer is being stored."""
    db, tenant_id = mailroom.services.db, mailroom.cast.acme
    async with db.transaction(tenant_id) as connection:
        await connection.execute(
            "SELECT FROM conversation WHERE conversation_id = $1 FOR NO KEY UPDATE", lease.conversation_id
        )
        beginning = asyncio.create_task(begin(mailroom.services, lease))
        await until_somebody_waits(db)
        await connection.execute(
            """INSERT INTO message (tenant_id, message_id, conversation_id, line_id, contact_id, direction, author,
                                    kind, text, provider_id, state, created_at)
               SELECT tenant_id, $2, conversation_id, line_id, contact_id, 'in', 'customer', 'text', 'Und?',
                      'wamid.LATE', 'received', $3
               FROM conversation WHERE conversation_id = $1""",
            lease.conversation_id,
            mailroom.services.new_id(),
            mailroom.clock.now(),
        )
        await connection.execute(
            "UPDATE conversation SET input_version = input_version + 1, due_at = $2 WHERE conversation_id = $1",
            lease.conversation_id,
            mailroom.clock.now(),
        )
    return await beginning


async def late_message(mailroom: Mailroom) -> UUID:
    row = await mailroom.row("SELECT message_id FROM message WHERE provider_id = 'wamid.LATE'")
    return UUID(str(row["message_id"]))


async def test_a_message_stored_while_a_turn_begins_is_one_of_those_it_answers(mailroom: Mailroom) -> None:
    await mailroom.receive(mailroom.text(1))
    turn = await written_while_it_begins(mailroom, await claimed(mailroom))
    assert turn is not None
    assert await late_message(mailroom) in turn.scene.unanswered_ids


async def test_a_message_stored_while_there_seemed_to_be_nothing_to_answer_is_not_lost(mailroom: Mailroom) -> None:
    await mailroom.receive(mailroom.text(1))
    await mailroom.receive(mailroom.message(2, "revoke", revoke={"original_message_id": "wamid.IN1"}))
    turn = await written_while_it_begins(mailroom, await claimed(mailroom))
    assert turn is not None or (await mailroom.row(CONVERSATION))["due_at"] is not None


async def test_a_conversation_whose_agent_cannot_be_read_goes_to_a_person(mailroom: Mailroom) -> None:
    await mailroom.receive(mailroom.text(1))
    mailroom.services.versions.clear()
    await mailroom.rows("UPDATE conversation SET agent_version = 99")
    assert await begin(mailroom.services, await claimed(mailroom)) is None
    conversation = await mailroom.row(CONVERSATION)
    assert (conversation["mode"], conversation["due_at"], conversation["lease_until"]) == ("human", None, None)
    assert conversation["pending_since"] is not None
    alerts = {row["kind"] for row in await mailroom.rows("SELECT kind FROM alert")}
    assert alerts == {"agent_unreadable", "handover"}


async def test_a_revoked_message_leaves_nothing_to_answer(mailroom: Mailroom) -> None:
    await mailroom.receive(mailroom.text(1))
    await mailroom.receive(mailroom.message(2, "revoke", revoke={"original_message_id": "wamid.IN1"}))
    assert await begin(mailroom.services, await claimed(mailroom)) is None
    conversation = await mailroom.row(CONVERSATION)
    assert (conversation["due_at"], conversation["pending_since"], conversation["lease_until"]) == (None, None, None)
