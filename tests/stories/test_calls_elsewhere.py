"""Calls that leave their stream and go on: put through to a person, or moved, at the pace of speech."""

from pathlib import Path

import pytest

from gateway.logs import configure_logs
from gateway.simulator.realtime_mind import UseTool
from gateway.simulator.twilio_exchange import BUSY, Answer
from tests.stories.speech import FEE, GREETING, cost, opened_telephone
from tests.stories.world import until

COLLEAGUE = "+493012345678"
PUT_THROUGH = UseTool("transfer_call", {"reason": "asked"})
PERSON = ('transfer_to = "+493012345678"', "transfer_timeout_s = 5")


@pytest.fixture(autouse=True)
def _logs() -> None:
    configure_logs()


async def test_a_caller_is_put_through_and_pays_for_both_legs(database_url: str, tmp_path: Path) -> None:
    async with opened_telephone(database_url, tmp_path, PUT_THROUGH, voice=PERSON) as telephone:
        world = telephone.world
        world.twilio.calls.answers[COLLEAGUE] = Answer(talks_s=1.0)
        before, _, _ = await world.wallet()
        call = await telephone.ring()
        await telephone.say(call, "Ich möchte einen Menschen sprechen.")
        await call.wait_for(lambda placed: bool(placed.legs), timeout_s=30)
        row = await telephone.over(call)
        assert call.legs[0].bridged
        assert row["end_reason"] == "forwarded"
        [leg] = await world.rows("SELECT minutes_charged FROM call_leg")
        assert leg["minutes_charged"] == 1
        assert before - (await world.wallet())[0] == cost(row) + FEE
        assert ("agent", "Ich verbinde Sie. Einen Moment bitte.") in await telephone.speeches()


async def test_if_the_person_is_busy_the_agent_goes_on_and_knows_why(database_url: str, tmp_path: Path) -> None:
    sorry = "Leider ist gerade niemand da."
    async with opened_telephone(database_url, tmp_path, PUT_THROUGH, sorry, voice=PERSON) as telephone:
        telephone.world.twilio.calls.answers[COLLEAGUE] = BUSY
        call = await telephone.ring()
        await telephone.say(call, "Ich möchte einen Menschen sprechen.")
        second = await telephone.realtime.session(2)
        await telephone.listening(answers=1)
        assert [item.text for item in second.view().items if item.kind == "agent"] == [
            GREETING,
            "Ich verbinde Sie. Einen Moment bitte.",
            sorry,
        ]
        assert any(item.kind == "note" for item in second.view().items)
        await call.hang_up()
        row = await telephone.over(call)
        assert (row["end_reason"], row["minutes_charged"]) == ("caller_hung_up", 1)
        assert [text for _, text in await telephone.speeches()].count(GREETING) == 1


async def test_a_call_that_is_moved_goes_on_where_it_was(database_url: str, tmp_path: Path) -> None:
    async with opened_telephone(database_url, tmp_path, "Um neun.") as telephone:
        world = telephone.world
        before, _, _ = await world.wallet()
        call = await telephone.ring()
        [live] = world.services.live_calls.calls.values()
        live.move()
        second = await telephone.realtime.session(2)

        async def elsewhere() -> bool:
            calls = list(world.services.live_calls.calls.values())
            return len(calls) == 1 and calls[0] is not live and call.listener is not None

        await until(elsewhere)
        await telephone.say(call, "Wann öffnen Sie?")
        await telephone.listening(answers=1)
        assert [item.text for item in second.view().items] == [GREETING, "Wann öffnen Sie?", "Um neun."]
        await call.hang_up()
        row = await telephone.over(call)
        assert row["minutes_charged"] == 1
        assert before - (await world.wallet())[0] == cost(row)
        assert abs(row["output_tokens"] * 50 - call.heard_ms) < 400
