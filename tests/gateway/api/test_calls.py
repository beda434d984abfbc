"""Phone calls as their owner's own systems see them."""

from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID, uuid4

import pytest

from agents.agent import parse_agent
from gateway.live_calls import CallFigures
from gateway.voice.call import Call
from gateway.voice.credit.keys import minute_key
from gateway.voice.transcripts import note_agent
from metering.operations import Charge, ReceiptDraft, Refund
from metering.rates import Item, Line
from tests.conftest import Clock
from tests.gateway.api.conftest import Caller, Salon, an_agent
from tests.gateway.voice import a_call

MINUTE = Line(Item.CALL_MINUTE, 1, 95_000)


@dataclass
class Live:
    """A call that this process pumps."""

    tenant_id: UUID
    call_id: UUID

    def figures(self) -> CallFigures:
        return CallFigures(
            seconds=61.5,
            minutes_charged=2,
            input_tokens=615,
            output_tokens=200,
            charged_millicredits=300_000,
            unsettled_millicredits=4_425,
            held_millicredits=885_000,
            state="speaking",
        )

    def move(self) -> None:
        raise AssertionError("nobody moves it")

    def end(self, reason: str) -> None:
        raise AssertionError(f"nobody ends it: {reason}")


def phone_of(salon: Salon) -> a_call.Salon:
    configuration = parse_agent(an_agent(greeting="Hallo, die KI."))
    return a_call.Salon(salon.services, salon.tenant_id, salon.agent_id, salon.line_id, configuration)


async def a_phone_call(salon: Salon) -> UUID:
    """A call that is going on here, and rings at somebody else."""
    call = await phone_of(salon).rings()
    salon.services.live_calls.add(Live(salon.tenant_id, call.call_id))
    await salon.sql(
        "INSERT INTO call_leg (tenant_id, call_id, leg, time_limit_s, dialled_at) VALUES ($1, $2, 1, 600, $3)",
        salon.tenant_id,
        call.call_id,
        salon.services.now(),
    )
    return call.call_id


@pytest.fixture
def phone(salon: Salon) -> a_call.Salon:
    return phone_of(salon)


async def charge(phone: a_call.Salon, call: Call, minute: int, *, refunded: bool = False) -> None:
    key = minute_key(call.call_id, minute)
    receipt = ReceiptDraft(
        receipt_id=phone.services.new_id(),
        subject="call",
        rate_card=phone.services.rate_cards.on(phone.services.now().date()).version,
        lines=(MINUTE,),
        day=phone.services.now().date(),
        channel="voice",
        conversation_id=call.account.conversation_id,
    )
    await phone.services.ledger.submit(phone.tenant_id, Charge(key=key, receipt=receipt))
    if refunded:
        refund = Refund(
            key=f"refund:{key}:duration",
            charge_key=key,
            lines=(MINUTE,),
            channel="voice",
            day=receipt.day,
            reason="shorter",
        )
        await phone.services.ledger.submit(phone.tenant_id, refund)


async def test_a_call_shows_what_it_cost_and_how_it_went(acme: Caller, phone: a_call.Salon) -> None:
    call = await phone.rings()
    other = await phone.rings()
    await charge(phone, call, 1)
    await charge(phone, call, 2, refunded=True)
    await charge(phone, other, 1)
    await phone.do(
        """UPDATE call SET state = 'ended', ended_at = $2, end_reason = 'caller_hung_up', duration_s = 59,
             minutes_charged = 1, input_tokens = 590, output_tokens = 200, figures = '{"underruns": 0}',
             provider_usage = '{"total_tokens": 9}' WHERE call_id = $1""",
        call.call_id,
        phone.services.now(),
    )
    await phone.do(
        """INSERT INTO call_leg (tenant_id, call_id, leg, time_limit_s, dialled_at) VALUES ($1, $2, 1, 600, $3)""",
        phone.tenant_id,
        call.call_id,
        phone.services.now(),
    )
    told = await acme.get(f"/calls/{call.call_id}")
    assert told["id"] == str(call.call_id)
    assert (told["state"], told["end_reason"], told["duration_s"]) == ("ended", "caller_hung_up", 59)
    assert (told["minutes_charged"], told["input_tokens"], told["output_tokens"]) == (1, 590, 200)
    assert told["charged_millicredits"] == 95_000
    assert told["recording"] == {"state": "none", "duration_s": None, "consent_at": None}
    assert told["figures"] == {"underruns": 0}
    assert told["live"] is None
    assert [(leg["leg"], leg["state"], leg["outcome"]) for leg in told["legs"]] == [(1, "dialling", None)]
    assert "provider_usage" not in told, "what we pay is the operator's business"
    assert (await acme.get(f"/calls/{other.call_id}"))["charged_millicredits"] == 95_000


async def test_a_call_that_goes_on_here_shows_its_meter(acme: Caller, phone: a_call.Salon) -> None:
    call = await phone.rings()
    live = Live(phone.tenant_id, call.call_id)
    phone.services.live_calls.add(live)
    told = await acme.get(f"/calls/{call.call_id}")
    assert told["live"] == {
        "seconds": 61.5,
        "minutes_charged": 2,
        "input_tokens": 615,
        "output_tokens": 200,
        "charged_millicredits": 300_000,
        "unsettled_millicredits": 4_425,
        "held_millicredits": 885_000,
        "state": "speaking",
    }
    assert (await acme.get("/calls"))["items"][0]["live"] == told["live"]
    phone.services.live_calls.discard(live)
    assert (await acme.get(f"/calls/{call.call_id}"))["live"] is None


async def test_pages_show_every_call_once_the_newest_first(acme: Caller, phone: a_call.Salon, clock: Clock) -> None:
    calls = []
    for _ in range(5):
        calls.append(await phone.rings(caller=None))
        clock.advance(seconds=60)
    listed = await acme.walk("/calls", limit=2)
    assert [each["id"] for each in listed] == [str(call.call_id) for call in reversed(calls)]
    assert {each["caller"] for each in listed} == {None}
    conversation_id = calls[2].account.conversation_id
    of_one = await acme.get("/calls", conversation_id=conversation_id)
    assert [each["id"] for each in of_one["items"]] == [str(calls[2].call_id)]


async def test_a_conversation_shows_its_calls_and_what_was_heard_in_them(acme: Caller, phone: a_call.Salon) -> None:
    call = await phone.rings()
    at = phone.services.now() + timedelta(seconds=1)
    await note_agent(phone.services, call, "Das kostet 42 Euro.", "Das …", at, 300, True)
    told = await acme.get(f"/conversations/{call.account.conversation_id}")
    assert [each["id"] for each in told["calls"]] == [str(call.call_id)]
    assert told["window"] is None
    [message] = told["messages"]
    assert (message["text"], message["kind"], message["interrupted"]) == ("Das …", "speech", True)
    assert (message["call_id"], message["callback"], message["ai_generated"]) == (str(call.call_id), None, True)
    assert "42 Euro" not in str(told)


async def test_other_conversations_have_no_calls(acme: Caller, salon: Salon) -> None:
    told = await acme.get(f"/conversations/{await salon.receive('Hallo')}")
    assert told["calls"] == []
    assert (told["messages"][0]["call_id"], told["messages"][0]["interrupted"]) == (None, False)


async def test_nobody_sees_anothers_calls(mallory: Caller, nobody: Caller, phone: a_call.Salon) -> None:
    call = await phone.rings()
    assert (await mallory.ask("GET", f"/calls/{call.call_id}")).code == "not_found"
    assert (await mallory.ask("GET", f"/calls/{uuid4()}")).code == "not_found"
    assert (await mallory.ask("GET", "/calls/none")).code == "not_found"
    assert (await mallory.get("/calls"))["items"] == []
    assert (await nobody.ask("GET", "/calls")).status == 401
