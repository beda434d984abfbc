"""`serve`: webhooks, the API and the worker in one process, or parts of them."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

from gateway.app import build_app, open_services, warm_up
from gateway.limits import Limits
from gateway.logs import configure_logs
from gateway.server import Build, Parts, Role, serve
from gateway.settings import Settings, load_settings
from gateway.worker import Worker


def run(*, host: str, port: int, role: Role) -> int:
    """Serve until a signal; return the exit code."""
    configure_logs()
    settings = load_settings()
    return serve(
        building(settings, role),
        host=host,
        port=port,
        drain_s=Limits().drain_s,
        call_drain_s=settings.call_drain_s,
    )


def building(settings: Settings, role: Role) -> Build:
    """Return what `gateway.server.serve` builds a process from; every role answers for its health."""

    @contextlib.asynccontextmanager
    async def build(stopping: asyncio.Event) -> AsyncIterator[Parts]:
        async with open_services(settings) as services:
            await warm_up(services)
            app = build_app(services, stopping=stopping, public=role != "worker")
            yield Parts(
                app=app,
                worker=None if role == "web" else Worker(services),
                metrics=services.metrics,
                calls=services.live_calls,
                loop_lag=services.loop_lag,
            )

    return build
