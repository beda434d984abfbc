"""Events for owners' systems: what is told, in which words, written down with what caused it.

An event is recorded in the transaction that makes it true, once for each endpoint that wants its kind, and sent from
there (gateway.webhook_delivery). It carries ids and amounts; what was said, and by whom, is asked for with them.
"""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Final, Literal, get_args
from uuid import UUID

from gateway.db import note_events
from metering.connection import Connection
from metering.operations import Applied, ReceiptDraft

EventKind = Literal[
    "turn.completed",
    "call.ended",
    "delivery.failed",
    "balance.low",
    "tenant.paused",
    "window.refused",
]
EVENT_KINDS: Final[tuple[str, ...]] = get_args(EventKind)
TEST_KIND: Final = "webhook.test"  # sent when asked for, whatever an endpoint wants
EVENT_OF_ALERT: Final[Mapping[str, EventKind]] = {
    "delivery_failed": "delivery.failed",
    "undelivered": "delivery.failed",
    "low_balance": "balance.low",
    "paused": "tenant.paused",
    "window_closed": "window.refused",
}


async def record_event(
    connection: Connection,
    tenant_id: UUID,
    *,
    kind: str,
    subject_id: UUID,
    detail: Mapping[str, object],
    now: datetime,
    new_id: Callable[[], UUID],
) -> None:
    """Leave an event for each enabled endpoint that wants its kind, in the caller's transaction.

    There is one event of a kind for each subject, however often it is recorded. `detail` holds what JSON can hold,
    and ids; no texts, no numbers of contacts.
    """
    done = await connection.execute(
        """INSERT INTO webhook_delivery (tenant_id, endpoint_id, event_id, kind, subject_id, body, next_attempt_at,
                                         created_at)
           SELECT tenant_id, endpoint_id, $2, $3, $4, $5, $6, $6 FROM webhook_endpoint
           WHERE tenant_id = $1 AND enabled AND (kinds = '{}' OR $3 = ANY (kinds))
           ON CONFLICT ON CONSTRAINT webhook_delivery_once DO NOTHING""",
        tenant_id,
        new_id(),
        kind,
        subject_id,
        event_body(kind, detail, now),
        now,
    )
    if done != "INSERT 0 0":
        note_events()


def event_body(kind: str, detail: Mapping[str, object], at: datetime) -> dict[str, object]:
    """Return what is posted, as plain JSON values (pure)."""
    return {"type": kind, "timestamp": utc_text(at), "data": {name: _plain(value) for name, value in detail.items()}}


def turn_detail(receipt: ReceiptDraft, applied: Applied) -> dict[str, object]:
    """Return what `turn.completed` tells: the turn's receipt, as the API shows it (pure)."""
    return {
        "turn_id": receipt.turn_id,
        "conversation_id": receipt.conversation_id,
        "contact_id": receipt.contact_id,
        "line_id": receipt.line_id,
        "agent_id": receipt.agent_id,
        "agent_version": receipt.agent_version,
        "channel": receipt.channel,
        "receipt": {
            "id": str(applied.receipt_id or receipt.receipt_id),
            "rate_card": receipt.rate_card,
            "lines": [
                {
                    "item": line.item.value,
                    "quantity": line.quantity,
                    "unit_millicredits": line.unit_millicredits,
                    "amount_millicredits": line.amount_millicredits,
                }
                for line in receipt.lines
            ],
            "total_millicredits": -applied.amount_millicredits,
            "balance_before_millicredits": applied.balance_before_millicredits,
            "balance_after_millicredits": applied.balance_after_millicredits,
        },
    }


def utc_text(at: datetime) -> str:
    """Return a moment as ISO 8601 in UTC, to the microsecond."""
    return at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _plain(value: object) -> object:
    if isinstance(value, UUID):
        return str(value)
    return utc_text(value) if isinstance(value, datetime) else value
