"""What nobody asks for and must happen all the same: holds and grants that expire, old rows that go."""

from datetime import timedelta
from uuid import UUID

from gateway import work_queue
from gateway.services import Services
from metering.operations import ExpireGrant, ExpireHold

SWEPT_AT_ONCE = 500
IDEMPOTENCY_KEYS_FOR = timedelta(hours=24)


async def sweep(services: Services) -> None:
    """End holds whose workers died and grants whose time is over; measure how far behind the queues are."""
    now = services.now()
    async with services.db.queue() as connection:
        holds = await work_queue.overdue_holds(connection, now=now, limit=SWEPT_AT_ONCE)
        grants = await work_queue.overdue_grants(connection, now=now, limit=SWEPT_AT_ONCE)
        conversation_s, message_s = await work_queue.oldest_due(connection, now=now)
    services.metrics.queue_age_s.labels("conversations").set(conversation_s)
    services.metrics.queue_age_s.labels("outbox").set(message_s)
    for overdue in holds:
        if overdue.hold_key is not None:
            await services.ledger.submit(overdue.tenant_id, ExpireHold(hold_key=overdue.hold_key))
    for overdue in grants:
        if overdue.grant_id is not None:
            await services.ledger.submit(overdue.tenant_id, ExpireGrant(grant_id=overdue.grant_id))


async def housekeep(services: Services) -> None:
    """Delete webhook bodies that no provider will repeat any more, and idempotency keys past their day."""
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
