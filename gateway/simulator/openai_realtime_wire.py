"""OpenAI's Realtime wire format as the vendor's side has it (pure): what it refuses, what it tells."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

Document = Mapping[str, object]
Rule = Callable[[object], bool] | Mapping[str, "Rule"]

VOICES = ("alloy", "ash", "ballad", "cedar", "coral", "echo", "marin", "sage", "shimmer", "verse")
SESSION_S = 3600.0
_TOOL_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """What is wrong with a message, as the vendor says it."""

    code: str
    message: str
    param: str | None = None


def error(problem: Problem, *, event_id: object = None) -> Document:
    kind = problem.code if problem.code in {"insufficient_quota", "server_error"} else "invalid_request_error"
    return {
        "type": "error",
        "error": {
            "type": kind,
            "code": problem.code,
            "message": problem.message,
            "param": problem.param,
            "event_id": event_id,
        },
    }


def session_problem(session: object, *, model: str, voice_in_use: str | None) -> Problem | None:
    """Return what the vendor would refuse a `session.update` for; `voice_in_use` once audio was made with it."""
    if not isinstance(session, Mapping):
        return Problem(code="missing_required_parameter", message="Missing required parameter: 'session'.")
    if session.get("type") != "realtime":
        message = "Missing required parameter: 'session.type'."
        return Problem(code="missing_required_parameter", message=message, param="session.type")
    if "reasoning" in session and not model.startswith("gpt-realtime-2"):
        return _unknown("session.reasoning")
    voice = text_at(session, "audio", "output", "voice")
    if voice_in_use is not None and voice not in {"", voice_in_use}:
        message = "Cannot update a conversation's voice if assistant audio is present."
        return Problem(code="cannot_update_voice", message=message)
    return _problem(session, _SESSION, "session")


def truncation_problem(audio_ms: float | None, wanted_ms: object, *, item_id: str) -> Problem | None:
    """Return what is wrong with cutting an item to so much audio; `audio_ms` is None for an item that is not there."""
    if not isinstance(wanted_ms, int) or wanted_ms < 0:
        return Problem(
            code="invalid_type",
            message="Invalid type for 'audio_end_ms': expected an integer.",
            param="audio_end_ms",
        )
    if audio_ms is None:
        message = f"Error truncating item: the item with id '{item_id}' does not exist."
        return Problem(code="item_truncate_invalid_item_id", message=message)
    if audio_ms == 0:
        return Problem(code="unsupported_content_type", message="Only model output audio messages can be truncated")
    if wanted_ms > audio_ms:
        message = f"Audio content of {int(audio_ms)}ms is already shorter than {wanted_ms}ms"
        return Problem(code="invalid_value", message=message)
    return None


def merged(old: Document, new: Document) -> Document:
    """Return a configuration with what is said anew put over what was."""
    changed = {
        name: merged(before, value)
        if isinstance(value, Mapping) and isinstance(before := old.get(name), Mapping)
        else value
        for name, value in new.items()
    }
    return {**old, **changed}


def usage(*, input_text: int, input_audio: int, cached: int, output_text: int, output_audio: int) -> Document:
    """Return `response.done`'s usage; what is cached is part of the input."""
    return {
        "total_tokens": input_text + input_audio + output_text + output_audio,
        "input_tokens": input_text + input_audio,
        "output_tokens": output_text + output_audio,
        "input_token_details": {
            "text_tokens": input_text,
            "audio_tokens": input_audio,
            "image_tokens": 0,
            "cached_tokens": cached,
        },
        "output_token_details": {"text_tokens": output_text, "audio_tokens": output_audio},
    }


def transcribed(item_id: str, text: str) -> Document:
    """Return the message with what an utterance means; hearing it is paid for by itself."""
    said = len(text) // 4
    return {
        "type": "conversation.item.input_audio_transcription.completed",
        "item_id": item_id,
        "content_index": 0,
        "transcript": text,
        "usage": {"type": "tokens", "input_tokens": 10, "output_tokens": said, "total_tokens": 10 + said},
    }


def at(document: object, *path: str) -> object:
    """Return what stands at a path in nested objects; None if nothing does."""
    for name in path:
        document = document.get(name) if isinstance(document, Mapping) else None
    return document


def text_at(document: object, *path: str) -> str:
    found = at(document, *path)
    return found if isinstance(found, str) else ""


def _problem(value: object, rule: Rule, path: str) -> Problem | None:
    if not isinstance(rule, Mapping):
        if rule(value):
            return None
        return Problem(code="invalid_value", message=f"Invalid value for '{path}'.", param=path)
    if not isinstance(value, Mapping):
        return Problem(code="invalid_type", message=f"Invalid type for '{path}': expected an object.", param=path)
    for name, inner in value.items():
        if name not in rule:
            return _unknown(f"{path}.{name}")
        problem = _problem(inner, rule[name], f"{path}.{name}")
        if problem is not None:
            return problem
    return None


def _unknown(path: str) -> Problem:
    return Problem(code="unknown_parameter", message=f"Unknown parameter: '{path}'.", param=path)


def _anything(_value: object) -> bool:
    return True


def _text(value: object) -> bool:
    return isinstance(value, str)


def _flag(value: object) -> bool:
    return isinstance(value, bool)


def _one_of(*values: object) -> Callable[[object], bool]:
    return lambda value: value in values


def _between(least: float, most: float) -> Callable[[object], bool]:
    return lambda value: isinstance(value, (int, float)) and not isinstance(value, bool) and least <= value <= most


def _format(value: object) -> bool:
    """Telephone audio has one rate, which is not said; linear samples must say theirs."""
    return value in ({"type": "audio/pcmu"}, {"type": "audio/pcma"}, {"type": "audio/pcm", "rate": 24000})


def _nullable(rule: Rule) -> Callable[[object], bool]:
    return lambda value: value is None or _problem(value, rule, "") is None


def _tools(value: object) -> bool:
    return isinstance(value, list) and all(
        isinstance(tool, Mapping)
        and set(tool) <= {"type", "name", "description", "parameters"}
        and tool.get("type") == "function"
        and _TOOL_NAME.fullmatch(str(tool.get("name"))) is not None
        and isinstance(tool.get("parameters"), Mapping)
        for tool in value
    )


_TURN_DETECTION: Mapping[str, Rule] = {
    "type": _one_of("server_vad", "semantic_vad"),
    "threshold": _between(0, 1),
    "prefix_padding_ms": _between(0, 5000),
    "silence_duration_ms": _between(0, 5000),
    "idle_timeout_ms": _nullable(_between(5000, 30000)),
    "create_response": _flag,
    "interrupt_response": _flag,
    "eagerness": _one_of("low", "medium", "high", "auto"),
}
_SESSION: Mapping[str, Rule] = {
    "type": _one_of("realtime"),
    "model": _text,
    "output_modalities": _one_of(["audio"], ["text"]),
    "instructions": _text,
    "audio": {
        "input": {
            "format": _format,
            "turn_detection": _nullable(_TURN_DETECTION),
            "transcription": _nullable({"model": _text, "language": _text, "prompt": _text}),
            "noise_reduction": _nullable({"type": _one_of("near_field", "far_field"), "strength": _between(0, 1)}),
        },
        "output": {"format": _format, "voice": _one_of(*VOICES), "speed": _between(0.25, 1.5)},
    },
    "tools": _tools,
    "tool_choice": _one_of("auto", "none", "required"),
    "max_output_tokens": lambda value: value == "inf" or _between(1, 4096)(value),
    "truncation": lambda value: (
        value in ("auto", "disabled")
        or _problem(
            value,
            {
                "type": _one_of("retention_ratio"),
                "retention_ratio": _between(0, 1),
                "token_limits": {"post_instructions": _between(0, 128_000)},
            },
            "",
        )
        is None
    ),
    "include": _anything,
    "tracing": _anything,
    "prompt": _anything,
    "reasoning": {"effort": _one_of("minimal", "low", "medium", "high", "xhigh")},
    "parallel_tool_calls": _flag,
}
