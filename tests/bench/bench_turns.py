"""Whole turns: webhook in, hold, model, capture, send; what a customer waits beyond the model.

Counts charged turns in the ledger, not HTTP answers. Burst quiet time is 0 and the model answers at once,
so that what is left is the gateway's own.
"""

import asyncio
import time
from dataclasses import dataclass

import aiohttp
import psutil

from tests.bench.carriers import Customers, World, closed_loop, open_loop, percentile
from tests.bench.processes import balance_millicredits, gateways, served

TURNS_A_CUSTOMER = 5


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


async def measure(*, processes: int, turns: int, in_flight: int) -> TurnFigures:
    world = World()
    connector = aiohttp.TCPConnector(limit=0)
    async with (
        served(world) as vendors,
        gateways(vendors, count=processes) as (urls, environment, running),
        aiohttp.ClientSession(connector=connector) as http,
    ):
        pids = [process.pid for process in running]

        def customers() -> Customers:
            return Customers(http, urls, world)

        reports = asyncio.create_task(customers().report_deliveries())
        warm = customers()
        await closed_loop(8, 64, lambda slot, number: warm.turn(f"49160{slot:07d}", number))

        alone = customers()
        await closed_loop(1, 100, lambda _slot, number: alone.turn(f"49161{number:07d}", number))

        peak, before, cpu = customers(), balance_millicredits(environment), cpu_seconds(pids)
        seconds = await closed_loop(
            in_flight, turns, lambda slot, number: peak.turn(_conversing(slot, number, in_flight=in_flight), number)
        )
        cpu = cpu_seconds(pids) - cpu
        if balance_millicredits(environment) >= before:
            raise RuntimeError("nothing was charged: this would be no measurement")

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
        failures=alone.failures + peak.failures + half.failures,
    )


if __name__ == "__main__":
    started = time.perf_counter()
    for count in (1, 2):
        print(asyncio.run(measure(processes=count, turns=1500, in_flight=64)))
    print(f"{time.perf_counter() - started:.0f} s")
