"""Chat Completions as it goes over the wire: our request as JSON, the server's JSON as our reply (pure).

Compatible servers differ in what they leave out; what is missing is read as nothing, what cannot be read at
all is an answer that did not come.
"""

import base64
import json
from collections.abc import Mapping, Sequence
from typing import Literal

from agents.errors import ModelUnavailableError
from agents.model import ChatMessage, ChatReply, ChatRequest, Image, ToolCall, ToolDefinition
from agents.safe_text import storable

# The newer name counts hidden reasoning too and is all that OpenAI's reasoning models know; other servers know
# only the older one.
CapName = Literal["max_completion_tokens", "max_tokens"]


def request_body(request: ChatRequest, *, cap_name: CapName) -> dict[str, object]:
    """Return the request's JSON object. `store` is left out: nothing is kept that was not asked for."""
    body: dict[str, object] = {
        "model": request.model,
        "messages": [_message(message) for message in request.messages],
        cap_name: request.max_output_tokens,
    }
    if request.tools:
        body["tools"] = [_tool(tool) for tool in request.tools]
    return body


def read_reply(document: object, *, asked_model: str) -> ChatReply:
    """Return what the server answered. Raises ModelUnavailableError if it cannot be read."""
    answered = _mapping(document)
    choices = _sequence(answered.get("choices"))
    choice = _mapping(choices[0]) if choices else {}
    message = choice.get("message")
    if not isinstance(message, Mapping):
        raise ModelUnavailableError("unreadable answer")
    model = answered.get("model")
    return ChatReply(
        text=_text(message.get("content")) or _text(message.get("refusal")),
        tool_calls=tuple(
            _tool_call(_mapping(call), position) for position, call in enumerate(_sequence(message.get("tool_calls")))
        ),
        model=model if isinstance(model, str) and model else asked_model,
        cut_off=choice.get("finish_reason") == "length",
        usage=_usage(answered.get("usage")),
    )


def _message(message: ChatMessage) -> dict[str, object]:
    if message.role == "tool":
        return {"role": "tool", "tool_call_id": message.tool_call_id, "content": message.text}
    if message.tool_calls:
        calls = [
            {"id": call.call_id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
            for call in message.tool_calls
        ]
        return {"role": message.role, "content": message.text or None, "tool_calls": calls}
    if message.images:
        text = [{"type": "text", "text": message.text}] if message.text else []
        return {"role": message.role, "content": [*text, *map(_image, message.images)]}
    return {"role": message.role, "content": message.text}


def _image(image: Image) -> dict[str, object]:
    content = base64.b64encode(image.content).decode()
    return {"type": "image_url", "image_url": {"url": f"data:{image.mime_type};base64,{content}"}}


def _tool(tool: ToolDefinition) -> dict[str, object]:
    function = {"name": tool.name, "description": tool.description, "parameters": dict(tool.parameters)}
    return {"type": "function", "function": function}


def _tool_call(call: Mapping[str, object], position: int) -> ToolCall:
    function = _mapping(call.get("function"))
    call_id, arguments = call.get("id"), function.get("arguments")
    return ToolCall(
        call_id=call_id if isinstance(call_id, str) and call_id else f"call_{position}",
        name=str(function.get("name") or ""),
        arguments=arguments if isinstance(arguments, str) else json.dumps(arguments),
    )


def _text(content: object) -> str:
    """Return a text that came whole or in parts; parts of other types, such as thoughts, are left out."""
    if isinstance(content, str):
        return content
    parts = [_mapping(part).get("text") for part in _sequence(content)]
    return "".join(part for part in parts if isinstance(part, str))


def _usage(value: object) -> Mapping[str, object]:
    """Return the provider's count as it came, nothing if it cannot be stored."""
    try:
        return _mapping(storable(value))
    except ValueError:
        return {}


def _mapping(value: object) -> Mapping[str, object]:
    return value if isinstance(value, Mapping) else {}


def _sequence(value: object) -> Sequence[object]:
    return value if isinstance(value, list) else ()
