"""Calls at the simulated Twilio: what it asks, which documents it follows, and what it reports in the end."""

import asyncio
from collections.abc import AsyncIterator

import aiohttp
import pytest

from gateway.simulator.caller import Caller
from gateway.simulator.faults import TwilioFaults
from gateway.simulator.twilio import FakeTwilio
from gateway.simulator.twilio_call import PlacedCall
from gateway.twilio.calls import hang_up, is_over, limit, redirect, show
from gateway.twilio.rest import Accepted, NotConnected, OutcomeUnknown, Refused, TwilioRest
from tests.gateway.simulator.scripted import KIM, OURS, PUBLIC, SID, TOKEN, Scripted, calling, scripted

HANG_UP = "<Response><Hangup/></Response>"


@pytest.fixture
async def gateway() -> AsyncIterator[Scripted]:
    async with scripted() as app:
        yield app


@pytest.fixture
async def twilio(gateway: Scripted) -> AsyncIterator[FakeTwilio]:
    async with calling(gateway) as fake:
        yield fake


@pytest.fixture
async def rest(twilio: FakeTwilio) -> AsyncIterator[TwilioRest]:
    async with aiohttp.ClientSession() as http:
        yield TwilioRest(http, twilio.url, SID, TOKEN, twilio.url)


async def ended(call: PlacedCall, twilio: FakeTwilio) -> str:
    state = await call.wait_for_end()
    await twilio.settled()
    return state


async def test_a_call_is_told_signed_followed_and_reported(twilio: FakeTwilio, gateway: Scripted) -> None:
    gateway.says("/voice", '<Say language="de-DE">Guten Tag.</Say><Pause length="0"/><Hangup/><Say>Nie.</Say>')
    call = twilio.calls.place(KIM, OURS)
    assert await ended(call, twilio) == "completed"
    asked, told = gateway.posts("/voice")[0], gateway.posts("/status")[0]
    assert (asked["CallSid"], asked["AccountSid"], asked["From"], asked["To"]) == (call.sid, SID, KIM, OURS)
    assert (asked["CallStatus"], asked["Direction"], asked["ApiVersion"]) == ("ringing", "inbound", "2010-04-01")
    assert (told["CallStatus"], told["CallDuration"], told["Duration"]) == ("completed", "1", "1")
    assert all(one.signed for one in gateway.posted)
    assert (list(call.said), call.end_reason, call.warnings) == (["Guten Tag."], "document", [])


async def test_a_withheld_number_is_anonymous(twilio: FakeTwilio, gateway: Scripted) -> None:
    gateway.says("/voice", "<Hangup/>")
    await ended(twilio.calls.place("", OURS), twilio)
    assert gateway.posts("/voice")[0]["From"] == "anonymous"


@pytest.mark.parametrize(("verbs", "state"), [("<Reject/>", "no-answer"), ('<Reject reason="busy"/>', "busy")])
async def test_a_call_that_is_declined_was_never_answered(
    twilio: FakeTwilio, gateway: Scripted, verbs: str, state: str
) -> None:
    gateway.says("/voice", verbs)
    call = twilio.calls.place(KIM, OURS)
    assert await ended(call, twilio) == state
    assert (call.answered_at, call.duration_s, call.end_reason) == (None, 0, "rejected")
    assert gateway.posts("/status")[0]["CallStatus"] == state


async def test_a_redirect_leads_to_the_next_document(twilio: FakeTwilio, gateway: Scripted) -> None:
    gateway.says("/voice", "<Redirect>next?a=1</Redirect><Say>Nie.</Say>")
    gateway.says("/next", "<Say>Hier.</Say>")
    call = twilio.calls.place(KIM, OURS)
    assert await ended(call, twilio) == "completed"
    assert list(call.said) == ["Hier."]
    assert all(one.signed for one in gateway.posted)


async def test_a_gateway_that_answers_nothing_ends_the_call_with_an_apology(
    twilio: FakeTwilio, gateway: Scripted
) -> None:
    call = twilio.calls.place(KIM, OURS)
    assert await ended(call, twilio) == "completed"
    assert (call.end_reason, call.warnings) == ("error", ["11200: no document"])
    gateway.says("/voice", "<Whistle/>")
    call = twilio.calls.place(KIM, OURS)
    await ended(call, twilio)
    assert call.warnings == ["12200: unknown verb Whistle"]
    assert "application error" in call.said[0]


async def test_the_fallback_address_is_asked_when_the_first_fails(twilio: FakeTwilio, gateway: Scripted) -> None:
    [number] = twilio.numbers
    number.voice_fallback_url = f"{PUBLIC}/fallback"
    gateway.says("/fallback", "<Say>Ersatz.</Say>")
    call = twilio.calls.place(KIM, OURS)
    await ended(call, twilio)
    assert list(call.said) == ["Ersatz."]


async def test_a_number_that_is_nobodys_is_not_connected(twilio: FakeTwilio, gateway: Scripted) -> None:
    assert await ended(twilio.calls.place(KIM, "+4915735990009"), twilio) == "failed"
    assert gateway.posted == []


async def test_keys_answer_a_question_and_silence_goes_on(twilio: FakeTwilio, gateway: Scripted) -> None:
    question = '<Gather numDigits="2" action="/keys" timeout="{}"><Say>Bitte wählen.</Say></Gather><Say>Nichts.</Say>'
    gateway.says("/keys", "<Hangup/>")
    gateway.says("/voice", question.format(30))
    call = twilio.calls.place(KIM, OURS)
    await call.wait_for(lambda one: bool(one.said))
    await call.press("42")
    await ended(call, twilio)
    assert gateway.posts("/keys")[0]["Digits"] == "42"
    gateway.says("/voice", question.format(0))
    call = twilio.calls.place(KIM, OURS)
    await ended(call, twilio)
    assert list(call.said) == ["Bitte wählen.", "Nichts."]
    assert len(gateway.posts("/keys")) == 1


async def test_the_caller_hangs_up_while_it_rings_or_later(twilio: FakeTwilio, gateway: Scripted) -> None:
    gateway.says("/voice", '<Pause length="100"/>')
    call = twilio.calls.place(KIM, OURS)
    await call.wait_for(lambda one: one.answered_at is not None)
    await call.hang_up()
    assert (await ended(call, twilio), call.end_reason) == ("completed", "caller")
    call = twilio.calls.place(KIM, OURS)
    await call.hang_up()
    assert await ended(call, twilio) == "canceled"
    assert gateway.posts("/status")[-1]["CallDuration"] == "0"


async def test_rest_ends_a_call_once(twilio: FakeTwilio, gateway: Scripted, rest: TwilioRest) -> None:
    gateway.says("/voice", '<Pause length="100"/>')
    call = twilio.calls.place(KIM, OURS)
    await call.wait_for(lambda one: one.answered_at is not None)
    assert isinstance(await hang_up(rest, call.sid), Accepted)
    assert (await ended(call, twilio), call.end_reason) == ("completed", "rest")
    again = await hang_up(rest, call.sid)
    assert isinstance(again, Refused)
    assert again.code == 20404
    assert is_over(await redirect(rest, call.sid, HANG_UP))
    shown = await show(rest, call.sid)
    assert isinstance(shown, Accepted)
    assert (shown.body["status"], shown.body["duration"]) == ("completed", "1")
    assert isinstance(await show(rest, "CA1"), Refused)


async def test_rest_gives_a_running_call_another_document(
    twilio: FakeTwilio, gateway: Scripted, rest: TwilioRest
) -> None:
    gateway.says("/voice", '<Pause length="100"/>')
    gateway.says("/moved", "<Say>Umgezogen.</Say>")
    call = twilio.calls.place(KIM, OURS)
    await call.wait_for(lambda one: one.answered_at is not None)
    broken = await redirect(rest, call.sid, "<Response>")
    assert isinstance(broken, Refused)
    assert isinstance(
        await redirect(rest, call.sid, '<Response><Say>Neu.</Say><Pause length="100"/></Response>'), Accepted
    )
    await call.wait_for(lambda one: list(one.said) == ["Neu."])
    moved = await rest.post(f"Calls/{call.sid}.json", [("Url", f"{PUBLIC}/moved")])
    assert isinstance(moved, Accepted)
    await ended(call, twilio)
    assert list(call.said) == ["Neu.", "Umgezogen."]
    assert call.end_reason == "document"


async def test_the_last_time_limit_ends_the_call(twilio: FakeTwilio, gateway: Scripted, rest: TwilioRest) -> None:
    twilio.calls.scale = 1_000.0
    gateway.says("/voice", '<Pause length="3000"/>')
    call = twilio.calls.place(KIM, OURS)
    await call.wait_for(lambda one: one.answered_at is not None)
    await limit(rest, call.sid, 100_000)
    assert isinstance(await limit(rest, call.sid, 60), Accepted)
    assert await ended(call, twilio) == "completed"
    assert (call.end_reason, call.time_limit_s) == ("time limit", 60)
    assert call.duration_s is not None
    assert call.duration_s >= 60
    assert gateway.posts("/status")[0]["CallDuration"] == str(call.duration_s)


async def test_a_later_limit_replaces_an_earlier_one(twilio: FakeTwilio, gateway: Scripted, rest: TwilioRest) -> None:
    twilio.calls.scale = 1_000.0
    gateway.says("/voice", '<Pause length="100000"/>')
    call = twilio.calls.place(KIM, OURS)
    await call.wait_for(lambda one: one.answered_at is not None)
    await limit(rest, call.sid, 400)
    await limit(rest, call.sid, 90_000)
    await asyncio.sleep(0.5)
    assert not call.is_over
    await call.hang_up()


async def test_updates_may_fail_or_lose_their_answer_or_be_slow(
    twilio: FakeTwilio, gateway: Scripted, rest: TwilioRest
) -> None:
    gateway.says("/voice", '<Pause length="100"/>')
    call = twilio.calls.place(KIM, OURS)
    await call.wait_for(lambda one: one.answered_at is not None)
    twilio.faults = TwilioFaults(call_updates_failed=1)
    assert isinstance(await hang_up(rest, call.sid), NotConnected)
    assert not call.is_over
    twilio.faults = TwilioFaults(call_updates_dropped=1, delay_s=0.05)
    assert isinstance(await hang_up(rest, call.sid), OutcomeUnknown)
    assert await ended(call, twilio) == "completed"


async def test_the_last_word_may_be_said_twice(twilio: FakeTwilio, gateway: Scripted) -> None:
    twilio.faults = TwilioFaults(copies=2)
    gateway.says("/voice", "<Hangup/>")
    await ended(twilio.calls.place(KIM, OURS), twilio)
    assert len(gateway.posts("/status")) == 2


async def test_a_relay_is_connected_and_what_it_hands_over_is_told(twilio: FakeTwilio, gateway: Scripted) -> None:
    relay = (
        '<Connect action="/after"><ConversationRelay url="wss://gw.example/media/token-1" language="de-DE"/></Connect>'
    )
    gateway.says("/voice", relay)
    gateway.says("/after", "<Hangup/>")
    gateway.ends_relays_with = "goodbye"
    await ended(twilio.calls.place(KIM, OURS), twilio)
    told = gateway.posts("/after")[0]
    assert (told["SessionStatus"], told["HandoffData"]) == ("ended", "goodbye")
    gateway.refuses_streams = True
    call = twilio.calls.place(KIM, OURS)
    await ended(call, twilio)
    assert gateway.posts("/after")[1]["SessionStatus"] == "failed"
    assert [one.detail for one in call.happened("stream_refused")] == ["403"]


async def test_a_caller_waits_until_something_happens(twilio: FakeTwilio, gateway: Scripted) -> None:
    gateway.says("/voice", '<Say>Guten Tag.</Say><Pause length="100"/>')
    call = await Caller(twilio, business=OURS, number=KIM).call()
    assert list(call.said) == ["Guten Tag."]
    await call.speak(b"\x7f" * 160)  # nobody listens, and that is all
    with pytest.raises(RuntimeError):
        await call.say("Hallo?")
    with pytest.raises(RuntimeError):
        call.lose_connection()
    with pytest.raises(TimeoutError):
        await call.wait_for_end(timeout_s=0.01)
    await call.hang_up()
