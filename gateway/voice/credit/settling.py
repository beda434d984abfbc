"""How a call ends in the books: its holds are let go, and what was charged beyond Twilio's duration is given back.

A leg's minutes are corrected once, when both its end and Twilio's duration are known, whichever comes last; downwards
only. All of it is one transaction under the wallet's lock. Locks: wallet, call, its legs, hold.
"""

from collections.abc import Mapping, Sequence
from typing import Final
from uuid import UUID
from zoneinfo import ZoneInfo

import structlog

from gateway.services import Services
from gateway.voice.call import CHANNEL, CallAccount
from gateway.voice.credit.charges import acts
from gateway.voice.credit.events import record_end
from gateway.voice.credit.keys import call_prefix, minute_key, refund_key
from gateway.voice.credit.parts import figures_after, usage_after
from metering.connection import Connection
from metering.holds import open_holds
from metering.operations import Applied, Operation, Outcome, Refund, Refused, Release
from metering.rates import Item

MINUTE_S: Final = 60
REFUND_REASON: Final = "the call was shorter"

log = structlog.get_logger(__name__)


def too_many(*, charged: int, duration_s: int) -> range:
    """Return the minutes to be given back: those that had not started when, by Twilio's word, all was over."""
    return range(-(-duration_s // MINUTE_S) + 1, charged + 1)


async def end_call(
    services: Services,
    account: CallAccount,
    *,
    reason: str,
    figures: Mapping[str, object],
    provider_usage: Mapping[str, object],
) -> None:
    """End a call: let go of all that is held for it. Nothing if another stream has it by now, or it is over.

    `figures` and `provider_usage` are the last stream's; those of earlier ones are kept (`note_part`).
    """
    ended = False

    async def draw(connection: Connection) -> Sequence[Operation]:
        nonlocal ended
        ended = await acts(connection, account)
        if not ended:
            return []
        await connection.execute(
            "UPDATE call SET state = 'ended', ended_at = $3, end_reason = $4 WHERE tenant_id = $1 AND call_id = $2",
            account.tenant_id,
            account.call_id,
            services.now(),
            reason,
        )
        await _keep(connection, account, figures, provider_usage)
        return await closing(connection, services, account.tenant_id, account.call_id)

    told(services, account.tenant_id, await services.ledger.submit_together(account.tenant_id, draw))
    if ended:
        services.metrics.calls.labels(reason).inc()


async def note_part(
    services: Services, account: CallAccount, *, figures: Mapping[str, object], provider_usage: Mapping[str, object]
) -> None:
    """Keep how a stream went, and what its engine has counted, of a call that goes on without it, or ended meanwhile.

    Once for each stream: what was counted is added to what is there.
    """
    async with services.db.transaction(account.tenant_id) as connection:
        await _keep(connection, account, figures, provider_usage)


async def _keep(
    connection: Connection, account: CallAccount, figures: Mapping[str, object], provider_usage: Mapping[str, object]
) -> None:
    if not figures and not provider_usage:
        return
    row = await connection.fetchrow(
        "SELECT figures, provider_usage FROM call WHERE tenant_id = $1 AND call_id = $2 FOR NO KEY UPDATE",
        account.tenant_id,
        account.call_id,
    )
    if row is None:
        return
    await connection.execute(
        "UPDATE call SET figures = $3, provider_usage = $4 WHERE tenant_id = $1 AND call_id = $2",
        account.tenant_id,
        account.call_id,
        figures_after(row["figures"], figures),
        usage_after(row["provider_usage"], provider_usage),
    )


async def closing(connection: Connection, services: Services, tenant_id: UUID, call_id: UUID) -> Sequence[Operation]:
    """Return what ends a call in the books, its row having ended: its holds, and minutes that were too many.

    Owners' systems hear of it.
    """
    await record_end(connection, services, tenant_id, call_id)
    keys = await open_holds(connection, tenant_id, call_prefix(call_id))
    return [*(Release(hold_key=key) for key in keys), *await _correct(connection, services, tenant_id, call_id)]


def told(services: Services, tenant_id: UUID, outcomes: Sequence[Outcome]) -> None:
    """Count what was given back; what could not be is an error of ours."""
    for outcome in outcomes:
        if isinstance(outcome, Applied) and not outcome.replayed:
            services.metrics.refunded_millicredits.inc(outcome.amount_millicredits)
        elif isinstance(outcome, Refused):
            log.error("refund_refused", tenant_id=str(tenant_id), key=outcome.key, reason=outcome.reason)


async def note_duration(services: Services, tenant_id: UUID, call_sid: str, duration_s: int) -> None:
    """Note how long Twilio says that a call was; the first word counts. Nothing for a call that is not known."""

    async def draw(connection: Connection) -> Sequence[Operation]:
        call_id: UUID | None = await connection.fetchval(
            """UPDATE call SET duration_s = coalesce(duration_s, $3) WHERE tenant_id = $1 AND call_sid = $2
               RETURNING call_id""",
            tenant_id,
            call_sid,
            duration_s,
        )
        return [] if call_id is None else await _correct(connection, services, tenant_id, call_id)

    told(services, tenant_id, await services.ledger.submit_together(tenant_id, draw))


async def note_leg_duration(services: Services, tenant_id: UUID, call_id: UUID, leg: int, duration_s: int) -> None:
    """Note how long Twilio says that a person's leg was, once the leg has ended; the first word counts."""

    async def draw(connection: Connection) -> Sequence[Operation]:
        await connection.execute("SELECT FROM call WHERE tenant_id = $1 AND call_id = $2 FOR NO KEY UPDATE", *call)
        await connection.execute(
            """UPDATE call_leg SET duration_s = coalesce(duration_s, $4)
               WHERE tenant_id = $1 AND call_id = $2 AND leg = $3""",
            *call,
            leg,
            duration_s,
        )
        return await _correct(connection, services, tenant_id, call_id)

    call = (tenant_id, call_id)
    told(services, tenant_id, await services.ledger.submit_together(tenant_id, draw))


async def _correct(connection: Connection, services: Services, tenant_id: UUID, call_id: UUID) -> Sequence[Operation]:
    """Return the refunds of every leg whose end and duration are known by now, and note that they are made."""
    now = services.now()
    rows = await connection.fetch(_TO_CORRECT, tenant_id, call_id, now)
    return [
        Refund(
            key=refund_key(minute_key(call_id, minute, row["leg"])),
            charge_key=minute_key(call_id, minute, row["leg"]),
            lines=(services.rate_cards.version(row["rate_card"]).line(Item.CALL_MINUTE, 1),),
            channel=CHANNEL,
            day=now.astimezone(ZoneInfo(row["timezone"])).date(),
            reason=REFUND_REASON,
        )
        for row in rows
        for minute in too_many(charged=row["minutes_charged"], duration_s=row["duration_s"])
    ]


_TO_CORRECT = """
WITH whole AS (
  UPDATE call SET reconciled_at = $3
  WHERE tenant_id = $1 AND call_id = $2 AND ended_at IS NOT NULL AND duration_s IS NOT NULL AND reconciled_at IS NULL
  RETURNING 0 AS leg, minutes_charged, duration_s),
people AS (
  UPDATE call_leg SET reconciled_at = $3
  WHERE tenant_id = $1 AND call_id = $2 AND ended_at IS NOT NULL AND duration_s IS NOT NULL AND reconciled_at IS NULL
  RETURNING leg, minutes_charged, duration_s)
SELECT known.leg, known.minutes_charged, known.duration_s, call.rate_card, tenant.timezone
FROM (SELECT * FROM whole UNION ALL SELECT * FROM people) AS known
JOIN call ON call.tenant_id = $1 AND call.call_id = $2
JOIN tenant ON tenant.tenant_id = $1
ORDER BY known.leg
"""
