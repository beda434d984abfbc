"""A call that Twilio recognises and speaks, and the text agent answers: greeted, answered, booked, charged by words."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from gateway.logs import configure_logs
from gateway.simulator.openai_chat import Said
from gateway.simulator.twilio_relay import RelayLeg
from metering.rates import Item
from tests.stories.relay import (
    CALLER,
    FEE,
    GREETING,
    HEARD,
    PRICE,
    SLOW_CHAR_MS,
    SPOKEN,
    call_receipts,
    heard,
    messages,
    opened_salon,
    over,
    quantity,
    ring,
    spent,
    spoken,
    told,
    words_of,
)
from tests.stories.test_a_booking import Receptionist
from tests.stories.world import World, until

QUESTION = "Was kostet ein Haarschnitt?"


@pytest.fixture
async def world(database_url: str, tmp_path: Path) -> AsyncIterator[World]:
    configure_logs()
    async with opened_salon(database_url, tmp_path) as opened_world:
        yield opened_world


async def test_a_caller_is_greeted_and_answered_and_the_words_are_charged(world: World) -> None:
    before, _, _ = await world.wallet()
    call = await ring(world)
    await call.say(QUESTION)
    await heard(call, PRICE)
    await told(world, call)
    await call.hang_up()
    row = await over(world, call)
    assert row["end_reason"] == "caller_hung_up"
    assert (row["engine"], row["minutes_charged"]) == ("conversation_relay", 1)
    assert await spoken(world) == [("agent", GREETING), ("customer", QUESTION), ("agent", PRICE)]
    count_in, count_out = words_of(world, QUESTION), words_of(world, GREETING, PRICE)
    assert (row["input_tokens"], row["output_tokens"]) == (count_in, count_out)
    assert await spent(world, before) == FEE + HEARD * count_in + SPOKEN * count_out
    fee, words = await call_receipts(world)
    assert [line.item for line in fee.lines] == [Item.CALL_MINUTE]
    assert fee.counted_by is None
    assert quantity([words], Item.VOICE_INPUT) == count_in
    assert quantity([words], Item.VOICE_OUTPUT) == count_out
    assert words.counted_by == "tiktoken"
    await world.audit()


async def test_the_owners_api_says_that_words_were_counted(world: World) -> None:
    call = await ring(world)
    await call.hang_up()
    await over(world, call)
    _, page = await world.api("GET", "/api/v1/receipts")
    assert [receipt["counted_by"] for receipt in page["items"] if receipt["subject"] == "call"] == ["tiktoken", None]


async def test_what_the_models_provider_counts_is_kept_and_not_charged(world: World) -> None:
    call = await ring(world)
    await call.say(QUESTION)
    await heard(call, PRICE)
    await told(world, call)
    await call.hang_up()
    row = await over(world, call)
    assert row["provider_usage"]["requests"] == 1
    assert row["provider_usage"]["prompt_tokens"] > 0
    [stored] = await world.rows("SELECT provider_usage FROM receipt WHERE provider_usage ->> 'counted_by' = 'tiktoken'")
    [attempt] = stored["provider_usage"]["attempts"]  # type: ignore[index]  # JSON
    assert attempt["outcome"] == "ok"


async def test_the_agent_knows_what_was_said_and_heard(world: World) -> None:
    call = await ring(world)
    await call.say(QUESTION)
    await heard(call, PRICE)
    await told(world, call)
    await call.say("Und eine Farbe?")
    await until(lambda: _asked(world, 2))
    replayed = [(message["role"], message["content"]) for message in messages(world.model.requests[-1])[1:]]
    assert replayed == [
        ("assistant", GREETING),
        ("user", QUESTION),
        ("assistant", PRICE),
        ("user", "Und eine Farbe?"),
    ]
    await call.hang_up()
    await over(world, call)


async def test_an_appointment_is_booked_on_the_phone(world: World) -> None:
    world.model.brain = Receptionist(day=next_wednesday(world))
    call = await ring(world)
    await call.say("Ich möchte am Mittwoch zum Haarschnitt kommen.")
    await heard(call, "Gebucht:")
    await told(world, call)
    await call.hang_up()
    await over(world, call)
    [appointment] = await world.rows("SELECT contact_id FROM appointment WHERE state = 'booked'")
    [caller] = await world.rows("SELECT contact_id FROM contact_address WHERE address = $1", CALLER)
    assert appointment["contact_id"] == caller["contact_id"]
    await world.audit()


async def test_a_caller_who_interrupts_pays_for_what_they_heard_only(world: World) -> None:
    before, _, _ = await world.wallet()
    world.twilio.calls.say_char_ms = SLOW_CHAR_MS
    call = await ring(world, greeted=False)
    await heard(call, "die digitale Assistentin (KI)")
    await call.say(QUESTION)
    cut = call.said[0]
    assert cut != GREETING
    await heard(call, PRICE)
    await told(world, call)
    await call.hang_up()
    row = await over(world, call)
    (who, greeting), *rest = await spoken(world)
    assert (who, rest) == ("agent", [("customer", QUESTION), ("agent", PRICE)])
    assert _letters(greeting) == _letters(cut)
    assert messages(world.model.requests[0])[1]["content"] == greeting
    count_out = words_of(world, greeting, PRICE)
    assert row["output_tokens"] == count_out < words_of(world, GREETING, PRICE)
    assert await spent(world, before) == FEE + HEARD * words_of(world, QUESTION) + SPOKEN * count_out
    assert row["figures"]["barge_ins"] == 1


async def test_newer_words_are_answered_together_with_those_that_wait(world: World) -> None:
    call = await ring(world)
    world.model.faults.delay_s = 0.3
    await call.say(QUESTION)
    await until(lambda: _asked(world, 1))
    await call.say("Und wie lange dauert er?")
    await heard(call, PRICE)
    await told(world, call)
    assert [said for said in call.said if said == PRICE] == [PRICE]
    assert [message["content"] for message in messages(world.model.requests[-1]) if message["role"] == "user"] == [
        QUESTION,
        "Und wie lange dauert er?",
    ]
    await call.hang_up()
    await over(world, call)


async def test_what_a_tool_has_changed_is_told_although_the_caller_goes_on_speaking(world: World) -> None:
    wrote, may_tell = asyncio.Event(), asyncio.Event()

    async def before_telling() -> None:
        wrote.set()
        await may_tell.wait()

    world.model.brain = Receptionist(day=next_wednesday(world), before_telling=before_telling)
    call = await ring(world)
    await call.say("Einen Haarschnitt bitte.")
    await wrote.wait()
    world.model.brain = lambda _request: Said(text=PRICE)
    await call.say(QUESTION)
    may_tell.set()
    await heard(call, "Gebucht:")
    await heard(call, PRICE)
    await told(world, call)
    await call.hang_up()
    await over(world, call)
    assert len(await world.rows("SELECT 1 FROM appointment")) == 1


async def test_a_noise_does_not_leave_the_caller_without_an_answer(world: World) -> None:
    world.model.faults.delay_s = 0.5
    call = await ring(world)
    await call.say(QUESTION)
    leg = call.listener
    assert isinstance(leg, RelayLeg)
    await leg.hear_partial("äh")
    await heard(call, PRICE)
    await call.hang_up()
    await over(world, call)


async def test_keys_are_told_to_the_agent(world: World) -> None:
    call = await ring(world)
    await call.press("42#")
    await heard(call, PRICE)
    assert messages(world.model.requests[0])[-1]["content"] == "[Tasten gedrückt: 42#]"
    await told(world, call)
    await call.hang_up()
    row = await over(world, call)
    assert row["input_tokens"] == 0


async def test_frames_that_nobody_understands_disturb_nothing(world: World) -> None:
    call = await ring(world)
    leg = call.listener
    assert isinstance(leg, RelayLeg)
    for frame in ("", "{", "[]", '{"type": "of tomorrow"}', '{"type": "prompt"}'):
        await leg.send_raw(frame)
    await call.say(QUESTION)
    await heard(call, PRICE)
    assert call.warnings == []
    await call.hang_up()
    row = await over(world, call)
    assert row["figures"]["troubles"]["malformed"] >= 3


async def test_two_callers_do_not_hear_each_other(world: World) -> None:
    first, second = await asyncio.gather(ring(world), ring(world))
    await first.say(QUESTION)
    await heard(first, PRICE)
    assert PRICE not in second.said
    await asyncio.gather(first.hang_up(), second.hang_up())
    await world.quiet()
    await world.audit()
    assert not world.services.live_calls.calls


def next_wednesday(world: World) -> str:
    soon = world.services.now().date() + timedelta(days=7)
    return (soon + timedelta(days=(2 - soon.weekday()) % 7)).isoformat()


async def _asked(world: World, count: int) -> bool:
    return len(world.model.requests) >= count


def _letters(text: str) -> str:
    return "".join(letter for letter in text.casefold() if letter.isalnum())
