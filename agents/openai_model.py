"""The one place that speaks to OpenAI, or to any server compatible with it.

Requests go through the SDK's generic `post`: its typed methods spend five times the CPU on checking and
copying what `agents.chat_wire` reads anyway (3.9 ms against 0.8 ms a call, measured with twenty messages).
"""

import asyncio
import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

from agents.chat_wire import CapName, read_reply, request_body
from agents.errors import ModelError, ModelRefusedError, ModelUnavailableError
from agents.model import ChatReply, ChatRequest
from agents.safe_text import safe_text

if TYPE_CHECKING:
    from openai import AsyncOpenAI

OPENAI_URL = "https://api.openai.com/v1"
_TRY_LATER = frozenset({408, 409, 425, 429})
_NO_SOUND = ("application/json", "text/")
_EXTENSIONS = {
    "audio/aac": "aac",
    "audio/amr": "amr",
    "audio/flac": "flac",
    "audio/mp4": "m4a",
    "audio/mpeg": "mp3",
    "audio/wav": "wav",
    "audio/webm": "webm",
    "audio/x-wav": "wav",
}


class OpenAIModel:
    """A `ChatModel`, a `Transcriber` and a `Speaker`: one request per call, no retries, one client for all calls.

    The SDK is imported with the first call or `warm_up`, in a thread, for it takes most of a second. Errors carry
    the HTTP status and nothing of what the server said: it may quote the customer. Servers of one's own often
    want no key: "" is none.
    """

    def __init__(
        self,
        api_key: str,
        base_url: str | None,
        transcription_model: str = "gpt-4o-mini-transcribe",
        speech_model: str = "gpt-4o-mini-tts",
    ) -> None:
        self._api_key = api_key
        self._base_url = base_url or OPENAI_URL
        self._transcription_model = transcription_model
        self._speech_model = speech_model
        self._client: AsyncOpenAI | None = None
        self._making = asyncio.Lock()
        self._older_cap: set[str] = set()  # models whose server knows `max_tokens` only

    async def complete(self, request: ChatRequest, *, timeout_s: float) -> ChatReply:
        """Ask once; once more only if the server says that it does not know `max_completion_tokens`."""
        client = await self._open()
        with _sorted_errors():
            async with asyncio.timeout(timeout_s):  # the SDK's own limit is per read, not for the whole
                document = await self._post(client, request, timeout_s=timeout_s)
        return read_reply(document, asked_model=request.model)

    async def transcribe(self, content: bytes, *, mime_type: str, language: str, timeout_s: float) -> str:
        """Return what is said in a voice note; "" if nothing is."""
        client = await self._open()
        kind = mime_type.partition(";")[0].strip().lower()
        with _sorted_errors():
            async with asyncio.timeout(timeout_s):
                heard = await client.audio.transcriptions.create(
                    file=(f"voice.{_EXTENSIONS.get(kind, 'ogg')}", content, kind),
                    model=self._transcription_model,
                    language=language.partition("-")[0].lower(),
                    response_format="json",
                    timeout=timeout_s,
                )
        text: object = getattr(heard, "text", None)  # the SDK does not check what the server sent
        if not isinstance(text, str):
            raise ModelUnavailableError("unreadable answer")
        return safe_text(text).strip()

    async def speak(self, text: str, *, voice: str, language: str, timeout_s: float) -> bytes:
        """Return the text as speech: raw samples, which the vendor makes at 24 kHz."""
        client = await self._open()
        with _sorted_errors():
            async with asyncio.timeout(timeout_s):
                made = await client.audio.speech.create(
                    input=text,
                    model=self._speech_model,
                    voice=voice,
                    instructions=f"Language: {language}",
                    response_format="pcm",
                    timeout=timeout_s,
                )
        samples = made.content
        if not samples or len(samples) % 2 or made.response.headers.get("content-type", "").startswith(_NO_SOUND):
            raise ModelUnavailableError("unreadable answer")
        return samples

    async def warm_up(self) -> None:
        """Import the SDK before the first customer waits for it."""
        await self._open()

    async def close(self) -> None:
        """Close the connections; the next call opens new ones."""
        client, self._client = self._client, None
        if client is not None:
            await client.close()

    async def _post(self, client: "AsyncOpenAI", request: ChatRequest, *, timeout_s: float) -> object:
        from openai import BadRequestError, UnprocessableEntityError  # noqa: PLC0415 - most of a second

        cap_name: CapName = "max_tokens" if request.model in self._older_cap else "max_completion_tokens"
        try:
            return await _post(client, request_body(request, cap_name=cap_name), timeout_s=timeout_s)
        except (BadRequestError, UnprocessableEntityError) as error:
            if cap_name == "max_tokens" or cap_name not in error.response.text:
                raise
        self._older_cap.add(request.model)
        return await _post(client, request_body(request, cap_name="max_tokens"), timeout_s=timeout_s)

    async def _open(self) -> "AsyncOpenAI":
        async with self._making:
            if self._client is None:
                self._client = await asyncio.to_thread(_make_client, self._api_key, self._base_url)
            return self._client


def _make_client(api_key: str, base_url: str) -> "AsyncOpenAI":
    from openai import AsyncOpenAI, DefaultAioHttpClient  # noqa: PLC0415 - most of a second

    # aiohttp underneath takes half the CPU of the SDK's own transport.
    return AsyncOpenAI(
        api_key=api_key or "none",  # the SDK insists on one
        base_url=base_url,
        max_retries=0,
        http_client=DefaultAioHttpClient(),
    )


async def _post(client: "AsyncOpenAI", body: dict[str, object], *, timeout_s: float) -> object:
    return await client.post("/chat/completions", cast_to=object, body=body, options={"timeout": timeout_s})


@contextlib.contextmanager
def _sorted_errors() -> Iterator[None]:
    """Raise what went wrong as one of ours. The SDK's errors are not chained: their texts may quote the customer."""
    from httpx2 import ConnectTimeout  # noqa: PLC0415 - see below
    from openai import APIConnectionError, APIStatusError, APITimeoutError  # noqa: PLC0415 - most of a second

    try:
        yield
    except (TimeoutError, APITimeoutError) as error:
        # What aiohttp calls a failed connection, the SDK's transport calls a connection that took too long.
        failed = isinstance(error.__cause__, ConnectTimeout)
        raise ModelUnavailableError("connection failed" if failed else "time-out") from None
    except APIConnectionError:
        raise ModelUnavailableError("connection failed") from None
    except APIStatusError as error:
        raise _by_status(error.status_code, error.response.headers.get("retry-after")) from None
    except ValueError:  # what came is not JSON
        raise ModelUnavailableError("unreadable answer") from None


def _by_status(status: int, retry_after: str | None) -> ModelError:
    reason = f"HTTP {status}"
    if status in _TRY_LATER or status >= 500:
        return ModelUnavailableError(reason, retry_after_s=_seconds(retry_after))
    return ModelRefusedError(reason)


def _seconds(retry_after: str | None) -> float | None:
    """Return a pause in seconds; None for none, for a date and for nonsense."""
    try:
        seconds = float(retry_after or "")
    except ValueError:
        return None
    return seconds if 0 <= seconds < 3600 else None
