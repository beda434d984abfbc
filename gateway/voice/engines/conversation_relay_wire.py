"""Twilio's ConversationRelay as it goes over its socket: recognition and synthesis there, words here (pure).

Frames are JSON objects with a `type`. What Twilio has documented is read into values; what it sends besides, by
`events="speaker-events tokens-played"` or some day, is read where it is understood and else Ignored. Nothing raises:
what cannot be read is Malformed, a value. The page on these messages: twilio.com/docs/voice/conversationrelay.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from gateway.safe_text import safe_text

FRAME_BYTES_MAX: Final = 64 * 1024
DIGITS: Final = frozenset("0123456789*#")
INVALID_MESSAGE: Final = 64107  # Twilio's code for a message of ours that it does not take


@dataclass(frozen=True, slots=True, kw_only=True)
class Began:
    """The session has begun; always the first frame."""

    session_id: str
    call_sid: str
    account_sid: str
    custom: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompted:
    """What the caller said; not final: it may change, and the final one repeats it."""

    text: str = field(repr=False)
    language: str
    is_final: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Pressed:
    """A key of the caller's telephone."""

    digit: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Interrupted:
    """The caller has cut the agent off. `heard`: its words until then; `after_ms` is None where Twilio does not say."""

    heard: str = field(repr=False)
    after_ms: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Played:
    """Words that have been played to the caller, one event after another."""

    text: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Speaking:
    """Somebody has begun or stopped to speak."""

    who: str  # "agent" or "caller"
    begun: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """Twilio objects, such as to a message of ours; the session goes on. The description may quote words."""

    description: str = field(repr=False)

    @property
    def names_message(self) -> bool:
        """Whether it is about a message that we sent."""
        return str(INVALID_MESSAGE) in self.description or "nvalid message" in self.description


@dataclass(frozen=True, slots=True, kw_only=True)
class Ignored:
    """A frame of a type that is of no use here."""

    type: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Malformed:
    """A frame that cannot be read."""

    reason: str


RelayEvent = Began | Prompted | Pressed | Interrupted | Played | Speaking | Refused | Ignored | Malformed

_SPEAKERS: Final = {"agentSpeaking": "agent", "clientSpeaking": "caller"}
_SWITCHES: Final = {"on": True, "off": False}


def read(frame: str | bytes) -> RelayEvent:
    """Return what a frame says."""
    if len(frame) > FRAME_BYTES_MAX:
        return Malformed(reason="too long")
    try:
        document = json.loads(frame)
    except (ValueError, RecursionError):  # bytes that are no text are a ValueError too
        return Malformed(reason="not JSON")
    if not isinstance(document, dict):
        return Malformed(reason="not an object")
    kind = document.get("type")
    if not isinstance(kind, str):
        return Malformed(reason="without a type")
    reader = _READERS.get(kind)
    return Ignored(type=kind[:40]) if reader is None else reader(document)


def text(
    token: str,
    *,
    last: bool,
    language: str | None = None,
    interruptible: bool | None = None,
    preemptible: bool | None = None,
) -> str:
    """Return a piece of what is to be spoken; `last` ends what belongs together.

    `preemptible`: what is said after it may cut it off. None leaves a setting as the TwiML has it.
    """
    said: dict[str, object] = {"type": "text", "token": safe_text(token), "last": last}
    wishes = {"lang": language, "interruptible": interruptible, "preemptible": preemptible}
    return _frame(said | {name: value for name, value in wishes.items() if value is not None})


def play(source: str, *, loop: int = 1, interruptible: bool | None = None, preemptible: bool | None = None) -> str:
    """Return the wish to play a sound from an address."""
    wished: dict[str, object] = {"type": "play", "source": source, "loop": loop}
    wishes = {"interruptible": interruptible, "preemptible": preemptible}
    return _frame(wished | {name: value for name, value in wishes.items() if value is not None})


def send_digits(digits: str) -> str:
    """Return the wish to press keys: 0 to 9, * and #, and w for half a second's pause. Raises ValueError."""
    if not digits or not set(digits) <= DIGITS | {"w"}:
        raise ValueError("digits are 0 to 9, * and #, and w for a pause")
    return _frame({"type": "sendDigits", "digits": digits})


def language(*, speech: str | None = None, transcription: str | None = None) -> str:
    """Return the wish to speak or to listen in another language from now on."""
    wishes = {"ttsLanguage": speech, "transcriptionLanguage": transcription}
    return _frame({"type": "language"} | {name: value for name, value in wishes.items() if value is not None})


def end(handoff: Mapping[str, object] | None = None) -> str:
    """Return the end of the session; the call goes on with what its TwiML has after it."""
    ending: dict[str, object] = {"type": "end"}
    return _frame(ending if handoff is None else ending | {"handoffData": json.dumps(dict(handoff))})


def _frame(document: Mapping[str, object]) -> str:
    return json.dumps(document, ensure_ascii=False, separators=(",", ":"))


def _began(document: Mapping[str, object]) -> RelayEvent:
    session_id, call_sid = document.get("sessionId"), document.get("callSid")
    if not isinstance(session_id, str) or not isinstance(call_sid, str) or not call_sid:
        return Malformed(reason="setup of no call")
    custom = document.get("customParameters")
    return Began(
        session_id=session_id,
        call_sid=call_sid,
        account_sid=_text(document.get("accountSid")),
        custom={str(name): _text(value) for name, value in custom.items()} if isinstance(custom, dict) else {},
    )


def _prompted(document: Mapping[str, object]) -> RelayEvent:
    prompt = document.get("voicePrompt")
    if not isinstance(prompt, str):
        return Malformed(reason="prompt without words")
    # Without `last` a prompt is final: that is what it was before there were partial ones.
    is_final = document.get("last", True) is not False
    return Prompted(text=safe_text(prompt).strip(), language=_text(document.get("lang")), is_final=is_final)


def _pressed(document: Mapping[str, object]) -> RelayEvent:
    digit = _text(document.get("digit"))
    return Pressed(digit=digit) if digit in DIGITS else Malformed(reason="not a key")


def _interrupted(document: Mapping[str, object]) -> RelayEvent:
    heard = safe_text(_text(document.get("utteranceUntilInterrupt")))
    return Interrupted(heard=heard, after_ms=_milliseconds(document.get("durationUntilInterruptMs")))


def _refused(document: Mapping[str, object]) -> RelayEvent:
    return Refused(description=safe_text(_text(document.get("description"))))


def _told(document: Mapping[str, object]) -> RelayEvent:
    """Read an `info` frame. Twilio has not documented them; as seen on calls: a name and a value."""
    name, value = _text(document.get("name")), document.get("value")
    if name == "tokensPlayed" and isinstance(value, str):
        return Played(text=safe_text(value))
    if name in _SPEAKERS and isinstance(value, str) and value in _SWITCHES:
        return Speaking(who=_SPEAKERS[name], begun=_SWITCHES[value])
    return Ignored(type="info")


def _milliseconds(value: object) -> int | None:
    """Return a duration that came as a number or as its digits; None for what is none."""
    if isinstance(value, bool):
        return None
    if isinstance(value, str):
        value = int(value) if value.isascii() and value.isdigit() and len(value) < 12 else None
    if isinstance(value, float):
        value = int(value) if 0 <= value < 10**12 else None
    return value if isinstance(value, int) and value >= 0 else None


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


_READERS: Final = {
    "setup": _began,
    "prompt": _prompted,
    "dtmf": _pressed,
    "interrupt": _interrupted,
    "error": _refused,
    "info": _told,
}
