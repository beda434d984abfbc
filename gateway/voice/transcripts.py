"""What was said in a call, as messages of its conversation: the caller's words, and the agent's as far as heard.

They are records: nothing becomes due by them, and nothing is sent.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Literal

from gateway.safe_text import safe_text
from gateway.services import Services
from gateway.voice.call import Call
from gateway.voice.heard_text import heard_text

__all__ = ["Words", "agent_words", "caller_words", "heard_text", "note_agent", "note_all", "note_caller"]

KIND: Final = "speech"


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """What one of the two said without being answered in between; `at` is when they began."""

    author: Literal["customer", "agent"]
    text: str = field(repr=False)
    at: datetime
    content: Mapping[str, object] = field(default_factory=dict, repr=False)


def caller_words(text: str, at: datetime) -> Words:
    """Return what the caller said, as the engine understood it."""
    return Words(author="customer", text=text, at=at)


def agent_words(text_spoken: str, text_heard: str, at: datetime, heard_ms: int, *, interrupted: bool) -> Words:
    """Return what the caller heard of what the agent said; the rest stands beside it for the owner."""
    content: dict[str, object] = {"heard_ms": heard_ms, "interrupted": interrupted}
    if text_spoken.strip() != text_heard.strip():
        content["spoken"] = safe_text(text_spoken)
    return Words(author="agent", text=text_heard, at=at, content=content)


async def note_caller(services: Services, call: Call, text: str, at: datetime) -> None:
    """Write down what the caller said."""
    await note_all(services, call, [caller_words(text, at)])


async def note_agent(  # noqa: PLR0917 - what is known of one answer
    services: Services,
    call: Call,
    text_spoken: str,
    text_heard: str,
    at: datetime,
    heard_ms: int,
    interrupted: bool,
) -> None:
    """Write down what the caller heard of the agent; nothing, if that was not even a word."""
    await note_all(services, call, [agent_words(text_spoken, text_heard, at, heard_ms, interrupted=interrupted)])


async def note_all(services: Services, call: Call, said: Sequence[Words]) -> None:
    """Write down several at once, in one statement; who said nothing is left out.

    The commit does not wait for the disk: a transcript's last words may be lost with the database server, no money is.
    """
    words = [each for each in said if each.text.strip()]
    if not words:
        return
    async with services.db.transaction(call.tenant_id, durable=False) as connection:
        await connection.execute(
            _NOTE,
            call.tenant_id,
            call.account.conversation_id,
            [services.new_id() for _ in words],
            ["in" if each.author == "customer" else "out" for each in words],
            [each.author for each in words],
            [safe_text(each.text.strip()) for each in words],
            [each.at for each in words],
            [{"call_id": str(call.call_id), **each.content} for each in words],
            max(each.at for each in words),
        )


# Whose conversation it is by now: two contacts may have become one during the call.
_NOTE: Final = f"""
WITH place AS (
  UPDATE conversation SET last_message_at = greatest(last_message_at, $9)
  WHERE tenant_id = $1 AND conversation_id = $2 RETURNING line_id, contact_id)
INSERT INTO message (tenant_id, message_id, conversation_id, line_id, contact_id, direction, author, kind, text,
                     content, state, created_at)
SELECT $1, said.message_id, $2, place.line_id, place.contact_id, said.direction, said.author, '{KIND}', said.text,
       $8::jsonb -> (said.place::integer - 1), 'recorded', said.at
FROM unnest($3::uuid[], $4::text[], $5::text[], $6::text[], $7::timestamptz[])
     WITH ORDINALITY AS said (message_id, direction, author, text, at, place), place
"""  # noqa: S608 - a constant inside a constant
