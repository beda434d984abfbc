"""Calls and the last credits: announced, cut off politely, never below zero, and topped up in the middle of a word."""

import asyncio
from pathlib import Path

import pytest

from gateway.logs import configure_logs
from tests.stories.speech import FEE, INPUT, OUTPUT, cost, opened_telephone
from tests.stories.world import World, until

LONG = "Das erkläre ich Ihnen gern ganz ausführlich, denn dazu gibt es sehr viel zu sagen. " * 6
SECOND = 10 * INPUT + 20 * OUTPUT  # both speaking


@pytest.fixture(autouse=True)
def _logs() -> None:
    configure_logs()


async def test_when_the_credits_end_the_caller_hears_why_and_the_wallet_stays_above_zero(
    database_url: str, tmp_path: Path
) -> None:
    credits_left = (FEE + 5 * SECOND) // 1_000
    async with opened_telephone(
        database_url, tmp_path, LONG, amount_credits=credits_left, first_audio_s=2.0
    ) as telephone:
        before, _, _ = await telephone.world.wallet()
        call = telephone.world.twilio.calls.place("+491700000101", telephone.world.salon.business.display_number)
        await call.wait_for(lambda placed: placed.heard_ms > 500)
        await telephone.say(call, "Erzählen Sie.")
        row = await telephone.over(call)
        after, held, _ = await telephone.world.wallet()
        assert row["end_reason"] == "credits_ended"
        assert (before - after, held) == (cost(row), 0)
        assert 0 <= after < 3 * SECOND
        assert telephone.realtime.sessions[0].cancels >= 1
        [said] = [text for author, text in await telephone.speeches() if "beenden" in text and author == "agent"]
        assert said.startswith("Leider muss ich unser Gespräch hier beenden")


async def test_a_top_up_in_the_middle_of_a_call_lets_it_go_on(database_url: str, tmp_path: Path) -> None:
    credits_left = (FEE + 20 * SECOND) // 1_000
    async with opened_telephone(database_url, tmp_path, amount_credits=credits_left) as telephone:
        call = telephone.world.twilio.calls.place("+491700000101", telephone.world.salon.business.display_number)
        await call.wait_for(lambda placed: placed.heard_ms > 500)
        await _state(telephone.world, "wrapping_up")
        await telephone.world.grant(telephone.world.salon.tenant_id, 5_000)
        await _state(telephone.world, "listening")
        await call.hang_up()
        row = await telephone.over(call)
        assert row["end_reason"] == "caller_hung_up"


async def test_of_two_callers_on_the_last_credits_one_is_answered(database_url: str, tmp_path: Path) -> None:
    credits_left = (FEE + 20 * SECOND) // 1_000
    async with opened_telephone(database_url, tmp_path, amount_credits=credits_left) as telephone:
        calls = [
            telephone.world.twilio.calls.place(f"+49170000010{n}", telephone.world.salon.business.display_number)
            for n in range(2)
        ]
        await asyncio.gather(*(call.wait_for(lambda placed: placed.is_over or placed.heard_ms > 500) for call in calls))
        answered = [call for call in calls if not call.is_over]
        assert len(answered) == 1
        await answered[0].hang_up()
        await telephone.over(answered[0])
        after, held, _ = await telephone.world.wallet()
        assert after >= 0
        assert held == 0


async def _state(world: World, state: str) -> None:
    async def is_so() -> bool:
        return any(call.figures().state == state for call in world.services.live_calls.calls.values())

    await until(is_so, timeout_s=30)
