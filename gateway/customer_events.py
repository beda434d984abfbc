"""What a customer or the owner does besides writing to us: it updates what is known and starts no turn."""

from collections.abc import Mapping
from typing import assert_never

import structlog

from gateway import contacts, inbox_store, takeover, window_store
from gateway.alerts import raise_alert
from gateway.channels.base import AddressChange, Echo, Edit, Notice, Preference, Reaction, Revoke
from gateway.conversations import SILENCE_ENDS
from gateway.customer_messages import STALE_AFTER, enter
from gateway.inbox_store import NewMessage
from gateway.parcel import Changed, DuplicateError, Parcel
from gateway.safe_text import safe_text
from metering.connection import Connection

# Meta's error codes at value level: reference/whatsapp-and-sms.md, 1.7.
PAYMENT_CODES = frozenset({"131042", "131044"})
ACCOUNT_CODES = frozenset({"368", "130497", "131031", "131045", "131057"})

log = structlog.get_logger(__name__)


async def accept_echo(connection: Connection, parcel: Parcel, event: Echo) -> Changed:
    """Store what the owner wrote from the Business app; from now on a person answers.

    Raises DuplicateError and ChannelNotOnLineError.
    """
    contact_id = await contacts.resolve(connection, parcel.tenant_id, [event.to], now=parcel.now, new_id=parcel.new_id)
    await window_store.lock_window(
        connection, parcel.tenant_id, line_id=parcel.line_id, contact_id=contact_id, channel=parcel.channel
    )
    place = await enter(connection, parcel, contact_id=contact_id, reply_to=event.to)
    message = NewMessage(
        message_id=parcel.new_id(),
        conversation_id=place.conversation_id,
        line_id=parcel.line_id,
        contact_id=contact_id,
        direction="out",
        author="member",
        kind=event.kind,
        text=safe_text(event.text),
        content={},
        provider_id=event.provider_id,
        state="sent",
        provider_at=event.provider_at,
        created_at=parcel.now,
        webhook_id=parcel.webhook_id,
    )
    if not await inbox_store.store_echo(connection, parcel.tenant_id, message):
        raise DuplicateError
    # An echo that comes days late says nothing about who answers today.
    if event.provider_at is None or parcel.now - event.provider_at < STALE_AFTER:
        await takeover.take_over(connection, parcel.tenant_id, place.conversation_id, parcel.now)
    return Changed(conversation_id=place.conversation_id, due_at=None)


async def accept_update(
    connection: Connection,
    parcel: Parcel,
    event: Reaction | Edit | Revoke | AddressChange | Preference | Notice,
) -> None:
    """Bring what is known up to date; nobody is to answer."""
    match event:
        case Reaction():
            await _reaction(connection, parcel, event)
        case Edit():
            await _edit(connection, parcel, event)
        case Revoke():
            await _revoke(connection, parcel, event)
        case AddressChange():
            await _address_change(connection, parcel, event)
        case Preference():
            await _preference(connection, parcel, event)
        case Notice():
            await _notice(connection, parcel, event)
        case _:
            assert_never(event)


async def _reaction(connection: Connection, parcel: Parcel, event: Reaction) -> None:
    known = await inbox_store.react(
        connection, parcel.tenant_id, parcel.line_id, event.target_provider_id, safe_text(event.emoji)
    )
    _log_unknown_target("reaction", parcel, known=known)


async def _edit(connection: Connection, parcel: Parcel, event: Edit) -> None:
    known = await inbox_store.edit(
        connection,
        parcel.tenant_id,
        parcel.line_id,
        event.target_provider_id,
        text=safe_text(event.text),
        at=event.provider_at or parcel.now,
    )
    _log_unknown_target("edit", parcel, known=known)


async def _revoke(connection: Connection, parcel: Parcel, event: Revoke) -> None:
    known = await inbox_store.revoke(
        connection,
        parcel.tenant_id,
        parcel.line_id,
        event.target_provider_id,
        at=event.provider_at or parcel.now,
    )
    _log_unknown_target("revoke", parcel, known=known)


async def _address_change(connection: Connection, parcel: Parcel, event: AddressChange) -> None:
    """Add the new addresses to the contact that the old one leads to, and write there from now on."""
    if not event.new or await contacts.find(connection, parcel.tenant_id, [event.old]) is None:
        _log_unknown_target("address_change", parcel, known=False)
        return
    contact_id = await contacts.resolve(
        connection, parcel.tenant_id, [event.old, *event.new], now=parcel.now, new_id=parcel.new_id
    )
    same_kind = [address for address in event.new if address.kind == event.old.kind]
    await inbox_store.follow_address(
        connection,
        parcel.tenant_id,
        contact_id,
        old=event.old,
        new=(same_kind or event.new)[0],
        since=parcel.now - SILENCE_ENDS,
    )


async def _preference(connection: Connection, parcel: Parcel, event: Preference) -> None:
    contact_id = await contacts.resolve(
        connection,
        parcel.tenant_id,
        event.sender.addresses,
        name=safe_text(event.sender.name),
        now=parcel.now,
        new_id=parcel.new_id,
    )
    await window_store.set_preference(
        connection,
        parcel.tenant_id,
        line_id=parcel.line_id,
        contact_id=contact_id,
        channel=parcel.channel,
        wants_messages=event.wants_messages,
        at=min(event.provider_at or parcel.now, parcel.now),
    )


async def _notice(connection: Connection, parcel: Parcel, event: Notice) -> None:
    """Nothing is stored but the webhook's body; the owner hears of what stops the whole line."""
    problem = account_problem(event)
    if problem is None:
        return
    await raise_alert(
        connection,
        parcel.tenant_id,
        kind=problem,
        dedupe_key=f"{problem}:{parcel.line_id}:{parcel.now.date()}",
        detail={"line_id": str(parcel.line_id), "notice": event.name},
        now=parcel.now,
        new_id=parcel.new_id,
    )


def account_problem(event: Notice) -> str | None:
    """Return the alert that a notice deserves: the account behind a line cannot pay, or is restricted (pure)."""
    errors = event.content.get("errors")
    members = errors if isinstance(errors, list) else []
    codes = {str(error.get("code")) for error in members if isinstance(error, Mapping)}  # numbers, or their digits
    if codes & PAYMENT_CODES:
        return "provider_payment"
    return "provider_account" if codes & ACCOUNT_CODES else None


def _log_unknown_target(kind: str, parcel: Parcel, *, known: bool) -> None:
    """Webhooks come out of order: an edit of a message that never came is no error, and nothing to keep."""
    if not known:
        log.info("event_for_unknown_target", kind=kind, tenant_id=str(parcel.tenant_id), line_id=str(parcel.line_id))
