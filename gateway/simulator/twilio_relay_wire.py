"""ConversationRelay's messages as Twilio sends and checks them (pure)."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from gateway.simulator.twilio_wire import Json

INVALID: Final = "64107"
_TYPES: Final[Mapping[str, Mapping[str, type | tuple[type, ...]]]] = {
    "text": {"token": str},
    "play": {"source": str},
    "sendDigits": {"digits": str},
    "language": {},
    "end": {},
}
_OPTIONAL: Final[Mapping[str, type]] = {
    "last": bool,
    "lang": str,
    "interruptible": bool,
    "preemptible": bool,
    "loop": int,
    "handoffData": str,
    "ttsLanguage": str,
    "transcriptionLanguage": str,
}


class InvalidMessageError(Exception):
    """A message that Twilio does not take; the session goes on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """A piece of what is to be spoken; None: as the document has it."""

    text: str
    last: bool
    interruptible: bool | None
    preemptible: bool | None


def read_message(frame: str) -> Json:
    """Return a message of the gateway's. Raises InvalidMessageError."""
    try:
        message = json.loads(frame)
    except ValueError:
        raise InvalidMessageError(f"{INVALID}: Invalid message received: {frame}") from None
    required = _TYPES.get(message.get("type", "")) if isinstance(message, dict) else None
    if required is None or not all(isinstance(message.get(name), kind) for name, kind in required.items()):
        raise InvalidMessageError(f"{INVALID}: Invalid message received: {frame}")
    if not all(isinstance(message[name], kind) for name, kind in _OPTIONAL.items() if name in message):
        raise InvalidMessageError(f"{INVALID}: Invalid message received: {frame}")
    return dict(message)


def read_token(message: Json) -> Token:
    """Return a message of type text as what is to be spoken."""
    interruptible, preemptible = message.get("interruptible"), message.get("preemptible")
    return Token(
        text=str(message["token"]),
        last=bool(message.get("last", False)),
        interruptible=interruptible if isinstance(interruptible, bool) else None,
        preemptible=preemptible if isinstance(preemptible, bool) else None,
    )


def setup_message(
    *, session_id: str, account_sid: str, call_sid: str, caller: str, to: str, parameters: Mapping[str, str]
) -> Json:
    return {
        "type": "setup",
        "sessionId": session_id,
        "accountSid": account_sid,
        "parentCallSid": "",
        "callSid": call_sid,
        "from": caller,
        "to": to,
        "forwardedFrom": "",
        "callType": "PSTN",
        "callerName": "",
        "direction": "inbound",
        "callStatus": "RINGING",
        "customParameters": dict(parameters),
    }


def prompt_message(text: str, language: str, *, last: bool) -> Json:
    return {"type": "prompt", "voicePrompt": text, "lang": language, "last": last}


def interrupt_message(heard: str, after_ms: int, *, as_text: bool) -> Json:
    """Return an interruption; Twilio has given its time as a number and as a text."""
    return {
        "type": "interrupt",
        "utteranceUntilInterrupt": heard,
        "durationUntilInterruptMs": str(after_ms) if as_text else after_ms,
    }


def info_message(name: str, value: str) -> Json:
    return {"type": "info", "name": name, "value": value}


def allows(setting: str, what: str) -> bool:
    """Return whether an attribute such as `interruptible` covers "speech" or "dtmf"."""
    return setting in ("any", "true", what)
