"""Putting a caller through to a person: as far as both legs' minutes can be paid, with our number, one leg at a time.

The caller's own minutes go on being charged, the person's begin when somebody picks up. Whoever is dialled is asked to
press a key first, so that no answering machine swallows the call; what comes after, `gateway.voice.legs.dialled` says.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

import structlog

from gateway.services import Services
from gateway.twilio import calls, twiml
from gateway.twilio.rest import Accepted, NotConnected, OutcomeUnknown, TwilioRest
from gateway.voice import call_store, recording
from gateway.voice.addresses import leg_addresses
from gateway.voice.answering import Voice
from gateway.voice.call import Call, MinuteHeld, Progress
from gateway.voice.credit.keys import CALLERS_LEG
from gateway.voice.credit.minutes import affordable_forward_minutes, hold_leg_minute, release_leg_minute
from gateway.voice.legs import leg_store
from gateway.voice.legs.watch import ASKED_S, watch

FORWARDED_MINUTES_MAX: Final = 120
REDIRECTS_MAX: Final = 2

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Prepared:
    """A leg whose first minute is held, and the caller's minute that is held beside it."""

    leg: int
    callers_minute: int
    time_limit_s: int


async def forward(
    voice: Voice, call: Call, *, reason: str, leg: int | None = None, announce: str | None = None
) -> bool:
    """Put a call through that its stream has until now; False, and nothing has changed: the stream goes on.

    The caller has settled what its audio was, and holds no next minute; `call.progress` is where the agent goes on if
    nobody takes the call. `reason` says why it is put through: who has no credits left comes back to no agent.
    """
    services = voice.services
    prepared = await _prepare(services, call, reason=reason, leg=leg)
    if prepared is None or services.twilio is None:
        return False
    await recording.stop(services, call)
    document = _document(services, call, prepared.leg, prepared.time_limit_s, announce=announce)
    if not await _redirect(services.twilio, call, document):
        await _undo(services, call, prepared)
        return False
    watch(voice, call, prepared.leg, callers_held=prepared.callers_minute, persons_held=1)
    await _let_last(services.twilio, call, services.now(), prepared.time_limit_s)
    return True


async def forward_unanswered(voice: Voice, call: Call, *, reason: str) -> str | None:
    """Return the document that puts a call through which no agent has answered; None if nobody can be dialled."""
    services = voice.services
    prepared = await _prepare(services, call, reason=reason, leg=1)
    if prepared is None:
        return None
    watch(voice, call, prepared.leg, callers_held=prepared.callers_minute, persons_held=1)
    return _document(services, call, prepared.leg, prepared.time_limit_s, answered=False)


async def dial_again(voice: Voice, call: Call) -> str:
    """Return the document of a call that is being put through, as it was given before."""
    async with voice.services.db.transaction(call.tenant_id) as connection:
        number = await leg_store.next_leg(connection, call.tenant_id, call.call_id) - 1
        row = await leg_store.read_leg(connection, call.tenant_id, call.call_id, number)
    if row is None or row.state == "ended" or call.configuration.voice.transfer_to is None:
        return twiml.hang_up()
    return _document(voice.services, call, number, row.time_limit_s, answered=call.stream_started_at is not None)


async def _let_last(twilio: TwilioRest, call: Call, now: datetime, talk_s: int) -> None:
    """Move Twilio's own limit on the call, which its stream had set to the last minute paid, behind the talk's."""
    elapsed_s = 0 if call.stream_started_at is None else int((now - call.stream_started_at).total_seconds())
    dialling_s = call.configuration.voice.transfer_timeout_s + ASKED_S
    answer = await calls.limit(twilio, call.call_sid, elapsed_s + dialling_s + talk_s)
    if not isinstance(answer, Accepted):
        log.warning("time_limit_not_moved", call_id=str(call.call_id), outcome=type(answer).__name__)


async def _redirect(twilio: TwilioRest, call: Call, document: str) -> bool:
    """Send the call to a document; once more if nobody knows whether it went, for twice is as good as once."""
    for _ in range(REDIRECTS_MAX):
        answer = await calls.redirect(twilio, call.call_sid, document)
        if isinstance(answer, Accepted):
            return True
        log.warning("call_not_forwarded", call_id=str(call.call_id), outcome=type(answer).__name__)
        if not isinstance(answer, OutcomeUnknown | NotConnected):
            break
    return False


async def _prepare(services: Services, call: Call, *, reason: str, leg: int | None) -> _Prepared | None:
    """Set the first minutes aside and note the leg; None if it cannot be."""
    to = call.configuration.voice.transfer_to
    if services.twilio is None or to is None or to == call.our_number:
        return None
    account = call.account
    minutes = min(await affordable_forward_minutes(services, account), FORWARDED_MINUTES_MAX)
    if minutes < 1:
        return None
    async with services.db.transaction(call.tenant_id) as connection:
        number = leg or await leg_store.next_leg(connection, call.tenant_id, call.call_id)
        minute = 1 + await leg_store.minutes_charged(connection, call.tenant_id, call.call_id)
    prepared = _Prepared(leg=number, callers_minute=minute, time_limit_s=minutes * 60)
    if not isinstance(await hold_leg_minute(services, account, CALLERS_LEG, minute), MinuteHeld):
        return None
    held = isinstance(await hold_leg_minute(services, account, number, 1), MinuteHeld)
    if held and await _note(services, call, prepared, reason=reason):
        return prepared
    await _release(services, call, prepared)
    return None


async def _note(services: Services, call: Call, prepared: _Prepared, *, reason: str) -> bool:
    now = services.now()
    progress = replace(call.progress or Progress(), why=reason)
    async with services.db.transaction(call.tenant_id) as connection:
        saved = await call_store.save_progress(
            connection,
            call.account,
            progress,
            state="forwarding",
            lease_until=now + timedelta(seconds=services.limits.call_lease_s),
        )
        return saved and await leg_store.insert_leg(
            connection,
            call.tenant_id,
            call.call_id,
            prepared.leg,
            time_limit_s=prepared.time_limit_s,
            now=now,
        )


async def _undo(services: Services, call: Call, prepared: _Prepared) -> None:
    """Give the call back to its stream: nobody was dialled."""
    async with services.db.transaction(call.tenant_id) as connection:
        await leg_store.end_leg(
            connection, call.tenant_id, call.call_id, prepared.leg, said="failed", now=services.now()
        )
        await leg_store.go_on(connection, call.tenant_id, call.call_id, epoch=call.account.epoch)
    await _release(services, call, prepared)


async def _release(services: Services, call: Call, prepared: _Prepared) -> None:
    await release_leg_minute(services, call.account, prepared.leg, 1)
    await release_leg_minute(services, call.account, CALLERS_LEG, prepared.callers_minute)


def _document(
    services: Services,
    call: Call,
    leg: int,
    time_limit_s: int,
    *,
    announce: str | None = None,
    answered: bool = True,
) -> str:
    style = call.configuration.voice
    at = leg_addresses(services.settings.public_url, call, leg)
    return twiml.forward(
        style.transfer_to or "",
        caller_id=call.our_number,
        time_limit_s=time_limit_s,
        timeout_s=style.transfer_timeout_s,
        action=at.action,
        whisper=at.whisper,
        status=at.status,
        announce=announce,
        language=call.configuration.language,
        answered=answered,
    )
