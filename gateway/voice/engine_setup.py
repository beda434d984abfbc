"""What a session with an engine is told at its beginning, alike whoever opens it: ahead of the stream, or in it."""

from collections.abc import Sequence

from agents.voice_prompt import build_voice_prompt
from gateway.services import Services
from gateway.voice.call import Call
from gateway.voice.call_tools import CallTools
from gateway.voice.engines.base import PastItem, Setup


def setup_of(services: Services, call: Call, *, past: Sequence[PastItem] = ()) -> Setup:
    """Return the set-up of a call's session; with a past, of one that goes on from there."""
    configuration = call.configuration
    known = {"name": call.contact_name} if call.contact_name else {}
    prompt = build_voice_prompt(
        configuration=configuration,
        contact_facts={**known, **call.contact_facts},
        caller_known=call.caller is not None,
        now=services.now(),
        resumed=bool(past) or (call.progress is not None and call.progress.greeted),
    )
    return Setup(
        instructions=prompt.instructions,
        voice=configuration.voice.voice,
        language=configuration.language,
        tools=CallTools(services, call).definitions,
        past=past,
        # An engine interrupts itself in every answer or in none: where a greeting may not be cut off, we do it.
        interrupts_itself=configuration.voice.min_interrupt_ms == 0 and configuration.voice.interruptible_greeting,
        noise=configuration.voice.noise,
        speed=configuration.voice.speed,
    )
