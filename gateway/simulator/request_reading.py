"""A Chat Completions request as the offline model reads it (pure)."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from gateway.simulator.openai_chat import Request


def messages_of(request: Request) -> list[Mapping[str, object]]:
    messages = request.get("messages")
    return [message for message in messages if isinstance(message, Mapping)] if isinstance(messages, list) else []


def text_of(message: Mapping[str, object]) -> str:
    content = message.get("content")
    if isinstance(content, list):
        return " ".join(str(part.get("text", "")) for part in content if isinstance(part, Mapping)).strip()
    return content if isinstance(content, str) else ""


def shows_picture(message: Mapping[str, object]) -> bool:
    content = message.get("content")
    return isinstance(content, list) and any(part.get("type") == "image_url" for part in content)


def results_in(messages: Sequence[Mapping[str, object]]) -> list[tuple[str, str]]:
    """Return each tool's name and result, in order."""
    names: dict[object, str] = {}
    results = []
    for message in messages:
        calls = message.get("tool_calls")
        for call in calls if isinstance(calls, list) else []:
            names[call["id"]] = call["function"]["name"]
        if message.get("role") == "tool":
            results.append((names.get(message.get("tool_call_id"), ""), text_of(message)))
    return results


def read_result(result: str) -> dict[str, Any] | None:
    """Return what a tool told, or None for words of refusal."""
    try:
        told = json.loads(result)
    except ValueError:
        return None
    return told if isinstance(told, dict) else None
