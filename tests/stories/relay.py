"""A salon whose calls Twilio recognises and speaks, and what the stories about them have in common."""

import contextlib
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from gateway.simulator.openai_chat import Brain, Request
from gateway.simulator.twilio_call import PlacedCall
from metering.rates import Item
from metering.receipts import Receipt, list_receipts
from tests.stories.world import QUICK, SALON, World, answer, opened, until

CALLER = "+491700000101"
COLLEAGUE = "+493012345678"
GREETING = "Hallo, hier ist die digitale Assistentin (KI) vom Salon Lindenhof."
PRICE = "Ein Haarschnitt kostet 42 Euro."
FEE, HEARD, SPOKEN = 95_000, 295, 590  # millicredits: a started minute, a token of the caller's words, of the agent's
SLOW_CHAR_MS = 15.0  # slow enough to be interrupted


def salon_with(*settings: str) -> str:
    """Return the salon's file with a telephone by text, and these lines of how it is there."""
    voice = "\n".join(["[agent.voice]", 'engine = "conversation_relay"', *settings])
    return SALON.replace("[agent.hours]", f"{voice}\n[agent.hours]")


@contextlib.asynccontextmanager
async def opened_salon(
    database_url: str,
    folder: Path,
    *settings: str,
    amount_credits: int = 10_000,
    brain: Brain = answer,
    **limits: Any,  # noqa: ANN401 - of any type
) -> AsyncIterator[World]:
    async with opened(database_url, folder, brain=brain, limits=replace(QUICK, **limits)) as world:
        await world.add_salon("Salon Lindenhof", amount_credits=amount_credits, file=salon_with(*settings))
        yield world


async def ring(world: World, *, greeted: bool = True) -> PlacedCall:
    """Call the salon, and listen to its greeting."""
    call = world.twilio.calls.place(CALLER, world.salon.business.display_number)
    await call.wait_for_heard(lambda placed: placed.listener is not None)
    if greeted:
        await heard(call, GREETING)
        await told(world, call)
    return call


async def heard(call: PlacedCall, text: str, *, timeout_s: float = 15.0) -> None:
    await call.wait_for_heard(lambda placed: any(text in said for said in placed.said), timeout_s=timeout_s)


async def told(world: World, call: PlacedCall) -> None:
    """Wait until the gateway knows that everything said was heard."""

    async def listens() -> bool:
        return any(live.figures().state == "listening" for live in world.services.live_calls.calls.values())

    await until(listens)
    assert not call.is_over


async def over(world: World, call: PlacedCall, *, timeout_s: float = 15.0) -> dict[str, Any]:
    """Wait until a call has ended and is settled; return its row. Nothing of it is left."""
    await call.wait_for_end(timeout_s=timeout_s)

    async def left() -> bool:
        return not world.services.live_calls.calls

    await until(left)
    await world.quiet()
    [row] = await world.rows("SELECT * FROM call WHERE call_sid = $1", call.sid)
    assert row["state"] == "ended", row["state"]
    return row


async def call_receipts(world: World) -> list[Receipt]:
    """Return the receipts of calls, oldest first."""
    async with world.services.db.transaction(world.salon.tenant_id) as connection:
        found = await list_receipts(connection, world.salon.tenant_id, limit=200)
    return [receipt for receipt in reversed(found) if receipt.subject == "call"]


async def spoken(world: World) -> list[tuple[str, str]]:
    """Return the transcript: who, and what was heard."""
    rows = await world.rows("SELECT author, text FROM message WHERE kind = 'speech' ORDER BY created_at, message_id")
    return [(str(row["author"]), str(row["text"])) for row in rows]


async def spent(world: World, before: int) -> int:
    after, held, _ = await world.wallet()
    assert held == 0
    return before - after


def quantity(receipts: list[Receipt], item: Item) -> int:
    return sum(line.quantity for receipt in receipts for line in receipt.lines if line.item == item)


def messages(request: Request) -> list[dict[str, Any]]:
    found = request["messages"]
    assert isinstance(found, list)
    return found


def words_of(world: World, *texts: str) -> int:
    """Return how many tokens the texts have, each counted for itself."""
    return sum(map(world.services.count_tokens, texts))
