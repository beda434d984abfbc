"""What OpenAI's Realtime server tells, as values of the seam (pure).

The vendor adds events and fields without asking: what is unknown or unreadable is nothing. Codes pass on only if they
look like codes: the vendor's words may quote the caller.
"""

import binascii
import json
import re
from collections.abc import Callable, Mapping
from typing import Final, cast

import orjson

from agents.safe_text import safe_text
from gateway.voice.engines.base import (
    AudioDelta,
    AudioDone,
    Event,
    HeardText,
    ResponseEnded,
    ResponseStarted,
    ResponseStatus,
    SpeechStarted,
    SpeechStopped,
    SpokenText,
    ToolAsked,
    Trouble,
)

Document = Mapping[str, object]

_FATAL = frozenset(
    {
        "account_deactivated",
        "billing_hard_limit_reached",
        "billing_not_active",
        "credit_balance_exhausted",
        "insufficient_quota",
        "invalid_api_key",
        "invalid_model",
        "model_not_found",
        "organization_deactivated",
    }
)
_HARMLESS = frozenset({"input_audio_buffer_commit_empty", "response_cancel_not_active"})
_LOST = frozenset({"session_expired"})
_STATUSES: Final = ("completed", "cancelled", "incomplete", "failed")
_CODE = re.compile(r"[A-Za-z0-9_.-]{1,64}")


def read(message: bytes | str) -> Document:
    """Return a message's JSON object; an empty one for what is none."""
    try:
        found = orjson.loads(message)
    except orjson.JSONDecodeError:  # lone surrogates, for one, which a piece of a transcript may have
        try:
            found = json.loads(message)
        except ValueError:
            return {}
    return found if isinstance(found, dict) else {}


def events_of(document: Document) -> tuple[Event, ...]:
    """Return what a message tells; mostly one event."""
    reader = _READERS.get(_text(document, "type"))
    return reader(document) if reader is not None else ()


def expires_at_s(document: Document) -> int | None:
    """Return when the session ends, in seconds since the epoch, if this says."""
    seconds = _inner(document, "session").get("expires_at")
    return seconds if isinstance(seconds, int) and seconds > 0 else None


def error_of(document: Document) -> Document:
    return _inner(document, "error")


def trouble_of(error: Document) -> Trouble:
    """Return an `error` object as trouble."""
    code = code_of(error)
    return Trouble(code=code, severity="fatal" if code in _FATAL else "harmless" if code in _HARMLESS else "error")


def is_lost(trouble: Trouble) -> bool:
    """Return whether the session is over by this, though another would work."""
    return trouble.code in _LOST


def is_fatal(code: str) -> bool:
    return code in _FATAL


def code_of(error: Document) -> str:
    """Return the code of an `error` object, or its type; "unknown" if neither looks like one."""
    for name in ("code", "type"):
        code = _text(error, name)
        if _CODE.fullmatch(code):
            return code
    return "unknown"


def may_be_tried_again(error: Document) -> bool:
    """Return whether the same request may work later: the vendor blames itself or the moment."""
    return _text(error, "type") in {"server_error", "rate_limit_error"} or code_of(error) in {
        "rate_limit_exceeded",
        *_LOST,
    }


def _speech_started(_document: Document) -> tuple[Event, ...]:
    return (SpeechStarted(),)


def _speech_stopped(_document: Document) -> tuple[Event, ...]:
    return (SpeechStopped(),)


def _response_created(document: Document) -> tuple[Event, ...]:
    return (ResponseStarted(response_id=_text(_inner(document, "response"), "id")),)


def _audio_delta(document: Document) -> tuple[Event, ...]:
    try:
        audio = binascii.a2b_base64(_text(document, "delta"))
    except ValueError:
        return ()
    if not audio:
        return ()
    return (
        AudioDelta(
            response_id=_text(document, "response_id"),
            item_id=_text(document, "item_id"),
            content_index=_index(document),
            audio=audio,
        ),
    )


def _audio_done(document: Document) -> tuple[Event, ...]:
    return (AudioDone(item_id=_text(document, "item_id"), content_index=_index(document)),)


def _words(document: Document) -> tuple[Event, ...]:
    return (SpokenText(item_id=_text(document, "item_id"), text=_safe(document, "delta"), is_final=False),)


def _words_done(document: Document) -> tuple[Event, ...]:
    return (SpokenText(item_id=_text(document, "item_id"), text=_safe(document, "transcript"), is_final=True),)


def _heard(document: Document) -> tuple[Event, ...]:
    text, usage = _safe(document, "transcript").strip(), _inner(document, "usage")
    return (HeardText(item_id=_text(document, "item_id"), text=text, usage=usage),)


def _not_heard(document: Document) -> tuple[Event, ...]:
    """Whoever waits for these words waits no longer."""
    return (HeardText(item_id=_text(document, "item_id"), text=""),)


def _item_done(document: Document) -> tuple[Event, ...]:
    """Read the tools that are asked for; a call cut short by an interruption is not to be run."""
    item = _inner(document, "item")
    if item.get("type") != "function_call" or item.get("status") != "completed":
        return ()
    return (
        ToolAsked(
            response_id=_text(document, "response_id"),
            tool_call_id=_safe(item, "call_id"),
            name=_safe(item, "name"),
            arguments=_safe(item, "arguments"),
        ),
    )


def _response_done(document: Document) -> tuple[Event, ...]:
    response = _inner(document, "response")
    details = _inner(response, "status_details")
    error = _inner(details, "error")
    reason = _text(details, "reason") or (code_of(error) if error else "")
    status = _text(response, "status")
    ended = ResponseEnded(
        response_id=_text(response, "id"),
        status=cast("ResponseStatus", status) if status in _STATUSES else "failed",
        reason=reason if _CODE.fullmatch(reason) else "",
        usage=_inner(response, "usage"),
    )
    return (ended, trouble_of(error)) if is_fatal(code_of(error)) else (ended,)


def _error(document: Document) -> tuple[Event, ...]:
    return (trouble_of(error_of(document)),)


_READERS: Mapping[str, Callable[[Document], tuple[Event, ...]]] = {
    "conversation.item.input_audio_transcription.completed": _heard,
    "conversation.item.input_audio_transcription.failed": _not_heard,
    "error": _error,
    "input_audio_buffer.speech_started": _speech_started,
    "input_audio_buffer.speech_stopped": _speech_stopped,
    "response.created": _response_created,
    "response.done": _response_done,
    "response.output_audio.delta": _audio_delta,
    "response.output_audio.done": _audio_done,
    "response.output_audio_transcript.delta": _words,
    "response.output_audio_transcript.done": _words_done,
    "response.output_item.done": _item_done,
}


def _inner(document: Document, name: str) -> Document:
    found = document.get(name)
    return found if isinstance(found, dict) else {}


def _text(document: Document, name: str) -> str:
    found = document.get(name)
    return found if isinstance(found, str) else ""


def _safe(document: Document, name: str) -> str:
    return safe_text(_text(document, name))


def _index(document: Document) -> int:
    found = document.get("content_index")
    return found if isinstance(found, int) else 0
