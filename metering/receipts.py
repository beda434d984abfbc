"""Reading receipts: what each charge was for, and what the balance was before and after it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

import asyncpg

from metering.connection import Connection
from metering.operations import ReceiptSubject
from metering.rates import Item, Line

_SELECT = """
SELECT r.receipt_id, r.sequence, r.subject, r.turn_id, r.conversation_id, r.contact_id, r.line_id, r.agent_id,
       r.agent_version, r.channel, r.rate_card, r.lines, r.total_millicredits, r.day, r.created_at,
       r.provider_usage ->> 'counted_by' AS counted_by,
       e.key AS charge_key, e.balance_before_millicredits, e.balance_after_millicredits,
       (SELECT coalesce(sum(refund.amount_millicredits), 0)::bigint FROM ledger_entry refund
        WHERE refund.tenant_id = r.tenant_id AND refund.refunds_sequence = r.sequence) AS refunded_millicredits
FROM receipt r
JOIN ledger_entry e ON e.tenant_id = r.tenant_id AND e.sequence = r.sequence
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """The itemized account of one charge. Free lines, such as tools, are there too.

    `refunded_millicredits` is what has been given back since, for instance for parts that were never delivered.
    `counted_by`: what a minute of a call was counted by, "audio" or "tiktoken"; None where it goes without saying.
    """

    receipt_id: UUID
    sequence: int
    subject: ReceiptSubject
    charge_key: str
    rate_card: str
    lines: tuple[Line, ...]
    total_millicredits: int
    refunded_millicredits: int
    balance_before_millicredits: int
    balance_after_millicredits: int
    channel: str | None
    turn_id: UUID | None
    conversation_id: UUID | None
    contact_id: UUID | None
    line_id: UUID | None
    agent_id: UUID | None
    agent_version: int | None
    day: date
    created_at: datetime
    counted_by: str | None


async def read_receipt(connection: Connection, tenant_id: UUID, receipt_id: UUID) -> Receipt | None:
    """Return one receipt, or None if this tenant has no such receipt."""
    row = await connection.fetchrow(f"{_SELECT} WHERE r.tenant_id = $1 AND r.receipt_id = $2", tenant_id, receipt_id)
    return _receipt(row) if row else None


async def list_receipts(
    connection: Connection,
    tenant_id: UUID,
    *,
    limit: int,
    before: int | None = None,
    conversation_id: UUID | None = None,
    turn_id: UUID | None = None,
) -> list[Receipt]:
    """Return receipts, newest first, all or those of a conversation or a turn.

    `before` is the sequence of the last of the page before.
    """
    rows = await connection.fetch(
        f"""{_SELECT} WHERE r.tenant_id = $1 AND ($2::bigint IS NULL OR r.sequence < $2)
              AND ($3::uuid IS NULL OR r.conversation_id = $3) AND ($4::uuid IS NULL OR r.turn_id = $4)
            ORDER BY r.sequence DESC LIMIT $5""",
        tenant_id,
        before,
        conversation_id,
        turn_id,
        limit,
    )
    return [_receipt(row) for row in rows]


async def receipts_by_id(
    connection: Connection, tenant_id: UUID, receipt_ids: Iterable[UUID]
) -> Mapping[UUID, Receipt]:
    """Return those of the receipts that this tenant has, by their id."""
    rows = await connection.fetch(
        f"{_SELECT} WHERE r.tenant_id = $1 AND r.receipt_id = ANY ($2)", tenant_id, list(set(receipt_ids))
    )
    return {row["receipt_id"]: _receipt(row) for row in rows}


async def conversation_total(connection: Connection, tenant_id: UUID, conversation_id: UUID) -> int:
    """Return what a conversation has cost so far, in millicredits, refunds taken off."""
    total: int = await connection.fetchval(
        """SELECT coalesce(sum(r.total_millicredits - (
                    SELECT coalesce(sum(refund.amount_millicredits), 0) FROM ledger_entry refund
                    WHERE refund.tenant_id = r.tenant_id AND refund.refunds_sequence = r.sequence)), 0)::bigint
           FROM receipt r WHERE r.tenant_id = $1 AND r.conversation_id = $2""",
        tenant_id,
        conversation_id,
    )
    return total


async def totals_by_prefix(connection: Connection, tenant_id: UUID, wanted: Sequence[tuple[UUID, str]]) -> list[int]:
    """Return what was charged by keys with a beginning in common, for each (conversation, beginning).

    In millicredits, refunds taken off.
    """
    rows = await connection.fetch(
        """SELECT coalesce(total.millicredits, 0)::bigint AS millicredits
           FROM unnest($2::uuid[], $3::text[]) WITH ORDINALITY AS wanted (conversation_id, prefix, place)
           LEFT JOIN LATERAL (
             SELECT sum(r.total_millicredits - (
                      SELECT coalesce(sum(refund.amount_millicredits), 0) FROM ledger_entry refund
                      WHERE refund.tenant_id = r.tenant_id AND refund.refunds_sequence = r.sequence)) AS millicredits
             FROM receipt r JOIN ledger_entry e ON e.tenant_id = r.tenant_id AND e.sequence = r.sequence
             WHERE r.tenant_id = $1 AND r.conversation_id = wanted.conversation_id
               AND starts_with(e.key, wanted.prefix)) total ON true
           ORDER BY wanted.place""",
        tenant_id,
        [conversation_id for conversation_id, _ in wanted],
        [prefix for _, prefix in wanted],
    )
    return [row["millicredits"] for row in rows]


def _receipt(row: asyncpg.Record) -> Receipt:
    lines = tuple(Line(Item(line["item"]), line["quantity"], line["unit_millicredits"]) for line in row["lines"])
    return Receipt(**{**row, "lines": lines})
