"""How a call gets to us: the address of its own, once, and an engine that is opened while Twilio comes to it."""

from typing import Final

from gateway.services import Services
from gateway.twilio import twiml
from gateway.voice import call_store
from gateway.voice.addresses import MEDIA
from gateway.voice.answering import Voice
from gateway.voice.call import Call
from gateway.voice.engine_setup import setup_of
from gateway.voice.webhooks import socket_url

CONNECT_S: Final = 5.0
RELAY: Final = "conversation_relay"  # the engine that Twilio itself is: it listens and speaks, and sends us words
# Names of another vendor's voices, the shipped one among them: then Twilio's own for the language speaks.
SPEECH_MODEL_VOICES: Final = frozenset(
    {"alloy", "ash", "ballad", "cedar", "coral", "echo", "marin", "sage", "shimmer", "verse"}
)


def has_engine(voice: Voice, engine: str) -> bool:
    """Return whether calls for an engine can be answered in this process."""
    return engine == RELAY or engine in voice.engines


def open_ahead(voice: Voice, call: Call) -> None:
    """Begin to open the call's session; whoever pumps the call finds it in `voice.waiting`."""
    engine = voice.engines.get(call.engine)
    if engine is not None:
        past = () if call.progress is None else call.progress.past_items
        setup = setup_of(voice.services, call, past=past)
        voice.waiting.open(call.call_id, engine.connect(setup, timeout_s=CONNECT_S))


async def connect(services: Services, call: Call) -> str:
    """Return the document that brings a call's stream to us, wherever the call has been before."""
    token = await call_store.issue_token(services, call.tenant_id, call.call_id)
    url = socket_url(services.settings.public_url, f"{MEDIA}/{token}")
    if call.engine != RELAY:
        return twiml.stream(url)
    voice = call.configuration.voice.voice
    return twiml.relay(url, language=call.configuration.language, voice=None if voice in SPEECH_MODEL_VOICES else voice)
