"""The ways on which a call leaves its stream; after each, nothing of it is left (see `nothing_left`)."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from xml.etree import ElementTree as ET

import pytest

from agents.store import find_agent, read_version
from gateway.voice.call_store import begin_stream
from gateway.voice.notices import NoticeKind, notice_hash, text_of
from tests.gateway.voice.caller import Caller, calling, until
from tests.gateway.voice.live_engine import LiveEngine
from tests.gateway.voice.nothing_left import Open, live, over, watched
from tests.gateway.voice.telephone import FEE, LIMITS, PERSON, Telephone

INPUT, OUTPUT = 295, 590
SMALL = replace(LIMITS, first_audio_s=2)
SMALL_AUDIO = 2 * (10 * INPUT + 20 * OUTPUT)


@pytest.fixture
def engine() -> LiveEngine:
    return LiveEngine()


@pytest.fixture
async def telephone(open_telephone: Open, engine: LiveEngine) -> AsyncIterator[Telephone]:
    async with watched(open_telephone, engine) as opened:
        yield opened


async def greeted(engine: LiveEngine, telephone: Telephone, number: int = 1) -> None:
    session = await engine.session(number)
    await session.until_asked()
    session.says("Guten Tag, hier ist die KI.", 200, byte=30)
    await until(lambda: live(telephone).figures().state in ("listening", "wrapping_up"))
    await until(lambda: live(telephone)._dialogue.greeted)


async def speaks(caller: Caller, engine: LiveEngine, frames: int) -> None:
    """Stream faster than anybody can speak, but no faster than is taken."""
    session = await engine.session()
    for _ in range(frames // 50):
        before = len(session.heard)
        await caller.speak(50)
        await until(lambda before=before: len(session.heard) > before or caller.ended.is_set())  # type: ignore[misc]


async def test_a_call_moves_to_another_stream_and_goes_on_without_a_greeting(
    telephone: Telephone, engine: LiveEngine
) -> None:
    async with calling(telephone) as caller:
        await greeted(engine, telephone)
        await caller.speak(10)
        await until(lambda: live(telephone).figures().input_tokens == 2)
        live(telephone).move()
        await until(lambda: bool(telephone.carrier.forms("Twiml")))
        await caller.hang_up()
    await until(lambda: not len(telephone.services.live_calls))
    assert (await telephone.call())["state"] == "away"
    address = ET.fromstring(telephone.carrier.forms("Twiml")[-1])[0][0].get("url")  # noqa: S314 - our own words
    async with calling(telephone, address=address) as caller:
        second = await engine.session(2)
        assert [item.text for item in second.setup.past] == ["Guten Tag, hier ist die KI."]
        await caller.speak(10)
        await until(lambda: live(telephone).figures().input_tokens == 4)
        assert second.asked == []
        assert live(telephone).figures().minutes_charged == 1
        await caller.hang_up()
    await over(telephone)
    call = await telephone.call()
    assert (call["minutes_charged"], call["input_tokens"], call["output_tokens"]) == (1, 4, 4)
    assert (await telephone.wallet())[0] == 10_000_000 - FEE - 4 * INPUT - 4 * OUTPUT


async def test_a_call_that_twilio_does_not_move_goes_on_here(telephone: Telephone, engine: LiveEngine) -> None:
    async with calling(telephone) as caller:
        await greeted(engine, telephone)
        telephone.carrier.refuses_with = 20003
        live(telephone).move()
        await until(lambda: len(telephone.carrier.forms("Twiml")) == 1)
        await until(lambda: live(telephone).figures().state == "listening")
        await caller.speak(10)
        await until(lambda: live(telephone).figures().input_tokens == 2)
        await caller.hang_up()
    await over(telephone)
    call = await telephone.call()
    assert (call["minutes_charged"], call["input_tokens"], call["output_tokens"]) == (1, 2, 4)


async def test_a_caller_who_is_put_through_is_settled_first(telephone: Telephone, engine: LiveEngine) -> None:
    await telephone.change_agent(voice={"transfer_to": PERSON})
    async with calling(telephone) as caller:
        await greeted(engine, telephone)
        await caller.speak(10)
        await until(lambda: live(telephone).figures().input_tokens == 2)
        engine.sessions[0].uses("transfer_call")
        await engine.sessions[0].until_asked(2)
        engine.sessions[0].says("Ich verbinde Sie.", 200)
        await until(lambda: bool(telephone.carrier.forms("Twiml")))
        await caller.hang_up()
    await until(lambda: not len(telephone.services.live_calls))
    call = await telephone.call()
    assert (call["state"], call["input_tokens"], call["output_tokens"]) == ("forwarding", 2, 8)
    assert call["progress"]["why"] == "transfer"
    await telephone.tell(f"/webhooks/twilio/voice/dialled/{call['call_id']}/1?tenant={telephone.cast.acme}",
                         DialCallStatus="completed", DialCallDuration="5", CallStatus="completed")  # fmt: skip
    await over(telephone)
    await until(lambda: not telephone.voice.forwards)


async def test_a_caller_who_cannot_be_put_through_goes_on_with_the_agent(
    telephone: Telephone, engine: LiveEngine
) -> None:
    await telephone.change_agent(voice={"transfer_to": PERSON})
    async with calling(telephone) as caller:
        await greeted(engine, telephone)
        telephone.carrier.refuses_with = 20003
        engine.sessions[0].uses("transfer_call")
        await engine.sessions[0].until_asked(2)
        engine.sessions[0].says("Ich verbinde Sie.", 200)
        await engine.sessions[0].until(lambda: bool(engine.sessions[0].told("tell")))
        await engine.sessions[0].until_asked(3)
        await caller.speak(10)
        await until(lambda: live(telephone).figures().input_tokens == 2)
        await caller.hang_up()
    await over(telephone)
    call = await telephone.call()
    assert (call["minutes_charged"], call["input_tokens"], call["output_tokens"]) == (1, 2, 8)


async def test_when_credits_end_the_caller_hears_why_and_the_wallet_stays_above_zero(
    open_telephone: Open, engine: LiveEngine
) -> None:
    async with watched(open_telephone, engine, SMALL, audited=False) as telephone:
        await with_notice(telephone, "credits_ended", byte=77)
        await telephone.set_balance(FEE + SMALL_AUDIO)
        async with calling(telephone) as caller:
            await greeted(engine, telephone)
            engine.sessions[0].says("Das dauert länger.", 5_000, ends=False)
            await speaks(caller, engine, 500)
            await caller.ended.wait()
            assert caller.heard_ms(77) == 400
            assert caller.heard_ms() < 2_000
        await over(telephone)
        call = await telephone.call()
        balance, held = await telephone.wallet()
        assert (call["end_reason"], held) == ("credits_ended", 0)
        assert balance == SMALL_AUDIO - call["input_tokens"] * INPUT - call["output_tokens"] * OUTPUT
        assert 0 <= balance < SMALL_AUDIO / 2
        assert telephone.carrier.forms("Status") == ["completed"]


async def test_without_a_notice_twilio_says_why_the_credits_end(open_telephone: Open, engine: LiveEngine) -> None:
    async with watched(open_telephone, engine, SMALL, audited=False) as telephone:
        await telephone.set_balance(FEE + SMALL_AUDIO)
        async with calling(telephone) as caller:
            await speaks(caller, engine, 500)
            await caller.ended.wait()
        await over(telephone)
        [said] = telephone.carrier.forms("Twiml")
        assert "Leider muss ich unser Gespräch hier beenden" in said


async def test_a_caller_who_hangs_up_while_a_tool_runs_has_what_it_wrote(
    telephone: Telephone, engine: LiveEngine
) -> None:
    async with calling(telephone) as caller:
        await greeted(engine, telephone)
        engine.sessions[0].uses("take_message", '{"text": "Bitte zurückrufen"}')
        await until(lambda: live(telephone).figures().state == "thinking")
        await caller.hang_up()
    await over(telephone)
    assert len(await telephone.rows("SELECT FROM message WHERE kind = 'note'")) == 1


async def test_a_call_that_another_stream_has_is_left_to_it(telephone: Telephone, engine: LiveEngine) -> None:
    async with calling(telephone) as caller:
        await greeted(engine, telephone)
        account = live(telephone)._call.account
        async with telephone.services.db.transaction(telephone.cast.acme) as connection:
            now = telephone.clock.now()
            await begin_stream(connection, account, now=now, lease_until=now + timedelta(seconds=30))
        await caller.speak(5)
        live(telephone)._money._minute_held(2)
        live(telephone)._lose()
        await caller.ended.wait()
    call = await telephone.call()
    assert (call["state"], call["lease_epoch"]) == ("live", account.epoch + 1)
    assert telephone.carrier.forms("Status") == []


async def test_a_call_that_is_interrupted_by_the_process_s_end_is_settled(
    telephone: Telephone, engine: LiveEngine
) -> None:
    async with calling(telephone) as caller:
        await greeted(engine, telephone)
        await caller.speak(10)
        await until(lambda: live(telephone).figures().input_tokens == 2)
        for task in asyncio.all_tasks():
            if "RequestHandler.start" in repr(task.get_coro()):
                task.cancel()
        await over(telephone)
    call = await telephone.call()
    assert (call["end_reason"], call["input_tokens"], call["output_tokens"]) == ("interrupted", 2, 4)


async def test_a_call_that_breaks_by_a_fault_of_ours_is_settled_and_ended_in_words(
    telephone: Telephone, engine: LiveEngine
) -> None:
    async with calling(telephone) as caller:
        await greeted(engine, telephone)
        engine.sessions[0].tells("no event at all")  # type: ignore[arg-type]  # the fault
        await caller.ended.wait()
    await over(telephone)
    call = await telephone.call()
    assert (call["end_reason"], call["output_tokens"]) == ("interrupted", 4)
    assert "technisches Problem" in telephone.carrier.forms("Twiml")[-1]


async def test_an_end_that_is_asked_for_from_outside_is_polite(telephone: Telephone, engine: LiveEngine) -> None:
    async with calling(telephone) as caller:
        await greeted(engine, telephone)
        live(telephone).end("operator")
        await engine.sessions[0].until_asked(2)
        assert "Auf Wiederhören" in (engine.sessions[0].asked[1] or "")
        engine.sessions[0].says("Auf Wiederhören!", 300)
        await caller.ended.wait()
        assert caller.heard_ms() == 300
    await over(telephone)
    assert (await telephone.call())["end_reason"] == "operator"


async def test_twilio_is_told_to_end_the_call_after_what_is_paid(telephone: Telephone, engine: LiveEngine) -> None:
    async with calling(telephone) as caller:
        await greeted(engine, telephone)
        await until(lambda: telephone.carrier.forms("TimeLimit") == ["90"])
        await caller.hang_up()
    await over(telephone)


async def test_a_call_that_nothing_pays_any_more_is_not_begun(open_telephone: Open, engine: LiveEngine) -> None:
    async with watched(open_telephone, engine, audited=False) as telephone:
        document = await telephone.ring()
        await telephone.rows("UPDATE hold SET state = 'released', ended_at = now()")
        await telephone.rows("UPDATE wallet SET balance_millicredits = 0, held_millicredits = 0")
        async with calling(telephone, address=str(document[0][0].get("url"))) as caller:
            await caller.ended.wait()
        await over(telephone)
        assert (await telephone.call())["end_reason"] == "credits_ended"


async def with_notice(telephone: Telephone, kind: NoticeKind, *, byte: int, ms: int = 400) -> None:
    """Have a notice on the shelf, made of one byte."""
    acme = telephone.cast.acme
    async with telephone.services.db.transaction(acme) as connection:
        row = await find_agent(connection, acme, "Rezeption")
        assert row is not None
        assert row.published_version is not None
        configuration = (await read_version(connection, acme, row.agent_id, row.published_version)).on_channel("voice")
        await connection.execute(
            "INSERT INTO voice_notice VALUES ($1, $2, $3, $4, $4)",
            acme,
            notice_hash(text_of(kind, configuration), configuration),
            bytes([byte]) * ms * 8,
            telephone.clock.now(),
        )
