"""Running a process: its HTTP server and its worker side by side, and an orderly end.

SIGTERM or SIGINT: no new connections, /readyz says 503, what is in flight is finished within a limit and the rest
given back, phone calls go on for a longer while and are then moved to another process, pools are closed, the private
database is let go. A second signal ends the process at once; leases then run out and another process goes on.
"""

import asyncio
import contextlib
import gc
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Final, Literal, Protocol

import structlog
import uvloop
from aiohttp import web

from gateway.live_calls import LiveCalls
from gateway.loop_lag import LoopLag
from gateway.metrics import Metrics

Role = Literal["all", "web", "worker"]

LAG_TOLD_EVERY_S: Final = 1.0
CALLS_MOVE_S: Final = 15.0
GARBAGE_AFTER: Final = 20_000  # objects made since the last look
BACKLOG: Final = 1024
KEEPALIVE_S: Final = 75.0
REQUEST_ENDS_S: Final = 10.0

log = structlog.get_logger(__name__)


class Work(Protocol):
    """Something that works in the background until it is told to stop."""

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop` is set."""
        ...

    async def drain(self, timeout_s: float) -> None:
        """Finish what is in flight for so long, give the rest back."""
        ...


class Idle:
    """What a process of role `web` does beside serving: nothing."""

    async def run(self, stop: asyncio.Event) -> None:
        await stop.wait()

    async def drain(self, timeout_s: float) -> None:
        del timeout_s


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What a process runs; a process of role `web` has no worker, one of role `worker` an app for its health."""

    app: web.Application
    worker: Work | None
    metrics: Metrics
    calls: LiveCalls
    loop_lag: LoopLag


Build = Callable[[asyncio.Event], contextlib.AbstractAsyncContextManager[Parts]]


def serve(build: Build, *, host: str, port: int, drain_s: float, call_drain_s: float) -> int:
    """Serve until a signal; return the exit code: 0 after an orderly end, 1 if the worker failed.

    What is in flight then has `drain_s`, phone calls `call_drain_s`.

    `build` gets the event that is set when the end begins and closes what it opened when its context ends.
    Raises OSError when the port cannot be had.
    """
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_serve(build, host, port, drain_s, call_drain_s))


async def _serve(build: Build, host: str, port: int, drain_s: float, call_drain_s: float) -> int:
    stopping = asyncio.Event()
    _heed_signals(stopping)
    async with (
        build(stopping) as parts,
        _rarely_collecting(),
        _listening(parts.app, host, port) as site,
        _measuring_lag(parts),
    ):
        worker = parts.worker or Idle()
        running = asyncio.create_task(worker.run(stopping))
        told = asyncio.create_task(stopping.wait())
        await asyncio.wait([running, told], return_when=asyncio.FIRST_COMPLETED)
        stopping.set()
        await site.stop()
        log.info("draining", seconds_max=drain_s, calls=len(parts.calls))
        results = await asyncio.gather(
            running, worker.drain(drain_s), _let_calls_end(parts.calls, call_drain_s), told, return_exceptions=True
        )
        failures = [result for result in results if isinstance(result, BaseException)]
        for failure in failures:
            log.error("worker_failed", exc_info=failure)
    log.info("stopped")
    return 1 if failures else 0


@contextlib.asynccontextmanager
async def _listening(app: web.Application, host: str, port: int) -> AsyncIterator[web.TCPSite]:
    """Listen; in the end wait for the requests in flight."""
    runner = web.AppRunner(app, access_log=None, keepalive_timeout=KEEPALIVE_S, shutdown_timeout=REQUEST_ENDS_S)
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port, backlog=BACKLOG)
        await site.start()
        log.info("serving", listens=[f"http://{address[0]}:{address[1]}" for address in runner.addresses])
        yield site
    finally:
        await runner.cleanup()


async def _let_calls_end(calls: LiveCalls, seconds: float) -> None:
    """Let phone calls go on for so long, then move those that are left to another process."""
    if await _within(calls.drained(), seconds):
        return
    log.info("calls_move", calls=len(calls))
    for call in list(calls.calls.values()):
        call.move()
    if not await _within(calls.drained(), CALLS_MOVE_S):
        log.warning("calls_cut_off", calls=len(calls))


async def _within(work: Awaitable[None], seconds: float) -> bool:
    try:
        async with asyncio.timeout(seconds):
            await work
    except TimeoutError:
        return False
    return True


@contextlib.asynccontextmanager
async def _rarely_collecting() -> AsyncIterator[None]:
    """Look for garbage in cycles less often, and never among what was loaded at the start.

    A turn makes some thousands of objects and hardly a cycle; the default looks after every 700 of them.
    """
    before = gc.get_threshold()
    gc.collect()
    gc.freeze()
    gc.set_threshold(GARBAGE_AFTER, before[1], before[2])
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()


@contextlib.asynccontextmanager
async def _measuring_lag(parts: Parts) -> AsyncIterator[None]:
    async def tell() -> None:
        while True:
            await asyncio.sleep(LAG_TOLD_EVERY_S)
            parts.metrics.loop_lag_s.set(parts.loop_lag.p95_s)
            parts.metrics.calls_live.set(len(parts.calls))

    tasks = [asyncio.create_task(parts.loop_lag.measure()), asyncio.create_task(tell())]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()


def _heed_signals(stopping: asyncio.Event) -> None:
    loop = asyncio.get_running_loop()

    def heed(number: int) -> None:
        if stopping.is_set():
            os._exit(128 + number)
        log.info("stopping", signal=signal.Signals(number).name)
        stopping.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, heed, number)
