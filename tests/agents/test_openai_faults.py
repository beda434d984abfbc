"""A model server that refuses, fails, hangs or talks nonsense, and what we call that."""

import pytest

from agents.errors import ModelError, ModelRefusedError, ModelUnavailableError
from agents.openai_model import OpenAIModel
from tests.agents.fake_openai import (
    PATIENT_S,
    QUESTION,
    FakeOpenAI,
    Respond,
    asked,
    break_off,
    dribble,
    drop,
    failing,
    fake_openai,
    hanging,
    question,
    saying,
    sending,
)

SHORT_S = 0.05


async def error_of(*script: Respond, timeout_s: float = PATIENT_S) -> ModelError:
    async with asked(*script) as (model, server):
        with pytest.raises(ModelError) as caught:
            await model.complete(question(), timeout_s=timeout_s)
        assert len(server.seen) == 1  # the SDK does not try again of its own accord
        return caught.value


@pytest.mark.parametrize("status", [408, 409, 429, 500, 502, 503, 529])
async def test_a_server_that_is_unwell_is_unavailable(status: int) -> None:
    error = await error_of(failing(status))
    assert isinstance(error, ModelUnavailableError)
    assert error.reason == f"HTTP {status}"


@pytest.mark.parametrize("status", [400, 401, 403, 404, 413, 422])
async def test_a_request_or_a_key_that_is_wrong_is_refused(status: int) -> None:
    error = await error_of(failing(status))
    assert isinstance(error, ModelRefusedError)
    assert error.reason == f"HTTP {status}"


@pytest.mark.parametrize(
    ("header", "seconds"),
    [("3", 3.0), ("0.5", 0.5), ("Wed, 25 Nov 2026 10:00:00 GMT", None), ("-1", None), ("nan", None), ("9e9", None)],
)
async def test_the_pause_that_a_busy_server_asks_for_is_told(header: str, seconds: float | None) -> None:
    error = await error_of(failing(429, headers={"Retry-After": header}))
    assert isinstance(error, ModelUnavailableError)
    assert error.retry_after_s == seconds


async def test_what_the_server_says_is_not_repeated_because_it_may_quote_the_customer() -> None:
    error = await error_of(failing(400, f"invalid: {QUESTION}"))
    assert QUESTION not in f"{error!r} {error.__cause__!r}"
    assert error.__suppress_context__


async def test_a_server_that_never_answers_is_given_up_in_time() -> None:
    servers: list[FakeOpenAI] = []
    async with asked(hanging(lambda: servers[0])) as (model, server):
        servers.append(server)
        with pytest.raises(ModelUnavailableError, match="time-out"):
            await model.complete(question(), timeout_s=SHORT_S)


async def test_an_answer_that_comes_byte_by_byte_is_given_up_in_time_too() -> None:
    error = await error_of(dribble, timeout_s=0.5)
    assert isinstance(error, ModelUnavailableError)
    assert error.reason == "time-out"


@pytest.mark.parametrize("respond", [drop, break_off], ids=["before the answer", "within it"])
async def test_a_connection_that_breaks_is_unavailable(respond: Respond) -> None:
    error = await error_of(respond)
    assert isinstance(error, ModelUnavailableError)
    assert error.reason == "connection failed"


async def test_a_server_that_is_not_there_is_unavailable() -> None:
    async with fake_openai(drop) as server:
        gone = server.url
    model = OpenAIModel("sk-secret", gone)
    with pytest.raises(ModelUnavailableError, match="connection failed"):
        await model.complete(question(), timeout_s=PATIENT_S)
    await model.close()


UNREADABLE: dict[str, Respond] = {
    "half an object": sending(b'{"choices": [{"mess'),
    "nothing": sending(b""),
    "null": sending(b"null"),
    "a list": sending(b"[]"),
    "not text": sending(b"\xff\xfe"),
    "a page": sending(b"<html>sign in</html>", "text/html"),
    "an error called 200": saying({"error": {"message": "overloaded"}}),
    "no choices": saying({"choices": []}),
    "an empty choice": saying({"choices": [None]}),
    "no message": saying({"choices": [{"message": None}]}),
}


@pytest.mark.parametrize("respond", UNREADABLE.values(), ids=UNREADABLE.keys())
async def test_an_answer_that_cannot_be_read_is_an_answer_that_did_not_come(respond: Respond) -> None:
    error = await error_of(respond)
    assert isinstance(error, ModelUnavailableError)
    assert error.reason == "unreadable answer"


async def test_a_server_that_knows_neither_name_is_refused() -> None:
    async with asked(failing(400, "max_completion_tokens"), failing(400, "max_tokens")) as (model, server):
        with pytest.raises(ModelRefusedError):
            await model.complete(question(), timeout_s=PATIENT_S)
        assert len(server.seen) == 2


UNREADABLE_TRANSCRIPTS: dict[str, Respond] = {
    "no text": saying({}),
    "a number": saying({"text": 5}),
    "half an object": sending(b"{"),
    "bare words": sending(b"hi", "text/plain"),
}


@pytest.mark.parametrize("respond", UNREADABLE_TRANSCRIPTS.values(), ids=UNREADABLE_TRANSCRIPTS.keys())
async def test_a_transcript_that_cannot_be_read_did_not_come(respond: Respond) -> None:
    async with asked(respond) as (model, _server):
        with pytest.raises(ModelUnavailableError, match="unreadable answer"):
            await model.transcribe(b"x", mime_type="audio/ogg", language="de", timeout_s=PATIENT_S)


@pytest.mark.parametrize(("status", "error"), [(503, ModelUnavailableError), (400, ModelRefusedError)])
async def test_a_failed_transcription_is_sorted_like_an_answer(status: int, error: type[ModelError]) -> None:
    async with asked(failing(status)) as (model, server):
        with pytest.raises(error):
            await model.transcribe(b"x", mime_type="audio/ogg", language="de", timeout_s=PATIENT_S)
        assert len(server.seen) == 1
