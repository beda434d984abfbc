import contextlib
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

import asyncpg
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from gateway.db import Database
from gateway.health import routes
from gateway.live_calls import LiveCalls
from gateway.loop_lag import LoopLag
from gateway.metrics import Metrics
from gateway.web import application

Client = TestClient[web.Request, web.Application]


@contextlib.asynccontextmanager
async def client_of(db: Database, *, stopping: bool = False, metrics_token: str | None = None) -> AsyncIterator[Client]:
    found = routes(
        db,
        Metrics(),
        calls=LiveCalls(),
        loop_lag=LoopLag(),
        stopping=lambda: stopping,
        metrics_token=metrics_token,
    )
    app = application(found, body_bytes_max=1_000, https=False, stopping=lambda: stopping)
    async with TestClient(TestServer(app)) as client:
        yield client


async def readiness(client: Client) -> tuple[int, str | None]:
    response = await client.get("/readyz")
    return response.status, (await response.json()).get("reason")


async def test_a_process_with_a_current_database_is_ready(db: Database) -> None:
    async with client_of(db) as client:
        assert (await client.get("/healthz")).status == 200
        assert await readiness(client) == (200, None)


async def test_a_process_that_stops_is_healthy_but_not_ready(db: Database) -> None:
    async with client_of(db, stopping=True) as client:
        assert (await client.get("/healthz")).status == 200
        assert await readiness(client) == (503, "stopping")


async def test_an_older_schema_is_not_ready_and_a_newer_one_is(db: Database, database_url: str) -> None:
    owner = await asyncpg.connect(database_url)
    async with client_of(db) as client:
        await owner.execute("UPDATE alembic_version SET version_num = '0000'")
        assert await readiness(client) == (503, "migrations_pending")
        await owner.execute("UPDATE alembic_version SET version_num = '9999'")
        assert await readiness(client) == (200, None)
    await owner.close()


async def test_without_its_database_a_process_is_healthy_but_not_ready(
    db: Database, server_url: str, database_url: str
) -> None:
    name = urlsplit(database_url).path.removeprefix("/")
    admin = await asyncpg.connect(server_url)
    async with client_of(db) as client:
        await admin.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false')
        await admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1", name)
        assert await readiness(client) == (503, "database_unavailable")
        assert (await client.get("/healthz")).status == 200
        await admin.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true')
        assert await readiness(client) == (200, None)
    await admin.close()


async def test_metrics_answer_this_machine_and_no_proxy_on_it(db: Database) -> None:
    async with client_of(db) as client:
        response = await client.get("/metrics")
        assert response.status == 200
        assert "turnmeter_charged_millicredits_total 0.0" in await response.text()
        assert (await client.get("/metrics", headers={"X-Forwarded-For": "127.0.0.1"})).status == 403


async def test_with_a_token_metrics_answer_whoever_has_it(db: Database) -> None:
    async with client_of(db, metrics_token="s3cret") as client:
        assert (await client.get("/metrics")).status == 401
        assert (await client.get("/metrics", headers={"Authorization": "Bearer guess"})).status == 401
        proxied = {"Authorization": "Bearer s3cret", "X-Forwarded-For": "203.0.113.7"}
        assert (await client.get("/metrics", headers=proxied)).status == 200


async def test_a_deployment_is_told_how_many_calls_it_waits_for(db: Database) -> None:
    async with client_of(db, stopping=True) as client:
        told = await (await client.get("/health/active-calls")).json()
        assert told == {"active_calls": 0, "stopping": True, "loop_lag_p95_ms": 0.0}


async def test_calls_are_not_counted_for_strangers(db: Database) -> None:
    async with client_of(db, metrics_token="m" * 20) as client:
        assert (await client.get("/health/active-calls")).status == 401
