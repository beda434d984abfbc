"""Putting callers through: what is held and charged on both legs, who is asked first, and what follows."""

import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from gateway.live_calls import LiveCall
from gateway.voice import call_store
from gateway.voice.answering import build_voice
from gateway.voice.call import Call, MinuteHeld, Progress
from gateway.voice.credit.minutes import begin_minute, hold_first, release_minute
from gateway.voice.legs.dialled import dialled, whisper
from gateway.voice.legs.forwarding import forward
from tests.gateway.voice.engine import ScriptedEngine
from tests.gateway.voice.telephone import FEE, NUMBER, PERSON, PUBLIC, Telephone

RICH = 10_000_000
LEG = "+4930123456"
FORWARDING = {"transfer_to": PERSON}

Open = Callable[..., contextlib.AbstractAsyncContextManager[Telephone]]


@pytest.fixture
def engine() -> ScriptedEngine:
    return ScriptedEngine()


@pytest.fixture
async def telephone(open_telephone: Open, engine: ScriptedEngine) -> AsyncIterator[Telephone]:
    async with open_telephone(engines={"realtime": engine}) as opened:
        await opened.change_agent(voice=FORWARDING)
        yield opened


@dataclass
class Forwarded:
    """A call that is being put through, and the addresses that Twilio has for it."""

    telephone: Telephone
    call: Call
    dial: ET.Element

    def path(self, attribute: str) -> str:
        return at(self.dial[0].get(attribute))

    async def picks_up(self) -> ET.Element:
        return read(await self.leg("url"))

    async def presses(self, digits: str) -> list[str]:
        return [verb.tag for verb in read(await self.leg("url", Digits=digits))]

    async def leg(self, attribute: str, **fields: str) -> str:
        given = {"CallSid": "CA2", "ParentCallSid": "CA1", "From": NUMBER, "To": LEG, **fields}
        return await self.telephone.tell(self.path(attribute), **given)

    async def ends(self, status: str, duration_s: int | None = None) -> ET.Element:
        """Let Twilio say that the dialling is over."""
        more = {} if duration_s is None else {"DialCallDuration": str(duration_s)}
        path = at(self.dial.get("action"))
        return read(await self.telephone.tell(path, CallStatus="in-progress", DialCallStatus=status, **more))

    async def row(self) -> dict[str, Any]:
        [row] = await self.telephone.rows("SELECT * FROM call_leg")
        return row


def at(url: str | None) -> str:
    assert url is not None
    assert url.startswith(PUBLIC)
    return url.removeprefix(PUBLIC)


def read(document: str) -> ET.Element:
    return ET.fromstring(document)  # noqa: S314 - our own words


def tags(document: ET.Element) -> list[str]:
    return [verb.tag for verb in document]


async def live(telephone: Telephone, *, balance: int = RICH) -> Call:
    """Let a stream have a call whose first minute has begun, and whose audio is settled."""
    await telephone.ring()
    services, row = telephone.services, await telephone.call()
    telephone.voice.waiting.drop(row["call_id"])
    async with services.db.transaction(row["tenant_id"]) as connection:
        call = await call_store.load_call(connection, row["tenant_id"], row["call_id"], services.versions)
        epoch = await call_store.begin_stream(
            connection, call.account, now=services.now(), lease_until=services.after(services.limits.call_lease_s)
        )
        assert epoch is not None
        call = await call_store.load_call(connection, row["tenant_id"], row["call_id"], services.versions)
    held = await hold_first(services, call.account)
    assert isinstance(held, MinuteHeld)
    await begin_minute(services, call.account, held)
    await release_minute(services, call.account, held)
    if balance != RICH:
        await telephone.set_balance(balance)
    progress = Progress(elapsed_ms=20_000, greeted=True, past=[{"kind": "customer", "text": "Einen Menschen bitte"}])
    telephone.clock.advance(seconds=20)
    return replace(call, progress=progress)


async def put_through(
    telephone: Telephone, *, reason: str = "transfer", balance: int = RICH, announce: str | None = None
) -> Forwarded:
    call = await live(telephone, balance=balance)
    assert await forward(telephone.voice, call, reason=reason, announce=announce)
    [document] = telephone.carrier.forms("Twiml")
    return Forwarded(telephone, call, next(verb for verb in read(document) if verb.tag == "Dial"))


async def test_a_call_is_put_through_with_our_number_and_both_first_minutes_held(telephone: Telephone) -> None:
    forwarded = await put_through(telephone)
    dial = forwarded.dial
    assert (dial[0].text, dial.get("callerId"), dial.get("timeout")) == (PERSON, NUMBER, "25")
    assert dial.get("answerOnBridge") is None
    assert (await telephone.call())["state"] == "forwarding"
    assert await telephone.wallet() == (RICH - FEE, 2 * FEE)
    assert await telephone.charges() == ["minute:1"]


async def test_a_talk_is_limited_to_what_both_legs_can_pay(telephone: Telephone) -> None:
    forwarded = await put_through(telephone, balance=7 * FEE)
    assert forwarded.dial.get("timeLimit") == "180"


async def test_a_talk_is_never_longer_than_two_hours(telephone: Telephone) -> None:
    await telephone.set_balance(10_000 * FEE)
    await telephone.change_agent(voice=FORWARDING, budgets={"contact": 1_000_000})
    forwarded = await put_through(telephone)
    assert forwarded.dial.get("timeLimit") == "7200"


async def test_twilios_own_limit_on_the_call_moves_behind_the_talks(telephone: Telephone) -> None:
    forwarded = await put_through(telephone, balance=7 * FEE)
    assert forwarded.dial.get("timeLimit") == "180"
    assert telephone.carrier.forms("TimeLimit") == [str(20 + 25 + 60 + 180)]


async def test_something_may_be_announced_before_the_dialling(telephone: Telephone) -> None:
    await put_through(telephone, announce="Ich verbinde Sie.")
    [document] = telephone.carrier.forms("Twiml")
    assert tags(read(document)) == ["Say", "Dial", "Hangup"]


@pytest.mark.parametrize(("left", "possible"), [(2 * FEE, True), (2 * FEE - 1, False), (0, False)])
async def test_nobody_is_dialled_who_cannot_be_paid(telephone: Telephone, left: int, possible: bool) -> None:
    call = await live(telephone, balance=left)
    assert await forward(telephone.voice, call, reason="transfer") is possible
    assert bool(telephone.carrier.forms("Twiml")) is possible
    if not possible:
        assert await telephone.wallet() == (left, 0)
        assert (await telephone.call())["state"] == "live"


@pytest.mark.parametrize("number", [None, NUMBER])
async def test_nobody_is_dialled_without_a_number_or_at_our_own(telephone: Telephone, number: str | None) -> None:
    await telephone.change_agent(voice={"transfer_to": number} if number else {})
    assert not await forward(telephone.voice, await live(telephone), reason="transfer")


async def test_where_twilio_refuses_the_call_stays_with_its_stream(telephone: Telephone) -> None:
    call = await live(telephone)
    telephone.carrier.refuses_with = 21220
    assert not await forward(telephone.voice, call, reason="transfer")
    assert (await telephone.call())["state"] == "live"
    assert await telephone.wallet() == (RICH - FEE, 0)
    telephone.carrier.refuses_with = None
    assert await forward(telephone.voice, call, reason="transfer")
    rows = await telephone.rows("SELECT leg, outcome FROM call_leg ORDER BY leg")
    assert [(row["leg"], row["outcome"]) for row in rows] == [(1, "failed"), (2, None)]


async def test_whoever_picks_up_is_told_who_calls_and_their_minute_begins(telephone: Telephone) -> None:
    forwarded = await put_through(telephone)
    whisper = await forwarded.picks_up()
    assert tags(whisper) == ["Gather", "Gather", "Hangup"]
    said = whisper[0][0].text
    assert said is not None
    assert said.startswith("Die Nummer plus 4 9 1, 7 0 0, 0 0 0, 1 0 1 ruft Acme an. ")
    assert "Drücken Sie die Eins" in said
    assert at(whisper[0].get("action")) == forwarded.path("url")
    assert await telephone.charges() == ["minute:1", "leg:1:minute:1"]
    assert (await forwarded.row())["leg_sid"] == "CA2"


async def test_only_the_key_takes_the_call(telephone: Telephone) -> None:
    forwarded = await put_through(telephone)
    await forwarded.picks_up()
    assert await forwarded.presses("2") == ["Hangup"]
    assert (await forwarded.row())["state"] == "dialling"
    assert await forwarded.presses("1") == []
    assert (await forwarded.row())["state"] == "answered"


async def test_a_call_that_a_person_had_is_over_when_they_hang_up(telephone: Telephone) -> None:
    forwarded = await put_through(telephone)
    await forwarded.picks_up()
    await forwarded.presses("1")
    for _ in range(2):
        assert tags(await forwarded.ends("completed", 30)) == ["Hangup"]
    await telephone.told("completed", CallDuration="50")
    call = await telephone.call()
    assert (call["state"], call["end_reason"], call["minutes_charged"]) == ("ended", "forwarded", 1)
    assert (await forwarded.row())["outcome"] == "completed"
    await telephone.until(lambda: unwatched(telephone))
    assert await telephone.wallet() == (RICH - 2 * FEE, 0)


@pytest.mark.parametrize("status", ["busy", "no-answer", "failed", "canceled", "something-new"])
async def test_if_nobody_takes_the_call_the_agent_goes_on_and_knows_why(
    telephone: Telephone, engine: ScriptedEngine, status: str
) -> None:
    forwarded = await put_through(telephone)
    telephone.clock.advance(seconds=15)
    assert tags(await forwarded.ends(status)) == ["Connect", "Hangup"]
    call = await telephone.call()
    assert (call["state"], call["progress"]["why"]) == ("away", "transfer_failed")
    assert call["progress"]["elapsed_ms"] == 20_000  # as far as the agent had come
    assert engine.setups[-1].past[0].text == "Einen Menschen bitte"
    await telephone.until(lambda: unwatched(telephone))
    assert await telephone.wallet() == (RICH - FEE, 0)


async def test_an_answering_machine_takes_no_call_and_its_minute_is_paid(telephone: Telephone) -> None:
    forwarded = await put_through(telephone)
    await forwarded.picks_up()
    await forwarded.leg("statusCallback", CallStatus="completed", CallDuration="12")
    assert tags(await forwarded.ends("completed", 12)) == ["Connect", "Hangup"]
    row = await forwarded.row()
    assert (row["outcome"], row["minutes_charged"], row["duration_s"]) == ("no-answer", 1, 12)


async def test_who_asks_twice_how_it_goes_on_is_answered_twice(telephone: Telephone) -> None:
    forwarded = await put_through(telephone)
    first, second = await forwarded.ends("busy"), await forwarded.ends("busy")
    assert tags(first) == tags(second) == ["Connect", "Hangup"]


async def test_who_has_no_credits_left_comes_back_to_a_goodbye(telephone: Telephone) -> None:
    forwarded = await put_through(telephone, reason="credits_ended")
    document = await forwarded.ends("busy")
    assert tags(document) == ["Say", "Hangup"]
    assert document[0].text == (
        "Leider ist dort gerade niemand zu erreichen. Vielen Dank für Ihren Anruf. Auf Wiederhören!"
    )
    assert (await telephone.call())["end_reason"] == "not_reached"


async def test_a_caller_who_hangs_up_while_it_rings_ends_the_call(telephone: Telephone) -> None:
    forwarded = await put_through(telephone)
    path = at(forwarded.dial.get("action"))
    answer = await telephone.tell(path, CallStatus="completed", DialCallStatus="no-answer")
    assert tags(read(answer)) == ["Hangup"]
    call = await telephone.call()
    assert (call["state"], call["end_reason"]) == ("ended", "caller_hung_up")
    assert (await telephone.wallet())[1] == 0


async def test_both_legs_are_charged_each_minute_that_starts(telephone: Telephone) -> None:
    forwarded = await put_through(telephone)  # 20 s into the call
    telephone.clock.advance(seconds=10)
    await forwarded.picks_up()
    await forwarded.presses("1")
    telephone.clock.advance(seconds=30)  # 60 s
    await charged(telephone, "minute:2")
    telephone.clock.advance(seconds=30)  # the person's 60 s
    await charged(telephone, "leg:1:minute:2")
    telephone.clock.advance(seconds=30)
    await charged(telephone, "minute:3")
    call, leg = await telephone.call(), await forwarded.row()
    assert (call["minutes_charged"], leg["minutes_charged"]) == (3, 2)
    await forwarded.ends("completed", 61)
    await telephone.told("completed", CallDuration="121")
    await telephone.audit()
    assert await telephone.wallet() == (RICH - 5 * FEE, 0)


async def test_a_minute_is_held_before_it_starts(telephone: Telephone) -> None:
    forwarded = await put_through(telephone)
    await forwarded.picks_up()
    await forwarded.presses("1")
    assert (await telephone.wallet())[1] == FEE  # the caller's next minute, since the dialling
    telephone.clock.advance(seconds=53)  # the caller's second minute has begun, the person's will in 7 s
    await charged(telephone, "minute:2")
    await telephone.until(lambda: holds(telephone, FEE))
    assert "leg:1:minute:2" not in await telephone.charges()


async def test_a_talk_that_cannot_be_paid_any_longer_is_ended(telephone: Telephone) -> None:
    forwarded = await put_through(telephone, balance=2 * FEE)
    await forwarded.picks_up()
    await forwarded.presses("1")
    telephone.clock.advance(seconds=40)
    await charged(telephone, "minute:2")
    assert await telephone.wallet() == (0, 0)
    telephone.clock.advance(seconds=20)
    await telephone.until(lambda: hung_up(telephone))
    assert await telephone.wallet() == (0, 0)


async def test_a_forwarded_call_is_one_of_the_processs_calls_and_shows_what_it_costs(telephone: Telephone) -> None:
    forwarded = await put_through(telephone)
    await forwarded.picks_up()
    await forwarded.presses("1")
    await telephone.until(lambda: shown(telephone))
    telephone.clock.advance(seconds=41)
    await charged(telephone, "minute:2")
    live_calls = telephone.services.live_calls
    live = live_calls.calls[forwarded.call.call_id]
    await telephone.until(lambda: has_charged(live, 3))
    figures = live.figures()
    assert (figures.state, figures.seconds, figures.charged_millicredits) == ("forwarded", 61.0, 3 * FEE)
    await forwarded.ends("completed", 41)
    await telephone.until(lambda: unwatched(telephone))
    assert live_calls.of_tenant(telephone.cast.acme) == len(live_calls) == 0


async def test_a_forwarded_call_is_ended_on_demand(telephone: Telephone) -> None:
    forwarded = await put_through(telephone)
    await telephone.until(lambda: shown(telephone))
    telephone.services.live_calls.calls[forwarded.call.call_id].end("asked")
    await telephone.until(lambda: hung_up(telephone))
    await telephone.until(lambda: unwatched(telephone))
    assert not telephone.services.live_calls.calls


async def test_twilios_durations_correct_both_legs_downwards_once(telephone: Telephone) -> None:
    forwarded = await put_through(telephone)
    await forwarded.picks_up()
    await forwarded.presses("1")
    telephone.clock.advance(seconds=61)
    await charged(telephone, "leg:1:minute:2")
    await forwarded.leg("statusCallback", CallStatus="completed", CallDuration="60")
    await forwarded.ends("completed", 60)
    await telephone.told("completed", CallDuration="59")
    await telephone.told("completed", CallDuration="59")
    assert await telephone.wallet() == (RICH - 2 * FEE, 0)
    await telephone.audit()


async def test_a_caller_the_agent_does_not_answer_rings_on_at_a_person(telephone: Telephone) -> None:
    forwarded = await rings_at_a_person(telephone)
    assert forwarded.dial.get("answerOnBridge") == "true"
    assert await telephone.wallet() == (RICH, 2 * FEE)
    assert await telephone.charges() == []
    await forwarded.picks_up()
    assert await telephone.charges() == ["leg:1:minute:1", "minute:1"]
    await forwarded.presses("1")
    telephone.clock.advance(seconds=60)
    await charged(telephone, "minute:2")
    await forwarded.ends("completed", 61)
    assert (await telephone.call())["state"] == "ended"
    await telephone.until(lambda: holds(telephone, 0))


async def test_asked_twice_the_same_person_is_dialled_once(telephone: Telephone) -> None:
    first = await rings_at_a_person(telephone)
    again = await telephone.ring()
    assert ET.tostring(again[0]) == ET.tostring(first.dial)
    assert await telephone.wallet() == (RICH, 2 * FEE)


async def test_if_nobody_takes_a_call_that_no_agent_answered_a_notice_is_said(telephone: Telephone) -> None:
    forwarded = await rings_at_a_person(telephone)
    document = await forwarded.ends("no-answer")
    assert tags(document) == ["Say", "Hangup"]
    assert await telephone.wallet() == (RICH, 0)
    assert await telephone.charges() == []


async def test_a_caller_whom_a_person_would_cost_too_much_is_rejected(telephone: Telephone) -> None:
    await telephone.set_balance(2 * FEE - 1)
    await switch_off(telephone)
    assert tags(await telephone.ring()) == ["Reject"]
    assert await telephone.wallet() == (2 * FEE - 1, 0)


async def test_what_another_process_hears_of_is_charged_by_the_one_that_watches(telephone: Telephone) -> None:
    forwarded = await put_through(telephone)
    other = build_voice(telephone.services, {})
    who = (telephone.cast.acme, forwarded.call.call_id, 1)
    assert tags(read(await whisper(other, *who, {"CallSid": "CA2"})))[0] == "Gather"
    assert tags(read(await whisper(other, *who, {"CallSid": "CA2", "Digits": "1"}))) == []
    telephone.clock.advance(seconds=60)
    await charged(telephone, "leg:1:minute:2")
    assert tags(read(await dialled(other, *who, {"DialCallStatus": "completed"}))) == ["Hangup"]
    await telephone.until(lambda: unwatched(telephone))
    assert other.forwards == {}
    assert (await telephone.wallet())[1] == 0


async def switch_off(telephone: Telephone) -> None:
    voice = {"when_unavailable": "forward", **FORWARDING}
    await telephone.change_agent(voice=voice, channel={"voice": {"enabled": False}})


async def rings_at_a_person(telephone: Telephone) -> Forwarded:
    await switch_off(telephone)
    document = await telephone.ring()
    assert tags(document) == ["Dial", "Hangup"]
    services, row = telephone.services, await telephone.call()
    async with services.db.transaction(row["tenant_id"]) as connection:
        call = await call_store.load_call(connection, row["tenant_id"], row["call_id"], services.versions)
    return Forwarded(telephone, call, document[0])


async def charged(telephone: Telephone, key: str) -> None:
    async def there() -> bool:
        return key in await telephone.charges()

    await telephone.until(there)


async def holds(telephone: Telephone, millicredits: int) -> bool:
    return (await telephone.wallet())[1] == millicredits


async def unwatched(telephone: Telephone) -> bool:
    return not telephone.voice.forwards


async def hung_up(telephone: Telephone) -> bool:
    return telephone.carrier.forms("Status") == ["completed"]


async def shown(telephone: Telephone) -> bool:
    return bool(telephone.services.live_calls.calls)


async def has_charged(live: LiveCall, minutes: int) -> bool:
    return live.figures().minutes_charged == minutes
