"""How a call is conducted, from the owner's settings, what its engine can, and where an earlier stream has left it."""

from typing import Final

from agents.disclosure import opening_text
from gateway.services import Services
from gateway.voice import recording
from gateway.voice.call import Call, Progress
from gateway.voice.engine_setup import setup_of
from gateway.voice.engines.base import Traits
from gateway.voice.notices import NoticeKind, text_of
from gateway.voice.talk.manner import MS_PER_MINUTE, Manner

SAID: Final[tuple[NoticeKind, ...]] = (
    "goodbye",
    "idle",
    "filler",
    "filler_again",
    "connecting",
    "credits_ended",
    "too_long",
    "technical",
    "recording_question",
)


def manner_of(services: Services, call: Call, traits: Traits, *, elapsed_ms: int) -> Manner:
    """Return the manner of a call's stream that begins so long after its first one."""
    configuration, style = call.configuration, call.configuration.voice
    progress = call.progress or Progress()
    return Manner(
        language=configuration.language,
        opening=opening_text(configuration),
        texts={kind: text_of(kind, configuration) for kind in SAID},
        interruptible_greeting=style.interruptible_greeting,
        interrupts_itself=setup_of(services, call).interrupts_itself,
        full_duplex=traits.full_duplex,
        min_interrupt_ms=style.min_interrupt_ms,
        idle_prompt_ms=style.idle_prompt_s * 1000,
        idle_end_after=style.idle_end_after,
        ends_at_ms=max(0, style.max_minutes * MS_PER_MINUTE - elapsed_ms),
        asks_recording=recording.wanted(call) and not progress.greeted,
        may_forward=style.transfer_to is not None,
        forwards_when_credits_end=style.when_credits_end == "forward",
        greeted=progress.greeted,
        why=progress.why,
    )
