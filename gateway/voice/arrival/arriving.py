"""A call rings: whose line it is, who answers, and the first minute set aside before anybody does.

Twilio may ask twice about one call, so everything here finds what an earlier question has left: one row, one hold.
"""

from urllib.parse import urlencode

import structlog

from gateway import inbox_store
from gateway.channels.base import LineAddress
from gateway.channels.twilio_forms import Fields
from gateway.line_directory import LineOwner
from gateway.safe_text import safe_text
from gateway.services import Services
from gateway.twilio import twiml
from gateway.voice import call_store
from gateway.voice.answering import Voice
from gateway.voice.arrival.admission import Load
from gateway.voice.arrival.connecting import connect, has_engine, open_ahead
from gateway.voice.arrival.declining import UNAVAILABLE, Why, is_forwarded, why_refused, why_unavailable
from gateway.voice.arrival.entering import Entered, NobodyAnswersError, enter
from gateway.voice.arrival.ringing import Ringing, read_ringing
from gateway.voice.call import Call, MinuteRefused
from gateway.voice.credit.minutes import hold_first
from gateway.voice.legs.forwarding import dial_again, forward_unanswered
from gateway.voice.notices import text_of

log = structlog.get_logger(__name__)


async def arrive(voice: Voice, fields: Fields) -> str:
    """Return what Twilio is to do with a call that rings. Raises what the database raises when it is away."""
    ringing = read_ringing(fields)
    owner = None if ringing is None else await _owner(voice, ringing)
    if ringing is None or owner is None:
        await _quarantine(voice.services, fields, reason="malformed" if ringing is None else "unknown_line")
        return twiml.reject()
    try:
        entered = await enter(voice.services, owner, ringing)
    except NobodyAnswersError as error:
        log.info("call_declined", tenant_id=str(owner.tenant_id), line_id=str(owner.line_id), reason=error.reason)
        return twiml.reject()
    if entered.call.state != "offered":
        return await _as_before(voice, entered)
    return await _answer(voice, entered)


async def _owner(voice: Voice, ringing: Ringing) -> LineOwner | None:
    return await voice.directory.find(LineAddress(kind="number", value=ringing.our_number))


async def _answer(voice: Voice, entered: Entered) -> str:
    services, call = voice.services, entered.call
    why: Why | None = why_unavailable(
        call.configuration,
        mode=entered.mode,
        has_engine=has_engine(voice, call.engine),
        load=Load(
            calls_here=len(services.live_calls) + len(voice.waiting),
            loop_lag_p95_s=services.loop_lag.p95_s,
            calls_of_tenant=entered.earlier_calls,
        ),
        limits=services.limits,
        now=services.now(),
    )
    if why is None:
        held = await hold_first(services, call.account)
        why = why_refused(held) if isinstance(held, MinuteRefused) else None
    if why is not None:
        return await _decline(voice, call, why)
    open_ahead(voice, call)
    return await connect(services, call)


async def _decline(voice: Voice, call: Call, why: Why) -> str:
    """Put the caller through, or say no: aloud, or not at all where even that is not to be paid."""
    services = voice.services
    log.info("call_not_answered", tenant_id=str(call.tenant_id), call_id=str(call.call_id), reason=why)
    if is_forwarded(why, call.configuration):
        document = await forward_unanswered(voice, call, reason=why)
        if document is not None:
            return document
        why = "insufficient_credits"
    async with services.db.transaction(call.tenant_id) as connection:
        declined = await call_store.decline_call(connection, call.account, reason=why, now=services.now())
    if declined:
        services.metrics.calls.labels(why).inc()
    return _no(call, why)


def _no(call: Call, why: str | None) -> str:
    if why in UNAVAILABLE:
        return twiml.say(text_of("unavailable", call.configuration), call.configuration.language)
    return twiml.reject()


async def _as_before(voice: Voice, entered: Entered) -> str:
    """Answer a question that was answered before in the same way.

    Of a call that is under way Twilio asks where it could not follow an answer of ours: its stream begins anew.
    """
    call = entered.call
    match call.state:
        case "declined":
            return _no(call, entered.end_reason)
        case "forwarding":
            return await dial_again(voice, call)
        case "live" | "away":
            open_ahead(voice, call)
            return await connect(voice.services, call)
        case _:
            return twiml.hang_up()


async def _quarantine(services: Services, fields: Fields, *, reason: str) -> None:
    """Keep a call to nobody for the operator to see."""
    log.warning("call_quarantined", reason=reason)
    async with services.db.directory() as connection:
        await inbox_store.quarantine(
            connection,
            quarantine_id=services.new_id(),
            provider="twilio",
            reason=reason,
            detail=safe_text(f"number {fields.get('To', '')}"),
            body=urlencode(fields, errors="replace").encode(),
            now=services.now(),
        )
