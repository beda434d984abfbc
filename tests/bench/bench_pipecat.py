"""A phone bridge built on pipecat, with the same callers and the same model as the gateway, in one run.

Needs an environment of its own with `pipecat-ai`: `make bench-pipecat` sets it up and calls this. A frame counts as
heard once the model has as many milliseconds of audio as end with it, for both: pipecat resamples, which does away
with a frame's number. What it loses counts as wrong, not as late. Its resampler also holds audio back at any load, so
the knee forgives what a frame waits with a single call already: nineteen of twenty come at most 20 ms later than
that, and the loop's lag stays below 10 ms.
"""

import contextlib
import os
import platform
import sys
import tempfile
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from pathlib import Path

import aiohttp
import orjson
import psutil
import uvloop
from typing_extensions import override

from tests.bench import call_wire
from tests.bench.bench_calls import STEPS, Bridge, CallFigures, climb, gateway, knee, rows, running
from tests.bench.caller import CALL_DIGITS, FRAME_S, Caller
from tests.bench.processes import free_port, wait_until_answers
from tests.bench.telephone import MILLISECOND, PCM, SpeechModel, World
from tests.bench.twilio_wire import ACCOUNT_SID, AUTH_TOKEN

PEER_STEPS = (4, 10, 20, 30, 40, 50)
HOLDS_MS = 17.5  # what pipecat's resampler never lets go of
REPEATS_FRAMES = 55  # until it has let go eight times and keeps just that again
FRAME_MS = round(1000 * FRAME_S)


class CountingModel(SpeechModel):
    """A model that tells by how much it has heard which frames have reached it."""

    _heard_bytes = 0  # of the frame that is next
    _frame = 0  # the next one
    _least_unheard = sys.maxsize  # bytes
    _judged_at = 0

    @override
    def _hear(self, text: str, now: float) -> None:
        audio = orjson.loads(text)["audio"]
        if self._caller is None:
            self._caller = self._recognise(audio)
        if self._caller is None:
            return
        sent_at = self._caller.sent_at
        whole, self._heard_bytes = divmod(
            self._heard_bytes + len(audio) * 3 // 4 - audio[-2:].count("="), self._frame_bytes
        )
        for _ in range(min(whole, len(sent_at))):
            self._world.measured.heard_ms.append(1000 * (now - sent_at.pop(self._frame)))
            self._frame += 1
        if self._hears == PCM:
            self._give_up(sent_at)

    @property
    def _frame_bytes(self) -> int:
        return len(MILLISECOND[self._hears]) * FRAME_MS

    def _recognise(self, audio: str) -> Caller | None:
        """Return the caller whom the address names, else the one whom the first frame does."""
        if self._call_sid:
            return self._world.callers.get(int(self._call_sid[-CALL_DIGITS:]))
        call, self._frame = call_wire.numbers_of(audio[:8])
        caller = self._world.callers.get(call)
        if caller is not None:
            for earlier in range(self._frame):
                caller.sent_at.pop(earlier, None)
        return caller

    def _give_up(self, sent_at: dict[int, float]) -> None:
        """Count as lost what has been missing for a while: the resampler empties itself after a stall of 200 ms."""
        self._least_unheard = min(self._least_unheard, len(sent_at) * self._frame_bytes - self._heard_bytes)
        if self._frame < self._judged_at + REPEATS_FRAMES:
            return
        lost = self._least_unheard - int(HOLDS_MS * len(MILLISECOND[PCM]))
        if lost >= self._frame_bytes:
            whole, self._heard_bytes = divmod(self._heard_bytes + lost, self._frame_bytes)
            for _ in range(whole):
                sent_at.pop(self._frame)
                self._frame += 1
            self._world.measured.lost += whole
        self._judged_at = self._frame
        self._least_unheard = sys.maxsize


async def measure(python: str) -> tuple[list[CallFigures], list[CallFigures], str]:
    """Return the gateway's figures, pipecat's, and which pipecat it was."""
    psutil.Process().cpu_affinity([1])
    world = World(CountingModel)
    connector = aiohttp.TCPConnector(limit=0)
    async with world.model() as vendors, aiohttp.ClientSession(connector=connector) as http:
        async with gateway(http, vendors) as bridge:
            ours = await climb_from_one(world, bridge, STEPS[1:])
        async with pipecat(http, vendors, python) as (bridge, version):
            theirs = await climb_from_one(world, bridge, PEER_STEPS)
    return ours, theirs, version


async def climb_from_one(world: World, bridge: Bridge, steps: Sequence[int]) -> list[CallFigures]:
    """Carry a single call first, and hold against the others only what they wait longer."""
    (alone,) = await climb(world, bridge, [1])
    waits_ms = alone.frame_p95_ms
    more = await climb(world, replace(bridge, holds_back_ms=waits_ms), steps)
    return [replace(alone, held_back_ms=waits_ms), *more]


@contextlib.asynccontextmanager
async def pipecat(http: aiohttp.ClientSession, vendors: str, python: str) -> AsyncIterator[tuple[Bridge, str]]:
    """Run the bridge on pipecat; yields its version too."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    environment = {**os.environ, "TWILIO_ACCOUNT_SID": ACCOUNT_SID, "TWILIO_AUTH_TOKEN": AUTH_TOKEN}
    arguments = ["tests.bench.pipecat_peer.bridge", str(port), f"ws://{vendors}/v1/realtime", f"http://{vendors}"]
    with tempfile.TemporaryDirectory() as folder:
        async with running(arguments, Path(folder) / "pipecat.log", environment, python=python) as pid:
            await wait_until_answers(url, seconds=60)
            process = psutil.Process(pid)
            process.cpu_affinity([0])

            async def about() -> dict[str, str | float]:
                async with http.get(url) as response:
                    found: dict[str, str | float] = await response.json()
                return found

            async def connect(caller: Caller) -> None:
                await caller.connect(http, f"ws://127.0.0.1:{port}/ws", {})

            async def lag_ms() -> float:
                return float((await about())["lag_ms"])

            yield Bridge(process, connect, lag_ms), str((await about())["version"])


def ratios(ours: Sequence[CallFigures], theirs: Sequence[CallFigures]) -> list[tuple[str, str]]:
    """Return what to print of both beside each other; the processor's time at the most calls that both carried."""
    mine = {each.calls: each for each in ours}
    both = max((each for each in theirs if each.calls in mine), key=lambda each: each.calls)
    return [
        ("calls on one core at the knee, gateway / pipecat", f"{knee(ours) / knee(theirs):.1f}"),
        (f"CPU of {both.calls} calls, pipecat / gateway", f"{both.cpu_share / mine[both.calls].cpu_share:.1f}"),
    ]


def main(python: str) -> None:
    ours, theirs, version = uvloop.run(measure(python))
    print(f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}\n")
    print("| measured | result |\n|---|---|")
    for measured, result in [*rows("gateway", ours), *rows(f"pipecat {version}", theirs), *ratios(ours, theirs)]:
        print(f"| {measured} | {result} |")


if __name__ == "__main__":
    main(sys.argv[1])
