"""Calls as others read them: the list, and one call with the people it was forwarded to."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final
from uuid import UUID

import asyncpg

from gateway.conversations import Cursor
from gateway.voice.call import CallState
from gateway.voice.credit.keys import call_prefix
from metering.connection import Connection
from metering.receipts import totals_by_prefix

_COLUMNS: Final = """
SELECT c.call_id, c.conversation_id, c.line_id, l.number AS our_number, c.contact_id,
       coalesce(k.name, '') AS contact_name, c.caller, c.agent_id, c.agent_version, c.engine, c.state, c.end_reason,
       c.offered_at, c.stream_started_at, c.ended_at, c.duration_s, c.minutes_charged, c.input_tokens, c.output_tokens,
       c.recording, c.recording_duration_s, c.recording_consent_at, c.figures, c.provider_usage
FROM call c
JOIN line l ON l.tenant_id = c.tenant_id AND l.line_id = c.line_id
LEFT JOIN contact k ON k.tenant_id = c.tenant_id AND k.contact_id = c.contact_id
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallView:
    """One call as its owner sees it. Minutes and tokens are what is settled; `charged_millicredits` all legs together.

    `provider_usage` is the engine's own count, for the operator; it is never charged.
    """

    call_id: UUID
    conversation_id: UUID
    line_id: UUID
    our_number: str
    contact_id: UUID
    contact_name: str = field(repr=False)
    caller: str | None = field(repr=False)
    agent_id: UUID
    agent_version: int
    engine: str
    state: CallState
    end_reason: str | None
    offered_at: datetime
    stream_started_at: datetime | None
    ended_at: datetime | None
    duration_s: int | None
    minutes_charged: int
    input_tokens: int
    output_tokens: int
    recording: str
    recording_duration_s: int | None
    recording_consent_at: datetime | None
    figures: Mapping[str, object]
    provider_usage: Mapping[str, object]
    charged_millicredits: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LegView:
    """A person's leg of a forwarded call; `outcome` as Twilio says it."""

    leg: int
    state: str
    outcome: str | None
    minutes_charged: int
    dialled_at: datetime
    answered_at: datetime | None
    ended_at: datetime | None
    duration_s: int | None


async def list_calls(
    connection: Connection,
    tenant_id: UUID,
    *,
    limit: int,
    after: Cursor | None = None,
    conversation_id: UUID | None = None,
) -> list[CallView]:
    """Return calls, the newest first, all or those of a conversation; `after` is the last of the page before."""
    which = "" if conversation_id is None else "AND c.conversation_id = $5"
    rows = await connection.fetch(
        f"""{_COLUMNS} WHERE c.tenant_id = $1 {which}
              AND ($2::timestamptz IS NULL OR (c.offered_at, c.call_id) < ($2, $3))
            ORDER BY c.offered_at DESC, c.call_id DESC LIMIT $4""",
        tenant_id,
        after.at if after else None,
        after.id if after else None,
        limit,
        *(() if conversation_id is None else (conversation_id,)),
    )
    return await _with_totals(connection, tenant_id, rows)


async def read_call(connection: Connection, tenant_id: UUID, call_id: UUID) -> CallView | None:
    """Return one call, or None if this tenant has no such call."""
    rows = await connection.fetch(f"{_COLUMNS} WHERE c.tenant_id = $1 AND c.call_id = $2", tenant_id, call_id)
    found = await _with_totals(connection, tenant_id, rows)
    return found[0] if found else None


async def list_legs(connection: Connection, tenant_id: UUID, call_id: UUID) -> list[LegView]:
    """Return the people a call was put through to, in order."""
    rows = await connection.fetch(
        """SELECT leg, state, outcome, minutes_charged, dialled_at, answered_at, ended_at, duration_s FROM call_leg
           WHERE tenant_id = $1 AND call_id = $2 ORDER BY leg""",
        tenant_id,
        call_id,
    )
    return [LegView(**row) for row in rows]


async def _with_totals(connection: Connection, tenant_id: UUID, rows: Sequence[asyncpg.Record]) -> list[CallView]:
    wanted = [(row["conversation_id"], call_prefix(row["call_id"])) for row in rows]
    totals = await totals_by_prefix(connection, tenant_id, wanted)
    return [CallView(**row, charged_millicredits=total) for row, total in zip(rows, totals, strict=True)]
