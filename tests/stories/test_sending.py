"""What can happen between the outbox and the customer: throttling, lost answers, refusals."""

from datetime import timedelta

from gateway.simulator.openai_chat import Said
from tests.stories.world import World, until


async def test_a_throttled_send_is_repeated_and_charged_once(world: World) -> None:
    world.meta.faults.throttled = 1
    world.meta.faults.unwell = 1
    anna = world.customer()
    await anna.write("Was kostet ein Haarschnitt?")
    await anna.next_text(timeout_s=30)
    await world.quiet()
    assert len(anna.received) == 1
    assert len(await world.receipts()) == 1
    (row,) = await world.rows("SELECT attempts, state FROM outbox")
    assert row == {"attempts": 3, "state": "sent"}


async def test_an_answer_lost_after_acceptance_is_settled_by_the_report_and_not_sent_twice(world: World) -> None:
    world.meta.faults.dropped_after_accept = 1
    anna = world.customer()
    await anna.write("Was kostet ein Haarschnitt?")
    await anna.next_text()

    async def is_read() -> bool:
        rows = await world.rows("SELECT o.state, m.state AS message FROM outbox o JOIN message m USING (message_id)")
        return rows == [{"state": "sent", "message": "read"}]

    await until(is_read)
    assert len(anna.received) == 1
    await world.audit()


async def test_a_message_nobody_reports_on_is_sent_once_more_and_then_given_back(world: World) -> None:
    before = await world.wallet()
    world.meta.faults.dropped_before_accept = 2
    anna = world.customer()
    await anna.write("Was kostet ein Haarschnitt?")

    async def unknown(times: int) -> bool:
        return await world.rows("SELECT state, unknowns FROM outbox") == [{"state": "unknown", "unknowns": times}]

    async def once() -> bool:
        return await unknown(1)

    async def twice() -> bool:
        return await unknown(2)

    await until(once)
    world.clock.by += timedelta(minutes=11)
    await until(twice)
    assert anna.received == []
    world.clock.by += timedelta(minutes=11)

    async def refunded() -> bool:
        return await world.rows("SELECT state FROM message WHERE direction = 'out'") == [{"state": "refunded"}]

    await until(refunded)
    assert await world.wallet() == before
    await world.audit()


async def test_a_refusal_refunds_all_parts_of_a_long_answer(world: World) -> None:
    before = await world.wallet()
    world.model.brain = _long
    world.meta.faults.refusal_codes = [131026]
    anna = world.customer()
    await anna.write("Erzählen Sie mir alles.")
    await world.quiet()
    assert anna.received == []
    states = await world.rows("SELECT state FROM message WHERE direction = 'out'")
    assert {str(row["state"]) for row in states} == {"refunded"}
    assert await world.wallet() == before
    await world.audit()


async def test_a_long_answer_leaves_in_order_in_at_most_three_parts(world: World) -> None:
    world.model.brain = _long
    anna = world.customer()
    await anna.write("Erzählen Sie mir alles.")
    await anna.next_text()
    await world.quiet()
    texts = [sent.text for sent in anna.received]
    assert 1 <= len(texts) <= 3
    assert all(len(text) <= 4_096 for text in texts)
    (receipt,) = await world.receipts()
    assert sum(world.services.count_tokens(text) for text in texts) * 200 == sum(
        line.amount_millicredits for line in receipt.lines if line.item.value == "chat_output"
    )


async def test_an_account_that_cannot_pay_meta_tells_the_owner(world: World) -> None:
    before = await world.wallet()
    world.meta.faults.failed_later_codes = [131042]
    anna = world.customer()
    await anna.write("Was kostet ein Haarschnitt?")
    await anna.next_text()
    await world.quiet()
    assert [alert["kind"] for alert in await world.rows("SELECT kind FROM alert")] == ["provider_payment"]
    assert await world.wallet() == before


async def test_reports_in_any_order_only_move_forward(world: World) -> None:
    world.meta.faults.reports_shuffled = True
    world.meta.faults.copies = 3
    anna = world.customer()
    for number in range(4):
        await anna.write(f"Frage {number}")
        await anna.next_text()
        await world.quiet()
    rows = await world.rows("SELECT state FROM message WHERE direction = 'out'")
    assert [row["state"] for row in rows] == ["read"] * 4
    reports = await world.rows("SELECT pricing FROM delivery_report WHERE status = 'delivered'")
    assert len(reports) == 4
    assert all(row["pricing"] for row in reports)


def _long(_request: object) -> Said:
    return Said(text="\n\n".join(f"Absatz {number}: " + "Wir schneiden Haare sehr gern. " * 20 for number in range(40)))
