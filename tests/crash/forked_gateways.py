"""Gateways to be killed: each a process of its own, forked from one that has imported everything.

Run as a program. It reads lines of a port each, forks a gateway that serves there, and prints its pid. What is killed
is a whole gateway: HTTP server, worker, pools. Only the imports are shared, so that two hundred starts take minutes.
"""

import asyncio
import contextlib
import gc
import os
import signal
import sys
import time
from collections.abc import AsyncIterator

import openai

from gateway.app import build_app, open_services, warm_up
from gateway.limits import Limits
from gateway.logs import configure_logs
from gateway.server import Parts, serve
from gateway.settings import load_settings
from gateway.worker import Worker

LIMITS = Limits(
    burst_quiet_ms=20,
    burst_cap_ms=200,
    poll_s=0.05,
    sweep_s=0.3,
    lease_s=1.0,
    hold_wait_s=5.0,
    crashes_max=1_000,
    sms_received_per_day=100_000,
    unknown_wait_s=20.0,  # longer than any report takes
    calls_per_process=1_000,
    calls_per_tenant=1_000,
    loop_lag_max_s=60.0,
    call_lease_s=3.0,
    stream_begins_s=5.0,
)


def run(port: int) -> int:
    @contextlib.asynccontextmanager
    async def build(stopping: asyncio.Event) -> AsyncIterator[Parts]:
        async with open_services(load_settings(), limits=LIMITS) as services:
            await warm_up(services)
            app = build_app(services, stopping=stopping)
            yield Parts(
                app=app,
                worker=Worker(services),
                metrics=services.metrics,
                calls=services.live_calls,
                loop_lag=services.loop_lag,
            )

    return serve(build, host="127.0.0.1", port=port, drain_s=2.0, call_drain_s=2.0)


def main() -> None:
    assert openai.VERSION  # imported here, so that every fork has it
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    gc.freeze()
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            sys.stdin.close()
            configure_logs()
            os._exit(run(int(line)))
        print(pid, flush=True)
    time.sleep(0.1)


if __name__ == "__main__":
    main()
