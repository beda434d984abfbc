"""Calls that nobody answers for any more: their process died, or their stream never began or went on.

A call that is put through is left for a while to a process that takes it over (`legs.adoption`); then it is
ended at Twilio as well, for nobody pays what the two would go on to say.
"""

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import structlog

from gateway.alerts import raise_alert
from gateway.services import Services
from gateway.twilio import calls
from gateway.voice.call_store import OPEN
from gateway.voice.credit.settling import closing, told
from metering.connection import Connection
from metering.operations import Operation

SWEPT_AT_ONCE: Final = 500
CRASHED: Final = "crashed"
REASONS: Final = {
    "offered": "not_connected",
    "live": CRASHED,
    "away": "not_resumed",
    "forwarding": "forwarding_lost",
}

log = structlog.get_logger(__name__)


async def end_orphaned_calls(services: Services) -> None:
    """End calls whose leases have run out: what is held for them is let go. One call's trouble is nobody else's."""
    async with services.db.queue() as connection:
        rows = await connection.fetch(
            f"SELECT tenant_id, call_id, state FROM call WHERE {_ORPHANED} ORDER BY lease_until LIMIT $3",  # noqa: S608 - constants
            *_since(services),
            SWEPT_AT_ONCE,
        )
    ended = await asyncio.gather(
        *(_end(services, row["tenant_id"], row["call_id"], row["state"]) for row in rows), return_exceptions=True
    )
    for row, outcome in zip(rows, ended, strict=True):
        if isinstance(outcome, BaseException):
            log.error("orphan_not_ended", call_id=str(row["call_id"]), exc_info=outcome)


_ORPHANED: Final = f"state IN {OPEN} AND lease_until <= $1 AND (state <> 'forwarding' OR lease_until <= $2)"


def _since(services: Services) -> tuple[datetime, datetime]:
    """Return when a call's lease must have run out for it to be an orphan, and a forwarded one's."""
    now = services.now()
    return now, now - timedelta(seconds=services.limits.unwatched_s)


async def _end(services: Services, tenant_id: UUID, call_id: UUID, found: str) -> None:
    now, state = services.now(), None
    if found == "forwarding":
        await _hang_up(services, tenant_id, call_id)

    async def draw(connection: Connection) -> Sequence[Operation]:
        nonlocal state
        state = await _take(connection, services, tenant_id, call_id)
        if state is None:  # renewed, or ended, since it was found
            return []
        if REASONS[state] == CRASHED:
            await _tell(connection, services, tenant_id, call_id, now)
        return await closing(connection, services, tenant_id, call_id)

    told(services, tenant_id, await services.ledger.submit_together(tenant_id, draw))
    if state is not None:
        services.metrics.calls.labels(REASONS[state]).inc()


async def _hang_up(services: Services, tenant_id: UUID, call_id: UUID) -> None:
    """End a forwarded call at Twilio, as well as can be; if it cannot, Twilio's own limit on the call does."""
    if services.twilio is None:
        return
    async with services.db.transaction(tenant_id) as connection:
        call_sid: str = await connection.fetchval(
            "SELECT call_sid FROM call WHERE tenant_id = $1 AND call_id = $2", tenant_id, call_id
        )
    ended = await calls.hang_up(services.twilio, call_sid)
    if not calls.is_done(ended):
        log.warning("call_not_ended", call_id=str(call_id), outcome=type(ended).__name__)


async def _take(connection: Connection, services: Services, tenant_id: UUID, call_id: UUID) -> str | None:
    """End an orphaned call and return what it was; a process that is only slow has lost it."""
    state: str | None = await connection.fetchval(
        f"SELECT state FROM call WHERE {_ORPHANED} AND tenant_id = $3 AND call_id = $4 FOR NO KEY UPDATE",  # noqa: S608 - constants
        *_since(services),
        tenant_id,
        call_id,
    )
    if state is not None:
        await connection.execute(
            """UPDATE call SET state = 'ended', ended_at = $3, end_reason = $4
               WHERE tenant_id = $1 AND call_id = $2""",
            tenant_id,
            call_id,
            services.now(),
            REASONS[state],
        )
    return state


async def _tell(connection: Connection, services: Services, tenant_id: UUID, call_id: UUID, now: datetime) -> None:
    """Tell the owner of somebody who was cut off; what was said until then is in the conversation."""
    conversation_id = await connection.fetchval(
        "SELECT conversation_id FROM call WHERE tenant_id = $1 AND call_id = $2", tenant_id, call_id
    )
    await raise_alert(
        connection,
        tenant_id,
        kind="call_crashed",
        dedupe_key=f"call_crashed:{call_id}",
        detail={"call_id": str(call_id), "conversation_id": str(conversation_id)},
        now=now,
        new_id=services.new_id,
    )
