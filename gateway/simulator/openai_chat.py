"""A model server that runs here: Chat Completions, transcriptions and speech as OpenAI's wire format has them.

What it says comes from a brain: a function of the request. The demo's is a set of rules, a test's is a script.
"""

import asyncio
import contextlib
import itertools
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field

import orjson
from aiohttp import web

from gateway.simulator.faults import ModelFaults
from gateway.simulator.speech import faster, spoken_samples

Request = Mapping[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A tool call that the model asks for."""

    name: str
    arguments: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What the model answers to one request."""

    text: str = ""
    calls: Sequence[Call] = ()
    cut_off: bool = False


Brain = Callable[[Request], Said | Awaitable[Said]]
Ear = Callable[[bytes], str]


class FakeOpenAI:
    """The simulated vendor; `brain`, `ear` and `faults` may be changed at any time."""

    def __init__(self, brain: Brain, *, ear: Ear = lambda _content: "", name: str = "simulated") -> None:
        self.brain = brain
        self.ear = ear
        self.name = name
        self.faults = ModelFaults()
        self.requests: list[Request] = []
        self.transcribed = 0
        self.spoken: list[str] = []
        self._ids = itertools.count(1)

    @contextlib.asynccontextmanager
    async def running(self, host: str = "127.0.0.1", port: int = 0) -> AsyncIterator[str]:
        """Serve; yields what OPENAI_BASE_URL is set to."""
        app = web.Application(client_max_size=64 * 1024 * 1024)
        app.router.add_post("/v1/chat/completions", self._complete)
        app.router.add_post("/v1/audio/transcriptions", self._transcribe)
        app.router.add_post("/v1/audio/speech", self._speak)
        app.router.add_get("/v1/models", self._models)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        site = web.TCPSite(runner, host, port)
        await site.start()
        try:
            yield f"http://{host}:{runner.addresses[0][1]}/v1"
        finally:
            await runner.cleanup()

    async def _complete(self, request: web.Request) -> web.StreamResponse:
        body = orjson.loads(await request.read())
        self.requests.append(body)
        await asyncio.sleep(self.faults.delay_s)
        fault = self._fault(request, str(body.get("model")))
        if fault is not None:
            return fault
        said = self.brain(body)
        if not isinstance(said, Said):
            said = await said
        return web.json_response(self._completion(body, said))

    def _fault(self, request: web.Request, model: str) -> web.StreamResponse | None:
        faults = self.faults
        if faults.down or model in faults.models_down:
            return _error(503, "The server is overloaded")
        answers: Sequence[tuple[str, Callable[[], web.StreamResponse]]] = (
            ("throttled", lambda: _error(429, "Rate limit reached")),
            ("unwell", lambda: _error(500, "The server had an error")),
            ("dropped", lambda: _hang_up(request)),
            ("empty", lambda: web.json_response(self._completion({}, Said()))),
            ("malformed", lambda: web.Response(text='{"choices": [', content_type="application/json")),
        )
        for name, answer in answers:
            left: int = getattr(faults, name)
            if left > 0:
                setattr(faults, name, left - 1)
                return answer()
        return None

    def _completion(self, body: Request, said: Said) -> Mapping[str, object]:
        calls = [
            {
                "id": f"call_{next(self._ids):06d}",
                "type": "function",
                "function": {"name": call.name, "arguments": orjson.dumps(dict(call.arguments)).decode()},
            }
            for call in said.calls
        ]
        asked = sum(len(orjson.dumps(message)) for message in _list(body.get("messages"))) // 4
        answered = max(1, len(said.text) // 4)
        reason = "tool_calls" if calls else "length" if said.cut_off else "stop"
        message = {"role": "assistant", "content": said.text or None, **({"tool_calls": calls} if calls else {})}
        return {
            "id": f"chatcmpl-{next(self._ids):08d}",
            "object": "chat.completion",
            "created": int(time.time()),
            "model": str(body.get("model") or self.name),
            "choices": [{"index": 0, "message": message, "finish_reason": reason}],
            "usage": {"prompt_tokens": asked, "completion_tokens": answered, "total_tokens": asked + answered},
        }

    async def _transcribe(self, request: web.Request) -> web.Response:
        form = await request.post()
        upload = form.get("file")
        if self.faults.down:
            return _error(503, "The server is overloaded")
        self.transcribed += 1
        content = upload.file.read() if isinstance(upload, web.FileField) else b""
        return web.json_response({"text": self.ear(content)})

    async def _speak(self, request: web.Request) -> web.Response:
        """Answer with samples at 24 kHz, whatever voice is asked for: there is one for each language."""
        body = orjson.loads(await request.read())
        await asyncio.sleep(self.faults.delay_s)
        if self.faults.down:
            return _error(503, "The server is overloaded")
        if body.get("response_format") != "pcm" or not isinstance(body.get("input"), str) or not body.get("voice"):
            return _error(400, "Only raw samples of a text are made here")
        self.spoken.append(body["input"])
        language = str(body.get("instructions") or "").removeprefix("Language: ")
        samples = await asyncio.to_thread(spoken_samples, body["input"], language)
        return web.Response(body=faster(samples), content_type="application/octet-stream")

    async def _models(self, _request: web.Request) -> web.Response:
        return web.json_response({"object": "list", "data": [{"id": self.name, "object": "model"}]})


def last_customer_text(request: Request) -> str:
    """Return what the customer wrote last, for scripts (pure)."""
    users = [message for message in _list(request.get("messages")) if message.get("role") == "user"]
    content = users[-1].get("content") if users else ""
    if isinstance(content, list):
        return " ".join(str(part.get("text", "")) for part in content if isinstance(part, Mapping))
    return str(content)


def _list(value: object) -> list[Mapping[str, object]]:
    return [item for item in value if isinstance(item, Mapping)] if isinstance(value, list) else []


def _hang_up(request: web.Request) -> web.Response:
    if request.transport is not None:
        request.transport.abort()
    return web.Response(status=500)


def _error(status: int, words: str) -> web.Response:
    return web.json_response({"error": {"message": words, "type": "simulated", "code": None}}, status=status)
