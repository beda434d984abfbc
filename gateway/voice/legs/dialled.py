"""What becomes of a call that is put through: somebody picks up, takes it or not, and it ends or comes back.

Twilio asks and tells in any order, and some of it twice; the rows remember what was decided first.
"""

from dataclasses import replace
from datetime import timedelta
from typing import Final
from uuid import UUID

import structlog

from agents.errors import ConfigurationError
from gateway.channels.twilio_forms import Fields, whole_number
from gateway.errors import MinuteUnpaidError, StaleLeaseError
from gateway.services import Services
from gateway.tenants import find_tenant
from gateway.twilio import calls, twiml
from gateway.voice import call_store
from gateway.voice.addresses import leg_addresses
from gateway.voice.answering import Voice
from gateway.voice.arrival.connecting import connect, open_ahead
from gateway.voice.call import Call, Progress
from gateway.voice.credit.keys import CALLERS_LEG
from gateway.voice.credit.minutes import begin_leg_minute, release_leg_minute
from gateway.voice.credit.settling import end_call, note_leg_duration
from gateway.voice.legs import leg_store
from gateway.voice.legs.leg_store import LegRow
from gateway.voice.legs.whispering import whisper_text
from gateway.voice.notices import text_of

COMES_BACK_FOR: Final = frozenset({"transfer"})  # reasons after which the agent can go on if nobody takes the call
PICKED_UP: Final = "in-progress"
TRANSFER_FAILED: Final = "transfer_failed"

log = structlog.get_logger(__name__)


async def whisper(voice: Voice, tenant_id: UUID, call_id: UUID, leg: int, fields: Fields) -> str:
    """Tell whoever picked up who calls, and let them take the call by a key."""
    services = voice.services
    found = await _find(services, tenant_id, call_id, leg)
    if found is None or found[1].state == "ended":
        return twiml.hang_up()
    call, _ = found
    digits = fields.get("Digits")
    if digits is not None:
        return await _decide(services, call, leg, digits)
    if not await _picked_up(services, call, leg, fields):
        return twiml.hang_up()
    async with services.db.transaction(tenant_id) as connection:
        tenant = await find_tenant(connection, str(tenant_id))
    words = whisper_text(call.configuration, business=tenant.name, contact_name=call.contact_name, caller=call.caller)
    at = leg_addresses(services.settings.public_url, call, leg)
    return twiml.whisper(words, call.configuration.language, action=at.whisper)


async def dialled(voice: Voice, tenant_id: UUID, call_id: UUID, leg: int, fields: Fields) -> str:
    """Say how a call goes on after a person was dialled: it was taken and is over, or it comes back."""
    services = voice.services
    await _leg_ended(services, tenant_id, call_id, leg, fields.get("DialCallStatus", ""))
    await _note_duration(services, tenant_id, call_id, leg, fields.get("DialCallDuration"))
    found = await _find(services, tenant_id, call_id, leg)
    if found is None:
        return twiml.hang_up()
    call, row = found
    was_taken = row.outcome == "completed"
    if was_taken or fields.get("CallStatus") in calls.FINAL:
        reason = "forwarded" if was_taken else "caller_hung_up"
        await end_call(services, call.account, reason=reason, figures={}, provider_usage={})
        return twiml.hang_up()
    return await _come_back(voice, call, row)


async def leg_told(voice: Voice, tenant_id: UUID, call_id: UUID, leg: int, fields: Fields) -> str:
    """Note what Twilio tells of a person's leg; nothing is to be done by it."""
    services, said = voice.services, fields.get("CallStatus", "")
    if said in calls.FINAL:
        await _leg_ended(services, tenant_id, call_id, leg, said)
        await _note_duration(services, tenant_id, call_id, leg, fields.get("CallDuration"))
    elif said == PICKED_UP:
        found = await _find(services, tenant_id, call_id, leg)
        if found is not None and found[1].state != "ended":
            await _picked_up(services, found[0], leg, fields)
    return ""


async def _come_back(voice: Voice, call: Call, row: LegRow) -> str:
    """Return what follows when nobody took the call: the agent again, or a goodbye where there is none."""
    services = voice.services
    if call.state == "forwarding":
        if call.stream_started_at is None or call.progress is None or call.progress.why not in COMES_BACK_FOR:
            return await _goodbye(services, call)
        call = await _back_to_agent(services, call, row, call.progress)
    if call.state != "away":
        return twiml.hang_up()
    open_ahead(voice, call)
    return await connect(services, call)


async def _back_to_agent(services: Services, call: Call, row: LegRow, progress: Progress) -> Call:
    """Leave the call to a stream that goes on from where the agent was, and knows why.

    What is held for minutes of the forwarding is let go at once: the stream holds its own.
    """
    now = services.now()
    back = replace(progress, why=TRANSFER_FAILED)
    async with services.db.transaction(call.tenant_id) as connection:
        saved = await call_store.save_progress(
            connection,
            call.account,
            back,
            state="away",
            lease_until=now + timedelta(seconds=services.limits.stream_begins_s),
        )
    if not saved:
        return call
    await release_leg_minute(services, call.account, row.leg, row.minutes_charged + 1)
    await release_leg_minute(services, call.account, CALLERS_LEG, row.call_minutes_charged + 1)
    return replace(call, progress=back, state="away")


async def _goodbye(services: Services, call: Call) -> str:
    """Say that nobody can be reached, in Twilio's voice, and end the call."""
    await end_call(services, call.account, reason="not_reached", figures={}, provider_usage={})
    words = [text_of("not_reached", call.configuration), text_of("goodbye", call.configuration)]
    return twiml.say(" ".join(words), call.configuration.language)


async def _decide(services: Services, call: Call, leg: int, digits: str) -> str:
    """Join the person to the call if they pressed the key, else let them go."""
    if digits != twiml.DIGIT:
        return twiml.hang_up()
    async with services.db.transaction(call.tenant_id) as connection:
        taken = await leg_store.accept(connection, call.tenant_id, call.call_id, leg)
    return twiml.join() if taken else twiml.hang_up()


async def _picked_up(services: Services, call: Call, leg: int, fields: Fields) -> bool:
    """Note that a leg was answered and charge its first minute, and the caller's if that begins; False if unpaid."""
    async with services.db.transaction(call.tenant_id) as connection:
        await leg_store.pick_up(
            connection, call.tenant_id, call.call_id, leg, leg_sid=fields.get("CallSid"), now=services.now()
        )
    try:
        await begin_leg_minute(services, call.account, leg, 1)
        if call.stream_started_at is None:
            await begin_leg_minute(services, call.account, CALLERS_LEG, 1)
    except (MinuteUnpaidError, StaleLeaseError) as error:
        log.warning("leg_not_begun", call_id=str(call.call_id), error=type(error).__name__)
        return False
    return True


async def _leg_ended(services: Services, tenant_id: UUID, call_id: UUID, leg: int, said: str) -> None:
    """Note how a leg ended; what Twilio has no word for here was a failure."""
    outcome = said if said in calls.FINAL else {"answered": "completed"}.get(said, "failed")
    async with services.db.transaction(tenant_id) as connection:
        await leg_store.end_leg(connection, tenant_id, call_id, leg, said=outcome, now=services.now())


async def _note_duration(services: Services, tenant_id: UUID, call_id: UUID, leg: int, text: str | None) -> None:
    duration_s = whole_number(text)
    if duration_s is not None:
        await note_leg_duration(services, tenant_id, call_id, leg, duration_s)


async def _find(services: Services, tenant_id: UUID, call_id: UUID, leg: int) -> tuple[Call, LegRow] | None:
    """Return a call and one of its legs; None if they are not the tenant's, or the agent cannot be read any more."""
    async with services.db.transaction(tenant_id) as connection:
        row = await leg_store.read_leg(connection, tenant_id, call_id, leg)
        if row is None:
            return None
        try:
            call = await call_store.load_call(connection, tenant_id, call_id, services.versions)
        except (LookupError, ConfigurationError):
            log.exception("call_unreadable", tenant_id=str(tenant_id), call_id=str(call_id))
            return None
    return call, row
