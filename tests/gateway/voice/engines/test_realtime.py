"""The engine with a Realtime server, over a real socket."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from gateway.simulator.openai_realtime import FakeRealtime
from gateway.simulator.realtime_mind import Asked, Script, Spoken, UseTool, Utter
from gateway.simulator.speech import spoken
from gateway.voice.engines.base import (
    AudioDelta,
    AudioDone,
    HeardText,
    PastItem,
    ResponseEnded,
    ResponseStarted,
    SpeechStarted,
    SpeechStopped,
    SpokenText,
    ToolAsked,
    Trouble,
)
from tests.gateway.voice.engines.listening import NOW, SETUP, connected, in_session, silence

GREETING = "Guten Tag, hier ist der Salon Lindenhof."
QUESTION = spoken("Wann ist morgen ein Termin frei?", "de")
ONE_AND_A_HALF = "Einen Augenblick bitte, ich sehe gleich einmal im Kalender nach."


async def test_an_answer_arrives_whole_as_audio_and_as_words() -> None:
    script = Script(GREETING)
    async with in_session(script) as (listener, _fake):
        await listener.session.respond()
        ended = await listener.until(ResponseEnded)
    started = listener.of(ResponseStarted)[0]
    done = listener.of(AudioDone)[0]
    assert started.response_id == ended.response_id
    assert ended.status == "completed"
    assert listener.audio_of(done.item_id) == spoken(GREETING, "de")
    words = [event for event in listener.of(SpokenText) if event.item_id == done.item_id]
    assert "".join(event.text for event in words if not event.is_final) == GREETING
    assert [event.text for event in words if event.is_final] == [GREETING]
    assert any(len(delta.audio) % 160 for delta in listener.of(AudioDelta))  # pieces are no whole frames
    assert ended.usage["output_tokens"]


async def test_an_answer_may_have_several_items_of_audio() -> None:
    async with in_session(Script([Utter("Einen Moment."), Utter("Um drei ist frei.")])) as (listener, _fake):
        await listener.session.respond()
        await listener.until(ResponseEnded)
    first, second = (done.item_id for done in listener.of(AudioDone))
    assert first != second
    assert listener.audio_of(first) == spoken("Einen Moment.", "de")
    assert listener.audio_of(second) == spoken("Um drei ist frei.", "de")
    assert {delta.response_id for delta in listener.of(AudioDelta)} == {listener.of(ResponseStarted)[0].response_id}


async def test_who_speaks_is_heard_understood_and_answered() -> None:
    script = Script("Um drei Uhr.")
    async with in_session(script) as (listener, fake):
        fake.caller_says(None, "Wann ist morgen ein Termin frei?")
        await listener.hear(silence(100) + QUESTION + silence(700))
        await listener.until(ResponseEnded)
    kinds = [type(event) for event in listener.events]
    assert kinds.index(SpeechStarted) < kinds.index(SpeechStopped) < kinds.index(AudioDelta)
    assert listener.of(HeardText)[0].text == "Wann ist morgen ein Termin frei?"
    assert listener.of(HeardText)[0].usage["total_tokens"]
    assert [event for _view, event in script.heard] == [Spoken(text="Wann ist morgen ein Termin frei?")]


async def test_all_that_the_caller_says_reaches_the_server_byte_by_byte() -> None:
    fake = FakeRealtime(Script())
    fake.keeps_audio = True
    async with fake.running() as url, connected(url) as listener:
        await listener.hear(QUESTION)
        await listener.hear(silence(600))
        await listener.until(SpeechStopped)
    assert bytes(fake.sessions[0].appended) == QUESTION + silence(600)
    assert fake.sessions[0].appended_ms == len(QUESTION) / 8 + 600


async def test_who_interrupts_ends_the_answer_and_what_was_heard_of_it_is_remembered() -> None:
    async with in_session(Script(ONE_AND_A_HALF, "Ja?"), speed=5.0) as (listener, fake):
        fake.faults.late_deltas = 2
        await listener.session.respond()
        heard = await listener.until(AudioDelta)
        await listener.hear(QUESTION[:4000])
        ended = await listener.until(ResponseEnded)
        await listener.session.truncate(heard.item_id, 0, 150)
        await listener.session.add_words("weiter")
        await listener.hear(silence(800))
        await listener.until(ResponseEnded, count=2)
    session = fake.sessions[0]
    assert (ended.status, ended.reason) == ("cancelled", "turn_detected")
    kinds = [type(event) for event in listener.events]
    late = kinds[kinds.index(SpeechStarted) : kinds.index(ResponseEnded)]
    assert late.count(AudioDelta) == 2
    (cut,) = session.memory.truncations
    assert (cut.item_id, cut.audio_end_ms, cut.refusal) == (heard.item_id, 150, "")
    assert cut.audio_ms == len(listener.audio_of(heard.item_id)) / 8
    assert len(session.memory.items[heard.item_id].text) < len(ONE_AND_A_HALF) / 2
    assert listener.of(Trouble) == []


async def test_where_we_interrupt_the_answer_goes_on_until_it_is_cancelled() -> None:
    setup = replace(SETUP, interrupts_itself=False)
    async with in_session(Script(ONE_AND_A_HALF), setup=setup, speed=5.0) as (listener, fake):
        await listener.session.respond()
        await listener.until(AudioDelta)
        await listener.hear(QUESTION[:4000])
        await listener.until(SpeechStarted)
        before = len(listener.of(AudioDelta))
        await listener.until(AudioDelta, count=before + 2)
        assert listener.of(ResponseEnded) == []
        await listener.session.cancel()
        ended = await listener.until(ResponseEnded)
    assert (ended.status, ended.reason) == ("cancelled", "client_cancelled")
    assert fake.sessions[0].cancels == 1


async def test_a_cut_beyond_the_audio_is_an_error_and_the_call_goes_on() -> None:
    async with in_session(Script(GREETING, "Gern.")) as (listener, fake):
        await listener.session.respond()
        item_id = (await listener.until(AudioDone)).item_id
        await listener.until(ResponseEnded)
        audio_ms = len(listener.audio_of(item_id)) // 8
        await listener.session.truncate(item_id, 0, audio_ms + 1)
        trouble = await listener.until(Trouble)
        await listener.session.truncate(item_id, 0, audio_ms)
        await listener.session.respond()
        await listener.until(ResponseEnded, count=2)
    assert trouble == Trouble(code="invalid_value", severity="error")
    assert [cut.refusal for cut in fake.sessions[0].memory.truncations] == [
        f"Audio content of {audio_ms}ms is already shorter than {audio_ms + 1}ms",
        "",
    ]


async def test_to_cancel_what_has_just_ended_is_harmless() -> None:
    async with in_session() as (listener, _fake):
        await listener.session.cancel()
        assert await listener.until(Trouble) == Trouble(code="response_cancel_not_active", severity="harmless")


async def test_one_answer_at_a_time() -> None:
    async with in_session(Script(ONE_AND_A_HALF), speed=5.0) as (listener, _fake):
        await listener.session.respond()
        await listener.until(AudioDelta)
        await listener.session.respond()
        trouble = await listener.until(Trouble)
        ended = await listener.until(ResponseEnded)
    assert trouble.code == "conversation_already_has_active_response"
    assert ended.status == "completed"


async def test_a_tool_is_asked_for_and_its_result_is_known_to_the_next_answer() -> None:
    script = Script([Utter("Ich sehe nach."), UseTool("find_slots", {"day": "2026-11-25"})], "Um drei.")
    async with in_session(script) as (listener, fake):
        await listener.session.respond()
        asked = await listener.until(ToolAsked)
        await listener.until(ResponseEnded)
        await listener.session.give_result(asked.tool_call_id, "15:00")
        await listener.session.respond()
        await listener.until(ResponseEnded, count=2)
    assert (asked.name, asked.arguments) == ("find_slots", '{"day":"2026-11-25"}')
    assert fake.sessions[0].memory.results == {asked.tool_call_id: "15:00"}
    view, _event = script.heard[-1]
    assert [(item.kind, item.text) for item in view.items][-1] == ("tool_result", "15:00")


async def test_notes_and_keys_are_known_to_the_next_answer_and_ask_for_none() -> None:
    script = Script("Gut.")
    async with in_session(script) as (listener, fake):
        await listener.session.tell("Bitte komm zum Ende.")
        await listener.session.add_words("Tasten: 1")
        await listener.session.respond("Verabschiede dich.")
        await listener.until(ResponseEnded)
    ((view, event),) = script.heard
    assert [(item.kind, item.text) for item in view.items] == [
        ("note", "Bitte komm zum Ende."),
        ("customer", "Tasten: 1"),
    ]
    assert event == Asked(instructions="Verabschiede dich.")
    assert fake.sessions[0].asked == ["Verabschiede dich."]


async def test_instructions_for_one_answer_do_not_make_the_agent_forget_who_it_is() -> None:
    async with in_session() as (listener, fake):
        await listener.session.respond("Fasse dich kurz.")
        await listener.until(ResponseEnded)
    (answer,) = fake.sessions[0].answers
    assert answer.instructions == f"{SETUP.instructions}\n\nFasse dich kurz."


async def test_a_new_session_knows_what_was_said_and_done_before() -> None:
    past = (
        PastItem(kind="agent", text="Guten Tag."),
        PastItem(kind="customer", text="Morgen um drei?"),
        PastItem(kind="tool", text="gebucht", tool_name="book", tool_arguments="{}", tool_call_id="call_of_old"),
    )
    script = Script("Wo waren wir?")
    async with in_session(script, setup=replace(SETUP, past=past)) as (listener, fake):
        await listener.session.respond()
        await listener.until(ResponseEnded)
    ((view, _event),) = script.heard
    assert [(item.kind, item.text) for item in view.items] == [
        ("agent", "Guten Tag."),
        ("customer", "Morgen um drei?"),
        ("tool_call", "{}"),
        ("tool_result", "gebucht"),
    ]
    assert fake.sessions[0].memory.results == {"call_of_old": "gebucht"}
    assert listener.of(ToolAsked) == []  # it is not run again
    assert listener.of(Trouble) == []


async def test_a_session_says_when_it_ends() -> None:
    fake = FakeRealtime(Script(), session_s=600)
    before = datetime.now(UTC)
    async with fake.running() as url, connected(url) as listener:
        expires_at = listener.session.expires_at
    assert expires_at is not None
    assert timedelta(seconds=598) < expires_at - before < timedelta(seconds=660)


async def test_a_session_that_does_not_say_when_it_ends_is_taken_to_last_an_hour() -> None:
    fake = FakeRealtime(Script())
    fake.faults.expiry_unsaid = True
    async with fake.running() as url, connected(url) as listener:
        assert listener.session.expires_at == NOW + timedelta(hours=1)


async def test_closing_ends_both_sides_and_may_be_done_twice() -> None:
    async with in_session() as (listener, fake):
        await listener.session.close()
        await listener.session.close()
        async with asyncio.timeout(30):
            await fake.abandoned()
    assert fake.open_sessions == []
    assert listener.lost is None


async def test_the_server_gets_the_key_and_the_model() -> None:
    fake = FakeRealtime(Script(), api_key="sk-secret")
    async with fake.running() as url, connected(url):
        assert fake.sessions[0].model == "gpt-realtime"
        assert fake.sessions[0].configuration["instructions"] == SETUP.instructions
