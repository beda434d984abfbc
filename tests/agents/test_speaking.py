"""What is spoken beforehand, as the vendor makes it."""

import asyncio

import pytest

from agents.errors import ModelError, ModelRefusedError, ModelUnavailableError
from agents.openai_model import OpenAIModel
from tests.agents.fake_openai import (
    PATIENT_S,
    FakeOpenAI,
    Respond,
    asked,
    break_off,
    drop,
    failing,
    hanging,
    saying,
    sending,
)

NOTICE = "Ihr Guthaben ist aufgebraucht."
SAMPLES = bytes(range(256)) * 8


async def speak(model: OpenAIModel, *, timeout_s: float = PATIENT_S) -> bytes:
    return await model.speak(NOTICE, voice="marin", language="de-DE", timeout_s=timeout_s)


async def test_a_text_comes_back_as_raw_samples() -> None:
    async with asked(sending(SAMPLES, "audio/pcm")) as (model, server):
        assert await speak(model) == SAMPLES
    (seen,) = server.seen
    assert seen.path == "/v1/audio/speech"
    assert seen.headers["Authorization"] == "Bearer sk-secret"
    assert seen.body == {
        "input": NOTICE,
        "model": "gpt-4o-mini-tts",
        "voice": "marin",
        "instructions": "Language: de-DE",
        "response_format": "pcm",
    }


async def test_the_operator_chooses_the_model_that_speaks() -> None:
    async with asked(sending(SAMPLES, "application/octet-stream")) as (_model, server):
        model = OpenAIModel("sk-secret", server.url, speech_model="tts-1")
        await speak(model)
        await model.close()
    assert server.seen[0].body["model"] == "tts-1"


@pytest.mark.parametrize(
    "respond",
    [
        sending(b"", "audio/pcm"),
        sending(SAMPLES[:-1], "audio/pcm"),
        saying({"audio": "somewhere"}),
        sending(b"<html>Hello</html>", "text/html"),
    ],
    ids=["nothing", "half a sample", "an object", "a page"],
)
async def test_what_is_no_speech_did_not_come(respond: Respond) -> None:
    async with asked(respond) as (model, _server):
        with pytest.raises(ModelUnavailableError, match="unreadable answer"):
            await speak(model)


@pytest.mark.parametrize(
    ("respond", "error"),
    [
        (failing(503), ModelUnavailableError),
        (failing(429), ModelUnavailableError),
        (failing(400, NOTICE), ModelRefusedError),
        (failing(401), ModelRefusedError),
        (drop, ModelUnavailableError),
        (break_off, ModelUnavailableError),
    ],
    ids=["unwell", "busy", "wrong request", "wrong key", "hung up", "broken off"],
)
async def test_a_server_that_fails_is_sorted_like_an_answer_and_not_asked_again(
    respond: Respond, error: type[ModelError]
) -> None:
    async with asked(respond) as (model, server):
        with pytest.raises(error) as caught:
            await speak(model)
        assert len(server.seen) == 1
    assert NOTICE not in str(caught.value)


async def test_a_server_that_hangs_is_given_up() -> None:
    servers: list[FakeOpenAI] = []
    async with asked(hanging(lambda: servers[0])) as (model, server):
        servers.append(server)
        speaking = asyncio.create_task(speak(model, timeout_s=0.2))
        await server.arrived.wait()
        with pytest.raises(ModelUnavailableError, match="time-out"):
            await speaking
