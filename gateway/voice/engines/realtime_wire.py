"""What we say to OpenAI's Realtime server, as JSON text (pure).

Audio is `audio/pcmu` both ways, which takes no `rate` here.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Literal

from agents.model import ToolDefinition
from agents.safe_text import safe_text
from gateway.voice.engines.base import PastItem, Setup

Document = Mapping[str, object]

OUTPUT_TOKENS_MAX = 1024  # of one answer: some fifty seconds of speech


def session_update(setup: Setup, *, transcription_model: str) -> str:
    """Return the message that configures a session."""
    noise = None if setup.noise == "none" else {"type": setup.noise}
    return _written(
        {
            "type": "session.update",
            "session": {
                "type": "realtime",
                "output_modalities": ["audio"],
                "instructions": setup.instructions,
                "audio": {
                    "input": {
                        "format": {"type": "audio/pcmu"},
                        "turn_detection": {
                            "type": "server_vad",
                            "threshold": 0.5,
                            "prefix_padding_ms": 300,
                            "silence_duration_ms": 500,
                            "create_response": True,
                            "interrupt_response": setup.interrupts_itself,
                        },
                        "transcription": {"model": transcription_model, "language": _language(setup.language)},
                        "noise_reduction": noise,
                    },
                    "output": {"format": {"type": "audio/pcmu"}, "voice": setup.voice, "speed": setup.speed},
                },
                "tools": [_tool(tool) for tool in setup.tools],
                "max_output_tokens": OUTPUT_TOKENS_MAX,
                "truncation": {
                    "type": "retention_ratio",
                    "retention_ratio": 0.8,
                    "token_limits": {"post_instructions": 8000},
                },
            },
        }
    )


def audio_append(payload: str) -> str | None:
    """Return caller audio, in base64, as a message; None for what cannot be base64 and would break out of it."""
    if '"' in payload or "\\" in payload:
        return None
    return f'{{"type":"input_audio_buffer.append","audio":"{payload}"}}'


def past_items(past: Sequence[PastItem]) -> list[str]:
    """Return what was said and done before as items of a new session; a tool is its call and its result."""
    return [message for item in past for message in _past(item)]


def customer_words(text: str) -> str:
    return _message("user", "input_text", text)


def note(text: str) -> str:
    return _message("system", "input_text", text)


def tool_result(tool_call_id: str, result: str) -> str:
    return _item({"type": "function_call_output", "call_id": tool_call_id, "output": result})


def respond(instructions: str | None) -> str:
    """Ask for an answer. Instructions given here stand in for the session's for once."""
    if instructions is None:
        return '{"type":"response.create"}'
    return _written({"type": "response.create", "response": {"instructions": instructions}})


def cancel() -> str:
    return '{"type":"response.cancel"}'


def truncate(item_id: str, content_index: int, heard_ms: int) -> str:
    return _written(
        {
            "type": "conversation.item.truncate",
            "item_id": item_id,
            "content_index": content_index,
            "audio_end_ms": heard_ms,
        }
    )


def _past(item: PastItem) -> list[str]:
    match item.kind:
        case "customer":
            return [customer_words(item.text)]
        case "agent":
            return [_message("assistant", "output_text", item.text)]
        case "tool":
            asked = {"name": item.tool_name, "arguments": item.tool_arguments, "call_id": item.tool_call_id}
            return [_item({"type": "function_call", **asked}), tool_result(item.tool_call_id, item.text)]


def _message(role: Literal["user", "assistant", "system"], kind: str, text: str) -> str:
    return _item({"type": "message", "role": role, "content": [{"type": kind, "text": text}]})


def _item(item: Document) -> str:
    return _written({"type": "conversation.item.create", "item": item})


def _tool(tool: ToolDefinition) -> Document:
    return {
        "type": "function",
        "name": tool.name,
        "description": tool.description,
        "parameters": dict(tool.parameters),
    }


def _language(language: str) -> str:
    return language.partition("-")[0].lower()


def _written(document: Document) -> str:
    """Return JSON that UTF-8 can carry, whatever a tool's result holds."""
    return safe_text(json.dumps(document, ensure_ascii=False, separators=(",", ":")))
