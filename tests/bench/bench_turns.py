"""Whole turns: webhook in, hold, model, capture, send; what a customer waits beyond the model.

By WhatsApp or by SMS, where what the customer writes is charged too. Counts charged turns in the ledger, not HTTP
answers. Burst quiet time is 0 and the model answers at once, so that what is left is the gateway's own.
"""

import asyncio
import time
from dataclasses import dataclass

import aiohttp
import psutil

from metering.rates import Item
from tests.bench import meta_wire, twilio_wire
from tests.bench.carriers import Customers, World, closed_loop, open_loop, percentile
from tests.bench.processes import SMS_LINE, WHATSAPP_LINE, charged, gateways, served
from tests.bench.wire import Write

TURNS_A_CUSTOMER = 5
CHARGED_WITHIN_S = 10.0


@dataclass(frozen=True)
class Channel:
    """How customers write and to what line; `items` are what the ledger charges for each turn."""

    write: Write
    line: str
    items: tuple[Item, ...]


WHATSAPP = Channel(meta_wire.text, WHATSAPP_LINE, (Item.WHATSAPP_MESSAGE,))
SMS = Channel(twilio_wire.text, SMS_LINE, (Item.SMS_RECEIVED, Item.SMS_SENT))


@dataclass(frozen=True)
class TurnFigures:
    processes: int
    turns_per_s: float
    overhead_p50_ms: float
    overhead_p95_ms: float
    acknowledged_p50_ms: float
    acknowledged_p99_ms: float
    gateway_cpu_ms_per_turn: float
    failures: int


def _conversing(slot: int, number: int, *, in_flight: int) -> str:
    """Return a slot's customer: a new one after some five turns, as long as recorded dialogues are."""
    return f"49162{number // (in_flight * TURNS_A_CUSTOMER):04d}{slot:04d}"


def cpu_seconds(pids: list[int]) -> float:
    return sum(sum(psutil.Process(pid).cpu_times()[:2]) for pid in pids)


async def wait_until_charged(environment: dict[str, str], channel: Channel, turns: int) -> None:
    """Wait for the last captures, which follow what the customer sees. Raises RuntimeError if they do not come."""
    deadline = time.monotonic() + CHARGED_WITHIN_S
    while (found := await asyncio.to_thread(charged, environment, channel.items)) < turns:
        if time.monotonic() > deadline:
            raise RuntimeError(f"{found} of {turns} turns were charged: this would be no measurement")


async def measure(channel: Channel, *, processes: int, turns: int, in_flight: int) -> TurnFigures:
    world = World()
    connector = aiohttp.TCPConnector(limit=0)
    async with (
        served(world) as vendors,
        gateways(vendors, count=processes, line=channel.line) as (urls, environment, running),
        aiohttp.ClientSession(connector=connector) as http,
    ):
        pids = [process.pid for process in running]

        def customers() -> Customers:
            return Customers(http, urls, world, channel.write)

        carrier = customers()
        reports = asyncio.create_task(carrier.report_deliveries())
        warm = customers()
        await closed_loop(8, 64, lambda slot, number: warm.turn(f"49160{slot:07d}", number))

        alone = customers()
        await closed_loop(1, 100, lambda _slot, number: alone.turn(f"49161{number:07d}", number))

        peak, cpu = customers(), cpu_seconds(pids)
        seconds = await closed_loop(
            in_flight, turns, lambda slot, number: peak.turn(_conversing(slot, number, in_flight=in_flight), number)
        )
        cpu = cpu_seconds(pids) - cpu
        answered = sum(len(group.answered_s) for group in (warm, alone, peak))
        await wait_until_charged(environment, channel, answered)

        half = customers()
        rate = turns / seconds / 2
        await open_loop(rate, int(rate * 10), lambda _slot, number: half.turn(f"49163{number:07d}", number))
        reports.cancel()
    return TurnFigures(
        processes=processes,
        turns_per_s=turns / seconds,
        overhead_p50_ms=percentile(alone.answered_s, 0.5) * 1000,
        overhead_p95_ms=percentile(alone.answered_s, 0.95) * 1000,
        acknowledged_p50_ms=percentile(half.acknowledged_s, 0.5) * 1000,
        acknowledged_p99_ms=percentile(half.acknowledged_s, 0.99) * 1000,
        gateway_cpu_ms_per_turn=cpu / turns * 1000,
        failures=sum(group.failures for group in (warm, alone, peak, half, carrier)),
    )
