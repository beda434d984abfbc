"""`kill -9` of whole gateways while people talk on the phone: nothing is left held or open, no minute charged twice.

Some gateways are stopped politely instead, and leave their calls to the other one. `CALL_KILLS` sets how many end.
"""

import asyncio
import contextlib
import os
import random
import signal
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from gateway.simulator import twilio_call_wire as wire
from gateway.simulator.openai_realtime import FakeRealtime
from gateway.simulator.realtime_mind import Script
from gateway.simulator.twilio_call import PlacedCall
from gateway.voice.credit.audit import audit_calls
from tests.bench.processes import free_port, wait_until_answers
from tests.crash.test_kill import GATEWAYS, Gateways, environment_of, gateways
from tests.stories.speech import FEE, GREETING, INPUT, OUTPUT, SPEAKS
from tests.stories.world import SALON, World, opened, until

KILLS = int(os.environ.get("CALL_KILLS", "12"))
CALLERS = 5
ALIVE_S = (0.3, 1.4)  # how long a gateway has calls before it is ended
STOPPED_EVERY = 4  # each fourth of them politely
FIRST_CREDITS = 4_000  # too few for everybody's first minute
MORE_CREDITS = 600
SLACK_MS = 1_000  # of audio: what is on its way at both ends

GENEROUS = SALON.replace("[agent.hours]", "[agent.budgets]\ncontact = 1000000\n[agent.hours]")

pytestmark = [pytest.mark.crash, pytest.mark.timeout(1_800)]


async def end_next(running: Gateways) -> None:
    """End the gateway that has lived longest, at a random moment of its service, and start another."""
    running.kills += 1
    place = running.kills % GATEWAYS
    old = running.ports[place]
    await wait_until_answers(f"http://127.0.0.1:{old}/healthz", seconds=30)
    await asyncio.sleep(random.uniform(*ALIVE_S))  # noqa: S311 - no secret
    os.kill(running.pids[old], signal.SIGKILL if running.kills % STOPPED_EVERY else signal.SIGTERM)
    running.ports[place] = free_port()  # who is stopped keeps its own for a while
    await running.start(running.ports[place])


async def keep_calling(world: World, caller: str, stop: asyncio.Event) -> None:
    """Call, talk, hang up or be cut off, and call again."""
    while not stop.is_set():
        call = world.twilio.calls.place(caller, world.salon.business.display_number)
        with contextlib.suppress(TimeoutError):
            await talk(call, stop)
        if not call.is_over:
            await call.hang_up()
        await asyncio.sleep(random.uniform(0.0, 0.3))  # noqa: S311 - no secret


async def talk(call: PlacedCall, stop: asyncio.Event) -> None:
    await call.wait_for_connection(timeout_s=5)
    patience_s = random.uniform(0.2, 6.0)  # noqa: S311 - no secret
    speaking = asyncio.create_task(call.speak(SPEAKS))
    try:
        await call.wait_for(lambda placed: placed.is_over or stop.is_set(), timeout_s=patience_s)
    finally:
        speaking.cancel()
        await asyncio.gather(speaking, return_exceptions=True)


async def test_killed_again_and_again_while_people_talk_each_minute_is_charged_once_and_nothing_is_left(
    database_url: str, tmp_path: Path
) -> None:
    realtime = FakeRealtime(Script(GREETING, *(["Gern. Wann möchten Sie denn kommen?"] * 10_000)))
    async with realtime.running() as url, opened(database_url, tmp_path, serve=False) as world:
        await world.add_salon("Salon Lindenhof", amount_credits=FIRST_CREDITS, file=GENEROUS)
        granted, _, _ = await world.wallet()
        environment = {**environment_of(world, database_url, tmp_path), "OPENAI_REALTIME_URL": url}
        async with gateways(environment, tmp_path / "gateways.log") as running:
            world.twilio.gateway_url = running.next_url
            stop = asyncio.Event()
            calling = [asyncio.create_task(keep_calling(world, f"+49170000020{n}", stop)) for n in range(CALLERS)]
            for _ in range(KILLS):
                await end_next(running)
                await world.grant(world.salon.tenant_id, MORE_CREDITS)
                balance, held, _ = await world.wallet()
                assert 0 <= held <= balance
            stop.set()
            await asyncio.gather(*calling)
            await nothing_goes_on(world)
            await tell_again(world)
        rows = await each_charged_once(world, granted + KILLS * MORE_CREDITS * 1_000)
        print(f"\n{KILLS} ends, {Counter(str(row['end_reason']) for row in rows)}")


async def nothing_goes_on(world: World) -> None:
    """Wait until the gateways that live have ended every call and let go of every hold."""

    async def quiet() -> bool:
        [row] = await world.rows(
            """SELECT (SELECT count(*) FROM call WHERE state NOT IN ('ended', 'declined'))
                    + (SELECT count(*) FROM hold WHERE state = 'open') AS left"""
        )
        return row["left"] == 0

    await until(quiet, timeout_s=60)


async def tell_again(world: World) -> None:
    """Let Twilio tell twice of the end of every call, for nobody may have listened the first time."""
    for _ in range(2):
        for call in world.twilio.calls.placed.values():
            form = call.form(wire.ended_fields(call.duration_s or 0, world.services.now()))
            world.twilio.calls.post_status(world.twilio.voice_status_url, form)
        await world.twilio.settled()


async def each_charged_once(world: World, granted: int) -> list[dict[str, Any]]:
    rows = await world.rows("SELECT * FROM call")
    entries = {
        str(row["key"]): int(str(row["amount"]))
        for row in await world.rows(
            "SELECT key, amount_millicredits AS amount FROM ledger_entry WHERE key LIKE '%call:%'"
        )
    }
    paid = 0
    for row in rows:
        call = world.twilio.calls.placed[str(row["call_sid"])]
        minute = entries.get(f"call:{row['call_id']}:minute:1", 0)
        given_back = entries.get(f"refund:call:{row['call_id']}:minute:1:duration", 0)
        assert -minute == FEE * int(str(row["minutes_charged"]))
        assert given_back == (-minute if call.duration_s == 0 else 0)
        assert row["reconciled_at"] is not None or row["state"] == "declined"
        # Nobody pays for what they did not say or hear.
        input_tokens, output_tokens = int(str(row["input_tokens"])), int(str(row["output_tokens"]))
        assert input_tokens * 100 <= (call.duration_s or 0) * 1_000 + SLACK_MS
        assert output_tokens * 50 <= call.heard_ms + SLACK_MS
        paid += -minute - given_back + input_tokens * INPUT + output_tokens * OUTPUT
    assert (await world.wallet())[:2] == (granted - paid, 0)
    assert granted + sum(entries.values()) == granted - paid
    await world.audit()
    async with world.services.db.transaction(world.salon.tenant_id) as connection:
        assert await audit_calls(connection, world.salon.tenant_id) == ()
    assert any(row["end_reason"] == "crashed" for row in rows)
    assert any(row["output_tokens"] for row in rows)
    return rows
