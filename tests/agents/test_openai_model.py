"""Our side of OpenAI's wire format, against a server on 127.0.0.1 that answers well, badly or not at all."""

import asyncio
import contextlib
import subprocess
import sys
from collections.abc import AsyncIterator

import pytest

from agents.errors import ModelError, ModelRefusedError, ModelUnavailableError
from agents.model import ChatMessage, ChatModel, ChatReply, ChatRequest, Image, ToolCall, ToolDefinition, Transcriber
from agents.openai_model import OpenAIModel
from tests.agents.fake_openai import (
    FakeOpenAI,
    Respond,
    break_off,
    call,
    completion,
    dribble,
    drop,
    failing,
    fake_openai,
    hanging,
    saying,
    sending,
)

PATIENT_S = 60.0
SHORT_S = 0.05
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


async def reply_to(*script: Respond) -> ChatReply:
    async with asked(*script) as (model, _server):
        return await model.complete(question(), timeout_s=PATIENT_S)


async def error_of(*script: Respond, timeout_s: float = PATIENT_S) -> ModelError:
    async with asked(*script) as (model, server):
        with pytest.raises(ModelError) as caught:
            await model.complete(question(), timeout_s=timeout_s)
        assert len(server.seen) == 1  # the SDK does not try again of its own accord
        return caught.value


def test_it_is_both_a_chat_model_and_a_transcriber() -> None:
    model = OpenAIModel("sk-secret", None)
    seams: tuple[ChatModel, Transcriber] = (model, model)
    assert "sk-secret" not in repr(seams)


def test_the_sdk_is_not_loaded_before_it_is_used() -> None:
    code = "import sys, agents.openai_model as m; m.OpenAIModel('k', None); print('openai' in sys.modules)"
    shown = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert shown.stdout.strip() == "False"


async def test_an_answer_comes_with_its_text_model_and_the_providers_own_count() -> None:
    reply = await reply_to(saying(completion("42 Euro.")))
    assert reply == ChatReply(
        text="42 Euro.",
        tool_calls=(),
        model="gpt-4o-mini-2024-07-18",
        cut_off=False,
        usage={"prompt_tokens": 7, "completion_tokens": 3, "prompt_tokens_details": {"cached_tokens": 4}},
    )


async def test_the_request_carries_the_key_the_model_the_cap_and_nothing_that_is_not_needed() -> None:
    async with asked(saying(completion("ok"))) as (model, server):
        await model.complete(question(), timeout_s=PATIENT_S)
    assert server.seen[0].path == "/v1/chat/completions"
    assert server.seen[0].headers["Authorization"] == "Bearer sk-secret"
    assert server.bodies == [
        {
            "model": "standard",
            "messages": [{"role": "user", "content": QUESTION}],
            "max_completion_tokens": 800,
        }
    ]


async def test_one_connection_serves_one_call_after_another() -> None:
    async with asked(saying(completion("ok"))) as (model, server):
        for _ in range(3):
            await model.complete(question(), timeout_s=PATIENT_S)
        assert len(server.seen) == 3


async def test_two_first_calls_at_once_share_one_client() -> None:
    async with asked(saying(completion("ok"))) as (model, _server):
        replies = await asyncio.gather(*(model.complete(question(), timeout_s=PATIENT_S) for _ in range(5)))
    assert [reply.text for reply in replies] == ["ok"] * 5


async def test_a_closed_model_opens_again() -> None:
    async with asked(saying(completion("ok"))) as (model, _server):
        await model.complete(question(), timeout_s=PATIENT_S)
        await model.close()
        await model.close()
        assert (await model.complete(question(), timeout_s=PATIENT_S)).text == "ok"


async def test_tools_and_their_calls_go_both_ways() -> None:
    tool = ToolDefinition(name="find_free", description="Free times", parameters={"type": "object"})
    messages = (
        ChatMessage(role="user", text="Samstag?"),
        ChatMessage(
            role="assistant", text="", tool_calls=(ToolCall(call_id="c1", name="find_free", arguments='{"day":"6"}'),)
        ),
        ChatMessage(role="tool", text="10:00", tool_call_id="c1"),
    )
    answer = completion(None, calls=[call("book", '{"at":"10:00"}', call_id="c2")], finish_reason="tool_calls")
    async with asked(saying(answer)) as (model, server):
        reply = await model.complete(question(*messages, tools=(tool,)), timeout_s=PATIENT_S)
    assert reply.tool_calls == (ToolCall(call_id="c2", name="book", arguments='{"at":"10:00"}'),)
    assert reply.text == ""
    body = server.bodies[0]
    assert body["tools"] == [
        {
            "type": "function",
            "function": {"name": "find_free", "description": "Free times", "parameters": {"type": "object"}},
        }
    ]
    assert body["messages"] == [
        {"role": "user", "content": "Samstag?"},
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [
                {"id": "c1", "type": "function", "function": {"name": "find_free", "arguments": '{"day":"6"}'}}
            ],
        },
        {"role": "tool", "tool_call_id": "c1", "content": "10:00"},
    ]


async def test_images_are_sent_as_data_urls_beside_their_caption() -> None:
    image = Image(mime_type="image/png", content=b"\x89PNG")
    messages = (
        ChatMessage(role="user", text="So?", images=(image,)),
        ChatMessage(role="user", text="", images=(image,)),
    )
    async with asked(saying(completion("ja"))) as (model, server):
        await model.complete(question(*messages), timeout_s=PATIENT_S)
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw=="}}
    assert server.bodies[0]["messages"] == [
        {"role": "user", "content": [{"type": "text", "text": "So?"}, picture]},
        {"role": "user", "content": [picture]},
    ]


@pytest.mark.parametrize("text", ["<|endoftext|>", "😀" * 4096, "\u202eabc\u200f", '"\\ \n\t\x7f'])
async def test_whatever_a_customer_types_arrives_as_it_is(text: str) -> None:
    async with asked(saying(completion(text))) as (model, server):
        reply = await model.complete(question(ChatMessage(role="user", text=text)), timeout_s=PATIENT_S)
    assert server.bodies[0]["messages"] == [{"role": "user", "content": text}]
    assert reply.text == text


async def test_an_answer_that_ran_into_the_cap_says_so() -> None:
    reply = await reply_to(saying(completion("Das ist eine lan", finish_reason="length")))
    assert reply.cut_off
    assert reply.text == "Das ist eine lan"


async def test_a_refusal_is_the_answer() -> None:
    reply = await reply_to(saying(completion(None, refusal="Dabei kann ich nicht helfen.")))
    assert reply.text == "Dabei kann ich nicht helfen."


@pytest.mark.parametrize("content", [None, "", []])
async def test_an_empty_answer_is_an_answer_without_text(content: object) -> None:
    reply = await reply_to(saying(completion(content)))
    assert (reply.text, reply.tool_calls) == ("", ())


async def test_content_in_parts_is_joined_and_thoughts_are_left_out() -> None:
    parts = [
        {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]},
        {"type": "text", "text": "Ja, "},
        {"type": "text", "text": "gern."},
    ]
    assert (await reply_to(saying(completion(parts)))).text == "Ja, gern."


async def test_what_compatible_servers_leave_out_is_filled_in() -> None:
    calls = [{"function": {"name": "book", "arguments": {"at": "10:00"}}}, {"id": "", "function": None}]
    document = {"choices": [{"message": {"content": None, "tool_calls": calls}}]}
    reply = await reply_to(saying(document))
    assert reply.tool_calls == (
        ToolCall(call_id="call_0", name="book", arguments='{"at": "10:00"}'),
        ToolCall(call_id="call_1", name="", arguments="null"),
    )
    assert (reply.model, reply.cut_off, reply.usage) == ("standard", False, {})


@pytest.mark.parametrize("usage", [None, "many", {"prompt_tokens": 10**30}, [1]])
async def test_a_count_that_cannot_be_kept_costs_no_answer(usage: object) -> None:
    reply = await reply_to(saying({**completion("ok"), "usage": usage}))
    assert (reply.text, reply.usage) == ("ok", {})


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


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (400, "Unsupported parameter: 'max_completion_tokens'"),
        (422, "[{'type': 'extra_forbidden', 'loc': ('body', 'max_completion_tokens')}]"),
    ],
)
async def test_a_server_that_knows_only_max_tokens_is_asked_again_and_remembered(status: int, message: str) -> None:
    script = [failing(status, message), saying(completion("ok")), saying(completion("ok"))]
    async with asked(*script) as (model, server):
        assert (await model.complete(question(), timeout_s=PATIENT_S)).text == "ok"
        await model.complete(question(), timeout_s=PATIENT_S)
        await model.complete(question(model="other"), timeout_s=PATIENT_S)
    caps = [{name: body[name] for name in body if name.startswith("max_")} for body in server.bodies]
    assert caps == [
        {"max_completion_tokens": 800},
        {"max_tokens": 800},
        {"max_tokens": 800},
        {"max_completion_tokens": 800},
    ]


async def test_a_server_that_knows_neither_name_is_refused() -> None:
    async with asked(failing(400, "max_completion_tokens"), failing(400, "max_tokens")) as (model, server):
        with pytest.raises(ModelRefusedError):
            await model.complete(question(), timeout_s=PATIENT_S)
        assert len(server.seen) == 2


async def test_a_cancelled_call_ends_and_leaves_the_model_usable() -> None:
    servers: list[FakeOpenAI] = []
    async with asked(hanging(lambda: servers[0]), saying(completion("ok"))) as (model, server):
        servers.append(server)
        task = asyncio.create_task(model.complete(question(), timeout_s=PATIENT_S))
        await server.arrived.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert (await model.complete(question(), timeout_s=PATIENT_S)).text == "ok"


async def test_a_voice_note_is_sent_as_a_file_with_its_language() -> None:
    async with asked(saying({"text": " Guten Tag\x00 "})) as (model, server):
        text = await model.transcribe(
            b"OggS", mime_type="audio/ogg; codecs=opus", language="de-AT", timeout_s=PATIENT_S
        )
    assert text == "Guten Tag\ufffd"
    seen = server.seen[0]
    assert seen.path == "/v1/audio/transcriptions"
    assert seen.fields["model"] == "gpt-4o-mini-transcribe"
    assert seen.fields["language"] == "de"
    assert seen.fields["file"] == ("voice.ogg", "audio/ogg", b"OggS")


async def test_the_files_name_tells_its_format() -> None:
    async with asked(saying({"text": ""})) as (model, server):
        assert await model.transcribe(b"x", mime_type="audio/mpeg", language="en", timeout_s=PATIENT_S) == ""
        await model.transcribe(b"x", mime_type="audio/x-unheard-of", language="en", timeout_s=PATIENT_S)
    assert [seen.fields["file"] for seen in server.seen] == [
        ("voice.mp3", "audio/mpeg", b"x"),
        ("voice.ogg", "audio/x-unheard-of", b"x"),
    ]


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
