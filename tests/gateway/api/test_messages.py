import asyncio
from uuid import UUID

import pytest

from tests.conftest import Clock
from tests.gateway.api.conftest import Caller, Salon

DAY_S = 24 * 3600
MARGIN_S = 60


def messages_of(conversation_id: UUID) -> str:
    return f"/conversations/{conversation_id}/messages"


async def test_a_sent_message_is_queued_with_a_receipt_of_nothing(acme: Caller, salon: Salon) -> None:
    conversation_id = await salon.receive("Haben Sie morgen offen?")
    before = await acme.get("/balance")
    answer = await acme.post(messages_of(conversation_id), {"text": "Ja, ab neun Uhr. 🙂"})
    assert answer.status == 201
    message = answer.content
    assert (message["direction"], message["author"], message["text"]) == ("out", "api", "Ja, ab neun Uhr. 🙂")
    assert (message["state"], message["ai_generated"]) == ("queued", False)
    assert message["receipt"]["lines"] == [
        {"item": "whatsapp_message", "quantity": 1, "unit_millicredits": 0, "amount_millicredits": 0}
    ]
    assert (message["receipt"]["subject"], message["receipt"]["conversation_id"]) == ("message", str(conversation_id))
    assert await acme.get("/balance") == before
    [outbox] = await salon.sql("SELECT * FROM outbox")
    assert (str(outbox["message_id"]), outbox["state"]) == (message["id"], "pending")
    assert (outbox["due_at"], outbox["conversation_id"]) == (salon.services.now(), conversation_id)


async def test_messages_leave_in_the_order_they_were_written(acme: Caller, salon: Salon) -> None:
    conversation_id = await salon.receive("Hallo?")
    sent = [(await acme.post(messages_of(conversation_id), {"text": text})).content["id"] for text in "abc"]
    queued = await salon.sql("SELECT message_id FROM outbox ORDER BY position")
    assert [str(row["message_id"]) for row in queued] == sent


async def test_a_free_message_can_be_sent_without_credits_and_while_paused(broke: Caller, broke_salon: Salon) -> None:
    conversation_id = await broke_salon.receive("Hallo?")
    assert (await broke.post(messages_of(conversation_id), {"text": "Wir melden uns."})).status == 201
    await broke_salon.sql("UPDATE wallet SET state = 'paused'")
    assert (await broke.post(messages_of(conversation_id), {"text": "Morgen."})).status == 201


async def test_the_worker_hears_of_a_message_at_once(acme: Caller, salon: Salon) -> None:
    conversation_id = await salon.receive("Hallo?")
    watched = salon.services.arrivals.watch(conversation_id)
    await acme.post(messages_of(conversation_id), {"text": "Guten Tag"})
    assert watched.is_set()


@pytest.mark.parametrize(
    ("seconds", "status"), [(DAY_S - MARGIN_S - 1, 201), (DAY_S - MARGIN_S, 409), (DAY_S, 409), (DAY_S + 1, 409)]
)
async def test_the_window_closes_exactly_a_margin_before_24_hours(
    acme: Caller, salon: Salon, clock: Clock, seconds: int, status: int
) -> None:
    conversation_id = await salon.receive("Hallo?")
    clock.advance(seconds=seconds)
    answer = await acme.post(messages_of(conversation_id), {"text": "Guten Tag"})
    assert answer.status == status
    if status == 409:
        assert answer.code == "service_window_closed"
        assert answer.content["closed_at"] == "2026-11-25T09:59:00+00:00"
        assert await salon.sql("SELECT * FROM outbox") == []
        assert await salon.sql("SELECT * FROM receipt") == []


async def test_our_own_messages_do_not_keep_the_window_open(acme: Caller, salon: Salon, clock: Clock) -> None:
    conversation_id = await salon.receive("Hallo?")
    clock.advance(seconds=23 * 3600)
    assert (await acme.post(messages_of(conversation_id), {"text": "Noch da?"})).status == 201
    clock.advance(seconds=3600)
    assert (await acme.post(messages_of(conversation_id), {"text": "Noch da?"})).code == "service_window_closed"
    await salon.receive("Ja!")
    assert (await acme.post(messages_of(conversation_id), {"text": "Gut."})).status == 201


async def test_a_window_that_the_provider_closed_is_closed(acme: Caller, salon: Salon) -> None:
    conversation_id = await salon.receive("Hallo?")
    await salon.sql("UPDATE service_window SET closed_by_provider_at = $1", salon.services.now())
    assert (await acme.post(messages_of(conversation_id), {"text": "?"})).code == "service_window_closed"


async def test_a_window_that_closes_while_a_message_is_on_its_way_is_closed_for_it(acme: Caller, salon: Salon) -> None:
    conversation_id = await salon.receive("Hallo?")
    async with salon.services.db.transaction(salon.tenant_id) as connection:
        await connection.execute("UPDATE service_window SET closed_by_provider_at = $1", salon.services.now())
        sending = asyncio.create_task(acme.post(messages_of(conversation_id), {"text": "Guten Tag"}))
        await asyncio.sleep(0.1)  # long enough to reach the lock; too short would only test less
    assert (await sending).code == "service_window_closed"
    assert await salon.sql("SELECT * FROM outbox") == []


async def test_a_customer_who_said_stop_is_left_alone(acme: Caller, salon: Salon) -> None:
    conversation_id = await salon.receive("Hallo")
    await salon.receive("STOP")
    answer = await acme.post(messages_of(conversation_id), {"text": "Schade"})
    assert (answer.status, answer.code) == (409, "contact_opted_out")


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ("UPDATE line SET state = 'suspended'", "line_not_active"),
        ("UPDATE conversation SET channel = 'voice'", "channel_not_writable"),
    ],
)
async def test_what_cannot_be_sent_from_is_refused(acme: Caller, salon: Salon, change: str, code: str) -> None:
    conversation_id = await salon.receive("Hallo")
    await salon.sql(change)
    answer = await acme.post(messages_of(conversation_id), {"text": "Guten Tag"})
    assert (answer.status, answer.code) == (409, code)
    assert await salon.sql("SELECT * FROM outbox") == []


async def test_the_same_key_and_body_send_one_message(acme: Caller, salon: Salon) -> None:
    conversation_id = await salon.receive("Hallo")
    answers = await asyncio.gather(
        *(acme.post(messages_of(conversation_id), {"text": "Guten Tag"}, Idempotency_Key="k-1") for _ in range(5))
    )
    assert [answer.status for answer in answers] == [201] * 5
    assert len({answer.content["id"] for answer in answers}) == 1
    assert len(await salon.sql("SELECT * FROM outbox")) == 1
    assert len(await acme.walk("/receipts")) == 1


async def test_a_repeated_request_is_answered_even_after_the_window_closed(
    acme: Caller, salon: Salon, clock: Clock
) -> None:
    conversation_id = await salon.receive("Hallo")
    clock.advance(seconds=DAY_S - MARGIN_S - 1)
    first = await acme.post(messages_of(conversation_id), {"text": "Guten Tag"}, Idempotency_Key="k-1")
    clock.advance(seconds=60)
    again = await acme.post(messages_of(conversation_id), {"text": "Guten Tag"}, Idempotency_Key="k-1")
    assert (again.status, again.content["id"]) == (201, first.content["id"])


async def test_a_key_used_for_something_else_is_refused(acme: Caller, salon: Salon) -> None:
    here, there = await salon.receive("Hallo"), await salon.receive("Hallo", customer="+4915187654321")
    assert (await acme.post(messages_of(here), {"text": "Eins"}, Idempotency_Key="k-1")).status == 201
    for conversation_id, body in (
        (here, {"text": "Zwei"}),
        (here, {"text": "Eins", "take_over": True}),
        (there, {"text": "Eins"}),
    ):
        answer = await acme.post(messages_of(conversation_id), body, Idempotency_Key="k-1")
        assert (answer.status, answer.code) == (409, "idempotency_key_reused")
    assert len(await salon.sql("SELECT * FROM outbox")) == 1


async def test_a_key_is_free_again_after_a_day(acme: Caller, salon: Salon, clock: Clock) -> None:
    conversation_id = await salon.receive("Hallo")
    await acme.post(messages_of(conversation_id), {"text": "Eins"}, Idempotency_Key="k-1")
    clock.advance(seconds=DAY_S)
    await salon.receive("Noch da?")
    assert (await acme.post(messages_of(conversation_id), {"text": "Zwei"}, Idempotency_Key="k-1")).status == 201


async def test_a_refused_request_does_not_use_up_its_key(acme: Caller, salon: Salon) -> None:
    conversation_id = await salon.receive("Hallo")
    await salon.sql("UPDATE line SET state = 'suspended'")
    assert (await acme.post(messages_of(conversation_id), {"text": "A"}, Idempotency_Key="k-1")).status == 409
    await salon.sql("UPDATE line SET state = 'active'")
    assert (await acme.post(messages_of(conversation_id), {"text": "A"}, Idempotency_Key="k-1")).status == 201


async def test_the_agent_goes_on_unless_the_sender_takes_over(acme: Caller, salon: Salon) -> None:
    conversation_id = await salon.receive("Hallo")
    await acme.post(messages_of(conversation_id), {"text": "Guten Tag"})
    assert (await acme.get(f"/conversations/{conversation_id}"))["mode"] == "agent"
    [row] = await salon.sql("SELECT due_at FROM conversation")
    assert row["due_at"] is not None, "the customer is still to be answered"
    await acme.post(messages_of(conversation_id), {"text": "Ich übernehme.", "take_over": True})
    assert (await acme.get(f"/conversations/{conversation_id}"))["mode"] == "human"
    [row] = await salon.sql("SELECT due_at FROM conversation")
    assert row["due_at"] is None


async def test_strange_texts_go_the_whole_way(acme: Caller, salon: Salon) -> None:
    conversation_id = await salon.receive("Hallo")
    sent = await acme.post(messages_of(conversation_id), b'{"text": "a\\u0000b\\ud83dc<|endoftext|>\\u202eabc"}')
    assert sent.content["text"] == "a\ufffdb\ufffdc<|endoftext|>\u202eabc"
    assert (await acme.post(messages_of(conversation_id), {"text": "😀" * 4096})).status == 201


async def test_what_cannot_be_sent_is_refused_naming_the_field(acme: Caller, salon: Salon) -> None:
    conversation_id = await salon.receive("Hallo")
    for body, field in (
        (b"", "text"),
        ({"text": ""}, "text"),
        ({"text": " \n"}, "text"),
        ({"text": 7}, "text"),
        ({"text": "x" * 4097}, "text"),
        ({"text": "x", "take_ovr": True}, "take_ovr"),
        ({"text": "x", "take_over": "perhaps"}, "take_over"),
    ):
        answer = await acme.post(messages_of(conversation_id), body)
        assert (answer.status, answer.code, answer.fields) == (422, "invalid_request", [field])
        assert "xxx" not in answer.content["detail"], "texts do not come back in errors"


async def test_a_body_that_is_no_json_object_is_refused(acme: Caller, salon: Salon) -> None:
    conversation_id = await salon.receive("Hallo")
    for body in (b"{", b"[]", b"null", b"\xff", b"[" * 30_000):
        answer = await acme.post(messages_of(conversation_id), body)
        assert (answer.status, answer.code) == (400, "invalid_json")


async def test_a_body_that_is_too_large_is_refused(acme: Caller, salon: Salon) -> None:
    conversation_id = await salon.receive("Hallo")
    answer = await acme.post(messages_of(conversation_id), {"text": "x" * 70_000})
    assert (answer.status, answer.code) == (413, "body_too_large")


async def test_a_strange_key_is_refused(acme: Caller, salon: Salon) -> None:
    conversation_id = await salon.receive("Hallo")
    for key in ("k" * 256, ""):
        answer = await acme.post(messages_of(conversation_id), {"text": "Hallo"}, Idempotency_Key=key)
        assert (answer.status, answer.fields) == (422, ["Idempotency-Key"])
