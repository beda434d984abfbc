"""A server on 127.0.0.1 that speaks OpenAI's wire format and answers as a test tells it."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field

from aiohttp import web

from agents.model import ChatMessage, ChatRequest, ToolDefinition
from agents.openai_model import OpenAIModel

Respond = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass
class Seen:
    """A request as the server got it; `body` is JSON, `fields` a form's texts and files (name, type, content)."""

    path: str
    headers: Mapping[str, str]
    body: dict[str, object] = field(default_factory=dict)
    fields: dict[str, object] = field(default_factory=dict)


@dataclass
class FakeOpenAI:
    """Answers requests in the order of `script`; the last one answers all that follow."""

    script: list[Respond] = field(default_factory=list)
    seen: list[Seen] = field(default_factory=list)
    url: str = ""
    arrived: asyncio.Event = field(default_factory=asyncio.Event)
    closing: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def bodies(self) -> list[dict[str, object]]:
        return [seen.body for seen in self.seen]

    async def respond(self, request: web.Request) -> web.StreamResponse:
        seen = Seen(request.path, request.headers)
        if request.content_type == "application/json":
            seen.body = json.loads(await request.read())
        else:
            for name, value in (await request.post()).items():
                seen.fields[name] = value
                if isinstance(value, web.FileField):
                    seen.fields[name] = (value.filename, value.content_type, value.file.read())
        self.seen.append(seen)
        self.arrived.set()
        respond = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        return await respond(request)


@contextlib.asynccontextmanager
async def fake_openai(*script: Respond) -> AsyncIterator[FakeOpenAI]:
    server = FakeOpenAI(list(script))
    app = web.Application(client_max_size=64 * 1024 * 1024)
    app.router.add_post("/v1/chat/completions", server.respond)
    app.router.add_post("/v1/audio/transcriptions", server.respond)
    app.router.add_post("/v1/audio/speech", server.respond)
    runner = web.AppRunner(app, shutdown_timeout=1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    server.url = f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
    try:
        yield server
    finally:
        server.closing.set()
        await runner.cleanup()


def completion(
    content: object = None,
    *,
    calls: Sequence[Mapping[str, object]] = (),
    finish_reason: str = "stop",
    model: str = "gpt-4o-mini-2024-07-18",
    **message: object,
) -> dict[str, object]:
    """Return a chat completion's JSON."""
    message = {"role": "assistant", "content": content, **message}
    if calls:
        message["tool_calls"] = list(calls)
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1790000000,
        "model": model,
        "choices": [{"index": 0, "message": message, "finish_reason": finish_reason}],
        "usage": {"prompt_tokens": 7, "completion_tokens": 3, "prompt_tokens_details": {"cached_tokens": 4}},
    }


def call(name: str, arguments: object, *, call_id: str = "call_1") -> dict[str, object]:
    """Return a tool call's JSON."""
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}


def saying(document: object, *, status: int = 200, headers: Mapping[str, str] | None = None) -> Respond:
    async def respond(_request: web.Request) -> web.Response:
        return web.json_response(document, status=status, headers=headers)

    return respond


def failing(status: int, message: str = "no", *, headers: Mapping[str, str] | None = None) -> Respond:
    return saying(
        {"error": {"message": message, "type": "x", "param": None, "code": None}}, status=status, headers=headers
    )


def sending(body: bytes, content_type: str = "application/json") -> Respond:
    """Answer with exactly these bytes."""

    async def respond(_request: web.Request) -> web.Response:
        return web.Response(body=body, content_type=content_type)

    return respond


def hanging(server: Callable[[], FakeOpenAI]) -> Respond:
    """Never answer, until the server closes."""

    async def respond(_request: web.Request) -> web.Response:
        await server().closing.wait()
        return web.Response()

    return respond


async def dribble(request: web.Request) -> web.StreamResponse:
    """Send a byte now and then and never finish: no single read is slow."""
    response = web.StreamResponse(headers={"Content-Type": "application/json"})
    await response.prepare(request)
    with contextlib.suppress(ConnectionError):
        while True:
            await response.write(b" ")
            await asyncio.sleep(0.005)
    return response


async def drop(request: web.Request) -> web.StreamResponse:
    """Close the connection without an answer."""
    assert request.transport is not None
    request.transport.close()
    return web.Response()


async def break_off(request: web.Request) -> web.StreamResponse:
    """Promise a hundred bytes, send ten and close the connection."""
    response = web.StreamResponse(headers={"Content-Type": "application/json", "Content-Length": "100"})
    await response.prepare(request)
    await response.write(b'{"choices"')
    assert request.transport is not None
    request.transport.close()
    return response


PATIENT_S = 60.0


QUESTION = "Was kostet ein Haarschnitt für Erika?"


def question(*messages: ChatMessage, tools: tuple[ToolDefinition, ...] = (), model: str = "standard") -> ChatRequest:
    return ChatRequest(
        model=model,
        messages=messages or (ChatMessage(role="user", text=QUESTION),),
        tools=tools,
        max_output_tokens=800,
    )


@contextlib.asynccontextmanager
async def asked(*script: Respond) -> AsyncIterator[tuple[OpenAIModel, FakeOpenAI]]:
    async with fake_openai(*script) as server:
        model = OpenAIModel("sk-secret", server.url)
        try:
            yield model, server
        finally:
            await model.close()
