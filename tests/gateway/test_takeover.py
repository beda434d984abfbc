"""Who answers is changed by whoever may, and what a person has answered is not answered again by the agent."""

import asyncio
from uuid import UUID

import pytest

from gateway.takeover import give_back, hand_over, pause, take_over
from tests.gateway.mailroom import Mailroom

QUEUE = "SELECT mode, due_at, pending_since, waiting_for, input_version FROM conversation"


async def written_to(mailroom: Mailroom) -> UUID:
    """Let Anna write; return the conversation."""
    await mailroom.receive(mailroom.text(1))
    conversation = await mailroom.row("SELECT conversation_id FROM conversation")
    return UUID(str(conversation["conversation_id"]))


async def turn_to(mailroom: Mailroom, conversation_id: UUID, mode: str) -> None:
    change = {"human": take_over, "paused": pause, "agent": give_back}[mode]
    async with mailroom.services.db.transaction(mailroom.cast.acme) as connection:
        assert await change(connection, mailroom.cast.acme, conversation_id, mailroom.clock.now())


async def pass_on(mailroom: Mailroom, conversation_id: UUID, *, text: str = "Ein Mensch meldet sich.") -> bool:
    async with mailroom.services.db.transaction(mailroom.cast.acme) as connection:
        return await hand_over(
            connection,
            mailroom.cast.acme,
            conversation_id,
            reason="Beschwerde",
            text=text,
            trace_id="t",
            now=mailroom.clock.now(),
            new_id=mailroom.services.new_id,
        )


async def answered_by(mailroom: Mailroom, conversation_id: UUID, author: str, *, state: str = "sent") -> None:
    conversation = await mailroom.row("SELECT line_id, contact_id FROM conversation")
    await mailroom.rows(
        """INSERT INTO message (tenant_id, message_id, conversation_id, line_id, contact_id, direction, author, kind,
                                text, state, created_at)
           VALUES ($1, $2, $3, $4, $5, 'out', $6, 'text', 'Ja.', $7, $8)""",
        mailroom.cast.acme,
        mailroom.services.new_id(),
        conversation_id,
        conversation["line_id"],
        conversation["contact_id"],
        author,
        state,
        mailroom.clock.now(),
    )


async def unanswered(mailroom: Mailroom) -> list[str]:
    rows = await mailroom.rows("SELECT provider_id FROM message WHERE state = 'received' ORDER BY provider_id")
    return [row["provider_id"].removeprefix("wamid.") for row in rows]


@pytest.mark.parametrize("mode", ["human", "paused"])
async def test_nothing_is_due_while_the_agent_does_not_answer(mailroom: Mailroom, mode: str) -> None:
    conversation_id = await written_to(mailroom)
    await turn_to(mailroom, conversation_id, mode)
    await mailroom.receive(mailroom.text(2))
    conversation = await mailroom.row(QUEUE)
    assert (conversation["mode"], conversation["due_at"]) == (mode, None)
    assert await unanswered(mailroom) == ["IN1", "IN2"]


@pytest.mark.parametrize("mode", ["human", "paused"])
async def test_what_is_still_unanswered_is_due_at_once_when_the_agent_has_it_back(
    mailroom: Mailroom, mode: str
) -> None:
    conversation_id = await written_to(mailroom)
    first_written, before = mailroom.clock.now(), await mailroom.row(QUEUE)
    await turn_to(mailroom, conversation_id, mode)
    mailroom.clock.advance(seconds=600)
    await turn_to(mailroom, conversation_id, "agent")
    after = await mailroom.row(QUEUE)
    assert (after["mode"], after["due_at"], after["pending_since"]) == ("agent", mailroom.clock.now(), first_written)
    assert after["input_version"] > before["input_version"], "a draft from before is worth nothing"


@pytest.mark.parametrize("author", ["member", "api"])
async def test_what_a_person_has_answered_is_not_answered_again(mailroom: Mailroom, author: str) -> None:
    conversation_id = await written_to(mailroom)
    await turn_to(mailroom, conversation_id, "human")
    mailroom.clock.advance(seconds=60)
    await answered_by(mailroom, conversation_id, author)
    mailroom.clock.advance(seconds=60)
    await turn_to(mailroom, conversation_id, "agent")
    conversation = await mailroom.row(QUEUE)
    assert (conversation["due_at"], conversation["pending_since"]) == (None, None)
    assert await unanswered(mailroom) == []


async def test_what_came_after_a_persons_answer_waits_for_the_agent(mailroom: Mailroom) -> None:
    conversation_id = await written_to(mailroom)
    await turn_to(mailroom, conversation_id, "human")
    mailroom.clock.advance(seconds=60)
    await answered_by(mailroom, conversation_id, "member")
    mailroom.clock.advance(seconds=60)
    await mailroom.receive(mailroom.text(2))
    written = mailroom.clock.now()
    mailroom.clock.advance(seconds=60)
    await turn_to(mailroom, conversation_id, "agent")
    conversation = await mailroom.row(QUEUE)
    assert (conversation["due_at"], conversation["pending_since"]) == (mailroom.clock.now(), written)
    assert await unanswered(mailroom) == ["IN2"]


@pytest.mark.parametrize("state", ["failed", "refunded"])
async def test_a_persons_answer_that_never_left_has_answered_nothing(mailroom: Mailroom, state: str) -> None:
    conversation_id = await written_to(mailroom)
    await turn_to(mailroom, conversation_id, "human")
    mailroom.clock.advance(seconds=60)
    await answered_by(mailroom, conversation_id, "api", state=state)
    await turn_to(mailroom, conversation_id, "agent")
    assert (await mailroom.row(QUEUE))["due_at"] == mailroom.clock.now()
    assert await unanswered(mailroom) == ["IN1"]


async def test_a_message_that_was_taken_back_is_for_nobody_to_answer(mailroom: Mailroom) -> None:
    conversation_id = await written_to(mailroom)
    await turn_to(mailroom, conversation_id, "human")
    await mailroom.rows("UPDATE message SET revoked_at = now()")
    await turn_to(mailroom, conversation_id, "agent")
    assert (await mailroom.row(QUEUE))["due_at"] is None


async def test_giving_back_what_the_agent_has_changes_nothing(mailroom: Mailroom) -> None:
    conversation_id = await written_to(mailroom)
    before = await mailroom.row(QUEUE)
    mailroom.clock.advance(seconds=60)
    await turn_to(mailroom, conversation_id, "agent")
    assert await mailroom.row(QUEUE) == before


async def test_waiting_for_credits_ends_when_a_person_takes_over(mailroom: Mailroom) -> None:
    conversation_id = await written_to(mailroom)
    await mailroom.rows("UPDATE conversation SET waiting_for = 'credits', due_at = NULL")
    await turn_to(mailroom, conversation_id, "human")
    assert (await mailroom.row(QUEUE))["waiting_for"] is None


async def test_a_handover_tells_the_customer_and_the_owner_once(mailroom: Mailroom) -> None:
    conversation_id = await written_to(mailroom)
    assert sorted(await asyncio.gather(*(pass_on(mailroom, conversation_id) for _ in range(5)))) == [False] * 4 + [True]
    [told] = await mailroom.rows("SELECT text, author FROM message WHERE direction = 'out'")
    assert told == {"text": "Ein Mensch meldet sich.", "author": "system"}
    assert len(await mailroom.rows("SELECT FROM outbox")) == 1
    [alert] = await mailroom.rows("SELECT kind, detail FROM alert")
    assert alert["kind"] == "handover"
    assert alert["detail"] == {"conversation_id": str(conversation_id), "reason": "Beschwerde"}


async def test_an_owner_without_a_text_for_it_hands_over_silently(mailroom: Mailroom) -> None:
    conversation_id = await written_to(mailroom)
    assert await pass_on(mailroom, conversation_id, text="")
    assert await mailroom.rows("SELECT FROM message WHERE direction = 'out'") == []
    assert (await mailroom.row(QUEUE))["mode"] == "human"


@pytest.mark.parametrize("mode", ["human", "paused"])
async def test_a_handover_that_comes_too_late_leaves_the_owners_choice(mailroom: Mailroom, mode: str) -> None:
    conversation_id = await written_to(mailroom)
    await turn_to(mailroom, conversation_id, mode)
    assert not await pass_on(mailroom, conversation_id)
    assert (await mailroom.row(QUEUE))["mode"] == mode
    assert await mailroom.rows("SELECT FROM alert") == []


async def test_a_conversation_handed_over_again_is_told_again(mailroom: Mailroom) -> None:
    conversation_id = await written_to(mailroom)
    assert await pass_on(mailroom, conversation_id)
    await turn_to(mailroom, conversation_id, "agent")
    mailroom.clock.advance(seconds=3600)
    assert await pass_on(mailroom, conversation_id)
    assert len(await mailroom.rows("SELECT FROM alert")) == 2


async def test_nobody_takes_over_a_conversation_of_somebody_else(mailroom: Mailroom) -> None:
    conversation_id = await written_to(mailroom)
    theirs = mailroom.cast.mallory
    async with mailroom.services.db.transaction(theirs) as connection:
        for change in (take_over, pause, give_back):
            assert not await change(connection, theirs, conversation_id, mailroom.clock.now())
    assert (await mailroom.row(QUEUE))["mode"] == "agent"
