"""Between the outbox and the phone, by SMS: nothing is sent twice, and what never left is given back."""

from datetime import timedelta

import pytest

from gateway.simulator.openai_chat import Said
from tests.stories.world import World, until

QUESTION = "Was kostet ein Haarschnitt?"
RECEIVED, SEGMENT = 200_000, 2_500_000  # millicredits


@pytest.fixture(autouse=True)
async def _credits(world: World) -> None:
    await world.grant(world.salon.tenant_id, 90_000)


async def until_outbox(world: World, *states: str) -> None:
    """Wait until the outbox is as said, in the order of its positions."""

    async def is_so() -> bool:
        return [row["state"] for row in await world.rows("SELECT state FROM outbox ORDER BY position")] == [*states]

    await until(is_so)


async def message_states(world: World) -> list[object]:
    return [row["state"] for row in await world.rows("SELECT state FROM message WHERE direction = 'out'")]


async def test_an_answer_lost_after_acceptance_is_settled_by_its_callback(world: World) -> None:
    world.twilio.faults.dropped_after_accept = 1
    world.twilio.faults.callbacks_withheld = True
    anna = world.sms_customer()
    await anna.write(QUESTION)
    await until_outbox(world, "unknown")
    await world.twilio.callbacks.release()
    await until_outbox(world, "sent")
    world.clock.by += timedelta(minutes=11)
    await world.quiet()
    assert len(anna.received) == 1
    assert await message_states(world) == ["delivered"]
    await world.audit()


async def test_an_answer_lost_without_any_callback_is_looked_up_and_not_sent_twice(world: World) -> None:
    world.twilio.faults.dropped_after_accept = 1
    world.twilio.faults.callbacks_lost = True
    anna = world.sms_customer()
    await anna.write(QUESTION)
    await until_outbox(world, "unknown")
    world.clock.by += timedelta(minutes=11)
    await until_outbox(world, "sent")
    (sent,) = anna.received
    (message,) = await world.rows("SELECT provider_id, state FROM message WHERE direction = 'out'")
    assert message == {"provider_id": sent.sid, "state": "sent"}
    await world.audit()


async def test_a_worker_that_died_while_it_sent_leaves_one_sms(world: World) -> None:
    world.twilio.faults.dropped_after_accept = 1
    world.twilio.faults.callbacks_lost = True
    anna = world.sms_customer()
    await anna.write(QUESTION)
    await until_outbox(world, "unknown")
    # As a process leaves it that was killed between writing the request and noting its end.
    await world.rows("UPDATE outbox SET state = 'sending', unknowns = 0, due_at = now(), lease_until = now()")
    await until_outbox(world, "unknown")
    world.clock.by += timedelta(minutes=11)
    await until_outbox(world, "sent")
    assert len(anna.received) == 1
    await world.audit()


async def test_an_answer_that_twilio_never_took_is_sent_again(world: World) -> None:
    world.twilio.faults.dropped_before_accept = 1
    anna = world.sms_customer()
    await anna.write(QUESTION)
    await until_outbox(world, "unknown")
    world.clock.by += timedelta(minutes=11)
    await anna.next_text()
    await world.quiet()
    assert len(anna.received) == 1
    assert await message_states(world) == ["delivered"]
    assert len(await world.receipts()) == 1
    await world.audit()


@pytest.mark.parametrize("fault", ["dropped_before_accept", "dropped_after_accept"])
async def test_the_same_words_sent_before_are_not_taken_for_the_answer_that_was_lost(world: World, fault: str) -> None:
    anna = world.sms_customer()
    world.twilio.faults.callbacks_lost = True
    world.model.brain = lambda _request: Said(text="Ich bin eine KI und sage: ja.")
    for _ in range(2):
        await anna.write("Geht das?")
        await anna.next_text()
        await world.quiet()
    setattr(world.twilio.faults, fault, 1)
    await anna.write("Und das?")
    await until_outbox(world, "sent", "sent", "unknown")
    world.clock.by += timedelta(minutes=11)
    await until_outbox(world, "sent", "sent", "sent")
    assert [sent.body for sent in anna.received] == ["Ich bin eine KI und sage: ja."] * 3
    rows = await world.rows("SELECT provider_id FROM message WHERE direction = 'out'")
    assert {row["provider_id"] for row in rows} == {sent.sid for sent in anna.received}
    await world.audit()


@pytest.mark.parametrize("fault", ["throttled", "unwell"])
async def test_a_send_that_twilio_puts_off_is_repeated_and_charged_once(world: World, fault: str) -> None:
    setattr(world.twilio.faults, fault, 1)
    anna = world.sms_customer()
    await anna.write(QUESTION)
    await anna.next_text(timeout_s=30)
    await world.quiet()
    assert len(anna.received) == 1
    assert len(await world.receipts()) == 1
    await world.audit()


async def test_a_refused_sms_is_given_back_whole_and_the_owner_is_told(world: World) -> None:
    before, _, _ = await world.wallet()
    world.twilio.faults.refusal_codes = [21211]
    anna = world.sms_customer()
    await anna.write(QUESTION)
    await world.quiet()
    assert anna.received == []
    assert await message_states(world) == ["refunded"]
    assert await world.wallet() == (before - RECEIVED, 0, "active")
    assert [row["kind"] for row in await world.rows("SELECT kind FROM alert")] == ["delivery_failed"]
    await world.audit()


async def test_whoever_opted_out_at_twilio_is_known_as_such_from_the_first_refusal_on(world: World) -> None:
    before, _, _ = await world.wallet()
    anna = world.sms_customer()
    world.twilio.opted_out.add((anna.business_address, anna.address))
    await anna.write(QUESTION)
    await world.quiet()
    assert anna.received == []
    assert await world.wallet() == (before - RECEIVED, 0, "active")
    (window,) = await world.rows("SELECT opted_out_at FROM service_window")
    assert window["opted_out_at"] is not None
    (conversation,) = await world.rows("SELECT conversation_id FROM conversation")
    path = f"/api/v1/conversations/{conversation['conversation_id']}/messages"
    status, problem = await world.api("POST", path, json={"text": "Guten Tag"})
    assert (status, problem["code"]) == (409, "contact_opted_out")
    await world.audit()


async def test_a_stop_that_comes_before_the_answer_has_left_gives_the_answer_back(world: World) -> None:
    before, _, _ = await world.wallet()
    world.twilio.faults.dropped_before_accept = 1
    anna = world.sms_customer()
    await anna.write(QUESTION)
    await until_outbox(world, "unknown")
    await anna.write("STOP")
    world.clock.by += timedelta(minutes=11)
    await until_outbox(world, "failed")
    await world.quiet()
    assert anna.received == []
    assert await message_states(world) == ["refunded"]
    assert await world.wallet() == (before - 2 * RECEIVED, 0, "active")
    await world.audit()


async def test_what_failed_at_twilio_is_given_back_and_what_the_network_lost_is_not(world: World) -> None:
    before, _, _ = await world.wallet()
    world.twilio.faults.failed_later_codes = [30005]
    anna = world.sms_customer()
    await anna.write(QUESTION)
    await anna.next_text()
    await world.quiet()
    assert await message_states(world) == ["refunded"]
    assert await world.wallet() == (before - RECEIVED, 0, "active")

    world.twilio.faults.undelivered_later_codes = [30005]
    ben = world.sms_customer(2)
    await ben.write(QUESTION)
    await ben.next_text()
    await world.quiet()
    assert sorted(map(str, await message_states(world))) == ["failed", "refunded"]
    balance, held, _ = await world.wallet()
    assert held == 0
    assert balance < before - 2 * RECEIVED - SEGMENT
    await world.audit()


async def test_segments_that_twilio_does_not_bill_are_given_back(world: World) -> None:
    world.model.brain = lambda _request: Said(text="Gern. " * 30)
    world.twilio.faults.segments_fewer = 1
    before, _, _ = await world.wallet()
    anna = world.sms_customer()
    await anna.write(QUESTION)
    await anna.next_text()
    await world.quiet()
    (receipt,) = await world.receipts()
    assert await world.rows("SELECT segments FROM message WHERE direction = 'out'") == [{"segments": 1}]
    assert await world.wallet() == (before - RECEIVED - receipt.total_millicredits + SEGMENT, 0, "active")
    await world.audit()
