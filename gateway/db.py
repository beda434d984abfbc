"""The database as the gateway sees it: the only place that opens and commits a transaction.

Two roles share one server. `turnmeter_app` sees one tenant at a time (row-level security);
`turnmeter_queue` sees the queue columns of all tenants and nothing else.
"""

import contextlib
from collections.abc import AsyncIterator
from contextvars import ContextVar
from uuid import UUID

import asyncpg
import orjson
from asyncpg.pool import Pool

from metering.connection import Connection

_open_transaction: ContextVar[bool] = ContextVar("open_transaction", default=False)


def transaction_is_open() -> bool:
    """Whether this task is inside a transaction; no vendor may be awaited then."""
    return _open_transaction.get()


async def _prepare(connection: "asyncpg.Connection[asyncpg.Record]") -> None:
    await connection.set_type_codec(
        "jsonb",
        schema="pg_catalog",
        format="binary",
        encoder=lambda value: b"\x01" + orjson.dumps(value),
        decoder=lambda value: orjson.loads(value[1:]),
    )


async def _pool(url: str, role: str, connections: int) -> "Pool[asyncpg.Record]":
    return await asyncpg.create_pool(
        url,
        min_size=1,
        max_size=connections,
        init=_prepare,
        server_settings={
            "role": role,
            "timezone": "UTC",
            "jit": "off",
            "plan_cache_mode": "force_custom_plan",
            "application_name": role,
        },
    )


class Database:
    """Two pools, one for each role."""

    def __init__(self, app: "Pool[asyncpg.Record]", queue: "Pool[asyncpg.Record]") -> None:
        self._app = app
        self._queue = queue

    @classmethod
    async def connect(cls, url: str, *, app_connections: int = 10, queue_connections: int = 2) -> "Database":
        return cls(
            await _pool(url, "turnmeter_app", app_connections), await _pool(url, "turnmeter_queue", queue_connections)
        )

    @contextlib.asynccontextmanager
    async def _transaction(self, pool: "Pool[asyncpg.Record]", tenant_id: UUID | None) -> AsyncIterator[Connection]:
        async with pool.acquire() as connection, connection.transaction():
            token = _open_transaction.set(True)
            try:
                if tenant_id is not None:
                    await connection.execute("SELECT set_config('app.tenant', $1, true)", str(tenant_id))
                yield connection
            finally:
                _open_transaction.reset(token)

    def transaction(self, tenant_id: UUID) -> contextlib.AbstractAsyncContextManager[Connection]:
        """A tenant's transaction; commits on exit, rolls back on an error."""
        return self._transaction(self._app, tenant_id)

    def directory(self) -> contextlib.AbstractAsyncContextManager[Connection]:
        """A transaction on the tables that lead to a tenant, and on no tenant's."""
        return self._transaction(self._app, None)

    def queue(self) -> contextlib.AbstractAsyncContextManager[Connection]:
        """A transaction on all tenants' queue columns."""
        return self._transaction(self._queue, None)

    async def close(self) -> None:
        await self._app.close()
        await self._queue.close()
