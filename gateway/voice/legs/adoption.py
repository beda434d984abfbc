"""Forwarded calls whose process is gone: another one takes each over, once, and watches it on from its rows.

For a while nobody has listened, and what Twilio told may have reached nobody. So Twilio is asked how the call stands
before it is watched: of one that is over nothing more is charged.
"""

import asyncio
from typing import Final
from uuid import UUID

import structlog

from gateway.services import Services
from gateway.twilio import calls
from gateway.twilio.rest import TwilioRest
from gateway.voice import call_store
from gateway.voice.answering import Voice
from gateway.voice.call import Call
from gateway.voice.credit.paying import AWAY
from gateway.voice.credit.settling import end_call, note_duration, note_leg_duration
from gateway.voice.legs import leg_store
from gateway.voice.legs.leg_store import LegRow
from gateway.voice.legs.watch import watch

ADOPTED_AT_ONCE: Final = 100
FORWARDED: Final = "forwarded"
CALLER_HUNG_UP: Final = "caller_hung_up"

log = structlog.get_logger(__name__)


async def adopt_until(voice: Voice, stopping: asyncio.Event) -> None:
    """Take over what nobody watches, until this process is to end itself; a database that is away is waited for."""
    while not stopping.is_set():
        try:
            await adopt_orphans(voice)
        except AWAY as error:
            log.warning("orphans_not_looked_for", error=type(error).__name__)
        except Exception:  # the task's outermost edge: whatever broke, the next orphan is found
            log.exception("orphans_not_looked_for")
        try:
            async with asyncio.timeout(voice.services.limits.adopt_s):
                await stopping.wait()
        except TimeoutError:
            pass


async def adopt_orphans(voice: Voice) -> None:
    """Take over the forwarded calls whose leases have run out. One call's trouble is nobody else's."""
    services = voice.services
    if services.twilio is None:  # nothing can be asked or ended here
        return
    async with services.db.queue() as connection:
        rows = await connection.fetch(
            """SELECT tenant_id, call_id FROM call WHERE state = 'forwarding' AND lease_until <= $1
               ORDER BY lease_until LIMIT $2""",
            services.now(),
            ADOPTED_AT_ONCE,
        )
    orphans = [row for row in rows if row["call_id"] not in voice.forwards]  # our own are only late
    adopted = await asyncio.gather(
        *(_adopt(voice, services.twilio, row["tenant_id"], row["call_id"]) for row in orphans), return_exceptions=True
    )
    for row, outcome in zip(orphans, adopted, strict=True):
        if isinstance(outcome, BaseException):
            log.error("call_not_adopted", call_id=str(row["call_id"]), exc_info=outcome)


async def _adopt(voice: Voice, twilio: TwilioRest, tenant_id: UUID, call_id: UUID) -> None:
    claimed = await _claim(voice.services, tenant_id, call_id)
    if claimed is None:
        return
    call, row = claimed
    log.info("forwarded_call_adopted", tenant_id=str(tenant_id), call_id=str(call_id))
    if not await _is_over(voice.services, twilio, call, row):
        watch(voice, call, row.leg, callers_held=row.call_minutes_charged, persons_held=row.minutes_charged)


async def _claim(services: Services, tenant_id: UUID, call_id: UUID) -> tuple[Call, LegRow] | None:
    """Take a call over, and return it with the leg that it is put through on; None if somebody else has it."""
    async with services.db.transaction(tenant_id) as connection:
        adopted = await call_store.adopt(
            connection,
            tenant_id,
            call_id,
            now=services.now(),
            lease_until=services.after(services.limits.call_lease_s),
        )
        if not adopted:
            return None
        call = await call_store.load_call(connection, tenant_id, call_id, services.versions)
        leg = await leg_store.next_leg(connection, tenant_id, call_id) - 1
        row = await leg_store.read_leg(connection, tenant_id, call_id, leg)
    return None if row is None else (call, row)


async def _is_over(services: Services, twilio: TwilioRest, call: Call, row: LegRow) -> bool:
    """Whether a call has ended while nobody listened, by Twilio's word: then it ends here as well, with its minutes."""
    shown = await calls.show(twilio, call.call_sid)
    if calls.ended_as(shown) is None:
        return False
    persons = None if row.leg_sid is None else await calls.show(twilio, row.leg_sid)
    ended = None if persons is None else calls.ended_as(persons)
    async with services.db.transaction(call.tenant_id) as connection:
        await leg_store.end_leg(
            connection, call.tenant_id, call.call_id, row.leg, said=ended or "completed", now=services.now()
        )
    reason = FORWARDED if row.state == "answered" else CALLER_HUNG_UP
    await end_call(services, call.account, reason=reason, figures={}, provider_usage={})
    leg_s = None if persons is None else calls.lasted_s(persons)
    if leg_s is not None:
        await note_leg_duration(services, call.tenant_id, call.call_id, row.leg, leg_s)
    duration_s = calls.lasted_s(shown)
    if duration_s is not None:
        await note_duration(services, call.tenant_id, call.call_sid, duration_s)
    return True
