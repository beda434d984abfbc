"""Phone calls: how many a core carries, what a frame waits on its way, how soon an interruption is heeded.

Callers and the speech model are one process, the gateway another on a core of its own; a naive bridge is measured
with the same callers and the same model in the same run. The knee is the most calls at which nineteen of twenty
frames reach the model within 20 ms and the loop's lag stays below 10 ms.
"""

import asyncio
import contextlib
import re
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import psutil

from tests.bench import call_wire
from tests.bench.caller import Caller
from tests.bench.carriers import percentile
from tests.bench.processes import LINE, free_port, gateway_environment, set_up_tenant, wait_until_answers
from tests.bench.telephone import World

VOICE_LINE = f"""{LINE}channels = ["voice"]
"""
STEPS = (1, 20, 60, 100, 150, 200, 250)
SETTLES_S = 4.0
MEASURED_S = 12.0
CALLS_A_SECOND = 10
KNEE_FRAME_MS = 20.0
KNEE_LAG_MS = 10.0
TRIES = 3
_LAG = re.compile(r"^turnmeter_loop_lag_seconds (\S+)$", re.MULTILINE)

Connect = Callable[[Caller], Awaitable[None]]


@dataclass(frozen=True)
class CallFigures:
    calls: int
    cpu_share: float  # of one core, for all calls
    frame_p50_ms: float
    frame_p95_ms: float
    frame_p99_ms: float
    cleared_p50_ms: float
    cleared_p95_ms: float
    first_audio_p50_ms: float
    lag_p95_ms: float
    memory_mb: float
    wrong: int
    held_back_ms: float = (
        0.0  # of nineteen of twenty frames with a single call already: a bridge's manner, not its load
    )

    @property
    def cpu_per_call(self) -> float:
        return self.cpu_share / self.calls

    @property
    def within_the_knee(self) -> bool:
        return self.frame_p95_ms - self.held_back_ms <= KNEE_FRAME_MS and self.lag_p95_ms <= KNEE_LAG_MS


@dataclass(frozen=True)
class Bridge:
    """Something that carries calls: how to call it, and what it is as a process."""

    process: psutil.Process
    connect: Connect
    lag_ms: Callable[[], Awaitable[float]]
    holds_back_ms: float = 0.0  # each frame, however few the calls

    @property
    def memory_mb(self) -> float:
        return float(self.process.memory_info().rss) / 2**20

    @property
    def cpu_s(self) -> float:
        times = self.process.cpu_times()
        return float(times.user + times.system)


async def measure(steps: Sequence[int] = STEPS) -> tuple[list[CallFigures], list[CallFigures]]:
    """Return the figures of the gateway and of the naive bridge, by the number of calls, as far as each one goes."""
    psutil.Process().cpu_affinity([1])
    world = World()
    connector = aiohttp.TCPConnector(limit=0)
    async with world.model() as vendors, aiohttp.ClientSession(connector=connector) as http:
        async with gateway(http, vendors) as bridge:
            ours = await climb(world, bridge, steps)
        async with naive(http, vendors) as bridge:
            theirs = await climb(world, bridge, steps)
    return ours, theirs


def rows(whose: str, figures: Sequence[CallFigures]) -> list[tuple[str, str]]:
    """Return what to print: each number of calls, then the knee and what a call costs."""
    found: list[tuple[str, str]] = []
    for each in figures:
        found += [
            (
                f"{whose}, {each.calls} calls",
                (
                    f"frame p50 {each.frame_p50_ms:.2f}, p95 {each.frame_p95_ms:.2f}, p99 {each.frame_p99_ms:.2f} ms; "
                    f"clear p50 {each.cleared_p50_ms:.2f}, p95 {each.cleared_p95_ms:.2f} ms; "
                    f"first audio p50 {each.first_audio_p50_ms:.2f} ms; lag p95 {each.lag_p95_ms:.1f} ms; "
                    f"CPU {each.cpu_share:.0%} of a core, {each.memory_mb:.0f} MB, {each.wrong} wrong"
                ),
            )
        ]
    within = [each for each in figures if each.within_the_knee]
    if within:
        most, least = within[-1], within[0]
        grown = (most.memory_mb - least.memory_mb) / max(1, most.calls - least.calls)
        found.append((f"{whose}: calls on one core at the knee", str(most.calls)))
        found.append((f"{whose}: CPU of a call", f"{most.cpu_per_call:.2%} of a core"))
        found.append((f"{whose}: memory of a call", f"{grown:.2f} MB"))
    return found


def knee(figures: Sequence[CallFigures]) -> float:
    """Return the most calls within the knee, not a number if there were none."""
    return max((each.calls for each in figures if each.within_the_knee), default=float("nan"))


async def climb(world: World, bridge: Bridge, steps: Sequence[int]) -> list[CallFigures]:
    """Add calls step by step until there are too many: a step that is missed is tried again, for a neighbour's sake."""
    figures: list[CallFigures] = []
    for calls in steps:
        figures.append(await _within(world, bridge, calls))
        if not figures[-1].within_the_knee:
            break
    await world.hang_up()
    await asyncio.sleep(1)
    return figures


async def _within(world: World, bridge: Bridge, calls: int) -> CallFigures:
    found = await carry(world, bridge, calls)
    for _ in range(TRIES - 1):
        if found.within_the_knee:
            break
        found = await carry(world, bridge, calls)
    return found


async def carry(world: World, bridge: Bridge, calls: int) -> CallFigures:
    """Let callers call until there are so many, then listen for a while."""
    measured = world.measured
    measured.forget_faults()
    while len(world.callers) < calls:
        await world.add(Caller(next(world.numbers), world.measured), bridge.connect)
        await asyncio.sleep(1 / CALLS_A_SECOND)
    await asyncio.sleep(SETTLES_S)
    measured.forget_times()
    cpu_s = bridge.cpu_s
    await asyncio.sleep(MEASURED_S)
    return CallFigures(
        calls=calls,
        cpu_share=(bridge.cpu_s - cpu_s) / MEASURED_S,
        frame_p50_ms=percentile(measured.heard_ms, 0.5),
        frame_p95_ms=percentile(measured.heard_ms, 0.95),
        frame_p99_ms=percentile(measured.heard_ms, 0.99),
        cleared_p50_ms=percentile(measured.cleared_ms, 0.5),
        cleared_p95_ms=percentile(measured.cleared_ms, 0.95),
        first_audio_p50_ms=percentile(measured.first_audio_ms, 0.5),
        lag_p95_ms=await bridge.lag_ms(),
        memory_mb=bridge.memory_mb,
        wrong=measured.wrong,
        held_back_ms=bridge.holds_back_ms,
    )


@contextlib.asynccontextmanager
async def gateway(http: aiohttp.ClientSession, vendors: str) -> AsyncIterator[Bridge]:
    """Run the gateway with a tenant that has a line to call."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o755)
        environment = gateway_environment(f"http://{vendors}", f"{folder}/data")
        environment["OPENAI_REALTIME_URL"] = f"ws://{vendors}/v1/realtime"
        port = free_port()
        url = f"http://127.0.0.1:{port}"
        async with running(["tests.bench.call_gateway", str(port)], Path(folder) / "gateway.log", environment) as pid:
            await wait_until_answers(url + "/readyz", seconds=30)
            await asyncio.to_thread(set_up_tenant, environment, Path(folder) / "salon.toml", VOICE_LINE)
            process = psutil.Process(pid)
            process.cpu_affinity([0])

            async def connect(caller: Caller) -> None:
                question = call_wire.question(caller.customer)
                async with http.post(url + question.path, data=question.body, headers=question.headers) as response:
                    path = call_wire.stream_path(await response.text())
                await caller.connect(http, f"ws://127.0.0.1:{port}/{path}", call_wire.handshake(path))

            async def lag_ms() -> float:
                async with http.get(url + "/metrics") as response:
                    found = _LAG.search(await response.text())
                return 1000 * float(found.group(1)) if found else float("nan")

            yield Bridge(process, connect, lag_ms)


@contextlib.asynccontextmanager
async def naive(http: aiohttp.ClientSession, vendors: str) -> AsyncIterator[Bridge]:
    """Run the naive bridge; it measures no lag of its own."""
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        arguments = ["tests.bench.naive_bridge", str(port), f"ws://{vendors}/v1/realtime"]
        async with running(arguments, Path(folder) / "naive.log", None) as pid:
            process = psutil.Process(pid)
            process.cpu_affinity([0])

            async def connect(caller: Caller) -> None:
                await caller.connect(http, f"ws://127.0.0.1:{port}/bridge", {})

            async def lag_ms() -> float:
                return 0.0

            await asyncio.sleep(2)
            yield Bridge(process, connect, lag_ms)


@contextlib.asynccontextmanager
async def running(
    arguments: Sequence[str], log: Path, environment: dict[str, str] | None, *, python: str = sys.executable
) -> AsyncIterator[int]:
    """Run a module as a process of its own; yields its id."""
    with log.open("wb") as sink:
        process = subprocess.Popen([python, "-m", *arguments], env=environment, stdout=sink, stderr=sink)
        try:
            yield process.pid
        finally:
            process.terminate()
            await asyncio.to_thread(process.wait, 60)


async def soak(minutes: float, calls: int = 20) -> AsyncIterator[CallFigures]:
    """Carry calls for so long, and yield the figures of each stretch: memory must stay where it is."""
    world = World()
    async with (
        world.model() as vendors,
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as http,
        gateway(http, vendors) as bridge,
    ):
        ends_at = asyncio.get_running_loop().time() + 60 * minutes
        while asyncio.get_running_loop().time() < ends_at:
            yield await carry(world, bridge, calls)
            await world.hang_up()  # calls begin and end, which is where memory is lost
