"""What went to an endpoint, or is on its way: shown, asked for again, tried out, forgotten after a month."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal
from uuid import UUID

from gateway.db import note_events
from gateway.events_out import TEST_KIND, event_body
from metering.connection import Connection

KEPT_FOR: Final = timedelta(days=30)
DeliveryState = Literal["pending", "delivered", "failed"]
_COLUMNS: Final = """event_id, kind, state, attempts, next_attempt_at, last_status, last_latency_ms, last_error, body,
  created_at, delivered_at"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One event on its way to one endpoint, and how the last attempt went."""

    event_id: UUID
    kind: str
    state: DeliveryState
    attempts: int
    next_attempt_at: datetime | None
    last_status: int | None
    last_latency_ms: int | None
    last_error: str | None
    body: Mapping[str, object]
    created_at: datetime
    delivered_at: datetime | None


async def list_deliveries(
    connection: Connection, tenant_id: UUID, endpoint_id: UUID, *, limit: int, before: UUID | None = None
) -> list[Delivery]:
    """Return deliveries, newest event first; `before` is the last event of the page before."""
    rows = await connection.fetch(
        f"""SELECT {_COLUMNS} FROM webhook_delivery
            WHERE tenant_id = $1 AND endpoint_id = $2 AND ($3::uuid IS NULL OR event_id < $3)
            ORDER BY event_id DESC LIMIT $4""",  # noqa: S608 - a constant
        tenant_id,
        endpoint_id,
        before,
        limit,
    )
    return [Delivery(**row) for row in rows]


async def queue_test(
    connection: Connection, tenant_id: UUID, endpoint_id: UUID, *, now: datetime, new_id: Callable[[], UUID]
) -> Delivery:
    """Send a `webhook.test` to an endpoint, whatever kinds it wants."""
    event_id = new_id()
    row = await connection.fetchrow(
        f"""INSERT INTO webhook_delivery (tenant_id, endpoint_id, event_id, kind, subject_id, body, next_attempt_at,
                                          created_at)
            VALUES ($1, $2, $3, $4, $3, $5, $6, $6) RETURNING {_COLUMNS}""",  # noqa: S608 - a constant
        tenant_id,
        endpoint_id,
        event_id,
        TEST_KIND,
        event_body(TEST_KIND, {"endpoint_id": endpoint_id}, now),
        now,
    )
    if row is None:
        raise AssertionError("an insert without a condition returns its row")
    note_events()
    return Delivery(**row)


async def send_again(
    connection: Connection, tenant_id: UUID, endpoint_id: UUID, event_id: UUID, *, now: datetime
) -> Delivery | None:
    """Send an event once more, at once and with all its attempts; None if there is no such delivery."""
    row = await connection.fetchrow(
        f"""UPDATE webhook_delivery SET state = 'pending', attempts = 0, next_attempt_at = $4, delivered_at = NULL,
              lease_until = NULL, lease_epoch = lease_epoch + 1
            WHERE tenant_id = $1 AND endpoint_id = $2 AND event_id = $3 RETURNING {_COLUMNS}""",  # noqa: S608 - constant
        tenant_id,
        endpoint_id,
        event_id,
        now,
    )
    if row is None:
        return None
    note_events()
    return Delivery(**row)


async def forget_old(connection: Connection, tenant_id: UUID, *, now: datetime) -> None:
    """Delete what is older than a month and not on its way."""
    await connection.execute(
        "DELETE FROM webhook_delivery WHERE tenant_id = $1 AND created_at < $2 AND state <> 'pending'",
        tenant_id,
        now - KEPT_FOR,
    )
