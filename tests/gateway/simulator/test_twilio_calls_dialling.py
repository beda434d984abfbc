"""Forwarded calls at the simulated Twilio: who is rung and asked, how it ends, and what is reported of each leg."""

from collections.abc import AsyncIterator

import pytest

from gateway.simulator.twilio import FakeTwilio
from gateway.simulator.twilio_call import PlacedCall
from gateway.simulator.twilio_exchange import BUSY, MACHINE, NO_ANSWER, Answer
from tests.gateway.simulator.scripted import KIM, OURS, Scripted, calling, scripted

BOSS = "+491700000900"
DIAL = (
    '<Dial action="/dialled" timeout="20" timeLimit="120" callerId="+4915735990000"{more}>'
    '<Number url="/whisper" statusCallback="/leg" statusCallbackEvent="initiated ringing answered completed">{number}'
    "</Number></Dial>"
)
QUESTION = '<Gather numDigits="1" timeout="5" action="/accepted"><Say>Anruf von Kim.</Say></Gather><Hangup/>'


@pytest.fixture
async def gateway() -> AsyncIterator[Scripted]:
    async with scripted() as app:
        app.says("/voice", DIAL.format(number=BOSS, more=""))
        app.says("/whisper", QUESTION)
        app.says("/accepted", "")
        app.says("/dialled", "<Say>Leider nicht.</Say>")
        yield app


@pytest.fixture
async def twilio(gateway: Scripted) -> AsyncIterator[FakeTwilio]:
    async with calling(gateway) as fake:
        fake.calls.scale = 40.0  # twenty seconds of ringing pass in half a one
        yield fake


async def ended(twilio: FakeTwilio) -> PlacedCall:
    call = twilio.calls.place(KIM, OURS)
    await call.wait_for_end()
    await twilio.settled()
    return call


async def test_somebody_takes_the_call_and_hangs_up_later(twilio: FakeTwilio, gateway: Scripted) -> None:
    twilio.calls.answers[BOSS] = Answer(talks_s=0.2)
    call = await ended(twilio)
    [leg] = call.legs
    assert (leg.number, leg.caller_id, leg.said, leg.bridged) == (BOSS, OURS, ["Anruf von Kim."], True)
    asked, accepted = gateway.posts("/whisper")[0], gateway.posts("/accepted")[0]
    assert (asked["CallSid"], asked["ParentCallSid"], asked["To"]) == (leg.sid, call.sid, BOSS)
    assert (asked["CallStatus"], asked["Direction"], accepted["Digits"]) == ("in-progress", "outbound-dial", "1")
    [told] = gateway.posts("/dialled")
    assert (told["CallSid"], told["DialCallSid"]) == (call.sid, leg.sid)
    assert (told["DialCallStatus"], told["DialBridged"]) == ("completed", "true")
    assert int(told["DialCallDuration"]) >= 8  # 0.2 s, forty times as fast
    events = {one["CallStatus"]: one for one in gateway.posts("/leg")}
    assert len(gateway.posts("/leg")) == 4
    assert events["completed"]["CallDuration"] == told["DialCallDuration"]
    assert events["completed"]["ParentCallSid"] == call.sid
    assert list(call.said) == ["Leider nicht."]
    assert all(one.signed for one in gateway.posted)


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (BUSY, "busy"),
        (NO_ANSWER, "no-answer"),
        (None, "no-answer"),
        (Answer(kind="rings"), "no-answer"),
        (Answer(after_s=30), "no-answer"),
        (Answer(kind="failed"), "failed"),
    ],
)
async def test_nobody_takes_the_call(twilio: FakeTwilio, gateway: Scripted, answer: Answer | None, status: str) -> None:
    if answer is not None:
        twilio.calls.answers[BOSS] = answer
    call = await ended(twilio)
    [told] = gateway.posts("/dialled")
    assert (told["DialCallStatus"], told["DialBridged"]) == (status, "false")
    assert "DialCallDuration" not in told
    assert gateway.posts("/whisper") == []
    assert list(call.said) == ["Leider nicht."]
    assert [one["CallDuration"] for one in gateway.posts("/leg") if "CallDuration" in one] == ["0"]


async def test_a_machine_presses_nothing_and_is_hung_up_on(twilio: FakeTwilio, gateway: Scripted) -> None:
    twilio.calls.answers[BOSS] = MACHINE
    call = await ended(twilio)
    [told] = gateway.posts("/dialled")
    assert (told["DialCallStatus"], told["DialBridged"]) == ("completed", "false")
    assert int(told["DialCallDuration"]) >= 5
    assert gateway.posts("/accepted") == []
    assert call.legs[0].said == ["Anruf von Kim."]


@pytest.mark.parametrize("talks_s", [None, 3_600.0])
async def test_the_time_that_was_given_ends_the_conversation(
    twilio: FakeTwilio, gateway: Scripted, talks_s: float | None
) -> None:
    twilio.calls.scale = 1_000.0
    twilio.calls.answers[BOSS] = Answer(after_s=0, talks_s=talks_s)
    await ended(twilio)
    [told] = gateway.posts("/dialled")
    assert told["DialCallStatus"] == "completed"
    assert int(told["DialCallDuration"]) >= 120


async def test_the_caller_hangs_up_on_somebody(twilio: FakeTwilio, gateway: Scripted) -> None:
    twilio.calls.answers[BOSS] = Answer()
    call = twilio.calls.place(KIM, OURS)
    await call.wait_for(lambda one: bool(one.legs) and one.legs[0].bridged)
    await call.hang_up()
    await twilio.settled()
    [told] = gateway.posts("/dialled")
    assert (told["CallStatus"], told["DialCallStatus"]) == ("completed", "completed")
    assert "completed" in [one["CallStatus"] for one in gateway.posts("/leg")]
    assert list(call.said) == []


async def test_a_call_that_is_answered_on_joining_rings_until_then(twilio: FakeTwilio, gateway: Scripted) -> None:
    gateway.says("/voice", DIAL.format(number=BOSS, more=' answerOnBridge="true"'))
    gateway.says("/dialled", '<Reject reason="busy"/>')
    twilio.calls.answers[BOSS] = BUSY
    call = await ended(twilio)
    assert (call.state, call.answered_at) == ("busy", None)
    twilio.calls.answers[BOSS] = Answer(talks_s=0.01)
    call = await ended(twilio)
    assert call.answered_at is not None
    assert call.state == "completed"


async def test_without_an_action_the_next_verb_follows_and_numbers_are_tried_in_turn(
    twilio: FakeTwilio, gateway: Scripted
) -> None:
    second = "+491700000901"
    twilio.calls.answers = {BOSS: BUSY, second: Answer(talks_s=0.01)}
    gateway.says("/voice", f"<Dial><Number>{BOSS}</Number><Number>{second}</Number></Dial><Say>Und nun?</Say>")
    call = await ended(twilio)
    assert [(leg.number, leg.state, leg.caller_id) for leg in call.legs] == [
        (BOSS, "busy", KIM),
        (second, "completed", KIM),
    ]
    assert list(call.said) == ["Und nun?"]


async def test_a_whisper_may_not_do_what_only_a_caller_may(twilio: FakeTwilio, gateway: Scripted) -> None:
    twilio.calls.answers[BOSS] = Answer()
    gateway.says("/whisper", f"<Dial>{BOSS}</Dial>")
    call = await ended(twilio)
    assert call.warnings == ["13221: Dial before two people are joined"]
    assert gateway.posts("/dialled")[0]["DialBridged"] == "false"
