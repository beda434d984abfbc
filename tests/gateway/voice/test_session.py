import asyncio
from collections.abc import AsyncIterator

import pytest

from gateway.voice.engines.base import AudioDone, EngineLostError, HeardText, SpeechStarted, SpeechStopped
from tests.gateway.voice.caller import calling, until
from tests.gateway.voice.live_engine import LiveEngine
from tests.gateway.voice.nothing_left import Open, live, over, watched
from tests.gateway.voice.telephone import FEE, Telephone

GREETING = "Hallo, hier ist die digitale Assistentin (KI)."
INPUT, OUTPUT = 295, 590  # millicredits a token


@pytest.fixture
def engine() -> LiveEngine:
    return LiveEngine()


@pytest.fixture
async def telephone(open_telephone: Open, engine: LiveEngine) -> AsyncIterator[Telephone]:
    async with watched(open_telephone, engine) as opened:
        yield opened


async def test_a_call_is_greeted_by_the_session_that_was_opened_ahead(telephone: Telephone, engine: LiveEngine) -> None:
    async with calling(telephone) as caller:
        session = await engine.session()
        await session.until_asked()
        assert GREETING in (session.asked[0] or "")
        session.says(GREETING, 400)
        await caller.until_heard(400)
        await until(lambda: live(telephone).figures().state == "listening")
        await caller.hang_up()
    await over(telephone)
    assert len(engine.sessions) == 1
    call = await telephone.call()
    assert call["end_reason"] == "caller_hung_up"
    assert call["minutes_charged"] == 1
    assert call["output_tokens"] == 400 // 50
    assert call["figures"]["first_audio_ms"] is not None


async def test_what_the_caller_says_is_passed_on_as_it_comes_and_paid_by_its_length(
    telephone: Telephone, engine: LiveEngine
) -> None:
    async with calling(telephone) as caller:
        session = await engine.session()
        await caller.speak(50)
        await session.until(lambda: len(session.heard) == 50)
        await caller.hang_up()
    await over(telephone)
    call = await telephone.call()
    assert call["input_tokens"] == 10
    balance, _ = await telephone.wallet()
    assert balance == 10_000_000 - FEE - 10 * INPUT


async def test_a_recording_of_a_minute_is_six_hundred_tokens(telephone: Telephone, engine: LiveEngine) -> None:
    async with calling(telephone) as caller:
        session = await engine.session()
        for second in range(1, 61):
            await caller.speak(50)
            await session.until(lambda second=second: len(session.heard) == 50 * second)
        session.says("Danke.", 700)
        await caller.until_heard(700)
        await until(lambda: live(telephone).figures().output_tokens == 14)
        await caller.hang_up()
    await over(telephone)
    call = await telephone.call()
    assert (call["input_tokens"], call["output_tokens"]) == (600, 14)
    balance, _ = await telephone.wallet()
    assert balance == 10_000_000 - FEE - 600 * INPUT - 14 * OUTPUT


async def test_audio_waits_for_an_engine_that_is_late(telephone: Telephone, engine: LiveEngine) -> None:
    engine.gate.clear()
    async with calling(telephone) as caller:
        await caller.speak(300)
        await until(lambda: len(telephone.services.live_calls) == 1)
        await until(lambda: live(telephone)._leg.dropped == 50)
        engine.gate.set()
        session = await engine.session()
        await session.until(lambda: len(session.heard) == 250)
        await caller.hang_up()
    await over(telephone)
    call = await telephone.call()
    assert call["figures"]["dropped_frames"] == 50
    assert call["input_tokens"] == 50


async def test_an_engine_that_takes_no_audio_for_a_second_loses_the_oldest(
    telephone: Telephone, engine: LiveEngine
) -> None:
    async with calling(telephone) as caller:
        session = await engine.session()
        session.takes.clear()
        await caller.speak(20)
        await asyncio.sleep(1.2)
        await caller.speak(5)
        await until(lambda: live(telephone)._leg.dropped == 5)
        session.takes.set()
        await session.until(lambda: len(session.heard) == 20)
        await caller.hang_up()
    await over(telephone)
    assert (await telephone.call())["figures"]["dropped_frames"] == 5


async def test_an_interruption_is_heard_at_once_and_told_exactly(telephone: Telephone, engine: LiveEngine) -> None:
    async with calling(telephone) as caller:
        session = await engine.session()
        session.says("Eine lange Antwort mit vielen Worten, die keiner braucht.", 6_000)
        await caller.until_heard(1_000)
        session.tells(SpeechStarted())
        await session.until(lambda: bool(session.told("truncate")))
        [(item, part, heard_ms)] = session.told("truncate")
        await until(lambda: caller.clears == 1)
        assert (item, part) == ("item-1-1", 0)
        assert isinstance(heard_ms, int)
        assert 900 < heard_ms <= caller.heard_ms() + 200
        session.tells(SpeechStopped(), HeardText(item_id="c", text="Moment bitte."))
        await caller.hang_up()
    await over(telephone)
    said = await telephone.rows("SELECT author, text, content FROM message WHERE kind = 'speech' ORDER BY created_at")
    assert {row["author"] for row in said} == {"agent", "customer"}
    [agent] = [row for row in said if row["author"] == "agent"]
    assert agent["text"].startswith("Eine")
    assert agent["text"].endswith("…")
    assert agent["content"]["interrupted"] is True
    call = await telephone.call()
    assert call["output_tokens"] < 6_000 // 50 // 2


async def test_a_tool_is_run_and_answered(telephone: Telephone, engine: LiveEngine) -> None:
    async with calling(telephone) as caller:
        session = await engine.session()
        await session.until_asked()
        session.uses("take_message", '{"text": "Bitte zurückrufen"}')
        await session.until(lambda: bool(session.told("result")))
        await session.until_asked(2)
        await caller.hang_up()
    await over(telephone)
    [note] = await telephone.rows("SELECT text FROM message WHERE kind = 'note'")
    assert note["text"] == "Bitte zurückrufen"
    assert (await telephone.call())["provider_usage"]["responses"] == {"count": 1, "total_tokens": 7}


async def test_the_agent_hangs_up_once_its_goodbye_was_heard(telephone: Telephone, engine: LiveEngine) -> None:
    async with calling(telephone) as caller:
        session = await engine.session()
        item = session.says("Auf Wiederhören!", 500, ends=False)
        session.tells(AudioDone(item_id=item, content_index=0))
        session.uses("end_call")
        await caller.ended.wait()
        assert caller.heard_ms() == 500
    await over(telephone)
    assert telephone.carrier.forms("Status") == ["completed"]
    assert (await telephone.call())["end_reason"] == "agent_hung_up"


async def test_keys_reach_the_agent_as_words(telephone: Telephone, engine: LiveEngine) -> None:
    async with calling(telephone) as caller:
        session = await engine.session()
        await session.until_asked()
        await caller.press("4")
        await caller.press("#")
        await session.until(lambda: bool(session.told("words")))
        assert session.told("words") == [("[Tasten gedrückt: 4#]",)]
        await caller.hang_up()
    await over(telephone)


async def test_a_lost_engine_is_replaced_while_the_caller_stays(telephone: Telephone, engine: LiveEngine) -> None:
    async with calling(telephone) as caller:
        first = await engine.session()
        await first.until_asked()
        first.says(GREETING, 300)
        await caller.until_heard(300)
        first.says("Unsere Zeiten sind", 300, byte=50, ends=False)
        await caller.until_heard(100, 50)
        first.breaks()
        second = await engine.session(2)
        assert [item.text for item in second.setup.past] == [GREETING, "Unsere Zeiten sind"]
        await second.until_asked()
        assert second.asked == [None]
        second.says("neun bis achtzehn Uhr.", 300, byte=51)
        await caller.until_heard(300, 51)
        assert caller.heard_ms(50) == 300
        await caller.hang_up()
    await over(telephone)
    assert (await telephone.call())["figures"]["reconnects"] == 1


async def test_an_engine_that_cannot_be_had_ends_the_call_in_words(telephone: Telephone, engine: LiveEngine) -> None:
    engine.refuses.extend(EngineLostError("time-out") for _ in range(9))
    async with calling(telephone) as caller:
        await caller.ended.wait()
    await over(telephone)
    [said] = telephone.carrier.forms("Twiml")
    assert "technisches Problem" in said
    assert (await telephone.call())["end_reason"] == "technical"


async def test_a_socket_that_breaks_ends_the_call_and_the_caller_is_hung_up_on(
    telephone: Telephone, engine: LiveEngine
) -> None:
    async with calling(telephone) as caller:
        await engine.session()
        await caller.socket.close()
        await over(telephone)
    assert (await telephone.call())["end_reason"] == "connection_lost"
    assert telephone.carrier.forms("Status") == ["completed"]


async def test_a_stream_of_another_call_is_not_pumped(telephone: Telephone, engine: LiveEngine) -> None:
    document = await telephone.ring("CA1")
    async with calling(telephone, "CA2", address=str(document[0][0].get("url"))) as caller:
        await caller.ended.wait()
    assert (await telephone.call())["state"] == "offered"
    await telephone.told("completed", "CA1", CallDuration="0")
    await telephone.voice.waiting.close()
    assert engine.sessions[0].asked == []
