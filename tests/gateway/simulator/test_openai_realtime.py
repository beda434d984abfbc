"""The simulated Realtime server as any client sees it: messages on a socket."""

import asyncio
import base64
import contextlib
from collections.abc import AsyncIterator, Mapping

import aiohttp
import pytest
from aiohttp import ClientSession, ClientWebSocketResponse, WSMsgType

from gateway.simulator.openai_realtime import FakeRealtime
from gateway.simulator.realtime_mind import Asked, MindEvent, Script, SessionView, Spoken, Thinking, UseTool, Utter
from gateway.simulator.speech import spoken

PATIENT_S = 30
SESSION: Mapping[str, object] = {
    "type": "realtime",
    "instructions": "Du bist Lina.",
    "audio": {
        "input": {"format": {"type": "audio/pcmu"}, "transcription": {"model": "x", "language": "de"}},
        "output": {"format": {"type": "audio/pcmu"}, "voice": "marin"},
    },
}
SPEECH = spoken("Haben Sie morgen noch etwas frei?", "de")
SILENCE = bytes([0xFF]) * 8 * 700


class Client:
    """A client that keeps what it is told."""

    def __init__(self, socket: ClientWebSocketResponse) -> None:
        self.socket = socket
        self.told: list[dict[str, object]] = []

    async def say(self, kind: str, **fields: object) -> None:
        await self.socket.send_json({"type": kind, **fields})

    async def speak(self, audio: bytes) -> None:
        await self.say("input_audio_buffer.append", audio=base64.b64encode(audio).decode())

    async def until(self, kind: str) -> dict[str, object]:
        """Read on until a message of this kind comes."""
        async with asyncio.timeout(PATIENT_S):
            while True:
                message = await self.socket.receive()
                assert message.type is WSMsgType.TEXT, message
                document: dict[str, object] = message.json()
                self.told.append(document)
                if document["type"] == kind:
                    return document

    def kinds(self) -> list[str]:
        """Return the kinds of what was told, in the order in which they came first."""
        return list(dict.fromkeys(str(message["type"]) for message in self.told))


@contextlib.asynccontextmanager
async def client(fake: FakeRealtime, *, session: Mapping[str, object] | None = SESSION) -> AsyncIterator[Client]:
    async with (
        fake.running() as url,
        ClientSession() as http,
        http.ws_connect(f"{url}?model=gpt-realtime", headers={"Authorization": "Bearer sk-1"}) as socket,
    ):
        one = Client(socket)
        await one.until("session.created")
        if session is not None:
            await one.say("session.update", session=session)
            await one.until("session.updated")
        yield one


async def test_an_answer_is_told_in_the_vendors_order() -> None:
    async with client(FakeRealtime(Script("Guten Tag."), speed=50)) as one:
        one.told.clear()
        await one.say("response.create")
        done = await one.until("response.done")
    assert one.kinds() == [
        "response.created",
        "response.output_item.added",
        "conversation.item.added",
        "response.content_part.added",
        "response.output_audio_transcript.delta",
        "response.output_audio.delta",
        "response.output_audio.done",
        "response.output_audio_transcript.done",
        "response.content_part.done",
        "conversation.item.done",
        "response.output_item.done",
        "response.done",
    ]
    response = done["response"]
    assert isinstance(response, dict)
    assert response["status"] == "completed"
    assert [item["status"] for item in response["output"]] == ["completed"]


async def test_a_tool_is_told_in_the_vendors_order() -> None:
    async with client(FakeRealtime(Script(UseTool("find_slots", {"day": "x"})))) as one:
        one.told.clear()
        await one.say("response.create")
        await one.until("response.done")
    assert one.kinds() == [
        "response.created",
        "response.output_item.added",
        "conversation.item.added",
        "response.function_call_arguments.delta",
        "response.function_call_arguments.done",
        "conversation.item.done",
        "response.output_item.done",
        "response.done",
    ]


async def test_an_utterance_is_told_in_the_vendors_order() -> None:
    fake = FakeRealtime(Script())
    async with client(fake) as one:
        one.told.clear()
        fake.caller_says(None, "Ist morgen frei?")
        await one.speak(SPEECH + SILENCE)
        await one.until("response.done")
    kinds = one.kinds()
    assert kinds[:4] == [
        "input_audio_buffer.speech_started",
        "input_audio_buffer.speech_stopped",
        "input_audio_buffer.committed",
        "conversation.item.added",
    ]
    assert set(kinds[4:6]) == {"conversation.item.input_audio_transcription.completed", "response.created"}
    assert len({message["item_id"] for message in one.told if "audio_buffer" in str(message["type"])}) == 1


async def test_words_belong_to_utterances_in_the_order_they_were_given() -> None:
    script = Script()
    fake = FakeRealtime(script)
    async with client(fake) as one:
        fake.caller_says(None, "Eins")
        fake.caller_says(fake.sessions[0], "Zwei")
        for _ in range(3):
            await one.speak(SPEECH + SILENCE)
            await one.until("response.done")
    assert [event for _view, event in script.heard] == [Spoken(text="Eins"), Spoken(text="Zwei"), Spoken(text="")]


async def test_nobody_hears_what_is_said_to_no_session() -> None:
    fake = FakeRealtime(Script())
    assert not fake.caller_says(None, "Hallo?")
    async with client(fake) as one:
        await one.socket.close()
        async with asyncio.timeout(PATIENT_S):
            await fake.abandoned()
        assert not fake.caller_says(fake.sessions[0], "Hallo?")


async def test_an_ear_listens_to_what_was_really_said() -> None:
    heard: list[bytes] = []

    def ear(audio: bytes, language: str) -> str:
        heard.append(audio)
        return f"etwas auf {language}"

    script = Script()
    async with client(FakeRealtime(script, ear=ear)) as one:
        await one.speak(SILENCE + SPEECH + SILENCE)
        transcript = await one.until("conversation.item.input_audio_transcription.completed")
        await one.until("response.done")
    assert transcript["transcript"] == "etwas auf de"
    assert SPEECH[800:8000] in heard[0]
    assert script.heard[0][1] == Spoken(text="etwas auf de")


async def test_a_mind_sees_the_conversation_and_what_it_is_asked() -> None:
    seen: list[tuple[SessionView, MindEvent]] = []

    async def think(view: SessionView, event: MindEvent) -> str:
        seen.append((view, event))
        await asyncio.sleep(0)
        return "Gern."

    session = {**SESSION, "tools": [{"type": "function", "name": "book", "parameters": {}}]}
    async with client(FakeRealtime(Thinking(think), speed=50), session=session) as one:
        await one.say("response.create", response={"instructions": "Du bist Lina.\n\nBegrüße den Anrufer."})
        await one.until("response.done")
    view, event = seen[0]
    assert event == Asked(instructions="Begrüße den Anrufer.")
    assert (view.instructions, view.language) == ("Du bist Lina.", "de")
    assert [tool["name"] for tool in view.tools] == ["book"]


async def test_audio_comes_faster_than_it_is_heard_and_can_be_stopped_on_its_way() -> None:
    fake = FakeRealtime(Script("Einen Augenblick bitte, ich sehe gleich einmal im Kalender nach."), speed=5)
    fake.faults.late_deltas = 1
    async with client(fake) as one:
        await one.say("response.create")
        await one.until("response.output_audio.delta")
        one.told.clear()
        await one.say("response.cancel")
        done = await one.until("response.done")
    assert one.kinds()[-6:-1] == [
        "response.output_audio.done",
        "response.output_audio_transcript.done",
        "response.content_part.done",
        "conversation.item.done",
        "response.output_item.done",
    ]
    assert "response.output_audio.delta" in one.kinds()
    assert done["response"]["status_details"] == {"type": "cancelled", "reason": "client_cancelled"}  # type: ignore[index]
    assert done["response"]["output"][0]["status"] == "incomplete"  # type: ignore[index]
    assert fake.sessions[0].answers[0].audio_ms < 1500


async def test_to_cancel_while_the_mind_still_thinks_ends_the_answer_without_a_word() -> None:
    thinking = asyncio.Event()

    async def think(_view: SessionView, _event: MindEvent) -> str:
        thinking.set()
        await asyncio.sleep(3600)
        return ""

    async with client(FakeRealtime(Thinking(think))) as one:
        await one.say("response.create")
        await asyncio.wait_for(thinking.wait(), PATIENT_S)
        await one.say("response.cancel")
        done = await one.until("response.done")
    assert done["response"]["output"] == []  # type: ignore[index]
    assert done["response"]["status"] == "cancelled"  # type: ignore[index]


@pytest.mark.parametrize(
    ("kind", "fields", "code"),
    [
        ("session.update", {"session": {"type": "realtime", "temperature": 1}}, "unknown_parameter"),
        ("session.update", {}, "missing_required_parameter"),
        ("input_audio_buffer.append", {"audio": "no base64!"}, "invalid_value"),
        ("conversation.item.create", {"item": {"type": "poem"}}, "invalid_value"),
        ("conversation.item.create", {"item": 7}, "invalid_value"),
        (
            "conversation.item.create",
            {"item": {"type": "message", "role": "assistant", "content": [{"type": "input_text", "text": "x"}]}},
            "invalid_value",
        ),
        (
            "conversation.item.create",
            {"item": {"type": "function_call_output", "call_id": "never_asked", "output": "x"}},
            "invalid_value",
        ),
        (
            "conversation.item.truncate",
            {"item_id": "item_x", "content_index": 0, "audio_end_ms": 5},
            "item_truncate_invalid_item_id",
        ),
        ("conversation.item.delete", {"item_id": "item_x"}, "item_delete_invalid_item_id"),
        ("response.cancel", {}, "response_cancel_not_active"),
        ("response.dance", {}, "invalid_value"),
    ],
)
async def test_what_is_wrong_is_told_and_the_session_goes_on(kind: str, fields: dict[str, object], code: str) -> None:
    fake = FakeRealtime(Script("Gern."), speed=50)
    async with client(fake) as one:
        await one.say(kind, event_id="event_7", **fields)
        error = (await one.until("error"))["error"]
        await one.say("response.create")
        await one.until("response.done")
    assert isinstance(error, dict)
    assert error["code"] == code
    assert error["event_id"] == "event_7"
    assert [problem.code for problem in fake.sessions[0].errors] == [code]


@pytest.mark.parametrize("message", ["{", "[]", b"\x00\x01"])
async def test_what_is_no_message_is_an_error(message: str | bytes) -> None:
    async with client(FakeRealtime(Script())) as one:
        if isinstance(message, bytes):
            await one.socket.send_bytes(message)
        else:
            await one.socket.send_str(message)
        assert (await one.until("error"))["error"]["code"] == "invalid_value"  # type: ignore[index]


async def test_an_item_can_be_cut_once_and_not_back() -> None:
    fake = FakeRealtime(Script("Guten Tag, Salon Lindenhof."), speed=50)
    async with client(fake) as one:
        await one.say("response.create")
        item_id = (await one.until("response.output_audio.done"))["item_id"]
        await one.until("response.done")
        await one.say("conversation.item.truncate", item_id=item_id, content_index=0, audio_end_ms=500)
        assert (await one.until("conversation.item.truncated"))["audio_end_ms"] == 500
        await one.say("conversation.item.truncate", item_id=item_id, content_index=0, audio_end_ms=800)
        message = (await one.until("error"))["error"]["message"]  # type: ignore[index]
    assert message == "Audio content of 500ms is already shorter than 800ms"
    assert fake.sessions[0].memory.items[str(item_id)].heard_ms == 500


async def test_a_deleted_item_is_forgotten() -> None:
    fake = FakeRealtime(Script())
    item = {"id": "item_own", "type": "message", "role": "user", "content": [{"type": "input_text", "text": "x"}]}
    async with client(fake) as one:
        await one.say("conversation.item.create", item=item)
        await one.until("conversation.item.done")
        assert fake.sessions[0].view().items[0].text == "x"
        await one.say("conversation.item.delete", item_id="item_own")
        await one.until("conversation.item.deleted")
    assert fake.sessions[0].view().items == ()


async def test_at_its_limit_a_session_ends_with_a_reason() -> None:
    fake = FakeRealtime(Script(), session_s=0.1)
    async with client(fake) as one:
        assert (await one.until("error"))["error"]["code"] == "session_expired"  # type: ignore[index]
        message = await one.socket.receive()
    assert message.type is WSMsgType.CLOSE
    assert message.data == 1001
    assert (message.extra or "").startswith("Your session hit the maximum duration of")


async def test_without_a_key_or_a_model_nobody_gets_in() -> None:
    fake = FakeRealtime(Script(), api_key="sk-1")
    async with fake.running() as url, ClientSession() as http:
        for address, headers, status in (
            (f"{url}?model=x", {}, 401),
            (f"{url}?model=x", {"Authorization": "Bearer sk-2"}, 401),
            (url, {"Authorization": "Bearer sk-1"}, 400),
        ):
            with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
                await http.ws_connect(address, headers=headers)
            assert caught.value.status == status
    assert fake.sessions == []


async def test_items_of_two_sessions_never_have_the_same_id() -> None:
    fake = FakeRealtime(Script([Utter("Ja.")], [Utter("Nein.")]), speed=50)
    ids: list[object] = []
    async with fake.running() as url, ClientSession() as http:
        for number in (1, 2):
            async with http.ws_connect(f"{url}?model=x") as socket:
                one = Client(socket)
                await one.say("session.update", session=SESSION)
                await one.say("response.create")
                ids.append((await one.until("response.output_audio.done"))["item_id"])
            assert (await fake.session(number)).answers
    assert len(set(ids)) == 2


async def test_sessions_that_are_open_do_not_keep_the_server_from_closing() -> None:
    fake = FakeRealtime(Script("Guten Tag."), speed=1)
    async with asyncio.timeout(PATIENT_S):
        async with client(fake) as one:
            await one.say("response.create")
            await one.until("response.output_audio.delta")
    assert fake.open_sessions == []
    assert fake.connections == 0
