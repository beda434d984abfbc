"""How a process is: /healthz (it runs), /readyz (send it work), /metrics (what it has counted), its phone calls."""

import asyncio
import hmac
import ipaddress
from collections.abc import Callable
from typing import Final

from aiohttp import web

from gateway import metrics
from gateway.db import Database
from gateway.errors import DatabaseUnavailableError, ProblemError
from gateway.live_calls import LiveCalls
from gateway.loop_lag import LoopLag
from gateway.migrate import head

DATABASE_ANSWERS_S: Final = 2.0
_FORWARDED: Final = ("Forwarded", "X-Forwarded-For", "X-Real-IP")


def routes(
    db: Database,
    counted: metrics.Metrics,
    *,
    calls: LiveCalls,
    loop_lag: LoopLag,
    stopping: Callable[[], bool],
    metrics_token: str | None,
) -> list[web.RouteDef]:
    """Return the routes. Without a token, what was counted is told to the machine itself only, and no proxy on it."""

    async def healthz(_request: web.Request) -> web.Response:
        return web.json_response({"status": "ok"})

    async def readyz(_request: web.Request) -> web.Response:
        reason = "stopping" if stopping() else await _unready(db)
        body = {"status": "unready", "reason": reason} if reason else {"status": "ready"}
        return web.json_response(body, status=503 if reason else 200)

    async def show_metrics(request: web.Request) -> web.Response:
        _check_reader(request, metrics_token)
        return web.Response(body=counted.render(), headers={"Content-Type": metrics.CONTENT_TYPE})

    async def active_calls(request: web.Request) -> web.Response:
        """Tell what a deployment waits for before it ends a process."""
        _check_reader(request, metrics_token)
        body = {"active_calls": len(calls), "stopping": stopping(), "loop_lag_p95_ms": round(1000 * loop_lag.p95_s, 1)}
        return web.json_response(body)

    return [
        web.get("/healthz", healthz),
        web.get("/readyz", readyz),
        web.get("/metrics", show_metrics),
        web.get("/health/active-calls", active_calls),
    ]


async def _unready(db: Database) -> str | None:
    """Say what stands in the way. A newer schema does not: an old process works until it is replaced."""
    try:
        async with asyncio.timeout(DATABASE_ANSWERS_S), db.directory() as connection:
            found: str | None = await connection.fetchval("SELECT max(version_num) FROM alembic_version")
    except (TimeoutError, DatabaseUnavailableError):
        return "database_unavailable"
    return None if found is not None and found >= head() else "migrations_pending"


def _check_reader(request: web.Request, token: str | None) -> None:
    if token is None:
        if not _is_this_machine(request):
            raise ProblemError(403, "forbidden", "Set TURNMETER_METRICS_TOKEN to read metrics from elsewhere.")
        return
    given = request.headers.get("Authorization", "").removeprefix("Bearer ")
    if not hmac.compare_digest(given.encode(), token.encode()):
        raise ProblemError(401, "unauthorized", "Send TURNMETER_METRICS_TOKEN as a bearer token.")


def _is_this_machine(request: web.Request) -> bool:
    """Whether the request began here: behind a proxy, every request seems to."""
    if any(name in request.headers for name in _FORWARDED):
        return False
    try:
        return ipaddress.ip_address(request.remote or "").is_loopback
    except ValueError:
        return False
