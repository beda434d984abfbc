"""Hanging up on a caller, after Twilio's own voice has said why if there is something to be said."""

import structlog

from gateway.services import Services
from gateway.twilio import calls, twiml
from gateway.voice.call import Call

log = structlog.get_logger(__name__)


async def part(services: Services, call: Call, say: str | None = None) -> None:
    """End a call at Twilio. Should that fail, it ends with its stream: its document has nothing else to do."""
    if services.twilio is None:
        return
    if say is None:
        ended = await calls.hang_up(services.twilio, call.call_sid)
    else:
        document = twiml.say(say, call.configuration.language)
        ended = await calls.redirect(services.twilio, call.call_sid, document)
    if not calls.is_done(ended):
        log.warning("call_not_ended", call_id=str(call.call_id), outcome=type(ended).__name__)
