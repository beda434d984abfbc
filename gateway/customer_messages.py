"""A customer's message on WhatsApp: stored once, its window opened, its conversation due when the burst ends."""

from dataclasses import asdict
from datetime import datetime, timedelta
from uuid import UUID

import structlog

from agents.agent import AgentConfiguration
from agents.errors import ConfigurationError
from agents.store import read_version
from gateway import contacts, conversations, inbox_store, takeover, window_store
from gateway.alerts import raise_alert
from gateway.channels.base import Address, Inbound
from gateway.channels.whatsapp import window
from gateway.consent import LONGEST_KEYWORD, is_keyword, is_stop, stopped_text
from gateway.conversations import Place
from gateway.inbox_store import NewMessage, QueueChange, Treatment
from gateway.limits import Limits
from gateway.parcel import Changed, ChannelNotOnLineError, DuplicateError, Parcel
from gateway.safe_text import safe_json, safe_text
from gateway.system_messages import queue_free_text
from gateway.window_store import Window
from metering.connection import Connection

log = structlog.get_logger(__name__)

STALE_AFTER = timedelta(hours=24)  # as long as the window: an answer could not be sent any more
TYPED = frozenset({"text", "button_reply"})  # what can be a word of command
MEDIA = frozenset({"image", "voice_note", "audio", "video", "document", "sticker"})


async def accept_message(connection: Connection, parcel: Parcel, event: Inbound) -> Changed:
    """Store a customer's message, open the window and make the conversation due.

    Raises DuplicateError if the message is known, ChannelNotOnLineError if the line does not speak WhatsApp with this
    provider; the transaction is then to be rolled back.
    """
    text = safe_text(event.text)
    written_at = min(event.provider_at or parcel.now, parcel.now)
    stop = event.kind in TYPED and is_stop(text)
    contact_id = await contacts.resolve(
        connection,
        parcel.tenant_id,
        event.sender.addresses,
        name=safe_text(event.sender.name),
        now=parcel.now,
        new_id=parcel.new_id,
    )
    opened = await window_store.count_message(
        connection, parcel.tenant_id, line_id=parcel.line_id, contact_id=contact_id, written_at=written_at, stop=stop
    )
    place = await enter(connection, parcel, contact_id=contact_id, reply_to=event.sender.reply_to)
    treatment = _treatment(place, opened, written_at, stop=stop, stale=parcel.now - written_at >= STALE_AFTER)
    message = message_of(parcel, event, place=place, contact_id=contact_id, text=text, treatment=treatment)
    is_new, due_at = await inbox_store.store_message(
        connection, parcel.tenant_id, message, queue_change(parcel, event, treatment), parcel.raw
    )
    if not is_new:
        raise DuplicateError
    if treatment == "stop":
        await _stop(connection, parcel, place, opened)
    elif treatment == "record" and not stop:
        await _tell_of_late_message(connection, parcel, place)
    elif treatment == "answer" and event.kind in TYPED and await wants_a_person(connection, parcel, place, text):
        due_at = None
    return Changed(conversation_id=place.conversation_id, due_at=due_at)


async def enter(connection: Connection, parcel: Parcel, *, contact_id: UUID, reply_to: Address) -> Place:
    """Return the contact's conversation on the line, begun if need be. Raises ChannelNotOnLineError."""
    place = await conversations.enter(
        connection,
        parcel.tenant_id,
        line_id=parcel.line_id,
        contact_id=contact_id,
        channel=parcel.channel,
        reply_to=reply_to,
        now=parcel.now,
        new_id=parcel.new_id,
    )
    if not place.speaks(parcel.channel, parcel.raw.provider):
        raise ChannelNotOnLineError
    return place


def _treatment(place: Place, opened: Window, written_at: datetime, *, stop: bool, stale: bool) -> Treatment:
    if stop and opened.last_customer_message_at == written_at:
        return "stop"
    if stop or stale:  # whoever has written since a STOP wants an answer again
        return "record"
    return "answer" if place.in_service else "keep"


def message_of(
    parcel: Parcel, event: Inbound, *, place: Place, contact_id: UUID, text: str, treatment: Treatment
) -> NewMessage:
    content = dict(event.content)
    if event.media:
        content["media"] = [asdict(reference) for reference in event.media]
    if event.reply_to_provider_id is not None:
        content["reply_to_provider_id"] = event.reply_to_provider_id
    return NewMessage(
        message_id=parcel.new_id(),
        conversation_id=place.conversation_id,
        line_id=parcel.line_id,
        contact_id=contact_id,
        direction="in",
        author="customer",
        kind=event.kind,
        text=text,
        content=safe_json(content),
        provider_id=event.provider_id,
        state="received" if treatment in ("answer", "keep") else "recorded",
        provider_at=event.provider_at,
        created_at=parcel.now,
        webhook_id=parcel.webhook_id,
    )


def _quiet(kind: str, limits: Limits) -> timedelta:
    """Return how long after a message another one is expected to follow."""
    if kind == "button_reply":
        return timedelta()
    return timedelta(milliseconds=limits.burst_media_quiet_ms if kind in MEDIA else limits.burst_quiet_ms)


async def _stop(connection: Connection, parcel: Parcel, place: Place, opened: Window) -> None:
    """End everything unanswered; confirm once, while we still may."""
    await inbox_store.end_pending(connection, parcel.tenant_id, place.conversation_id)
    newly_stopped = opened.opted_out_at is not None and opened.opted_out_before is None
    margin_s = parcel.limits.margin_for(parcel.raw.provider)
    is_open = window.is_open(opened.last_customer_message_at, opened.closed_by_provider_at, parcel.now, margin_s)
    if not (newly_stopped and is_open and place.in_service):
        return
    configuration = await _configuration(connection, parcel, place)
    await queue_free_text(
        connection,
        parcel.tenant_id,
        place.conversation_id,
        text=stopped_text(configuration.language if configuration else "de"),
        trace_id=f"stop-{parcel.webhook_id.hex}",
        now=parcel.now,
        new_id=parcel.new_id,
    )


async def _tell_of_late_message(connection: Connection, parcel: Parcel, place: Place) -> None:
    """Tell the owner, once a day, that messages came too late to be answered."""
    await raise_alert(
        connection,
        parcel.tenant_id,
        kind="late_message",
        dedupe_key=f"late_message:{parcel.line_id}:{parcel.now.date()}",
        detail={"line_id": str(parcel.line_id), "conversation_id": str(place.conversation_id)},
        now=parcel.now,
        new_id=parcel.new_id,
    )


async def wants_a_person(connection: Connection, parcel: Parcel, place: Place, text: str) -> bool:
    """Hand over if the message is one of the owner's handover keywords; return whether it was.

    An SMS that says so would have to be paid, so there is none.
    """
    if len(text) > LONGEST_KEYWORD:
        return False
    configuration = await _configuration(connection, parcel, place)
    if configuration is None or not is_keyword(text, configuration.handover_keywords):
        return False
    return await takeover.hand_over(
        connection,
        parcel.tenant_id,
        place.conversation_id,
        reason="keyword",
        text=configuration.handover_text if parcel.channel == "whatsapp" else "",
        trace_id=f"handover-{parcel.webhook_id.hex}",
        now=parcel.now,
        new_id=parcel.new_id,
    )


async def _configuration(connection: Connection, parcel: Parcel, place: Place) -> AgentConfiguration | None:
    """Return the conversation's version; None if it cannot be read, because the message is stored all the same."""
    try:
        return await read_version(
            connection, parcel.tenant_id, place.agent_id, place.agent_version, cache=parcel.versions
        )
    except (LookupError, ConfigurationError):
        log.exception("agent_version_unreadable", tenant_id=str(parcel.tenant_id), agent_id=str(place.agent_id))
        return None


def queue_change(parcel: Parcel, event: Inbound, treatment: Treatment) -> QueueChange:
    return QueueChange(
        treatment=treatment,
        reply_to=event.sender.reply_to,
        quiet=_quiet(event.kind, parcel.limits),
        cap=timedelta(milliseconds=parcel.limits.burst_cap_ms),
        now=parcel.now,
    )
