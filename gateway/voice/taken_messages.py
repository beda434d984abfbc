"""A caller's message for the people of the business: kept in the conversation, and the owner is told of it."""

from collections.abc import Mapping
from typing import Annotated, Final
from uuid import UUID

from pydantic import Field

from agents.connection import Connection
from agents.tools.arguments import ToolArguments, read
from agents.tools.base import ToolContext
from agents.tools.phone import TAKE_MESSAGE
from gateway.alerts import raise_alert

KIND: Final = "note"
TAKEN: Final = "The message is taken; a person of the business will read it."


class _Arguments(ToolArguments):
    """What is to be written down, and where the caller wants to be called back."""

    text: Annotated[str, Field(min_length=1, max_length=2000)]
    callback: Annotated[str, Field(max_length=60)] | None = None


class TakeMessage:
    """Offered in every call. The alert has ids only: words and numbers are read in the conversation."""

    writes = True
    uses_database = True
    definition = TAKE_MESSAGE

    def __init__(self, call_id: UUID) -> None:
        self._call_id = call_id

    async def call(self, context: ToolContext, arguments: Mapping[str, object], connection: Connection | None) -> str:
        if connection is None:
            raise AssertionError("a tool that writes is given a connection")
        wanted = read(_Arguments, arguments)
        message_id, now = context.new_id(), context.now()
        content = {"call_id": str(self._call_id)} | ({} if wanted.callback is None else {"callback": wanted.callback})
        await connection.execute(
            """INSERT INTO message (tenant_id, message_id, conversation_id, line_id, contact_id, direction, author,
                                    kind, text, content, state, turn_id, created_at)
               SELECT $1, $2, $3, line_id, contact_id, 'in', 'customer', $4, $5, $6, 'recorded', $7, $8
               FROM conversation WHERE tenant_id = $1 AND conversation_id = $3""",
            context.tenant_id,
            message_id,
            context.conversation_id,
            KIND,
            wanted.text,
            content,
            context.turn_id,
            now,
        )
        await raise_alert(
            connection,
            context.tenant_id,
            kind="message_taken",
            dedupe_key=f"message_taken:{message_id}",
            detail={
                "conversation_id": str(context.conversation_id),
                "call_id": str(self._call_id),
                "message_id": str(message_id),
            },
            now=now,
            new_id=context.new_id,
        )
        return TAKEN
