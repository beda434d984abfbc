"""What a mix of calls has cost is the same everywhere: ledger, receipts, usage, statement, forecast, each call."""

import json
import sys
from collections.abc import Mapping, Sequence
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any, cast
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest

from agents.agent import parse_agent
from gateway.cli.statement import statement
from gateway.voice.call import CallAccount, CountedBy
from gateway.voice.credit.keys import CALLERS_LEG
from gateway.voice.credit.metered_minutes import MinuteUsage
from gateway.voice.credit.minutes import begin_leg_minute, begin_minute, hold_leg_minute, release_minute, settle_minute
from gateway.voice.credit.settling import end_call, note_duration, note_leg_duration
from tests.conftest import Clock
from tests.gateway.voice.a_call import SALON as AGENT
from tests.gateway.voice.a_call import Salon as CalledSalon
from tests.gateway.voice.paying import FEE, Till, cost, dial, used
from tests.stories.world import World, opened

AUDIO = used(1, 300, 500), used(2, 17, 41)
WORDS = used(1, 23, 57)
BEFORE_A_PERSON = used(1, 111, 222)
GRANTED = 10_000_000
BERLIN = ZoneInfo("Europe/Berlin")


async def opened_till(world: World) -> Till:
    """Call the world's salon without a carrier: minutes pass at once."""
    [line] = await world.rows("SELECT line_id, agent_id FROM line")
    salon = CalledSalon(
        world.services,
        world.salon.tenant_id,
        cast("Any", line["agent_id"]),
        cast("Any", line["line_id"]),
        parse_agent(AGENT),
    )
    return Till(world.services, cast("Clock", world.clock), salon)


async def talk(till: Till, account: CallAccount, usage: MinuteUsage, *, counted_by: CountedBy = "audio") -> None:
    """Talk for a minute."""
    held = await till.holds(account, usage.minute)
    await begin_minute(till.services, account, held)
    await settle_minute(till.services, account, held, usage, counted_by=counted_by, provider_usage={})


async def is_over(till: Till, account: CallAccount, *, duration_s: int) -> None:
    await end_call(till.services, account, reason="goodbye", figures={}, provider_usage={})
    await note_duration(till.services, till.tenant_id, f"CA{account.call_id.hex}", duration_s)


async def over_midnight(world: World, till: Till) -> CallAccount:
    """Talk by audio, a minute on each of two of the tenant's days."""
    today = world.clock.now().astimezone(BERLIN).date()
    midnight = datetime.combine(today + timedelta(days=1), time(), BERLIN)
    world.clock.by += midnight - timedelta(seconds=20) - world.clock.now()
    account, held = await till.answered()
    await begin_minute(till.services, account, held)
    await till.holds(account, 2)
    world.clock.by += timedelta(seconds=25)  # less than the call's lease
    assert await till.renews(account)
    await settle_minute(till.services, account, held, AUDIO[0], provider_usage={})
    await talk(till, account, AUDIO[1])
    await release_minute(till.services, account, await till.holds(account, 3))
    await is_over(till, account, duration_s=61)
    return account


async def by_text_and_shorter(till: Till) -> CallAccount:
    """Talk by text into a second minute that by Twilio's word never was."""
    account, _ = await till.answered()
    await talk(till, account, WORDS, counted_by="tiktoken")
    await begin_minute(till.services, account, await till.holds(account, 2))
    await is_over(till, account, duration_s=60)
    return account


async def put_through(till: Till) -> CallAccount:
    """Talk to the agent, then to a person whose second minute by Twilio's word never was."""
    account, _ = await till.answered()
    await talk(till, account, BEFORE_A_PERSON)
    await dial(till, account, 1)
    for leg, minute in ((CALLERS_LEG, 2), (1, 1), (1, 2)):
        await hold_leg_minute(till.services, account, leg, minute)
        await begin_leg_minute(till.services, account, leg, minute)
    async with till.services.db.transaction(till.tenant_id) as connection:
        await connection.execute("UPDATE call_leg SET state = 'ended', ended_at = now(), outcome = 'completed'")
    await note_leg_duration(till.services, till.tenant_id, account.call_id, 1, 60)
    await is_over(till, account, duration_s=100)
    return account


async def items(world: World, path: str) -> list[dict[str, Any]]:
    """Return everything that a list of the API has."""
    found: list[dict[str, Any]] = []
    cursor = ""
    while True:
        status, page = await world.api("GET", f"/api/v1{path}?limit=5{cursor}")
        assert status == 200, page
        found += page["items"]
        if page["next_cursor"] is None:
            return found
        cursor = f"&cursor={page['next_cursor']}"


async def shown(world: World, path: str) -> dict[str, Any]:
    status, document = await world.api("GET", f"/api/v1{path}")
    assert status == 200, document
    return document


async def entries_and_receipts_agree(world: World, spent: int) -> None:
    ledger = [entry for entry in await items(world, "/ledger") if "call:" in entry["key"]]
    assert -sum(entry["amount_millicredits"] for entry in ledger) == spent
    receipts = [receipt for receipt in await items(world, "/receipts") if receipt["subject"] == "call"]
    for receipt in receipts:
        lines = receipt["lines"]
        assert receipt["total_millicredits"] == sum(line["quantity"] * line["unit_millicredits"] for line in lines)
    assert sum(one["total_millicredits"] - one["refunded_millicredits"] for one in receipts) == spent
    assert sum(one["refunded_millicredits"] for one in receipts) == 2 * FEE
    assert {one["counted_by"] for one in receipts} == {None, "audio", "tiktoken"}
    [card] = await world.rows("SELECT DISTINCT rate_card FROM call")
    assert {one["rate_card"] for one in receipts} == {card["rate_card"]}


async def each_call_tells_its_cost(world: World, costs: Mapping[UUID, int]) -> None:
    for call_id, amount in costs.items():
        assert (await shown(world, f"/calls/{call_id}"))["charged_millicredits"] == amount
    calls = await items(world, "/calls")
    assert sum(call["charged_millicredits"] for call in calls) == sum(costs.values())


async def usage_agrees(world: World, days: Sequence[date], spent: int) -> None:
    """What began before midnight is the first day's; what was given back, and what was settled later, the second's."""
    first, second = map(str, days)
    usage = await shown(world, f"/usage?from={first}&to={second}")
    told = {
        (row["day"], row["item"]): (row["quantity"], row["amount_millicredits"])
        for row in usage["items"]
        if row["channel"] == "voice"
    }
    tokens = (*AUDIO, WORDS, BEFORE_A_PERSON)
    inputs, outputs = sum(one.input_tokens for one in tokens), sum(one.output_tokens for one in tokens)
    assert told == {
        (first, "call_minute"): (1, FEE),
        (second, "call_minute"): (5, 5 * FEE),
        (second, "voice_input"): (inputs, 295 * inputs),
        (second, "voice_output"): (outputs, 590 * outputs),
    }
    assert sum(amount for _, amount in told.values()) == spent
    forecast = await shown(world, "/forecast")
    assert forecast["runway"]["spent_millicredits"] == FEE  # of the whole day before
    assert forecast["usage_millicredits"] == 30 * FEE


async def statements_agree(
    world: World, days: Sequence[date], left: int, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    """The API's and the command's: opening and what has changed come to what is left."""
    document: dict[str, Any] = {}
    for month in dict.fromkeys(f"{day:%Y-%m}" for day in days):
        document = await shown(world, f"/statements/{month}")
        assert document["closing_millicredits"] == (
            document["opening_millicredits"]
            + document["granted_millicredits"]
            - document["charged_millicredits"]
            + document["refunded_millicredits"]
        )
        capfdbinary.readouterr()
        tenant = str(world.salon.tenant_id)
        await statement(world.services, tenant, month=month, as_csv_table=False, as_json=True)
        sys.stdout.flush()
        printed = json.loads(capfdbinary.readouterr().out)
        assert printed["closing_millicredits"] == document["closing_millicredits"]
        assert [entry["key"] for entry in printed["entries"]] == [entry["key"] for entry in document["entries"]]
    assert document["closing_millicredits"] == left
    balance = await shown(world, "/balance")
    assert (balance["balance_millicredits"], balance["held_millicredits"]) == (left, 0)


async def test_after_a_mix_of_calls_every_sum_that_is_shown_agrees_with_the_ledger(
    database_url: str, tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    async with opened(database_url, tmp_path) as world:
        await world.add_salon("Salon Lindenhof", amount_credits=GRANTED // 1_000)
        till = await opened_till(world)
        costs = {
            (await over_midnight(world, till)).call_id: 2 * FEE + sum(map(cost, AUDIO)),
            (await by_text_and_shorter(till)).call_id: FEE + cost(WORDS),
            (await put_through(till)).call_id: 3 * FEE + cost(BEFORE_A_PERSON),
        }
        today = world.clock.now().astimezone(BERLIN).date()
        days, spent = (today - timedelta(days=1), today), sum(costs.values())
        await entries_and_receipts_agree(world, spent)
        await each_call_tells_its_cost(world, costs)
        await usage_agrees(world, days, spent)
        await statements_agree(world, days, GRANTED - spent, capfdbinary)
        await world.audit()
        assert await till.wallet() == (GRANTED - spent, 0)
