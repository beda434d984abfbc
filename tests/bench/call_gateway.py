"""The gateway under the calls' bench: as `serve` runs it, but it takes any number of calls and never declines one.

Run as a program: `python -m tests.bench.call_gateway PORT`.
"""

import asyncio
import contextlib
import logging
import sys
from collections.abc import AsyncIterator
from dataclasses import replace

from gateway.app import build_app, open_services, warm_up
from gateway.limits import Limits
from gateway.logs import configure_logs
from gateway.server import Parts, serve
from gateway.settings import load_settings
from gateway.worker import Worker

LIMITS = replace(Limits(), calls_per_process=10_000, calls_per_tenant=10_000, loop_lag_max_s=60.0)


def main(port: int) -> int:
    @contextlib.asynccontextmanager
    async def build(stopping: asyncio.Event) -> AsyncIterator[Parts]:
        async with open_services(load_settings(), limits=LIMITS) as services:
            await warm_up(services)
            yield Parts(
                app=build_app(services, stopping=stopping),
                worker=Worker(services),
                metrics=services.metrics,
                calls=services.live_calls,
                loop_lag=services.loop_lag,
            )

    configure_logs(level=logging.WARNING)
    return serve(build, host="127.0.0.1", port=port, drain_s=2.0, call_drain_s=0.0)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1])))
