"""What we tell Twilio to do with a call, as TwiML (strings; the SDK's builders escape what is said).

Every document ends in a hang-up or leads to an address of ours: closing a stream ends no call, so Twilio must find
something to do when it is over.
"""

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, Literal

from twilio.twiml.voice_response import Connect, Dial, Gather, VoiceResponse

Language = Literal["de", "en"]

MIME_TYPE: Final = "text/xml"
DIGIT: Final = "1"  # what a person presses to take a call
WHISPER_TIMES: Final = 2
ANSWER_S: Final = 5  # after each time that a person was asked
# Twilio's own voices, for what is said without a model; the first word is what recognisers are told as well.
VOICES: Final[Mapping[str, tuple[str, str]]] = MappingProxyType(
    {"de": ("de-DE", "Polly.Vicki-Neural"), "en": ("en-GB", "Polly.Amy-Neural")}
)

_NO_XML: Final = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_NOTHING: Final[Mapping[str, str]] = MappingProxyType({})


def stream(url: str, *, action: str | None = None, parameters: Mapping[str, str] = _NOTHING) -> str:
    """Connect the call's audio to a socket of ours; what follows its end is `action`, else a hang-up."""
    response = VoiceResponse()
    connect: Connect = response.connect(action=action)
    connected = connect.stream(url=url)
    for name, value in parameters.items():
        connected.parameter(name=name, value=_clean(value))
    response.hangup()
    return str(response)


def relay(
    url: str,
    *,
    language: Language,
    voice: str | None = None,
    action: str | None = None,
    interruptible: bool = True,
    parameters: Mapping[str, str] = _NOTHING,
) -> str:
    """Connect the call to a socket of ours by text: Twilio recognises and speaks.

    It greets with nothing: what is said comes from us, where it is counted; and it tells what it has spoken, for only
    what was heard is. `voice` may name its vendor first, as in "Google:de-DE-Chirp3-HD-Aoede"; without one it is the
    account's.
    """
    vendor, _, name = (voice or "").rpartition(":")
    response = VoiceResponse()
    connect: Connect = response.connect(action=action)
    connected = connect.conversation_relay(
        url=url,
        language=VOICES[language][0],
        tts_provider=vendor or None,
        voice=name or None,
        interruptible="any" if interruptible else "none",
        dtmf_detection=True,
        report_input_during_agent_speech="any" if interruptible else "none",
        events="speaker-events tokens-played",
    )
    for name, value in parameters.items():
        connected.parameter(name=name, value=_clean(value))
    response.hangup()
    return str(response)


def reject(busy: bool = False) -> str:
    """Decline a call unanswered; nobody pays for it."""
    response = VoiceResponse()
    response.reject(reason="busy" if busy else "rejected")
    return str(response)


def say(text: str, language: Language, voice: str | None = None) -> str:
    """Say something and hang up."""
    response = VoiceResponse()
    _say(response, text, language, voice)
    response.hangup()
    return str(response)


def forward(
    number: str,
    *,
    caller_id: str,
    time_limit_s: int,
    timeout_s: int,
    action: str,
    whisper: str,
    status: str,
    announce: str | None = None,
    language: Language = "de",
    answered: bool = True,
) -> str:
    """Dial a person and join the call to them.

    Twilio asks `whisper` what the person is to hear first, tells `status` how the leg goes, and asks `action` what next
    once it is over. A call that is not `answered` yet goes on ringing until they have taken it, unless something is
    announced first.
    """
    response = VoiceResponse()
    if announce:
        _say(response, announce, language, None)
    dial: Dial = response.dial(
        action=action,
        method="POST",
        timeout=timeout_s,
        time_limit=time_limit_s,
        caller_id=caller_id,
        answer_on_bridge=None if answered or announce else True,
    )
    dial.number(
        number,
        url=whisper,
        method="POST",
        status_callback=status,
        status_callback_event="answered completed",
        status_callback_method="POST",
    )
    response.hangup()
    return str(response)


def whisper(text: str, language: Language, *, action: str) -> str:
    """Ask the person who picked up to press a key; whoever does not, such as an answering machine, is hung up on."""
    response = VoiceResponse()
    for _ in range(WHISPER_TIMES):
        asking: Gather = response.gather(
            input="dtmf", num_digits=1, timeout=ANSWER_S, action=action, method="POST", action_on_empty_result=False
        )
        _say(asking, text, language, None)
    response.hangup()
    return str(response)


def join() -> str:
    """Let a person who has taken the call be joined to it: an empty document ends the whispering."""
    return str(VoiceResponse())


def hang_up() -> str:
    response = VoiceResponse()
    response.hangup()
    return str(response)


def _say(verb: VoiceResponse | Gather, text: str, language: Language, voice: str | None) -> None:
    tag, shipped = VOICES[language]
    verb.say(_clean(text), voice=voice or shipped, language=tag)


def _clean(text: str) -> str:
    """Return a text without what no XML may hold."""
    return _NO_XML.sub("", text)
