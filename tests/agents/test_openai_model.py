"""Our side of OpenAI's wire format, against a server on 127.0.0.1 that answers well, badly or not at all."""

import asyncio
import subprocess
import sys

import pytest

from agents.model import ChatMessage, ChatModel, ChatReply, Image, Speaker, ToolCall, ToolDefinition, Transcriber
from agents.openai_model import OpenAIModel
from tests.agents.fake_openai import (
    PATIENT_S,
    QUESTION,
    FakeOpenAI,
    Respond,
    asked,
    call,
    completion,
    failing,
    fake_openai,
    hanging,
    question,
    saying,
)


async def reply_to(*script: Respond) -> ChatReply:
    async with asked(*script) as (model, _server):
        return await model.complete(question(), timeout_s=PATIENT_S)


def test_it_is_a_chat_model_a_transcriber_and_a_speaker() -> None:
    model = OpenAIModel("sk-secret", None)
    seams: tuple[ChatModel, Transcriber, Speaker] = (model, model, model)
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


async def test_a_server_that_wants_no_key_is_asked_without_one() -> None:
    async with fake_openai(saying(completion("ok"))) as server:
        model = OpenAIModel("", server.url)
        assert (await model.complete(question(), timeout_s=PATIENT_S)).text == "ok"
        await model.close()
    assert server.seen[0].headers["Authorization"] == "Bearer none"


async def test_warming_up_asks_nothing() -> None:
    async with asked(saying(completion("ok"))) as (model, server):
        await model.warm_up()
        assert server.seen == []
        assert (await model.complete(question(), timeout_s=PATIENT_S)).text == "ok"


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
