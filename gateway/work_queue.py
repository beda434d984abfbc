"""The statements over all tenants' queues: who may work on what, for how long. Run under the queue's role."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from gateway.outbox_store import SendLease
from gateway.turn_scene import Lease
from metering.connection import Connection


@dataclass(frozen=True, slots=True, kw_only=True)
class Overdue:
    """A hold whose lease ran out, or a grant whose time is over."""

    tenant_id: UUID
    hold_key: str | None = None
    grant_id: UUID | None = None


async def claim_conversations(
    connection: Connection,
    *,
    now: datetime,
    lease_until: datetime,
    limit: int,
    per_tenant: int | None = None,
    in_flight: Mapping[UUID, int] | None = None,
) -> list[Lease]:
    """Lease conversations that are due, the longest due first.

    A tenant gets no more than makes `per_tenant` with those it has `in_flight`, so that it leaves room for others.
    """
    busy = in_flight or {}
    rows = await connection.fetch(
        """WITH busy AS (SELECT * FROM unnest($4::uuid[], $5::bigint[]) AS busy (tenant_id, turns)),
           due AS (
             SELECT tenant_id, conversation_id, due_at FROM conversation c
             WHERE due_at <= $1 AND (lease_until IS NULL OR lease_until <= $1)
               AND NOT EXISTS (SELECT FROM busy WHERE busy.tenant_id = c.tenant_id AND busy.turns >= $6)
             ORDER BY due_at LIMIT $3 FOR NO KEY UPDATE OF c SKIP LOCKED),
           placed AS (
             SELECT tenant_id, conversation_id, row_number() OVER (PARTITION BY tenant_id ORDER BY due_at)
                      + coalesce((SELECT turns FROM busy WHERE busy.tenant_id = due.tenant_id), 0) AS place
             FROM due)
           UPDATE conversation c SET lease_until = $2, lease_epoch = c.lease_epoch + 1
           FROM placed
           WHERE c.tenant_id = placed.tenant_id AND c.conversation_id = placed.conversation_id AND placed.place <= $6
           RETURNING c.tenant_id, c.conversation_id, c.lease_epoch AS epoch""",
        now,
        lease_until,
        limit,
        list(busy),
        list(busy.values()),
        limit if per_tenant is None else per_tenant,
    )
    return [Lease(**row) for row in rows]


async def renew_turns(connection: Connection, leases: Sequence[Lease], *, lease_until: datetime) -> None:
    """Keep conversations while their turns go on; one that somebody has locked is in good hands until the next time."""
    await connection.execute(
        """UPDATE conversation c SET lease_until = $4
           FROM (SELECT own.tenant_id, own.conversation_id FROM conversation own
                 JOIN unnest($1::uuid[], $2::uuid[], $3::bigint[]) AS mine (tenant_id, conversation_id, epoch)
                   ON own.tenant_id = mine.tenant_id AND own.conversation_id = mine.conversation_id
                     AND own.lease_epoch = mine.epoch
                 WHERE own.lease_until IS NOT NULL FOR NO KEY UPDATE OF own SKIP LOCKED) AS free
           WHERE c.tenant_id = free.tenant_id AND c.conversation_id = free.conversation_id""",
        [lease.tenant_id for lease in leases],
        [lease.conversation_id for lease in leases],
        [lease.epoch for lease in leases],
        lease_until,
    )


async def renew_sends(connection: Connection, leases: Sequence[SendLease], *, lease_until: datetime) -> None:
    """Keep messages that are being sent."""
    await connection.execute(
        """UPDATE outbox o SET lease_until = $4
           FROM unnest($1::uuid[], $2::uuid[], $3::bigint[]) AS mine (tenant_id, message_id, epoch)
           WHERE o.tenant_id = mine.tenant_id AND o.message_id = mine.message_id
             AND o.lease_epoch = mine.epoch AND o.lease_until IS NOT NULL""",
        [lease.tenant_id for lease in leases],
        [lease.message_id for lease in leases],
        [lease.epoch for lease in leases],
        lease_until,
    )


async def overdue_holds(connection: Connection, *, now: datetime, limit: int) -> list[Overdue]:
    """Return open holds whose time is over: their workers died."""
    rows = await connection.fetch(
        """SELECT tenant_id, key AS hold_key FROM hold WHERE state = 'open' AND expires_at <= $1
           ORDER BY expires_at LIMIT $2""",
        now,
        limit,
    )
    return [Overdue(**row) for row in rows]


async def overdue_grants(connection: Connection, *, now: datetime, limit: int) -> list[Overdue]:
    """Return grants that have expired with something left."""
    rows = await connection.fetch(
        """SELECT tenant_id, grant_id FROM credit_grant
           WHERE remaining_millicredits > 0 AND expires_at IS NOT NULL AND expires_at <= $1
           ORDER BY expires_at LIMIT $2""",
        now,
        limit,
    )
    return [Overdue(**row) for row in rows]


async def oldest_due(connection: Connection, *, now: datetime) -> tuple[float, float]:
    """Return for how many seconds the oldest due conversation and message have waited."""
    row = await connection.fetchrow(
        """SELECT (SELECT min(due_at) FROM conversation WHERE due_at <= $1
                    AND (lease_until IS NULL OR lease_until <= $1)) AS conversation,
                  (SELECT min(due_at) FROM outbox WHERE state IN ('pending', 'sending', 'unknown') AND due_at <= $1
                    AND (lease_until IS NULL OR lease_until <= $1)) AS message""",
        now,
    )
    ages = [(now - at).total_seconds() if at else 0.0 for at in (row["conversation"], row["message"])] if row else []
    return (ages[0], ages[1]) if ages else (0.0, 0.0)


async def all_tenants(connection: Connection) -> list[UUID]:
    """Return every tenant, for the housekeeping that each one's rows need."""
    return [row["tenant_id"] for row in await connection.fetch("SELECT tenant_id FROM tenant")]
