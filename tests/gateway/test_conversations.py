"""A conversation goes on until a day of silence, on the agent's version that it began with."""

import asyncio
from datetime import timedelta
from uuid import UUID

import pytest

from agents.agent import parse_agent
from agents.store import publish
from gateway.channels.base import Address
from gateway.conversations import (
    PREVIEW_CHARACTERS,
    SILENCE_ENDS,
    ConversationView,
    Place,
    enter,
    list_conversations,
    read_conversation,
    read_message,
    read_thread,
)
from gateway.window_store import lock_window
from tests.gateway.mailroom import AGENT, ANNA, EMRE, Mailroom

REPLY_TO = Address(kind="phone", value=f"+{ANNA}")


async def entered(
    mailroom: Mailroom, contact_id: UUID, *, channel: str = "whatsapp", line: UUID | None = None
) -> Place:
    """Enter as the inbox does: with the contact's window locked."""
    acme, services = mailroom.cast.acme, mailroom.services
    line_id = line or mailroom.line_ids[acme]
    async with services.db.transaction(acme) as connection:
        await lock_window(connection, acme, line_id=line_id, contact_id=contact_id, channel="whatsapp")
        return await enter(
            connection,
            acme,
            line_id=line_id,
            contact_id=contact_id,
            channel=channel,
            reply_to=REPLY_TO,
            now=mailroom.clock.now(),
            new_id=services.new_id,
        )


async def published(mailroom: Mailroom) -> None:
    """Publish another version of the agent."""
    acme = mailroom.cast.acme
    [agent] = await mailroom.rows("SELECT agent_id FROM agent")
    configuration = parse_agent({**AGENT, "instructions": "Du bist die neue Rezeption."})
    async with mailroom.services.db.transaction(acme) as connection:
        await publish(connection, acme, agent["agent_id"], configuration, now=mailroom.clock.now())


async def listed(mailroom: Mailroom) -> list[ConversationView]:
    acme = mailroom.cast.acme
    async with mailroom.services.db.transaction(acme) as connection:
        return await list_conversations(connection, acme, limit=10)


async def test_ten_who_enter_at_once_are_in_one_conversation(mailroom: Mailroom) -> None:
    contact_id = mailroom.services.new_id()
    places = await asyncio.gather(*(entered(mailroom, contact_id) for _ in range(10)))
    assert len({place.conversation_id for place in places}) == 1
    assert len(await mailroom.rows("SELECT FROM conversation")) == 1


async def test_a_conversation_ends_after_exactly_a_day_of_silence(mailroom: Mailroom) -> None:
    contact_id = mailroom.services.new_id()
    first = await entered(mailroom, contact_id)
    mailroom.clock.advance(seconds=SILENCE_ENDS.total_seconds() - 0.001)
    assert (await entered(mailroom, contact_id)).conversation_id == first.conversation_id
    mailroom.clock.advance(seconds=0.001)
    assert (await entered(mailroom, contact_id)).conversation_id != first.conversation_id


async def test_a_conversation_stays_on_the_version_it_began_with(mailroom: Mailroom) -> None:
    contact_id = mailroom.services.new_id()
    first = await entered(mailroom, contact_id)
    await published(mailroom)
    assert (await entered(mailroom, contact_id)).agent_version == first.agent_version == 1
    mailroom.clock.advance(seconds=SILENCE_ENDS.total_seconds())
    assert (await entered(mailroom, contact_id)).agent_version == 2


async def test_a_new_conversation_is_the_agents_again_whoever_had_the_last_one(mailroom: Mailroom) -> None:
    contact_id = mailroom.services.new_id()
    await entered(mailroom, contact_id)
    await mailroom.rows("UPDATE conversation SET mode = 'human'")
    assert (await entered(mailroom, contact_id)).mode == "human"
    mailroom.clock.advance(seconds=SILENCE_ENDS.total_seconds())
    assert (await entered(mailroom, contact_id)).mode == "agent"


async def test_channels_and_contacts_have_conversations_of_their_own(mailroom: Mailroom) -> None:
    contact_id = mailroom.services.new_id()
    places = [
        await entered(mailroom, contact_id),
        await entered(mailroom, contact_id, channel="sms"),
        await entered(mailroom, mailroom.services.new_id()),
    ]
    assert len({place.conversation_id for place in places}) == 3


async def test_an_agent_that_was_never_published_or_a_suspended_line_is_not_in_service(mailroom: Mailroom) -> None:
    assert (await entered(mailroom, mailroom.services.new_id())).in_service
    await mailroom.rows("UPDATE line SET state = 'suspended'")
    assert not (await entered(mailroom, mailroom.services.new_id())).in_service
    await mailroom.rows("UPDATE line SET state = 'active'")
    await mailroom.rows("UPDATE agent SET published_version = NULL")
    place = await entered(mailroom, mailroom.services.new_id())
    assert (place.agent_version, place.in_service) == (0, False)


async def test_a_line_of_somebody_else_is_none(mailroom: Mailroom) -> None:
    with pytest.raises(LookupError):
        await entered(mailroom, mailroom.services.new_id(), line=mailroom.line_ids[mailroom.cast.mallory])


async def test_the_list_shows_the_beginning_of_the_last_message(mailroom: Mailroom) -> None:
    await mailroom.receive(mailroom.text(1, "Hallo"))
    mailroom.clock.advance(seconds=1)
    await mailroom.receive(mailroom.text(2, "ä" * 500))
    [view] = await listed(mailroom)
    assert view.last_text == "ä" * PREVIEW_CHARACTERS
    assert view.contact_name == "Anna"
    assert view.last_customer_message_at == mailroom.clock.now()


async def test_what_a_customer_took_back_is_shown_nowhere(mailroom: Mailroom) -> None:
    await mailroom.receive(mailroom.text(1, "Hallo"))
    mailroom.clock.advance(seconds=1)
    image = {"id": "media-1", "mime_type": "image/jpeg", "sha256": "x", "caption": "Geheim"}
    await mailroom.receive(mailroom.message(2, "image", image=image))
    taken_back = await mailroom.row("SELECT message_id FROM message WHERE provider_id = 'wamid.IN2'")
    await mailroom.rows("UPDATE message SET revoked_at = created_at WHERE provider_id = 'wamid.IN2'")
    [view] = await listed(mailroom)
    assert view.last_text == "Hallo"
    acme = mailroom.cast.acme
    async with mailroom.services.db.transaction(acme) as connection:
        newest, oldest = await read_thread(connection, acme, view.conversation_id, limit=10)
        alone = await read_message(connection, acme, taken_back["message_id"])
    assert (newest.text, newest.content) == ("", {})
    assert newest.revoked_at is not None
    assert oldest.text == "Hallo"
    assert alone == newest


async def test_the_latest_conversation_comes_first(mailroom: Mailroom) -> None:
    await mailroom.receive(mailroom.text(1))
    mailroom.clock.advance(seconds=60)
    await mailroom.receive(mailroom.text(2, wa_id=EMRE), wa_id=EMRE)
    mailroom.clock.advance(seconds=60)
    await mailroom.receive(mailroom.text(3))
    assert [view.reply_address for view in await listed(mailroom)] == [f"+{ANNA}", f"+{EMRE}"]
    assert (await listed(mailroom))[1].last_message_at == mailroom.clock.now() - timedelta(seconds=60)


async def test_nobody_reads_a_conversation_of_somebody_else(mailroom: Mailroom) -> None:
    await mailroom.receive(mailroom.text(1))
    [view] = await listed(mailroom)
    message = await mailroom.row("SELECT message_id FROM message")
    mallory = mailroom.cast.mallory
    async with mailroom.services.db.transaction(mallory) as connection:
        for tenant_id in (mallory, mailroom.cast.acme):  # the second wall holds where the first has a hole
            assert await list_conversations(connection, tenant_id, limit=10) == []
            assert await read_conversation(connection, tenant_id, view.conversation_id) is None
            assert await read_thread(connection, tenant_id, view.conversation_id, limit=10) == []
            assert await read_message(connection, tenant_id, message["message_id"]) is None
