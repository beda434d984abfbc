"""A call by text on few credits: never below zero, nothing said unpaid, a polite end, and a top-up in time."""

from pathlib import Path

from gateway.simulator.openai_chat import Said
from metering.rates import Item
from tests.stories.relay import (
    COLLEAGUE,
    FEE,
    GREETING,
    HEARD,
    PRICE,
    SPOKEN,
    call_receipts,
    heard,
    messages,
    opened_salon,
    over,
    quantity,
    ring,
    spoken,
    told,
    words_of,
)
from tests.stories.world import until

ENDED = "Leider muss ich unser Gespräch hier beenden."
LONG = " ".join(["Ein Haarschnitt dauert eine Dreiviertelstunde und kostet zweiundvierzig Euro."] * 20)
LEAST_CREDITS = 317  # the fee, and 15 seconds of audio at worst


async def test_credits_that_end_in_a_call_end_it_politely(database_url: str, tmp_path: Path) -> None:
    async with opened_salon(database_url, tmp_path, amount_credits=LEAST_CREDITS) as world:
        world.twilio.calls.say_char_ms = 0.5
        world.model.brain = lambda _request: Said(text=LONG)
        call = await ring(world)
        await call.say("Was kostet ein Haarschnitt?")
        row = await over(world, call, timeout_s=60)
        assert ENDED in call.said[-1]
        assert (call.end_reason, row["end_reason"]) == ("rest", "credits_ended")
        said = [text for who, text in await spoken(world) if who == "agent"]
        assert said[1] != LONG
        assert LONG.startswith(said[1])
        balance, held, _ = await world.wallet()
        assert held == 0
        assert 0 <= balance < SPOKEN * 200
        used = SPOKEN * words_of(world, *said[:2]) + HEARD * words_of(world, "Was kostet ein Haarschnitt?")
        assert balance == LEAST_CREDITS * 1000 - FEE - used
        assert quantity(await call_receipts(world), Item.VOICE_OUTPUT) == words_of(world, *said[:2])
        await world.audit()


async def test_the_agent_is_told_to_come_to_an_end_while_credits_are_short(database_url: str, tmp_path: Path) -> None:
    async with opened_salon(database_url, tmp_path, amount_credits=LEAST_CREDITS) as world:
        call = await ring(world)
        await call.say("Was kostet ein Haarschnitt?")
        await heard(call, PRICE)
        assert "weniger als einer Minute" in messages(world.model.requests[-1])[0]["content"]
        await told(world, call)
        await world.grant(world.salon.tenant_id, 10_000)

        async def topped_up() -> bool:
            [live] = world.services.live_calls.calls.values()
            return live.figures().held_millicredits > 800_000

        await until(topped_up)
        await call.say("Und eine Farbe?")
        await call.wait_for(lambda placed: placed.said.count(PRICE) == 2)
        assert "weniger als einer Minute" not in messages(world.model.requests[-1])[0]["content"]
        await call.hang_up()
        await over(world, call)
        await world.audit()


async def test_a_call_that_the_wallet_cannot_pay_is_declined(database_url: str, tmp_path: Path) -> None:
    async with opened_salon(database_url, tmp_path, amount_credits=200) as world:
        call = world.twilio.calls.place("+491700000101", world.salon.business.display_number)
        await call.wait_for_end()
        assert call.said == []
        assert call.answered_at is None
        balance, held, _ = await world.wallet()
        assert (balance, held) == (200_000, 0)


async def test_a_caller_without_credits_is_put_through_if_that_is_affordable(database_url: str, tmp_path: Path) -> None:
    settings = (f'transfer_to = "{COLLEAGUE}"', 'when_credits_end = "forward"')
    async with opened_salon(database_url, tmp_path, *settings, amount_credits=LEAST_CREDITS) as world:
        world.twilio.calls.say_char_ms = 0.5
        world.model.brain = lambda _request: Said(text=LONG)
        call = await ring(world)
        await call.say("Was kostet ein Haarschnitt?")
        row = await over(world, call, timeout_s=60)  # nothing is left: two minutes more cannot be paid
        assert row["end_reason"] == "credits_ended"
        assert call.legs == []
        balance, held, _ = await world.wallet()
        assert held == 0
        assert balance >= 0
        await world.audit()


async def test_two_calls_on_the_last_credits_never_overdraw(database_url: str, tmp_path: Path) -> None:
    async with opened_salon(database_url, tmp_path, amount_credits=2 * LEAST_CREDITS) as world:
        world.twilio.calls.say_char_ms = 0.5
        world.model.brain = lambda _request: Said(text=LONG)
        first = await ring(world)
        second = world.twilio.calls.place("+491700000102", world.salon.business.display_number)
        await first.say("Was kostet ein Haarschnitt?")
        await heard(first, "Ein Haarschnitt dauert")
        await first.hang_up()
        if not second.is_over:
            await second.hang_up()
        await world.quiet(timeout_s=60)
        balance, held, _ = await world.wallet()
        assert held == 0
        assert balance >= 0
        assert GREETING in first.said
        await world.audit()
