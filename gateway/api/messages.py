"""The owner's API: one message with its receipt, and writing one into a conversation."""

import hashlib
import json
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import AfterValidator, Field

from gateway.api.call import NOT_FOUND, AnyRoute, Asked, Call, Nothing, Refusal, Route, Told, not_found
from gateway.api.money import Receipt
from gateway.conversations import MessageView, read_message
from gateway.repeat_keys import RepeatKey
from gateway.written_messages import WHATSAPP_CHARACTERS_MAX, WrittenMessage, write_message
from metering import receipts
from metering.connection import Connection


class Message(Told):
    """One message. `ai_generated` marks what a machine wrote; parts of one answer share a receipt.

    What was said in a phone call has its `call_id`: `text` is what the caller heard, and `interrupted` says that they
    cut the agent off. A `note` is a message left on the phone, with a number to call back if one was given.
    """

    id: UUID
    direction: Literal["in", "out"]
    author: Literal["customer", "agent", "member", "api", "system"]
    ai_generated: bool
    kind: str
    text: str
    transcripts: list[str]
    state: str
    failure: str | None
    reaction: str | None
    turn_id: UUID | None
    receipt_id: UUID | None
    receipt: Receipt | None
    edited_at: datetime | None
    revoked_at: datetime | None
    provider_at: datetime | None
    created_at: datetime
    delivered_at: datetime | None
    read_at: datetime | None
    call_id: UUID | None
    interrupted: bool
    callback: str | None


def _not_blank(text: str) -> str:
    if not text.strip():
        raise ValueError("must not be blank")
    return text


class NewMessage(Asked):
    """A text to send. With `take_over`, a person answers from now on; else the agent goes on."""

    text: Annotated[str, Field(min_length=1, max_length=WHATSAPP_CHARACTERS_MAX), AfterValidator(_not_blank)]
    take_over: bool = False


async def messages_with_receipts(
    connection: Connection, tenant_id: UUID, views: Sequence[MessageView]
) -> list[Message]:
    """Return messages as they are told, each with the receipt it is on."""
    found = await receipts.receipts_by_id(
        connection, tenant_id, [view.receipt_id for view in views if view.receipt_id is not None]
    )
    return [_told(view, found.get(view.receipt_id) if view.receipt_id else None) for view in views]


def _told(view: MessageView, receipt: receipts.Receipt | None) -> Message:
    return Message(
        id=view.message_id,
        ai_generated=view.author == "agent",
        receipt=None if receipt is None else Receipt.model_validate(receipt),
        call_id=_text_or_none(view, "call_id"),
        interrupted=view.content.get("interrupted") is True,
        callback=_text_or_none(view, "callback"),
        **{name: getattr(view, name) for name in Message.model_fields if hasattr(view, name)},
    )


def _text_or_none(view: MessageView, name: str) -> str | None:
    """Return something that only messages of a phone call have."""
    value = view.content.get(name) if view.kind in ("speech", "note") else None
    return value if isinstance(value, str) else None


async def send_message(call: Call[Nothing, NewMessage]) -> Message:
    conversation_id = call.id("conversation_id")
    message_id = await write_message(
        call.services,
        call.tenant_id,
        WrittenMessage(
            conversation_id=conversation_id,
            author="api",
            text=call.body.text,
            take_over=call.body.take_over,
            repeat=_repeat_key(call, conversation_id),
        ),
    )
    async with call.services.db.transaction(call.tenant_id) as connection:
        view = await read_message(connection, call.tenant_id, message_id)
        if view is None:
            raise not_found()  # deleted since
        return (await messages_with_receipts(connection, call.tenant_id, [view]))[0]


def _repeat_key(call: Call[Nothing, NewMessage], conversation_id: UUID) -> RepeatKey | None:
    if call.idempotency_key is None:
        return None
    asked = json.dumps([str(conversation_id), call.body.model_dump()], sort_keys=True)
    return RepeatKey(key=call.idempotency_key, request_hash=hashlib.sha256(asked.encode()).digest())


ROUTES: tuple[AnyRoute, ...] = (
    Route(
        method="POST",
        path="/conversations/{conversation_id}/messages",
        summary="Send a message into a conversation",
        handler=send_message,
        query=Nothing,
        body=NewMessage,
        told=Message,
        status=201,
        takes_idempotency_key=True,
        refusals=(
            Refusal(status=402, code="insufficient_credits"),
            Refusal(status=402, code="tenant_paused"),
            NOT_FOUND,
            Refusal(status=409, code="service_window_closed"),
            Refusal(status=409, code="contact_opted_out"),
            Refusal(status=409, code="line_not_active"),
            Refusal(status=409, code="channel_not_writable"),
            Refusal(status=409, code="idempotency_key_reused"),
            Refusal(status=422, code="message_too_long"),
        ),
    ),
)
