"""What the owner must hear of, said once: the dedupe key decides what "once" means.

Some of it their own systems hear of too (gateway.events_out), in the same transaction.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from gateway.alert_texts import mail_delay
from gateway.events_out import EVENT_OF_ALERT, record_event
from metering.connection import Connection


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """One thing that an owner should know. `detail` holds ids and codes, never texts or numbers."""

    alert_id: UUID
    kind: str
    detail: Mapping[str, object]
    created_at: datetime
    acknowledged_at: datetime | None


async def raise_alert(
    connection: Connection,
    tenant_id: UUID,
    *,
    kind: str,
    dedupe_key: str,
    detail: Mapping[str, object],
    now: datetime,
    new_id: Callable[[], UUID],
) -> bool:
    """Tell the owner, unless the same was said before; return whether this was the first time."""
    alert_id: UUID | None = await connection.fetchval(
        """INSERT INTO alert (tenant_id, alert_id, kind, dedupe_key, detail, created_at, mail_due_at)
           VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (tenant_id, dedupe_key) DO NOTHING RETURNING alert_id""",
        tenant_id,
        new_id(),
        kind,
        dedupe_key,
        dict(detail),
        now,
        now + mail_delay(kind),
    )
    if alert_id is None:
        return False
    event_kind = EVENT_OF_ALERT.get(kind)
    if event_kind is not None:
        await record_event(
            connection,
            tenant_id,
            kind=event_kind,
            subject_id=alert_id,
            detail={"alert_id": alert_id, **detail},
            now=now,
            new_id=new_id,
        )
    return True


async def list_alerts(
    connection: Connection, tenant_id: UUID, *, limit: int = 50, before: UUID | None = None, open_only: bool = False
) -> list[Alert]:
    """Return alerts, newest first; `before` is the last alert of the page before (ids are ordered by time)."""
    rows = await connection.fetch(
        """SELECT alert_id, kind, detail, created_at, acknowledged_at FROM alert
           WHERE tenant_id = $1 AND ($2::uuid IS NULL OR alert_id < $2) AND (NOT $3 OR acknowledged_at IS NULL)
           ORDER BY alert_id DESC LIMIT $4""",
        tenant_id,
        before,
        open_only,
        limit,
    )
    return [Alert(**row) for row in rows]


async def acknowledge(connection: Connection, tenant_id: UUID, alert_id: UUID, *, now: datetime) -> bool:
    """Mark an alert as seen, once; return whether there is such an alert. What was seen need not be mailed."""
    row = await connection.fetchrow(
        """UPDATE alert SET acknowledged_at = coalesce(acknowledged_at, $3), mail_due_at = NULL
           WHERE tenant_id = $1 AND alert_id = $2 RETURNING alert_id""",
        tenant_id,
        alert_id,
        now,
    )
    return row is not None
