"""The rows behind an event on its way: leased, read, and how each attempt went. Nothing here commits."""

import random
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import orjson
import structlog

from gateway.alerts import raise_alert
from gateway.errors import SettingsError
from gateway.services import Services
from gateway.webhook_retries import is_given_up, next_attempt_at
from gateway.webhook_store import DisabledReason, disable_endpoint
from metering.connection import Connection

LEASE_S: Final = 60.0  # longer than an answer is waited for
GONE: Final = 410

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """The right to post one event to one endpoint."""

    tenant_id: UUID
    endpoint_id: UUID
    event_id: UUID
    epoch: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """What is posted, and where."""

    url: str
    body: bytes
    secrets: tuple[bytes, ...] = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """How an attempt went: a status, or what came between."""

    latency_ms: int
    status: int | None = None
    error: str | None = None

    @property
    def taken(self) -> bool:
        return self.status is not None and 200 <= self.status < 300


async def claim(services: Services, running: Collection[Lease]) -> list[Lease]:
    """Lease events that are due, the longest due first; no tenant has more on their way than leaves room for others."""
    limits = services.limits
    if len(running) >= limits.webhooks_in_flight:
        return []
    now = services.now()
    busy = Counter(lease.tenant_id for lease in running)
    async with services.db.queue() as connection:
        rows = await connection.fetch(
            """WITH busy AS (SELECT * FROM unnest($4::uuid[], $5::bigint[]) AS busy (tenant_id, posts)),
               due AS (
                 SELECT tenant_id, endpoint_id, event_id, next_attempt_at FROM webhook_delivery d
                 WHERE state = 'pending' AND next_attempt_at <= $1 AND (lease_until IS NULL OR lease_until <= $1)
                   AND NOT EXISTS (SELECT FROM busy WHERE busy.tenant_id = d.tenant_id AND busy.posts >= $6)
                 ORDER BY next_attempt_at LIMIT $3 FOR NO KEY UPDATE OF d SKIP LOCKED),
               placed AS (
                 SELECT tenant_id, endpoint_id, event_id,
                        row_number() OVER (PARTITION BY tenant_id ORDER BY next_attempt_at)
                          + coalesce((SELECT posts FROM busy WHERE busy.tenant_id = due.tenant_id), 0) AS place
                 FROM due)
               UPDATE webhook_delivery d SET lease_until = $2, lease_epoch = d.lease_epoch + 1
               FROM placed
               WHERE d.tenant_id = placed.tenant_id AND d.endpoint_id = placed.endpoint_id
                 AND d.event_id = placed.event_id AND placed.place <= $6
               RETURNING d.tenant_id, d.endpoint_id, d.event_id, d.lease_epoch AS epoch""",
            now,
            now + timedelta(seconds=LEASE_S),
            limits.webhooks_in_flight - len(running),
            list(busy),
            list(busy.values()),
            limits.webhooks_per_tenant,
        )
    return [Lease(**row) for row in rows]


async def read_letter(connection: Connection, services: Services, lease: Lease) -> Letter | None:
    """Return what is to be posted; None if that is no longer wanted, or cannot be signed."""
    row = await connection.fetchrow(
        """SELECT d.body, e.enabled, e.url, e.secret_encrypted,
                  CASE WHEN e.previous_secret_until > $5 THEN e.previous_secret_encrypted END AS previous
           FROM webhook_delivery d
           LEFT JOIN webhook_endpoint e ON e.tenant_id = d.tenant_id AND e.endpoint_id = d.endpoint_id
           WHERE d.tenant_id = $1 AND d.endpoint_id = $2 AND d.event_id = $3 AND d.lease_epoch = $4
             AND d.state = 'pending'""",
        lease.tenant_id,
        lease.endpoint_id,
        lease.event_id,
        lease.epoch,
        services.now(),
    )
    if row is None:
        return None
    if not row["enabled"]:  # switched off or deleted while the event was being recorded
        await connection.execute(
            """UPDATE webhook_delivery SET state = 'failed', next_attempt_at = NULL, last_error = 'disabled'
               WHERE tenant_id = $1 AND endpoint_id = $2 AND event_id = $3""",
            lease.tenant_id,
            lease.endpoint_id,
            lease.event_id,
        )
        return None
    stored = [each for each in (row["secret_encrypted"], row["previous"]) if each is not None]
    try:
        secrets = tuple(services.secret_box.decrypt(each) for each in stored)
    except SettingsError:
        secrets = ()  # noted as a failed attempt: the operator may bring the key back
    return Letter(url=row["url"], body=orjson.dumps(row["body"]), secrets=secrets)


async def note_attempt(connection: Connection, services: Services, lease: Lease, answer: Answer) -> None:
    """Write down how an attempt went. The endpoint is locked first, as by whoever switches it off."""
    now = services.now()
    endpoint = await connection.fetchrow(
        """SELECT enabled, failing_since FROM webhook_endpoint WHERE tenant_id = $1 AND endpoint_id = $2
           FOR NO KEY UPDATE""",
        lease.tenant_id,
        lease.endpoint_id,
    )
    attempts = await _attempts(connection, lease)
    if endpoint is None or attempts is None:  # deleted, or somebody else's by now
        return
    chance = random.random()  # noqa: S311 - spreads load, guards nothing
    again_at = next_attempt_at(attempts, now=now, chance=chance) if endpoint["enabled"] and not answer.taken else None
    await _end_attempt(connection, lease, answer, attempts=attempts, again_at=again_at, now=now)
    if answer.taken:
        await _set_failing(connection, lease, None)
        return
    failing_since: datetime = endpoint["failing_since"] or now
    await _set_failing(connection, lease, failing_since)
    log.info(
        "webhook_not_taken",
        tenant_id=str(lease.tenant_id),
        endpoint_id=str(lease.endpoint_id),
        status=answer.status,
        error=answer.error,
        attempts=attempts,
    )
    gone = answer.status == GONE
    if endpoint["enabled"] and (gone or is_given_up(failing_since=failing_since, attempts=attempts, now=now)):
        await _give_up(connection, services, lease, "gone" if gone else "failing")


async def _attempts(connection: Connection, lease: Lease) -> int | None:
    """Return the attempt's number; None if the lease was lost."""
    before: int | None = await connection.fetchval(
        """SELECT attempts FROM webhook_delivery
           WHERE tenant_id = $1 AND endpoint_id = $2 AND event_id = $3 AND lease_epoch = $4 FOR NO KEY UPDATE""",
        lease.tenant_id,
        lease.endpoint_id,
        lease.event_id,
        lease.epoch,
    )
    return None if before is None else before + 1


async def _end_attempt(
    connection: Connection, lease: Lease, answer: Answer, *, attempts: int, again_at: datetime | None, now: datetime
) -> None:
    state = "delivered" if answer.taken else "failed" if again_at is None else "pending"
    await connection.execute(
        """UPDATE webhook_delivery SET state = $4, attempts = $5, next_attempt_at = $6, lease_until = NULL,
             last_status = $7, last_latency_ms = $8, last_error = $9, delivered_at = $10
           WHERE tenant_id = $1 AND endpoint_id = $2 AND event_id = $3""",
        lease.tenant_id,
        lease.endpoint_id,
        lease.event_id,
        state,
        attempts,
        again_at,
        answer.status,
        answer.latency_ms,
        answer.error,
        now if answer.taken else None,
    )


async def _set_failing(connection: Connection, lease: Lease, since: datetime | None) -> None:
    await connection.execute(
        """UPDATE webhook_endpoint SET failing_since = $3
           WHERE tenant_id = $1 AND endpoint_id = $2 AND failing_since IS DISTINCT FROM $3""",
        lease.tenant_id,
        lease.endpoint_id,
        since,
    )


async def _give_up(connection: Connection, services: Services, lease: Lease, reason: DisabledReason) -> None:
    await disable_endpoint(connection, lease.tenant_id, lease.endpoint_id, reason)
    now = services.now()
    await raise_alert(
        connection,
        lease.tenant_id,
        kind="webhook_disabled",
        dedupe_key=f"webhook_disabled:{lease.endpoint_id}:{now.isoformat()}",
        detail={"endpoint_id": str(lease.endpoint_id), "reason": reason},
        now=now,
        new_id=services.new_id,
    )
