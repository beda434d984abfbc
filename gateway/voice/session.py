"""How a call by audio is taken up: Twilio says which it is, its stream takes it over, and what is paid is found."""

from typing import Final

import structlog
from aiohttp import web

from gateway.errors import StaleLeaseError
from gateway.services import Services
from gateway.voice import departures
from gateway.voice.answering import Voice
from gateway.voice.call import Call, MinuteRefused
from gateway.voice.credit.opening_meter import Paid, paid_so_far
from gateway.voice.credit.paying import AWAY
from gateway.voice.credit.settling import end_call
from gateway.voice.media.call import MediaCall
from gateway.voice.media.carrier_leg import CarrierLeg
from gateway.voice.media.parting import part
from gateway.voice.media.ring_back import ring_back
from gateway.voice.notices import load, text_of

RINGING: Final = "ringing"

log = structlog.get_logger(__name__)


async def run_media(voice: Voice, call: Call, socket: web.WebSocketResponse) -> None:
    """Pump a call until it is over, or somebody else has it; the socket is prepared, and left to be closed."""
    with structlog.contextvars.bound_contextvars(call_id=str(call.call_id)):
        await _run(voice, call, CarrierLeg(socket))


async def _run(voice: Voice, call: Call, carrier: CarrierLeg) -> None:
    started = await carrier.started()
    if started is None or started.call_sid != call.call_sid:
        log.warning("stream_not_begun", known=started is not None)
        return
    try:
        taken = await departures.take(voice.services, call)
        if taken is None:
            log.info("call_is_over")
        else:
            await _pump(voice, taken, carrier)
    except StaleLeaseError:
        log.info("call_taken_over")
    except AWAY as error:
        log.error("call_not_taken", error=type(error).__name__)  # noqa: TRY400 - says it all
        await part(voice.services, call, text_of("technical", call.configuration))
    except Exception:  # the call's outermost edge: whatever broke, nobody is left on a dead line
        log.exception("call_broke")
        await part(voice.services, call, text_of("technical", call.configuration))


async def _pump(voice: Voice, call: Call, carrier: CarrierLeg) -> None:
    services = voice.services
    paid = await _paid(services, call)
    if paid is None:
        return
    notices = {str(kind): audio for kind, audio in (await load(services, call, voice.shelf)).items()}
    pumped = MediaCall(voice, call, carrier, paid, {RINGING: ring_back(), **notices})
    services.live_calls.add(pumped)
    try:
        await pumped.run()
    finally:
        services.live_calls.discard(pumped)


async def _paid(services: Services, call: Call) -> Paid | None:
    """Return what the stream begins with; a call that nothing pays any more ends."""
    paid = await paid_so_far(services, call)
    if not isinstance(paid, MinuteRefused):
        return paid
    log.info("call_not_paid", reason=paid.reason)
    await part(services, call, text_of("credits_ended", call.configuration))
    await end_call(services, call.account, reason="credits_ended", figures={}, provider_usage={})
    return None
