"""A turn ends once, frees its conversation, and leaves nobody waiting and nothing running."""

import asyncio
from datetime import timedelta
from uuid import UUID

import pytest

from gateway import turn_store, work_queue
from gateway.errors import StaleLeaseError
from gateway.takeover import give_back as give_to_agent
from gateway.takeover import take_over
from gateway.turn_begin import RunningTurn, begin
from gateway.turn_scene import Lease
from gateway.turn_store import SupersededError, TurnEnd
from tests.gateway.mailroom import Mailroom
from tests.gateway.waiting import until_somebody_waits

TURN = "SELECT state, attempt, crashes, abandoned_drafts, ended_at IS NOT NULL AS ended FROM turn"
QUEUE = "SELECT due_at, lease_until, waiting_for, pending_since IS NOT NULL AS pending FROM conversation"


async def begun(mailroom: Mailroom) -> RunningTurn:
    mailroom.clock.advance(seconds=10)
    now = mailroom.clock.now()
    async with mailroom.services.db.queue() as connection:
        [lease] = await work_queue.claim_conversations(
            connection, now=now, lease_until=now + timedelta(seconds=30), limit=1
        )
    turn = await begin(mailroom.services, lease)
    assert turn is not None
    return turn


async def given_back(mailroom: Mailroom, turn: RunningTurn, *, abandoned: bool) -> None:
    async with mailroom.services.db.transaction(turn.tenant_id) as connection:
        await turn_store.give_back(connection, turn.lease, turn.turn_id, abandoned=abandoned, now=mailroom.clock.now())


def end_of(turn: RunningTurn, mailroom: Mailroom, **changes: object) -> TurnEnd:
    values: dict[str, object] = {
        "turn_id": turn.turn_id,
        "state": "charged",
        "input_version": turn.scene.input_version,
        "answered_ids": turn.scene.unanswered_ids,
        "now": mailroom.clock.now(),
    }
    return TurnEnd(**(values | changes))  # type: ignore[arg-type]  # the fields' own types


async def charged(mailroom: Mailroom, turn: RunningTurn, *, lease: Lease | None = None, only_if_newest: bool) -> None:
    async with mailroom.services.db.transaction(turn.tenant_id) as connection:
        await turn_store.end_charged_turn(
            connection,
            lease or turn.lease,
            end_of(turn, mailroom),
            receipt_id=mailroom.services.new_id(),
            charge_key="t",
            parts=(),
            only_if_newest=only_if_newest,
            trace_id="t",
            send_lease_until=mailroom.clock.now(),
        )


async def test_a_draft_dropped_for_a_newer_message_stays_due_and_is_taken_up_as_the_next_attempt(
    mailroom: Mailroom,
) -> None:
    await mailroom.receive(mailroom.text(1))
    turn = await begun(mailroom)
    await mailroom.receive(mailroom.text(2))
    await given_back(mailroom, turn, abandoned=True)
    again = await begun(mailroom)
    assert (again.turn_id, again.row.attempt, again.row.crashes, again.row.abandoned_drafts) == (turn.turn_id, 2, 0, 1)
    assert len(again.scene.unanswered_ids) == 2


async def test_an_attempt_nobody_gave_back_has_crashed(mailroom: Mailroom) -> None:
    await mailroom.receive(mailroom.text(1))
    turn = await begun(mailroom)
    mailroom.clock.advance(seconds=60)
    again = await begun(mailroom)
    assert (again.turn_id, again.row.attempt, again.row.crashes) == (turn.turn_id, 2, 1)


async def test_a_turn_that_nobody_will_take_up_again_does_not_stay_running(mailroom: Mailroom) -> None:
    await mailroom.receive(mailroom.text(1))
    turn = await begun(mailroom)
    await mailroom.receive(mailroom.text(2, "STOP"))
    await given_back(mailroom, turn, abandoned=True)
    row = await mailroom.row(TURN)
    assert (row["state"], row["ended"]) == ("no_reply", True)
    assert (await mailroom.row(QUEUE))["due_at"] is None


async def test_a_turn_given_back_to_a_person_is_over(mailroom: Mailroom) -> None:
    await mailroom.receive(mailroom.text(1))
    turn = await begun(mailroom)
    async with mailroom.services.db.transaction(turn.tenant_id) as connection:
        await take_over(connection, turn.tenant_id, turn.lease.conversation_id, mailroom.clock.now())
    await given_back(mailroom, turn, abandoned=False)
    row = await mailroom.row(TURN)
    assert (row["state"], row["ended"]) == ("handed_over", True)


async def test_who_lost_the_lease_changes_nothing(mailroom: Mailroom) -> None:
    await mailroom.receive(mailroom.text(1))
    slow = await begun(mailroom)
    mailroom.clock.advance(seconds=60)
    quick = await begun(mailroom)
    before = await mailroom.row(QUEUE)
    await given_back(mailroom, slow, abandoned=True)
    with pytest.raises(SupersededError):
        await charged(mailroom, slow, only_if_newest=False)
    with pytest.raises(StaleLeaseError):
        async with mailroom.services.db.transaction(slow.tenant_id) as connection:
            await turn_store.end_turn(connection, slow.lease, end_of(slow, mailroom, state="answered_free"))
    assert await mailroom.row(QUEUE) == before
    assert (await mailroom.row(TURN))["state"] == "running"
    await charged(mailroom, quick, only_if_newest=True)
    assert (await mailroom.row(TURN))["state"] == "charged"


async def test_a_charge_waits_for_a_message_that_came_meanwhile_or_leaves_it_due(mailroom: Mailroom) -> None:
    await mailroom.receive(mailroom.text(1))
    turn = await begun(mailroom)
    await mailroom.receive(mailroom.text(2))
    with pytest.raises(SupersededError):
        await charged(mailroom, turn, only_if_newest=True)
    await charged(mailroom, turn, only_if_newest=False)
    queue = await mailroom.row(QUEUE)
    assert queue["due_at"] is not None
    assert queue["pending"]
    next_turn = await begun(mailroom)
    assert next_turn.turn_id != turn.turn_id
    assert len(next_turn.scene.unanswered_ids) == 1


async def test_what_a_person_is_to_answer_still_shows_since_when_it_waits(mailroom: Mailroom) -> None:
    await mailroom.receive(mailroom.text(1))
    turn = await begun(mailroom)
    async with mailroom.services.db.transaction(turn.tenant_id) as connection:
        end = end_of(turn, mailroom, state="handed_over", answered_ids=())
        await turn_store.end_turn(connection, turn.lease, end)
    assert (await mailroom.row(QUEUE))["pending"]


async def test_a_message_stored_while_a_conversation_is_given_back_to_the_agent_is_answered(
    mailroom: Mailroom,
) -> None:
    """The inbox has read that a person answers; the conversation is given back; then the message is written."""
    await mailroom.receive(mailroom.text(1))
    conversation_id = UUID(str((await mailroom.row("SELECT conversation_id FROM conversation"))["conversation_id"]))
    async with mailroom.services.db.transaction(mailroom.cast.acme) as connection:
        await take_over(connection, mailroom.cast.acme, conversation_id, mailroom.clock.now())
    await mailroom.rows("UPDATE message SET state = 'recorded'")
    async with mailroom.services.db.transaction(mailroom.cast.acme) as connection:
        await give_to_agent(connection, mailroom.cast.acme, conversation_id, mailroom.clock.now())
        writing = asyncio.create_task(mailroom.receive(mailroom.text(2)))
        await until_somebody_waits(mailroom.services.db)
    await writing
    assert (await mailroom.row(QUEUE))["due_at"] is not None
