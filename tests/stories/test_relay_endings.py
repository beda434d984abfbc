"""How calls by text end: by the agent, by a person who takes over, without a model, moved, or with a dead line."""

from pathlib import Path

from gateway.simulator.openai_chat import Brain, Call, Request, Said
from gateway.simulator.twilio_exchange import BUSY, Answer
from tests.stories.relay import (
    COLLEAGUE,
    FEE,
    GREETING,
    PRICE,
    SLOW_CHAR_MS,
    call_receipts,
    heard,
    messages,
    opened_salon,
    over,
    ring,
    spoken,
    told,
)
from tests.stories.world import World, until

TRANSFER = f'transfer_to = "{COLLEAGUE}"'
GOODBYE = "Gern geschehen. Auf Wiederhören!"
CONNECTING = "Ich verbinde Sie mit einer Kollegin."


def does(tool: str, words: str) -> Brain:
    """Return a brain that uses a tool of the call's, then says its words."""

    def think(request: Request) -> Said:
        if messages(request)[-1]["role"] == "tool":
            return Said(text=words)
        return Said(calls=[Call(name=tool, arguments={"reason": "gewünscht"})])

    return think


async def test_the_agent_hangs_up_once_its_goodbye_has_been_heard(database_url: str, tmp_path: Path) -> None:
    async with opened_salon(database_url, tmp_path, brain=does("end_call", GOODBYE)) as world:
        call = await ring(world)
        await call.say("Danke, das war alles.")
        row = await over(world, call)
        assert (call.end_reason, row["end_reason"]) == ("rest", "agent_hung_up")
        assert call.said[-1] == GOODBYE
        assert (await spoken(world))[-1] == ("agent", GOODBYE)
        await world.audit()


async def test_a_caller_is_put_through_to_a_person(database_url: str, tmp_path: Path) -> None:
    brain = does("transfer_call", CONNECTING)
    async with opened_salon(database_url, tmp_path, TRANSFER, brain=brain) as world:
        world.twilio.calls.answers[COLLEAGUE] = Answer()
        call = await ring(world)
        await call.say("Ich möchte einen Menschen sprechen.")
        await call.wait_for_heard(lambda placed: any(leg.bridged for leg in placed.legs))
        assert CONNECTING in call.said
        await call.hang_up()
        row = await over(world, call)
        assert row["minutes_charged"] == 1
        fees = [receipt for receipt in await call_receipts(world) if receipt.total_millicredits == FEE]
        assert len(fees) == 2  # the caller's minute and the person's
        await world.audit()


async def test_a_caller_whom_nobody_takes_comes_back_to_the_agent(database_url: str, tmp_path: Path) -> None:
    brain = does("transfer_call", CONNECTING)
    async with opened_salon(database_url, tmp_path, TRANSFER, brain=brain) as world:
        world.twilio.calls.answers[COLLEAGUE] = BUSY
        call = await ring(world)
        await call.say("Ich möchte einen Menschen sprechen.")
        await heard(call, "niemand zu erreichen")
        assert call.said.count(GREETING) == 1
        await told(world, call)
        world.model.brain = lambda _request: Said(text=PRICE)
        await call.say("Was kostet ein Haarschnitt?")
        await heard(call, PRICE)
        system, *said = messages(world.model.requests[-1])
        assert "ging niemand ans Telefon" in system["content"]
        assert said[0]["content"] == GREETING
        await told(world, call)
        await call.hang_up()
        row = await over(world, call)
        assert row["minutes_charged"] == 1
        await world.audit()


async def test_a_caller_is_not_left_alone_when_no_model_answers(database_url: str, tmp_path: Path) -> None:
    async with opened_salon(database_url, tmp_path) as world:
        call = await ring(world)
        world.model.faults.down = True
        await call.say("Was kostet ein Haarschnitt?")
        row = await over(world, call)
        assert "technisches Problem" in call.said[-1]
        assert (call.end_reason, row["end_reason"]) == ("rest", "technical")
        await world.audit()


async def test_a_caller_who_hangs_up_while_the_agent_speaks_has_heard_no_more(
    database_url: str, tmp_path: Path
) -> None:
    async with opened_salon(database_url, tmp_path) as world:
        world.twilio.calls.say_char_ms = SLOW_CHAR_MS
        call = await ring(world, greeted=False)
        await heard(call, "hier ist die")
        await call.hang_up()
        row = await over(world, call)
        for _who, text in await spoken(world):
            assert GREETING.startswith(text)
            assert text != GREETING
        assert row["output_tokens"] < world.services.count_tokens(GREETING)
        await world.audit()


async def test_a_call_that_moves_goes_on_without_a_greeting_and_in_the_same_minute(
    database_url: str, tmp_path: Path
) -> None:
    async with opened_salon(database_url, tmp_path) as world:
        call = await ring(world)
        [live] = world.services.live_calls.calls.values()
        live.move()

        async def moved() -> bool:
            return len(call.happened("relay")) == 2 and live not in world.services.live_calls.calls.values()

        await until(moved)
        await told(world, call)
        await call.say("Was kostet ein Haarschnitt?")
        await heard(call, PRICE)
        assert [message["content"] for message in messages(world.model.requests[-1])[1:]] == [
            GREETING,
            "Was kostet ein Haarschnitt?",
        ]
        await told(world, call)
        await call.hang_up()
        row = await over(world, call)
        assert call.said == [GREETING, PRICE]
        assert row["minutes_charged"] == 1
        count = world.services.count_tokens
        assert row["output_tokens"] == count(GREETING) + count(PRICE)
        await world.audit()


async def test_somebody_can_end_a_call_from_outside(database_url: str, tmp_path: Path) -> None:
    async with opened_salon(database_url, tmp_path) as world:
        call = await ring(world)
        [live] = world.services.live_calls.calls.values()
        live.end("shutdown")
        row = await over(world, call)
        assert "Auf Wiederhören" in call.said[-1]
        assert row["end_reason"] == "shutdown"


async def test_a_line_that_went_dead_does_not_run_on(database_url: str, tmp_path: Path) -> None:
    settings = ("idle_prompt_s = 3", "idle_end_after = 1", 'idle_text = "Hallo?"', 'goodbye_text = "Tschüss."')
    async with opened_salon(database_url, tmp_path, *settings) as world:
        call = await ring(world)
        call.lose_connection()
        row = await over(world, call, timeout_s=40)
        assert (call.end_reason, row["end_reason"]) == ("rest", "idle")


async def test_a_caller_agrees_to_be_recorded(database_url: str, tmp_path: Path) -> None:
    async with opened_salon(database_url, tmp_path, 'recording = "ask"') as world:
        call = await ring(world, greeted=False)
        await heard(call, GREETING)
        await heard(call, "Dürfen wir dieses Gespräch aufzeichnen?")
        await told(world, call)
        await call.press("1")
        await heard(call, PRICE)
        await _until_recording(world, "running")
        await call.hang_up()
        await over(world, call)


async def test_a_caller_who_does_not_agree_is_not_recorded(database_url: str, tmp_path: Path) -> None:
    async with opened_salon(database_url, tmp_path, 'recording = "ask"') as world:
        call = await ring(world, greeted=False)
        await heard(call, "Dürfen wir dieses Gespräch aufzeichnen?")
        await told(world, call)
        await call.say("Was kostet ein Haarschnitt?")
        await heard(call, PRICE)
        await _until_recording(world, "refused")
        await call.hang_up()
        await over(world, call)


async def _until_recording(world: World, state: str) -> None:
    async def recorded() -> bool:
        [row] = await world.rows("SELECT recording FROM call")
        return row["recording"] == state

    await until(recorded)
