"""`make bench`: every figure of the README's performance section, as Markdown. A part that fails says so.

`python -m tests.bench ledger`, `… turns`, `… sms` or `… calls` prints one part only; `python -m tests.bench soak 30`
carries twenty calls at a time for half an hour and prints the gateway's memory.
"""

import logging
import os
import platform
import sys
from collections.abc import Callable, Coroutine, Iterator
from functools import partial

import uvloop

from gateway.logs import configure_logs
from tests.bench import bench_calls, bench_ledger, bench_turns

Row = tuple[str, str]

LEDGERS = ((1, 32), (1, 200), (1_000, 32), (1_000, 200))  # tenants, in flight
LEDGER_TURNS = 6_000
PROCESSES = (1, 2)
TURNS_BY = {"turns": (bench_turns.WHATSAPP, "by WhatsApp"), "sms": (bench_turns.SMS, "by SMS")}  # by the part's name
TURNS = 1_500
TURNS_IN_FLIGHT = 64


async def ledger(tenants: int, in_flight: int) -> list[Row]:
    figures = await bench_ledger.measure(tenants=tenants, in_flight=in_flight, turns=LEDGER_TURNS)
    whose = "one hot tenant" if tenants == 1 else f"{tenants:,} tenants"
    return [
        (f"ledger alone, {whose}, {in_flight} in flight", f"{figures.turns_per_s:,.0f} charged turns/s"),
        ("pgbench with the same commits", f"{figures.pgbench_turns_per_s:,.0f} turns/s"),
        ("ledger / pgbench", f"{figures.share_of_pgbench:.0%}"),
    ]


async def turns(channel: bench_turns.Channel, how: str, processes: int) -> list[Row]:
    figures = await bench_turns.measure(channel, processes=processes, turns=TURNS, in_flight=TURNS_IN_FLIGHT)
    name = "1 process" if processes == 1 else f"{processes} processes"
    return [
        (f"whole turns {how}, {name}", f"{figures.turns_per_s:,.0f} charged turns/s"),
        (f"CPU of the gateway per turn {how}, {name}", f"{figures.gateway_cpu_ms_per_turn:.2f} ms"),
        (
            f"overhead of a turn {how}, {name}",
            f"p50 {figures.overhead_p50_ms:.1f} ms, p95 {figures.overhead_p95_ms:.1f} ms",
        ),
        (
            f"webhook acknowledged at half load, {how}, {name}",
            f"p50 {figures.acknowledged_p50_ms:.1f} ms, p99 {figures.acknowledged_p99_ms:.1f} ms",
        ),
        (f"failures {how}, {name}", str(figures.failures)),
    ]


async def calls() -> list[Row]:
    ours, theirs = await bench_calls.measure()
    return [*bench_calls.rows("gateway", ours), *bench_calls.rows("naive bridge", theirs)]


async def soak(minutes: float) -> None:
    async for figures in bench_calls.soak(minutes):
        print(
            f"| {figures.calls} calls, again and again | {figures.memory_mb:.1f} MB, {figures.wrong} wrong |",
            flush=True,
        )


def parts(wanted: list[str]) -> Iterator[tuple[str, Callable[[], Coroutine[None, None, list[Row]]]]]:
    """Yield each part's name and what measures it."""
    if not wanted or "ledger" in wanted:
        for tenants, in_flight in LEDGERS:
            yield f"ledger, {tenants} tenants, {in_flight} in flight", partial(ledger, tenants, in_flight)
    for part, (channel, how) in TURNS_BY.items():
        if not wanted or part in wanted:
            for processes in PROCESSES:
                yield f"{part}, {processes} processes", partial(turns, channel, how, processes)
    if not wanted or "calls" in wanted:
        yield "calls", calls


def main(wanted: list[str]) -> int:
    configure_logs(level=logging.WARNING)
    print(f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}\n")
    print("| measured | result |\n|---|---|")
    if wanted[:1] == ["soak"]:
        uvloop.run(soak(float(wanted[1])))
        return 0
    failed = 0
    for name, part in parts(wanted):
        try:
            rows = uvloop.run(part())
        except Exception as error:  # noqa: BLE001 - the other parts are measured all the same
            failed += 1
            rows = [(name, f"failed: {type(error).__name__}: {error}")]
        for measured, result in rows:
            print(f"| {measured} | {result} |", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
