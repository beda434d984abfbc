"""A received SMS is stored and charged once, whatever it says; what cannot be paid is stored all the same."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import asyncpg
import pytest

from gateway.channels.base import LineAddress, MediaReference
from gateway.db import Database
from gateway.inbox import accept
from metering.operations import Charge, ReceiptDraft
from metering.rates import Item, Line
from tests.cast import CREDIT_MILLICREDITS
from tests.gateway.mailroom import ANNA, EMRE, Mailroom
from tests.gateway.sms_mailroom import RECEIVED, SmsMailroom
from tests.gateway.wiring import wired
from tests.metering.operations import hold

OPTED_OUT = "SELECT channel, opted_out_at FROM service_window ORDER BY channel"
REFUSING = "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE SQLSTATE ''57014''; END'"
UNCOLLECTED = """SELECT content ->> 'uncollected' AS reason, count(*) AS many FROM message
                 WHERE direction = 'in' GROUP BY reason ORDER BY reason"""


async def leave(sms: SmsMailroom, millicredits: int) -> None:
    """Spend all but so much."""
    mailroom, now = sms.mailroom, sms.mailroom.clock.now()
    spent = await mailroom.balance() - millicredits
    tokens = -(-spent // 200)
    receipt = ReceiptDraft(
        receipt_id=mailroom.services.new_id(),
        subject="turn",
        rate_card=mailroom.services.rate_cards.on(now.date()).version,
        lines=(Line(Item.CHAT_OUTPUT, tokens, 200), Line(Item.ABSORBED, spent - 200 * tokens, 1)),
        day=now.date(),
    )
    await mailroom.services.ledger.submit(mailroom.cast.acme, Charge(key="spent", receipt=receipt))
    assert await mailroom.balance() == millicredits


async def test_an_sms_is_charged_by_its_segments_and_says_on_its_receipt_whose_it_was(sms: SmsMailroom) -> None:
    await sms.write(1, "Ein sehr langer Text", segments=3)
    await sms.write(2, "Twilio hat nicht gezählt", segments=0)
    assert await sms.charges() == {"sms:SM1": 3 * RECEIVED, "sms:SM2": RECEIVED}
    assert await sms.mailroom.balance() == CREDIT_MILLICREDITS - 4 * RECEIVED
    message, _ = await sms.mailroom.rows("SELECT * FROM message ORDER BY provider_id")
    receipt = await sms.mailroom.row("SELECT * FROM receipt WHERE receipt_id = $1", message["receipt_id"])
    assert (message["segments"], message["state"]) == (3, "received")
    assert (receipt["subject"], receipt["channel"]) == ("received", "sms")
    for name in ("conversation_id", "contact_id", "line_id"):
        assert receipt[name] == message[name]
    assert receipt["agent_id"] is not None
    assert receipt["lines"] == [
        {"item": "sms_received", "quantity": 3, "unit_millicredits": RECEIVED, "amount_millicredits": 3 * RECEIVED}
    ]
    conversation = await sms.mailroom.row("SELECT channel, due_at, input_version FROM conversation")
    assert (conversation["channel"], conversation["input_version"]) == ("sms", 2)
    assert conversation["due_at"] is not None
    await sms.audit()


async def test_twenty_copies_at_the_same_moment_are_one_message_and_one_charge(sms: SmsMailroom) -> None:
    await asyncio.gather(*(sms.write(1, segments=2) for _ in range(20)))
    assert await sms.charges() == {"sms:SM1": 2 * RECEIVED}
    assert len(await sms.mailroom.rows("SELECT FROM message")) == 1
    assert len(await sms.mailroom.rows("SELECT FROM webhook")) == 1
    assert (await sms.mailroom.row("SELECT input_version FROM conversation"))["input_version"] == 1
    await sms.audit()


async def test_two_hundred_first_messages_on_a_nearly_empty_wallet_charge_exactly_what_it_can_pay(
    sms: SmsMailroom,
) -> None:
    await leave(sms, 7 * RECEIVED + RECEIVED - 1)
    await asyncio.gather(*(sms.write(n, wa_id=f"4917{n:08d}") for n in range(200)))
    assert len(await sms.charges()) == 7
    assert await sms.mailroom.rows(UNCOLLECTED) == [
        {"reason": "insufficient_credits", "many": 1},
        {"reason": "tenant_paused", "many": 192},
        {"reason": None, "many": 7},
    ]
    unpaid = await sms.mailroom.rows("SELECT state, receipt_id, segments FROM message WHERE content ? 'uncollected'")
    assert {tuple(row.values()) for row in unpaid} == {("received", None, 1)}
    wallet = await sms.mailroom.row("SELECT balance_millicredits, state FROM wallet")
    assert wallet == {"balance_millicredits": RECEIVED - 1, "state": "paused"}
    assert (await sms.alerts()).count("paused") == 1
    assert len(await sms.mailroom.rows("SELECT FROM contact")) == 200


async def test_what_was_not_paid_is_never_charged_later(sms: SmsMailroom) -> None:
    await leave(sms, RECEIVED - 1)
    await sms.write(1)
    await sms.grant(10 * RECEIVED)
    await sms.write(1)
    assert await sms.charges() == {}
    await sms.write(2)
    assert await sms.charges() == {"sms:SM2": RECEIVED}


async def test_a_tenant_that_is_paused_is_charged_for_nothing_it_receives(sms: SmsMailroom) -> None:
    await sms.mailroom.rows("UPDATE wallet SET state = 'paused'")
    await sms.write(1)
    assert await sms.charges() == {}
    assert await sms.mailroom.rows(UNCOLLECTED) == [{"reason": "tenant_paused", "many": 1}]


async def test_credits_that_turns_in_flight_keep_pause_nobody(sms: SmsMailroom) -> None:
    await leave(sms, RECEIVED)
    await sms.services.ledger.submit(sms.mailroom.cast.acme, hold("turn:1:1", 1, now=sms.mailroom.clock.now()))
    await sms.write(1)
    assert await sms.mailroom.rows(UNCOLLECTED) == [{"reason": "credits_in_flight", "many": 1}]
    assert await sms.mailroom.row("SELECT state FROM wallet") == {"state": "active"}
    assert (await sms.mailroom.row("SELECT due_at FROM conversation"))["due_at"] is not None


async def test_beyond_the_daily_limit_sms_are_stored_and_neither_charged_nor_answered(sms: SmsMailroom) -> None:
    limit = sms.services.limits.sms_received_per_day
    await sms.grant(10 * RECEIVED)
    await asyncio.gather(*(sms.write(n) for n in range(limit + 5)))
    await sms.write(1_000, wa_id=EMRE)
    assert len(await sms.charges()) == limit + 1
    assert await sms.mailroom.rows(UNCOLLECTED) == [
        {"reason": "too_many_today", "many": 5},
        {"reason": None, "many": limit + 1},
    ]
    beyond = await sms.mailroom.rows("SELECT state, receipt_id FROM message WHERE content ? 'uncollected'")
    assert {tuple(row.values()) for row in beyond} == {("recorded", None)}
    assert (await sms.alerts()).count("sms_flood") == 1
    await sms.audit()


async def test_the_limit_begins_anew_on_the_tenants_next_day(sms: SmsMailroom) -> None:
    limit = sms.services.limits.sms_received_per_day
    await sms.grant(10 * RECEIVED)
    for number in range(limit + 1):
        await sms.write(number)
    sms.mailroom.clock.at = sms.mailroom.clock.at.replace(hour=22, minute=59)  # 23:59 in Berlin
    await sms.write(100)
    assert len(await sms.charges()) == limit
    sms.mailroom.clock.advance(seconds=60)
    await sms.write(101)
    assert len(await sms.charges()) == limit + 1


async def test_stop_beyond_the_daily_limit_is_obeyed_all_the_same(sms: SmsMailroom) -> None:
    for number in range(sms.services.limits.sms_received_per_day):
        await sms.write(number)
    await sms.write(100, "STOP")
    assert (await sms.mailroom.row(OPTED_OUT))["opted_out_at"] == sms.mailroom.clock.now()
    assert set((await sms.states()).values()) == {"recorded"}


@pytest.mark.parametrize("words", ["STOP", "Cancel", " end "])
async def test_stop_ends_what_is_unanswered_is_charged_and_is_not_confirmed_by_us(sms: SmsMailroom, words: str) -> None:
    await sms.write(1, "Was kostet ein Schnitt?")
    await sms.write(2, words)
    assert await sms.states() == {"SM1": "recorded", "SM2": "recorded"}
    assert (await sms.mailroom.row(OPTED_OUT))["opted_out_at"] is not None
    conversation = await sms.mailroom.row("SELECT due_at, pending_since FROM conversation")
    assert conversation == {"due_at": None, "pending_since": None}
    assert await sms.mailroom.rows("SELECT FROM message WHERE direction = 'out'") == []
    assert set(await sms.charges()) == {"sms:SM1", "sms:SM2"}


async def test_what_twilio_says_it_has_obeyed_counts_whatever_the_word(sms: SmsMailroom) -> None:
    await sms.write(1, "Nein danke", opt_out="stop")
    assert (await sms.mailroom.row(OPTED_OUT))["opted_out_at"] is not None
    await sms.write(2, "Los", opt_out="start")
    assert (await sms.mailroom.row(OPTED_OUT))["opted_out_at"] is None
    await sms.write(3, "Auskunft", opt_out="help")
    assert set((await sms.states()).values()) == {"recorded"}
    assert len(await sms.charges()) == 3


async def test_only_start_opens_again_and_nobody_is_answered_before(sms: SmsMailroom) -> None:
    await sms.write(1, "STOP")
    await sms.write(2, "Doch noch eine Frage")
    assert await sms.states() == {"SM1": "recorded", "SM2": "recorded"}
    assert (await sms.mailroom.row("SELECT due_at FROM conversation"))["due_at"] is None
    await sms.write(3, "START")
    await sms.write(4, "Was kostet ein Schnitt?")
    assert (await sms.states()) == {"SM1": "recorded", "SM2": "recorded", "SM3": "recorded", "SM4": "received"}
    assert (await sms.mailroom.row("SELECT due_at FROM conversation"))["due_at"] is not None
    assert len(await sms.charges()) == 4


async def test_a_copy_of_an_old_stop_stops_nothing(sms: SmsMailroom) -> None:
    await sms.write(1, "STOP")
    await sms.write(2, "START")
    await sms.write(1, "STOP")
    assert (await sms.mailroom.row(OPTED_OUT))["opted_out_at"] is None


async def test_yes_answers_a_question_unless_it_takes_a_stop_back(sms: SmsMailroom) -> None:
    await sms.write(1, "YES")
    await sms.write(2, "STOP")
    await sms.write(3, "Yes")
    assert (await sms.states())["SM3"] == "recorded"
    await sms.write(4, "Yes")
    assert (await sms.states())["SM4"] == "received"
    assert (await sms.mailroom.row("SELECT input_version FROM conversation"))["input_version"] == 3


@pytest.mark.parametrize("words", ["STOP PLEASE", "Bitte stop", "Stopp", "STOP!"])
async def test_what_twilio_lets_pass_is_talk(sms: SmsMailroom, words: str) -> None:
    await sms.write(1, words)
    assert await sms.states() == {"SM1": "received"}
    assert (await sms.mailroom.row(OPTED_OUT))["opted_out_at"] is None


async def test_stop_by_sms_is_not_said_to_whatsapp_nor_by_somebody_else(sms: SmsMailroom) -> None:
    mailroom = sms.mailroom
    await mailroom.receive(mailroom.text(1))
    await sms.write(1, "STOP")
    await sms.write(2, "Hallo", wa_id=EMRE)
    assert len(await mailroom.rows("SELECT FROM contact")) == 2  # Anna is one, however she writes
    mailroom.clock.advance(seconds=60)
    await mailroom.receive(mailroom.text(2, "CANCEL"))
    stopped = await mailroom.rows("SELECT channel FROM service_window WHERE opted_out_at IS NOT NULL")
    assert stopped == [{"channel": "sms"}]
    assert (await sms.states())["wamid.IN2"] == (await sms.states())["SM2"] == "received"


async def test_an_sms_does_not_open_whatsapps_window(sms: SmsMailroom) -> None:
    mailroom = sms.mailroom
    written = mailroom.clock.now()
    await mailroom.receive(mailroom.text(1))
    mailroom.clock.advance(seconds=3600)
    await sms.write(1)
    windows = await mailroom.rows("SELECT channel, last_customer_message_at AS at FROM service_window")
    assert {row["channel"]: row["at"] for row in windows} == {"whatsapp": written, "sms": written + timedelta(hours=1)}
    assert len(await mailroom.rows("SELECT FROM conversation")) == 2


async def test_a_line_without_sms_takes_none_and_pays_for_none(sms: SmsMailroom) -> None:
    await sms.mailroom.rows("UPDATE line SET channels = '{whatsapp}'")
    await asyncio.gather(*(sms.write(n) for n in range(3)))
    kept = await sms.mailroom.quarantine()
    assert [row["reason"] for row in kept] == ["channel_not_on_line"] * 3
    assert "sms at number" in kept[0]["detail"]
    assert await sms.charges() == {}
    assert await sms.mailroom.rows("SELECT FROM conversation") == []


async def test_whatsapp_by_twilio_on_a_line_that_has_it_from_meta_is_put_aside(sms: SmsMailroom) -> None:
    event = sms.sms(1)
    await sms.receive(replace(event, channel="whatsapp"))
    assert [row["reason"] for row in await sms.mailroom.quarantine()] == ["channel_not_on_line"]
    assert await sms.mailroom.rows("SELECT FROM message") == []


async def test_whatsapp_by_twilio_is_free_and_opens_its_window_at_our_receipt(sms: SmsMailroom) -> None:
    mailroom = sms.mailroom
    await mailroom.rows("UPDATE line SET whatsapp_provider = 'twilio'")
    event = replace(sms.sms(1), channel="whatsapp")
    await sms.receive(event)
    mailroom.clock.advance(seconds=60)
    await sms.receive(event)
    window = await mailroom.row("SELECT channel, last_customer_message_at AS at FROM service_window")
    assert window == {"channel": "whatsapp", "at": mailroom.clock.now() - timedelta(seconds=60)}
    assert await mailroom.balance() == CREDIT_MILLICREDITS


async def test_the_owners_keyword_hands_over_without_an_sms_that_nobody_paid(sms: SmsMailroom) -> None:
    await sms.write(1, "Mensch")
    assert await sms.mailroom.row("SELECT mode, due_at FROM conversation") == {"mode": "human", "due_at": None}
    assert await sms.mailroom.rows("SELECT FROM message WHERE direction = 'out'") == []


async def test_what_came_with_an_mms_is_kept_for_the_turn(sms: SmsMailroom) -> None:
    picture = MediaReference(kind="image", mime_type="image/jpeg", url="https://api.twilio.com/Media/ME1")
    await sms.receive(sms.sms(1, "So?", media=(picture,)))
    message = await sms.mailroom.row("SELECT kind, content FROM message")
    assert (message["kind"], message["content"]["media"][0]["url"]) == ("image", picture.url)
    assert await sms.charges() == {"sms:SM1": RECEIVED}


async def test_a_suspended_line_stores_and_charges_and_does_not_answer(sms: SmsMailroom) -> None:
    await sms.mailroom.rows("UPDATE line SET state = 'suspended'")
    await sms.write(1)
    assert (await sms.mailroom.row("SELECT due_at FROM conversation"))["due_at"] is None
    assert await sms.states() == {"SM1": "received"}
    assert await sms.charges() == {"sms:SM1": RECEIVED}


async def test_an_sms_that_no_column_takes_harms_no_other_at_the_same_moment(sms: SmsMailroom) -> None:
    await asyncio.gather(sms.write("\x00"), *(sms.write(n) for n in range(2, 6)))
    assert [row["reason"] for row in await sms.mailroom.quarantine()] == ["not_storable"]
    assert len(await sms.charges()) == 4
    await sms.audit()


async def test_an_sms_to_a_number_that_nobody_has_is_put_aside(mailroom: Mailroom) -> None:
    event = replace(SmsMailroom(mailroom).sms(1, wa_id=ANNA), line=LineAddress(kind="number", value="+491"))
    await SmsMailroom(mailroom).receive(event)
    assert [row["reason"] for row in await mailroom.quarantine()] == ["unknown_line"]


async def test_without_the_charge_the_message_is_not_there_either(sms: SmsMailroom, database_url: str) -> None:
    owner = await asyncpg.connect(database_url)
    await owner.execute(
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE SQLSTATE ''57014''; END'"
    )
    await owner.execute("CREATE TRIGGER refuse BEFORE INSERT ON receipt FOR EACH ROW EXECUTE FUNCTION refuse()")
    with pytest.raises(asyncpg.QueryCanceledError):
        await sms.write(1, "STOP")
    for table in ("message", "conversation", "contact", "service_window", "webhook"):
        assert await sms.mailroom.rows(f"SELECT FROM {table}") == []
    await owner.execute("DROP TRIGGER refuse ON receipt")
    await owner.close()
    await sms.write(1, "STOP")
    assert await sms.charges() == {"sms:SM1": RECEIVED}
    await sms.audit()


async def test_copies_that_two_processes_take_at_the_same_moment_are_one(
    sms: SmsMailroom, database_url: str, tmp_path: Path
) -> None:
    other_db = await Database.connect(database_url, connections=4)
    async with wired(other_db, sms.mailroom.clock, sms.services.new_id, tmp_path) as other:
        copies = [
            accept(services, "twilio", [sms.sms(number % 4)], (), b"")
            for number in range(20)
            for services in (sms.services, other)
        ]
        await asyncio.gather(*copies)
    await other_db.close()
    assert await sms.charges() == {f"sms:SM{number}": RECEIVED for number in range(4)}
    assert len(await sms.mailroom.rows("SELECT FROM message")) == 4
    await sms.audit()
