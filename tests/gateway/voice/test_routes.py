"""A call that rings, over HTTP: who may ask, what is answered, what is held for it, and that asking twice is once."""

import asyncio
import contextlib
import io
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from uuid import uuid5
from xml.etree import ElementTree as ET

import pytest

from gateway.limits import Limits
from gateway.voice.addresses import MEDIA
from tests.conftest import Clock
from tests.gateway.voice.engine import ScriptedEngine
from tests.gateway.voice.telephone import (
    ACCOUNT,
    ANNA,
    AUDIO,
    FEE,
    NUMBER,
    PERSON,
    PUBLIC,
    Telephone,
)

VOICE = "/webhooks/twilio/voice"
RICH = 10_000_000
SOCKET = f"wss{PUBLIC.removeprefix('https')}{MEDIA}/"


Open = Callable[..., contextlib.AbstractAsyncContextManager[Telephone]]


@pytest.fixture
def engine() -> ScriptedEngine:
    return ScriptedEngine()


@pytest.fixture
async def telephone(open_telephone: Open, engine: ScriptedEngine) -> AsyncIterator[Telephone]:
    async with open_telephone(engines={"realtime": engine}) as opened:
        yield opened


def tags(document: ET.Element) -> list[str]:
    return [verb.tag for verb in document]


def stream_token(document: ET.Element) -> str:
    url = document[0][0].get("url")
    assert url is not None
    assert url.startswith(SOCKET)
    return url.removeprefix(SOCKET)


async def test_a_call_is_connected_by_an_address_of_its_own_and_its_first_minute_is_held(telephone: Telephone) -> None:
    document = await telephone.ring()
    assert tags(document) == ["Connect", "Hangup"]
    assert len(stream_token(document)) > 30
    assert await telephone.wallet() == (RICH, FEE + AUDIO)
    assert await telephone.charges() == []
    call = await telephone.call()
    assert (call["state"], call["call_sid"], call["engine"], call["caller"]) == ("offered", "CA1", "realtime", ANNA)
    [contact] = await telephone.rows("SELECT address FROM contact_address")
    assert contact["address"] == ANNA


async def test_a_caller_comes_back_to_the_conversation_of_the_day(telephone: Telephone) -> None:
    await telephone.ring("CA1")
    await telephone.told("completed", "CA1", CallDuration="0")
    await telephone.ring("CA2")
    rows = await telephone.rows("SELECT conversation_id, contact_id FROM call")
    assert len(rows) == 2
    assert len({tuple(row.values()) for row in rows}) == 1


async def test_each_caller_who_withholds_the_number_is_somebody_new(telephone: Telephone) -> None:
    await telephone.ring("CA1", caller="anonymous")
    await telephone.ring("CA2", caller="+266696687")
    rows = await telephone.rows("SELECT contact_id, caller FROM call")
    assert [row["caller"] for row in rows] == [None, None]
    assert len({row["contact_id"] for row in rows}) == 2
    assert await telephone.rows("SELECT FROM contact_address") == []


async def test_asked_twice_about_one_call_there_is_one_row_and_one_hold(telephone: Telephone) -> None:
    first, second = await telephone.ring(), await telephone.ring()
    assert tags(first) == tags(second)
    assert stream_token(first) != stream_token(second)
    assert len(await telephone.rows("SELECT FROM call")) == 1
    assert await telephone.wallet() == (RICH, FEE + AUDIO)


async def test_asked_twice_at_once_there_is_one_row_and_one_hold(telephone: Telephone) -> None:
    documents = await asyncio.gather(*(telephone.ring() for _ in range(5)))
    assert [tags(document) for document in documents] == [["Connect", "Hangup"]] * 5
    assert len(await telephone.rows("SELECT FROM call")) == 1
    assert await telephone.wallet() == (RICH, FEE + AUDIO)


async def test_the_engine_is_opened_while_twilio_connects_and_closed_if_it_does_not(
    telephone: Telephone, engine: ScriptedEngine
) -> None:
    await telephone.ring()
    await asyncio.wait_for(engine.opened.wait(), 5)
    [setup] = engine.setups
    assert setup.voice == "marin"
    assert "Hallo, hier ist die digitale Assistentin (KI)." in setup.instructions
    assert {tool.name for tool in setup.tools} >= {"end_call", "take_message"}
    await telephone.told("completed", CallDuration="0")
    await telephone.voice.waiting.close()
    assert engine.closed == 1


async def test_an_engine_that_cannot_be_opened_fails_no_call(telephone: Telephone, engine: ScriptedEngine) -> None:
    engine.fails = True
    assert tags(await telephone.ring()) == ["Connect", "Hangup"]
    assert await telephone.voice.waiting.take((await telephone.call())["call_id"]) is None


async def test_an_agent_that_twilio_speaks_for_is_connected_by_text(telephone: Telephone) -> None:
    await telephone.change_agent(voice={"engine": "conversation_relay"})
    connect, after = await telephone.ring()
    relay = connect[0]
    assert (relay.tag, relay.get("language"), after.tag) == ("ConversationRelay", "de-DE", "Hangup")
    assert relay.get("voice") is None
    assert str(relay.get("url")).startswith(SOCKET)
    assert len(telephone.voice.waiting) == 0


@pytest.mark.parametrize(
    "changes",
    [
        {"token": "another token"},
        {"public": "https://attacker.example.com"},
        {"account": "AC00000000000000000000000000000002"},
    ],
)
async def test_whoever_is_not_twilio_gets_nothing(telephone: Telephone, changes: dict[str, str]) -> None:
    for path in (VOICE, f"{VOICE}/status"):
        response = await telephone.post(path, CallSid="CA1", From=ANNA, To=NUMBER, **changes)
        assert response.status == 403
    assert await telephone.rows("SELECT FROM call") == []


async def test_the_host_that_a_proxy_names_signs_nothing(telephone: Telephone) -> None:
    response = await telephone.http.post(
        VOICE, data={"AccountSid": ACCOUNT}, headers={"Host": "gateway.example.com", "X-Twilio-Signature": "x"}
    )
    assert response.status == 403


async def test_a_body_without_end_is_refused(telephone: Telephone) -> None:
    response = await telephone.http.post(VOICE, data=io.BytesIO(b"x" * (telephone.services.limits.webhook_bytes + 1)))
    assert response.status == 413


async def test_a_call_to_nobody_is_rejected_and_kept_for_the_operator(telephone: Telephone) -> None:
    assert tags(await telephone.ring(to="+4915100000099")) == ["Reject"]
    async with telephone.services.db.queue() as connection:
        [row] = await connection.fetch("SELECT reason, detail FROM quarantine")
    assert (row["reason"], row["detail"]) == ("unknown_line", "number +4915100000099")


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE line SET channels = '{sms}'",
        "UPDATE line SET state = 'suspended'",
        "UPDATE agent SET published_version = NULL",
    ],
)
async def test_a_line_that_nobody_answers_is_rejected_without_a_trace(telephone: Telephone, statement: str) -> None:
    await telephone.rows(statement)
    assert tags(await telephone.ring()) == ["Reject"]
    assert await telephone.rows("SELECT FROM call") == []
    assert await telephone.rows("SELECT FROM conversation") == []


async def test_an_agent_that_cannot_be_read_is_told_of_once(telephone: Telephone) -> None:
    await telephone.ring("CA1")
    await telephone.rows("UPDATE conversation SET agent_version = 2")
    for number in (2, 3):
        assert tags(await telephone.ring(f"CA{number}")) == ["Reject"]
    assert [row["kind"] for row in await telephone.rows("SELECT kind FROM alert")] == ["agent_unreadable"]


@pytest.mark.parametrize("left", [0, FEE - 1, FEE + 200_000])
async def test_a_call_that_cannot_be_paid_is_rejected_unanswered(telephone: Telephone, left: int) -> None:
    await telephone.set_balance(left)
    for _ in range(2):
        assert tags(await telephone.ring()) == ["Reject"]
    assert await telephone.wallet() == (left, 0)
    assert (await telephone.call())["state"] == "declined"


async def test_a_paused_tenant_is_rejected_whatever_there_is_to_pay_with(telephone: Telephone) -> None:
    await telephone.change_agent(voice={"when_unavailable": "forward", "transfer_to": PERSON})
    await telephone.rows("UPDATE wallet SET state = 'paused', paused_at = now()")
    assert tags(await telephone.ring()) == ["Reject"]
    assert (await telephone.call())["end_reason"] == "tenant_paused"


async def test_two_calls_on_the_last_credits_are_one_call(telephone: Telephone) -> None:
    await telephone.set_balance(FEE + AUDIO)
    documents = await asyncio.gather(telephone.ring("CA1"), telephone.ring("CA2", caller="+491700000102"))
    assert sorted(tags(document)[0] for document in documents) == ["Connect", "Reject"]
    assert await telephone.wallet() == (FEE + AUDIO, FEE + AUDIO)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"channel": {"voice": {"enabled": False}}}, "switched_off"),
        ({"hours": {"monday": ["09:00-18:00"]}, "after_hours": "during"}, "after_hours"),
        ({"budgets": {"contact": 0}}, "over_budget"),
    ],
)
async def test_whom_the_agent_does_not_answer_hears_the_owners_words(
    telephone: Telephone, changes: dict[str, object], reason: str
) -> None:
    await telephone.change_agent(**changes, voice={"unavailable_text": "Wir rufen zurück & freuen uns."})
    for _ in range(2):
        document = await telephone.ring()
        assert tags(document) == ["Say", "Hangup"]
        assert document[0].text == "Wir rufen zurück & freuen uns."
    call = await telephone.call()
    assert (call["state"], call["end_reason"]) == ("declined", reason)
    assert await telephone.wallet() == (RICH, 0)


async def test_a_notice_is_in_the_agents_language(telephone: Telephone) -> None:
    await telephone.change_agent(language="en", channel={"voice": {"enabled": False}})
    say = (await telephone.ring())[0]
    assert (say.get("language"), say.text) == (
        "en-GB",
        "Hello! We cannot take your call right now. Please call again later.",
    )


async def test_a_conversation_that_a_person_has_taken_over_is_not_answered_by_the_agent(telephone: Telephone) -> None:
    await telephone.ring("CA1")
    await telephone.told("completed", "CA1", CallDuration="0")
    await telephone.rows("UPDATE conversation SET mode = 'human'")
    assert tags(await telephone.ring("CA2")) == ["Say", "Hangup"]


async def test_a_tenant_has_so_many_calls_at_once_and_a_dead_one_does_not_count(
    open_telephone: Open, engine: ScriptedEngine, clock: Clock
) -> None:
    limits = Limits(calls_per_tenant=2)
    async with open_telephone(engines={"realtime": engine}, limits=limits) as telephone:
        for number in range(2):
            assert tags(await telephone.ring(f"CA{number}")) == ["Connect", "Hangup"]
            clock.advance(seconds=1)
        assert tags(await telephone.ring("CA2")) == ["Say", "Hangup"]
        clock.advance(seconds=limits.stream_begins_s + 1)
        assert tags(await telephone.ring("CA3")) == ["Connect", "Hangup"]


async def test_a_process_that_has_enough_to_do_declines(open_telephone: Open, engine: ScriptedEngine) -> None:
    limits = Limits(calls_per_process=1)
    async with open_telephone(engines={"realtime": engine}, limits=limits) as telephone:
        await telephone.ring("CA1")
        assert tags(await telephone.ring("CA2")) == ["Say", "Hangup"]


async def test_without_an_engine_nobody_is_answered(open_telephone: Open) -> None:
    async with open_telephone(engines={}) as telephone:
        assert tags(await telephone.ring()) == ["Say", "Hangup"]
        assert (await telephone.call())["end_reason"] == "no_engine"


async def test_a_process_that_stops_leaves_new_calls_to_the_fallback_address(telephone: Telephone) -> None:
    telephone.stopping[0] = True
    response = await telephone.post(VOICE, CallSid="CA1", From=ANNA, To=NUMBER)
    assert response.status == 503
    assert await telephone.rows("SELECT FROM call") == []


async def test_what_comes_when_the_database_is_away_is_left_to_the_fallback_address(telephone: Telephone) -> None:
    await telephone.services.db.close()
    response = await telephone.post(VOICE, CallSid="CA1", From=ANNA, To=NUMBER)
    assert response.status == 503


async def test_a_call_that_ends_before_its_stream_is_ended_and_what_was_held_is_free(telephone: Telephone) -> None:
    await telephone.ring()
    for _ in range(2):
        await telephone.told("completed", CallDuration="3")
    call = await telephone.call()
    assert (call["state"], call["duration_s"]) == ("ended", 3)
    assert await telephone.wallet() == (RICH, 0)
    await telephone.audit()
    assert tags(await telephone.ring()) == ["Hangup"]


@pytest.mark.parametrize("status", ["busy", "failed", "no-answer", "canceled"])
async def test_a_call_that_was_never_connected_ends_without_a_duration(telephone: Telephone, status: str) -> None:
    await telephone.ring()
    await telephone.told(status)
    assert (await telephone.call())["state"] == "ended"
    assert await telephone.wallet() == (RICH, 0)


async def test_the_end_of_a_call_that_a_stream_has_is_left_to_the_stream(telephone: Telephone) -> None:
    await telephone.ring()
    lease_until = telephone.clock.now() + timedelta(seconds=30)
    await telephone.rows(
        "UPDATE call SET state = 'live', lease_until = $1, stream_started_at = $1, lease_epoch = 1", lease_until
    )
    await telephone.told("completed", CallDuration="42")
    call = await telephone.call()
    assert (call["state"], call["duration_s"]) == ("live", 42)


@pytest.mark.parametrize("state", ["live", "away"])
async def test_where_twilio_could_not_follow_an_answer_the_stream_begins_anew(telephone: Telephone, state: str) -> None:
    await telephone.ring()
    await telephone.rows("UPDATE call SET state = $1, stream_started_at = offered_at", state)
    assert tags(await telephone.ring()) == ["Connect", "Hangup"]
    assert len(await telephone.rows("SELECT FROM call")) == 1


@pytest.mark.parametrize("status", ["ringing", "in-progress", "something-new"])
async def test_what_is_no_end_changes_nothing(telephone: Telephone, status: str) -> None:
    await telephone.ring()
    await telephone.told(status, CallDuration="3")
    assert (await telephone.call())["state"] == "offered"


async def test_the_end_of_a_call_that_is_not_ours_changes_nothing(telephone: Telephone) -> None:
    await telephone.told("completed", "CA9", CallDuration="3")
    response = await telephone.post(f"{VOICE}/status", CallSid="CA9", To="+4915100000099", CallStatus="completed")
    assert response.status == 204


async def test_mallorys_addresses_lead_to_no_call_of_acmes(telephone: Telephone) -> None:
    await telephone.ring()
    call_id = (await telephone.call())["call_id"]
    for path in ("dialled", "whisper", "leg-status"):
        answer = await telephone.tell(f"{VOICE}/{path}/{call_id}/1?tenant={telephone.cast.mallory}")
        assert answer == "" or tags(ET.fromstring(answer)) == ["Hangup"]  # noqa: S314 - our own words
    assert (await telephone.call())["state"] == "offered"


async def test_an_address_that_names_no_call_is_unknown(telephone: Telephone) -> None:
    tenant = telephone.cast.acme
    for path in (f"dialled/nobody/1?tenant={tenant}", f"whisper/{uuid5(tenant, '')}/1", f"recording/x?tenant={tenant}"):
        response = await telephone.post(f"{VOICE}/{path}", CallSid="CA1")
        assert response.status == 404
