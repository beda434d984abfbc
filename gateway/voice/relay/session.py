"""How a call by text is taken up: Twilio says which call it is, its stream takes it over, and what is paid is found."""

import structlog
from aiohttp import web

from gateway.errors import StaleLeaseError
from gateway.voice import departures
from gateway.voice.answering import Voice
from gateway.voice.call import Call, MinuteRefused
from gateway.voice.credit.opening_meter import Paid, paid_so_far
from gateway.voice.credit.paying import AWAY
from gateway.voice.credit.settling import end_call
from gateway.voice.relay.call import RelayCall
from gateway.voice.relay.line import RelayLine

log = structlog.get_logger(__name__)


async def run_relay(voice: Voice, call: Call, socket: web.WebSocketResponse) -> None:
    """Pump a call by text until it is over, or somebody else has it; the socket is prepared, and left to be closed."""
    line = RelayLine(socket)
    began = await line.began()
    if began is None or began.call_sid != call.call_sid:
        log.warning("relay_not_begun", call_id=str(call.call_id), known=began is not None)
        return
    try:
        taken = await departures.take(voice.services, call)
    except AWAY as error:
        log.error("call_not_taken", call_id=str(call.call_id), error=type(error).__name__)  # noqa: TRY400 - says it all
        await departures.hang_up(voice.services, call)
        return
    if taken is None:
        log.info("call_is_over", call_id=str(call.call_id))
        return
    try:
        await _pump(voice, taken, line)
    except StaleLeaseError:
        log.info("call_taken_over", call_id=str(call.call_id))
    except Exception:  # the call's outermost edge: whatever broke, nobody is left on a dead line
        log.exception("call_broke", call_id=str(call.call_id))
        await departures.hang_up(voice.services, taken)


async def _pump(voice: Voice, call: Call, line: RelayLine) -> None:
    paid = await _paid(voice, call)
    if paid is None:
        return
    relay_call = RelayCall(voice, call, line, paid)
    live_calls = voice.services.live_calls
    live_calls.add(relay_call)
    try:
        await relay_call.run()
    finally:
        live_calls.discard(relay_call)


async def _paid(voice: Voice, call: Call) -> Paid | None:
    """Return what the stream begins with; a call that nothing pays any more ends."""
    services = voice.services
    paid = await paid_so_far(services, call)
    if not isinstance(paid, MinuteRefused):
        return paid
    log.info("call_not_paid", call_id=str(call.call_id), reason=paid.reason)
    await departures.hang_up(services, call)
    await end_call(services, call.account, reason="credits_ended", figures={}, provider_usage={})
    return None
