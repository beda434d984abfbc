"""Giving up a message that will not arrive: its credits come back in the transaction that ends it.

The key makes a refund once, whoever asks: a report, the outbox, or both at the same moment.
"""

from collections.abc import Awaitable, Callable
from uuid import UUID
from zoneinfo import ZoneInfo

import structlog

from gateway import refund_store, report_store
from gateway.group_commit import Companion
from gateway.report_store import SentPart
from gateway.services import Services
from metering.connection import Connection
from metering.operations import Applied, Outcome, Refund, Refused
from metering.rates import Line

BEHIND_A_FAILURE = "an earlier part failed"

StillDue = Callable[[Connection], Awaitable[bool]]
OnEnd = Callable[[Connection, bool], Awaitable[None]]

log = structlog.get_logger(__name__)


async def give_up_part(
    services: Services, tenant_id: UUID, part: SentPart, *, reason: str, still_due: StillDue, on_end: OnEnd
) -> bool:
    """End a part, with a refund if it was charged; return whether it was still to be ended.

    `still_due` locks what it looks at and decides; `on_end(connection, refunded)` writes the part's end.
    """
    if not part.was_charged:
        async with services.db.transaction(tenant_id) as connection:
            if not await still_due(connection):
                return False
            await on_end(connection, False)
        return True

    async def write(connection: Connection, outcome: Outcome) -> None:
        await on_end(connection, isinstance(outcome, Applied))

    async def draw(connection: Connection) -> Refund | None:
        # Taken before it is decided: whatever else is drawn up in this batch finds nothing left to give back.
        left = (
            await refund_store.take_refund(connection, tenant_id, part.message_id)
            if await still_due(connection)
            else ()
        )
        return _refund_of(services, part, left, reason) if left else None

    outcome = await services.ledger.submit(tenant_id, draw, Companion(write=write))
    if isinstance(outcome, Refused):
        log.error("refund_refused", tenant_id=str(tenant_id), message_id=str(part.message_id), reason=outcome.reason)
    if isinstance(outcome, Applied) and not outcome.replayed:
        services.metrics.refunded_millicredits.inc(outcome.amount_millicredits)
    return outcome is not None


async def give_up_unsent_behind(services: Services, tenant_id: UUID, part: SentPart, *, reason: str) -> None:
    """Give back the later parts of the same answer: what begins with a missing part is not continued."""
    async with services.db.transaction(tenant_id) as connection:
        behind = await report_store.unsent_later_parts(connection, tenant_id, part)
    for later in behind:
        await _give_up_unsent(services, tenant_id, later, reason=reason)


async def _give_up_unsent(services: Services, tenant_id: UUID, part: SentPart, *, reason: str) -> None:
    async def still_unsent(connection: Connection) -> bool:
        current = await report_store.lock_part(connection, tenant_id, part.message_id)
        return current is not None and current.outbox_state == "pending"

    async def fail(connection: Connection, refunded: bool) -> None:
        await report_store.fail_part(
            connection, tenant_id, part.message_id, refunded=refunded, failure=BEHIND_A_FAILURE
        )

    await give_up_part(services, tenant_id, part, reason=reason, still_due=still_unsent, on_end=fail)


def _refund_of(services: Services, part: SentPart, lines: tuple[Line, ...], reason: str) -> Refund:
    if part.charge_key is None:
        raise AssertionError("only what was charged is refunded")
    return Refund(
        key=f"refund:{part.charge_key}:{part.message_id}",
        charge_key=part.charge_key,
        lines=lines,
        channel=part.channel,
        day=services.now().astimezone(ZoneInfo(part.timezone)).date(),
        reason=reason,
    )
