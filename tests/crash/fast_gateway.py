"""A whole gateway whose minutes are short: `python -m tests.crash.fast_gateway PORT ANCHOR LEASE_S`.

From ANCHOR on, which all gateways of a test share, its clock goes `SPEED` times as fast. LEASE_S is by that clock.
"""

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator
from datetime import datetime

from gateway.app import build_app, open_services, system_now
from gateway.limits import Limits
from gateway.logs import configure_logs
from gateway.server import Parts, serve
from gateway.settings import load_settings
from gateway.worker import Worker

SPEED = 30


def run(port: int, anchor: datetime, lease_s: float) -> int:
    limits = Limits(poll_s=0.05, sweep_s=0.3, adopt_s=0.1, call_lease_s=lease_s, unwatched_s=3_600.0)

    def now() -> datetime:
        return anchor + (system_now() - anchor) * SPEED

    @contextlib.asynccontextmanager
    async def build(stopping: asyncio.Event) -> AsyncIterator[Parts]:
        async with open_services(load_settings(), now=now, limits=limits) as services:
            yield Parts(
                app=build_app(services, stopping=stopping),
                worker=Worker(services),
                metrics=services.metrics,
                calls=services.live_calls,
                loop_lag=services.loop_lag,
            )

    return serve(build, host="127.0.0.1", port=port, drain_s=2.0, call_drain_s=0.2)


if __name__ == "__main__":
    configure_logs()
    os._exit(run(int(sys.argv[1]), datetime.fromisoformat(sys.argv[2]), float(sys.argv[3])))
