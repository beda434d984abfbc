"""What nobody asks for and must happen all the same: holds and grants that expire, old rows that go."""

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

import structlog

from gateway import work_queue
from gateway.services import Services
from gateway.webhook_log import forget_old
from metering.connection import Connection
from metering.operations import ExpireGrant, ExpireHold

SWEPT_AT_ONCE = 500
IDEMPOTENCY_KEYS_FOR = timedelta(hours=24)
UNUSED_NOTICES_FOR = timedelta(days=90)

log = structlog.get_logger(__name__)


async def free_holds(services: Services) -> None:
    """End holds whose workers died; measure how far behind the queues are."""
    now = services.now()
    async with services.db.queue() as connection:
        holds = await work_queue.overdue_holds(connection, now=now, limit=SWEPT_AT_ONCE)
        conversation_s, message_s = await work_queue.oldest_due(connection, now=now)
    services.metrics.queue_age_s.labels("conversations").set(conversation_s)
    services.metrics.queue_age_s.labels("outbox").set(message_s)
    await _end(
        services, [(each.tenant_id, ExpireHold(hold_key=each.hold_key)) for each in holds if each.hold_key is not None]
    )


async def expire_grants(services: Services) -> None:
    """Take what is left of grants whose time is over."""
    now = services.now()
    async with services.db.queue() as connection:
        grants = await work_queue.overdue_grants(connection, now=now, limit=SWEPT_AT_ONCE)
    await _end(
        services,
        [(each.tenant_id, ExpireGrant(grant_id=each.grant_id)) for each in grants if each.grant_id is not None],
    )


async def _end(services: Services, ending: Sequence[tuple[UUID, ExpireHold | ExpireGrant]]) -> None:
    ended = await asyncio.gather(
        *(services.ledger.submit(tenant_id, operation) for tenant_id, operation in ending), return_exceptions=True
    )
    for (tenant_id, operation), outcome in zip(ending, ended, strict=True):
        if isinstance(outcome, BaseException):  # one tenant's trouble is nobody else's
            log.error("sweep_failed", tenant_id=str(tenant_id), operation=type(operation).__name__, exc_info=outcome)


async def housekeep(services: Services) -> None:
    """Delete what nobody needs any more: webhook bodies, keys past their day, unused notices; end forgotten turns."""
    async with services.db.queue() as connection:
        tenants = await work_queue.all_tenants(connection)
    for tenant_id in tenants:
        await _housekeep(services, tenant_id)


async def _housekeep(services: Services, tenant_id: UUID) -> None:
    now = services.now()
    async with services.db.transaction(tenant_id) as connection:
        await connection.execute(
            "DELETE FROM webhook WHERE tenant_id = $1 AND received_at < $2",
            tenant_id,
            now - timedelta(days=services.limits.webhook_days),
        )
        await connection.execute(
            "DELETE FROM idempotency_key WHERE tenant_id = $1 AND created_at < $2",
            tenant_id,
            now - IDEMPOTENCY_KEYS_FOR,
        )
        await connection.execute(
            "DELETE FROM voice_notice WHERE tenant_id = $1 AND last_used_at < $2", tenant_id, now - UNUSED_NOTICES_FOR
        )
        await forget_old(connection, tenant_id, now=now)
        await _end_forgotten_turns(connection, tenant_id, now)


async def _end_forgotten_turns(connection: Connection, tenant_id: UUID, now: datetime) -> None:
    """End turns that nobody will take up again: their workers died, and then a person took over or the contact left."""
    await connection.execute(
        """UPDATE turn SET state = CASE c.mode WHEN 'human' THEN 'handed_over' ELSE 'no_reply' END, ended_at = $2
           FROM conversation c
           WHERE turn.tenant_id = $1 AND turn.state = 'running'
             AND c.tenant_id = $1 AND c.conversation_id = turn.conversation_id
             AND c.due_at IS NULL AND (c.lease_until IS NULL OR c.lease_until <= $2)""",
        tenant_id,
        now,
    )
