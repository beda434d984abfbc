"""Calls and what stops them: a contact's daily limit, a wallet that is empty for the phone and for messages alike."""

import asyncio
from pathlib import Path

import pytest

from gateway.logs import configure_logs
from gateway.simulator.twilio_call import PlacedCall
from tests.stories.speech import CALLER, FEE, INPUT, OUTPUT, Telephone, cost, opened_telephone

LONG = "Das erkläre ich Ihnen gern ganz ausführlich, denn dazu gibt es sehr viel zu sagen. " * 2
SECOND = 10 * INPUT + 20 * OUTPUT  # both speaking
LIMIT = FEE + 3 * SECOND
OTHER_CALLER = "+491700000102"


@pytest.fixture(autouse=True)
def _logs() -> None:
    configure_logs()


async def call_from(telephone: Telephone, caller: str) -> PlacedCall:
    """Call, and wait until the agent is heard or the call is over."""
    call = telephone.world.twilio.calls.place(caller, telephone.world.salon.business.display_number)
    await call.wait_for(lambda placed: placed.is_over or placed.heard_ms > 500)
    return call


async def test_a_contacts_daily_limit_ends_a_call_politely_and_nobody_elses(database_url: str, tmp_path: Path) -> None:
    limits = ("[agent.budgets]", f"contact = {LIMIT // 1_000}")
    async with opened_telephone(database_url, tmp_path, LONG, LONG, voice=limits, first_audio_s=2.0) as telephone:
        call = await call_from(telephone, CALLER)
        await telephone.say(call, "Erzählen Sie.")
        row = await telephone.over(call)
        assert row["end_reason"] == "credits_ended"
        assert FEE < cost(row) <= LIMIT
        assert [text for author, text in await telephone.speeches() if "beenden" in text and author == "agent"]
        again = await call_from(telephone, CALLER)
        await again.wait_for_end()
        assert (again.heard_ms, len(again.said)) == (0, 1)
        other = await call_from(telephone, OTHER_CALLER)
        assert not other.is_over
        await other.hang_up()
        await telephone.over(other)
        assert (await telephone.world.wallet())[1:] == (0, "active")
        alerts = await telephone.world.rows("SELECT kind FROM alert WHERE kind = 'over_budget'")
        assert len(alerts) == 1


async def test_a_grant_lets_the_next_call_in_and_answers_what_was_written_meanwhile(
    database_url: str, tmp_path: Path
) -> None:
    async with opened_telephone(
        database_url, tmp_path, LONG, amount_credits=LIMIT // 1_000, first_audio_s=2.9
    ) as telephone:
        world = telephone.world
        first = await call_from(telephone, CALLER)
        await telephone.say(first, "Erzählen Sie.")
        await telephone.over(first)
        refused = await call_from(telephone, OTHER_CALLER)
        assert (refused.is_over, refused.answered_at) == (True, None)
        assert (await world.wallet())[1:] == (0, "paused")
        customer = world.customer(2)
        await customer.write("Was kostet ein Haarschnitt?")
        assert await customer.next_text() == "Wir melden uns, sobald es geht."
        await world.grant(world.salon.tenant_id, 5_000)
        second, answer = await asyncio.gather(call_from(telephone, OTHER_CALLER), customer.next_text())
        assert "42 Euro" in answer
        assert not second.is_over
        await second.hang_up()
        await telephone.over(second)
        assert (await world.wallet())[1:] == (0, "active")
