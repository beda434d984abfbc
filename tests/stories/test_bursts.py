"""Many messages, one answer: bursts, duplicates, and what arrives while the model works."""

import asyncio

from gateway.simulator.openai_chat import Request, Said, last_customer_text
from tests.stories.world import World


async def test_a_burst_of_five_messages_gets_one_answer(world: World) -> None:
    anna = world.customer()
    for text in ("Hallo", "ich wollte fragen", "was kostet", "ein Haarschnitt", "bei euch?"):
        await anna.write(text)
    await anna.next_text()
    await world.quiet()
    assert len(anna.received) == 1
    assert len(await world.receipts()) == 1
    asked = [message["content"] for message in world.model.requests[-1]["messages"] if message["role"] == "user"]  # type: ignore[attr-defined]
    assert asked == ["Hallo", "ich wollte fragen", "was kostet", "ein Haarschnitt", "bei euch?"]


async def test_twenty_copies_of_one_webhook_are_one_answer_and_one_charge(world: World) -> None:
    world.meta.faults.copies = 20
    anna = world.customer()
    await anna.write("Was kostet ein Haarschnitt?")
    await anna.next_text()
    await world.quiet()
    assert len(anna.received) == 1
    assert len(await world.receipts()) == 1
    assert len(await world.rows("SELECT message_id FROM message WHERE direction = 'in'")) == 1
    await world.audit()


async def test_a_button_is_answered_at_once(world: World) -> None:
    anna = world.customer()
    await anna.press("price", "Preise")
    assert "42 Euro" in await anna.next_text()


async def test_a_message_during_the_models_work_is_answered_together_with_the_first(world: World) -> None:
    first_asked, asked = asyncio.Event(), 0

    async def slowly_at_first(request: Request) -> Said:
        nonlocal asked
        asked += 1
        if asked == 1:
            first_asked.set()
            await asyncio.sleep(3)
        return Said(text=f"Antwort auf: {last_customer_text(request)}")

    world.model.brain = slowly_at_first
    anna = world.customer()
    await anna.write("Was kostet ein Haarschnitt?")
    await asyncio.wait_for(first_asked.wait(), 10)
    await anna.write("und eine Dauerwelle?")
    text = await anna.next_text()
    await world.quiet()
    assert text.endswith("Antwort auf: und eine Dauerwelle?")
    assert len(anna.received) == 1
    (receipt,) = await world.receipts()
    (turn,) = await world.rows("SELECT attempt, abandoned_drafts, state FROM turn")
    assert turn == {"attempt": 2, "abandoned_drafts": 1, "state": "charged"}
    holds = await world.rows("SELECT state FROM hold ORDER BY key")
    assert [hold["state"] for hold in holds] == ["released", "captured"]
    assert receipt.total_millicredits > 0
    await world.audit()


async def test_a_customer_who_never_stops_writing_is_answered_all_the_same(world: World) -> None:
    async def slowly(_request: Request) -> Said:
        await asyncio.sleep(0.4)
        return Said(text="Ja.")

    world.model.brain = slowly
    anna = world.customer()

    async def keep_writing() -> None:
        for number in range(30):
            await anna.write(f"und noch etwas: {number}")
            await asyncio.sleep(0.15)

    writing = asyncio.create_task(keep_writing())
    await anna.next_text()
    assert not writing.done()
    await writing
    await world.quiet()
    unanswered = await world.rows("SELECT message_id FROM message WHERE direction = 'in' AND turn_id IS NULL")
    assert unanswered == []
    turns = await world.rows("SELECT abandoned_drafts FROM turn WHERE state = 'charged'")
    assert all(int(str(turn["abandoned_drafts"])) <= 2 for turn in turns)
    await world.audit()


async def test_reactions_edits_and_revokes_start_no_turn(world: World) -> None:
    anna = world.customer()
    await anna.write("Was kostet ein Haarschnitt?")
    await anna.next_text()
    await world.quiet()
    asked = len(world.model.requests)
    wamid = anna.received[0].wamid
    await anna.react(wamid, "👍")
    own = await anna.write("Doch nicht")
    await anna.revoke(own)
    await world.quiet()
    reacted = await world.rows("SELECT reaction FROM message WHERE provider_id = $1", wamid)
    assert reacted == [{"reaction": "👍"}]
    assert len(world.model.requests) == asked
    assert len(anna.received) == 1
