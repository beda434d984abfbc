"""The owner's API: conversations with their messages and receipts, and who answers in them."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Literal
from uuid import UUID

from gateway import conversations, takeover
from gateway.api.call import NOT_FOUND, AnyRoute, Call, Nothing, Route, Told, not_found
from gateway.api.calls import PhoneCall, told_call
from gateway.api.messages import Message, messages_with_receipts
from gateway.api.paging import Listed, Page, moment_cursor, next_page, parse_moment_cursor
from gateway.channels.whatsapp import window
from gateway.conversations import ConversationView, Cursor
from gateway.services import Services
from gateway.voice.call_views import CallView, list_calls
from metering.connection import Connection
from metering.receipts import conversation_total

MESSAGES_SHOWN = 50
CALLS_SHOWN = 20

ChangeMode = Callable[[Connection, UUID, UUID, datetime], Awaitable[bool]]


class Window(Told):
    """Whether free text may be sent, and until when (or since when not)."""

    open: bool
    closes_at: datetime | None
    last_customer_message_at: datetime | None


class Contact(Told):
    """Who we talk to, and the address that answers go to."""

    id: UUID
    name: str
    address_kind: str
    address: str


class Conversation(Told):
    """One conversation. `window` is null where the channel has none; `waiting_for` says why no answer is due."""

    id: UUID
    line_id: UUID
    channel: str
    contact: Contact
    agent_id: UUID
    agent_version: int
    mode: Literal["agent", "human", "paused"]
    waiting_for: str | None
    pending_since: datetime | None
    window: Window | None
    opted_out: bool
    started_at: datetime
    last_message_at: datetime
    last_text: str


class ConversationPage(Listed[Conversation]):
    """Conversations, the one with the latest message first."""


class WholeConversation(Conversation):
    """A conversation with its latest messages, oldest first, and what it has cost so far.

    `messages_cursor` leads to the messages before, at `…/messages`; null if these are all. `calls` are its latest phone
    calls, newest first; the others are at `/calls`.
    """

    charged_millicredits: int
    messages: list[Message]
    messages_cursor: str | None
    calls: list[PhoneCall]


class MessagePage(Listed[Message]):
    """Messages of a conversation, newest first."""


async def list_conversations(call: Call[Page, Nothing]) -> ConversationPage:
    after = parse_moment_cursor(call.query.cursor)
    async with call.services.db.transaction(call.tenant_id) as connection:
        rows = await conversations.list_conversations(
            connection,
            call.tenant_id,
            limit=call.query.limit + 1,
            after=Cursor(at=after[0], id=after[1]) if after else None,
        )
    page, cursor = next_page(
        rows, call.query.limit, lambda row: moment_cursor(row.last_message_at, row.conversation_id)
    )
    return ConversationPage(items=[Conversation(**_told(call.services, row)) for row in page], next_cursor=cursor)


async def show_conversation(call: Call[Nothing, Nothing]) -> WholeConversation:
    async with call.services.db.transaction(call.tenant_id) as connection:
        return await _whole(connection, call)


async def list_messages(call: Call[Page, Nothing]) -> MessagePage:
    async with call.services.db.transaction(call.tenant_id) as connection:
        if await conversations.read_conversation(connection, call.tenant_id, call.id("conversation_id")) is None:
            raise not_found()
        messages, cursor = await _messages(connection, call, limit=call.query.limit, cursor=call.query.cursor)
    return MessagePage(items=list(messages), next_cursor=cursor)


async def take_over(call: Call[Nothing, Nothing]) -> WholeConversation:
    return await _change_mode(call, takeover.take_over)


async def give_back(call: Call[Nothing, Nothing]) -> WholeConversation:
    return await _change_mode(call, takeover.give_back)


async def pause(call: Call[Nothing, Nothing]) -> WholeConversation:
    return await _change_mode(call, takeover.pause)


async def _change_mode(call: Call[Nothing, Nothing], change: ChangeMode) -> WholeConversation:
    """Change who answers; when the agent does again, the worker hears of it at once."""
    conversation_id = call.id("conversation_id")
    async with call.services.db.transaction(call.tenant_id) as connection:
        if not await change(connection, call.tenant_id, conversation_id, call.services.now()):
            raise not_found()
        whole = await _whole(connection, call)
    call.services.arrivals.announce(call.tenant_id, conversation_id, call.services.now())
    return whole


async def _whole(connection: Connection, call: Call[Nothing, Nothing]) -> WholeConversation:
    conversation_id = call.id("conversation_id")
    view = await conversations.read_conversation(connection, call.tenant_id, conversation_id)
    if view is None:
        raise not_found()
    messages, cursor = await _messages(connection, call, limit=MESSAGES_SHOWN, cursor=None)
    return WholeConversation(
        **_told(call.services, view),
        charged_millicredits=await conversation_total(connection, call.tenant_id, conversation_id),
        messages=list(reversed(messages)),
        messages_cursor=cursor,
        calls=[PhoneCall(**told_call(call.services, each)) for each in await _calls(connection, call, view)],
    )


async def _calls(connection: Connection, call: Call[Nothing, Nothing], view: ConversationView) -> Sequence[CallView]:
    if view.channel != "voice":
        return ()
    return await list_calls(connection, call.tenant_id, limit=CALLS_SHOWN, conversation_id=view.conversation_id)


async def _messages(
    connection: Connection, call: Call[Page, Nothing] | Call[Nothing, Nothing], *, limit: int, cursor: str | None
) -> tuple[Sequence[Message], str | None]:
    after = parse_moment_cursor(cursor)
    rows = await conversations.read_thread(
        connection,
        call.tenant_id,
        call.id("conversation_id"),
        limit=limit + 1,
        after=Cursor(at=after[0], id=after[1]) if after else None,
    )
    page, next_cursor = next_page(rows, limit, lambda row: moment_cursor(row.created_at, row.message_id))
    return await messages_with_receipts(connection, call.tenant_id, page), next_cursor


def _told(services: Services, view: ConversationView) -> dict[str, object]:
    return {
        "id": view.conversation_id,
        "contact": Contact(
            id=view.contact_id,
            name=view.contact_name,
            address_kind=view.reply_address_kind,
            address=view.reply_address,
        ),
        "window": _window(view, services) if view.channel == "whatsapp" else None,
        "opted_out": view.opted_out_at is not None,
        **{name: getattr(view, name) for name in Conversation.model_fields if hasattr(view, name)},
    }


def _window(view: ConversationView, services: Services) -> Window:
    last, closed, margin_s = view.last_customer_message_at, view.closed_by_provider_at, services.limits.window_margin_s
    return Window(
        open=window.is_open(last, closed, services.now(), margin_s),
        closes_at=closed or (None if last is None else window.closes_at(last, margin_s)),
        last_customer_message_at=last,
    )


def _mode_route(name: str, summary: str, handler: Callable[[Call[Nothing, Nothing]], Awaitable[Told]]) -> AnyRoute:
    return Route(
        method="POST",
        path=f"/conversations/{{conversation_id}}/{name}",
        summary=summary,
        handler=handler,
        query=Nothing,
        body=Nothing,
        told=WholeConversation,
        refusals=(NOT_FOUND,),
    )


ROUTES: tuple[AnyRoute, ...] = (
    Route(
        method="GET",
        path="/conversations",
        summary="List conversations",
        handler=list_conversations,
        query=Page,
        body=Nothing,
        told=ConversationPage,
    ),
    Route(
        method="GET",
        path="/conversations/{conversation_id}",
        summary="Show a conversation with its messages and receipts",
        handler=show_conversation,
        query=Nothing,
        body=Nothing,
        told=WholeConversation,
        refusals=(NOT_FOUND,),
    ),
    Route(
        method="GET",
        path="/conversations/{conversation_id}/messages",
        summary="List a conversation's messages",
        handler=list_messages,
        query=Page,
        body=Nothing,
        told=MessagePage,
        refusals=(NOT_FOUND,),
    ),
    _mode_route("take-over", "Let a person answer from now on", take_over),
    _mode_route("give-back", "Let the agent answer again", give_back),
    _mode_route("pause", "Answer nothing until given back", pause),
)
