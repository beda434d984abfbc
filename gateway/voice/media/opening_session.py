"""The session that a call's stream begins with, or goes on with."""

from collections.abc import Sequence

from gateway.voice.answering import Voice
from gateway.voice.arrival.connecting import CONNECT_S
from gateway.voice.call import Call
from gateway.voice.engine_setup import setup_of
from gateway.voice.engines.base import EngineSession, PastItem


async def open_session(voice: Voice, call: Call, past: Sequence[PastItem]) -> EngineSession:
    """Return the session that was opened while Twilio connected, or a new one that knows the past.

    Raises EngineError.
    """
    waiting = await voice.waiting.take(call.call_id)
    if waiting is not None:
        return waiting
    return await voice.engines[call.engine].connect(setup_of(voice.services, call, past=past), timeout_s=CONNECT_S)
