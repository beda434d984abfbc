"""The database as the gateway sees it: the only place that opens and commits a transaction.

Three roles share one server. `turnmeter_app` sees one tenant at a time (row-level security);
`turnmeter_queue` sees the queue columns of all tenants and nothing else; `turnmeter_jobs` sees no tenant at all, but
when recurring work is due.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Final
from uuid import UUID

import asyncpg
import orjson
from asyncpg.pool import Pool, PoolConnectionProxy

from gateway.errors import DatabaseUnavailableError
from metering.connection import Connection

CONNECTIONS_MAX: Final = 20  # of one process: more only wait for each other's locks and cores
CONNECTIONS_MIN: Final = 4
PROCESSES: Final = 4  # that must fit beside each other: servers, workers, commands, a migration
CONNECT_S: Final = 5.0
ACQUIRE_S: Final = 10.0  # all connections busy for so long: too much load, refuse rather than pile up
CLOSE_S: Final = 5.0
RECONNECT_S: Final = 3.0  # a restart of the database takes about one
RECONNECT_PAUSE_S: Final = 0.1
_CANNOT_CONNECT: Final = (OSError, asyncpg.CannotConnectNowError, asyncpg.TooManyConnectionsError)

_open_transaction: ContextVar["_Open | None"] = ContextVar("open_transaction", default=None)


@dataclass(slots=True)
class _Open:
    """What is to be told once the transaction is committed."""

    leaves_events: bool = False


def transaction_is_open() -> bool:
    """Whether this task is inside a transaction; no vendor may be awaited then."""
    return _open_transaction.get() is not None


def note_events() -> None:
    """Say that the open transaction leaves events to send; whoever waits for them is woken once they are there."""
    open_transaction = _open_transaction.get()
    if open_transaction is not None:
        open_transaction.leaves_events = True


async def _prepare(connection: "asyncpg.Connection[asyncpg.Record]") -> None:
    await connection.set_type_codec(
        "jsonb",
        schema="pg_catalog",
        format="binary",
        encoder=lambda value: b"\x01" + orjson.dumps(value),
        decoder=lambda value: orjson.loads(value[1:]),
    )


async def _keep(_connection: "Pool[asyncpg.Record] | asyncpg.Connection[asyncpg.Record]") -> None:
    """Reset nothing when a connection returns to its pool: no setting here outlives its transaction."""


def split_connections(total: int) -> tuple[int, int]:
    """Divide a process's connections: (the tenants' role, the queue's role)."""
    queue = min(3, max(1, total // 8))
    return total - queue, queue


async def _fair_share(url: str) -> int:
    """Return how many connections one process may open when several share the server."""
    connection = await asyncpg.connect(url, timeout=CONNECT_S)
    try:
        free: int = await connection.fetchval(
            "SELECT current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int"
        )
    finally:
        await connection.close()
    return max(CONNECTIONS_MIN, min(CONNECTIONS_MAX, free // PROCESSES))


async def _pool(url: str, role: str, connections: int) -> "Pool[asyncpg.Record]":
    return await asyncpg.create_pool(
        url,
        min_size=1,
        max_size=connections,
        timeout=CONNECT_S,
        init=_prepare,
        reset=_keep,
        server_settings={
            "role": role,
            "timezone": "UTC",
            "jit": "off",
            # Planning costs more than running these small statements. A plan made while a table was empty would read
            # it from end to end for good, so those are ruled out: every hot statement has its index.
            "plan_cache_mode": "force_generic_plan",
            "enable_seqscan": "off",
            "application_name": role,
        },
    )


# The driver's own words for a connection that died in its hands.
_DRIVER_LOST_IT = (asyncpg.InterfaceError, asyncpg.InternalClientError)


async def _begin(pool: "Pool[asyncpg.Record]", words: str) -> "PoolConnectionProxy[asyncpg.Record]":
    """Take a connection and begin; sits out a short restart of the database."""
    deadline = asyncio.get_running_loop().time() + RECONNECT_S
    while True:
        try:
            connection = await pool.acquire(timeout=ACQUIRE_S)
            try:
                await connection.execute(words)
            except _DRIVER_LOST_IT as error:
                connection.terminate()
                await pool.release(connection)
                raise ConnectionResetError from error
            except BaseException:
                await pool.release(connection)
                raise
        except TimeoutError as error:
            raise DatabaseUnavailableError("All connections to the database are busy.") from error
        except (OSError, asyncpg.PostgresError) as error:
            if asyncio.get_running_loop().time() > deadline:
                raise DatabaseUnavailableError("The database cannot be reached.") from error
            await asyncio.sleep(RECONNECT_PAUSE_S)
        else:
            return connection


async def _commit(connection: "PoolConnectionProxy[asyncpg.Record]") -> None:
    # A transaction in which a statement failed is rolled back by COMMIT, silently.
    if await connection.execute("COMMIT") != "COMMIT":
        raise asyncpg.InFailedSQLTransactionError("rolled back: a statement had failed before")


def _is_lost(connection: "PoolConnectionProxy[asyncpg.Record]") -> bool:
    try:
        return connection.is_closed()
    except asyncpg.InterfaceError:  # the pool has taken a lost connection back already
        return True


_BEGIN_QUICKLY = "BEGIN; SET LOCAL synchronous_commit = off"


class Database:
    """Two pools, one for each role that works on tenants' rows."""

    def __init__(self, url: str, app: "Pool[asyncpg.Record]", queue: "Pool[asyncpg.Record]") -> None:
        self._url = url
        self._app = app
        self._queue = queue
        self.events_left = asyncio.Event()  # events to send were left in this process; whoever sends them clears it

    @classmethod
    async def connect(cls, url: str, *, connections: int | None = None) -> "Database":
        """Open the pools; they share `connections`, by default a quarter of what the server allows.

        Raises DatabaseUnavailableError.
        """
        try:
            app, queue = split_connections(connections or await _fair_share(url))
            async with contextlib.AsyncExitStack() as opened:
                app_pool = await opened.enter_async_context(await _pool(url, "turnmeter_app", app))
                queue_pool = await _pool(url, "turnmeter_queue", queue)
                opened.pop_all()
            return cls(url, app_pool, queue_pool)
        except _CANNOT_CONNECT as error:
            raise DatabaseUnavailableError("The database cannot be reached.") from error

    @contextlib.asynccontextmanager
    async def _transaction(
        self, pool: "Pool[asyncpg.Record]", tenant_id: UUID | None, begin: str = "BEGIN"
    ) -> AsyncIterator[Connection]:
        # One round trip: the tenant is set where the transaction begins.
        tenant = "" if tenant_id is None else f"SELECT set_config('app.tenant', '{UUID(int=tenant_id.int)}', true)"
        connection = await _begin(pool, f"{begin}; {tenant}")
        opened = _Open()
        token = _open_transaction.set(opened)
        try:
            try:
                yield connection
                await _commit(connection)
            except BaseException:
                if not _is_lost(connection):
                    await connection.execute("ROLLBACK")
                raise
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
            if _is_lost(connection):
                raise DatabaseUnavailableError("The database was lost in the middle of a transaction.") from error
            raise
        finally:
            _open_transaction.reset(token)
            await pool.release(connection)
        if opened.leaves_events:
            self.events_left.set()

    def transaction(
        self, tenant_id: UUID, *, durable: bool = True
    ) -> contextlib.AbstractAsyncContextManager[Connection]:
        """Open a tenant's transaction; commits on exit, rolls back on an error. Raises DatabaseUnavailableError.

        Without `durable` the commit does not wait for the disk: for steps that nobody outside has been told of. If the
        database server itself dies within a moment, they are undone. Any durable commit makes all earlier ones durable.
        """
        return self._transaction(self._app, tenant_id, "BEGIN" if durable else _BEGIN_QUICKLY)

    def snapshot(self, tenant_id: UUID) -> contextlib.AbstractAsyncContextManager[Connection]:
        """Open a transaction that only reads, and sees a tenant's rows as they are at its beginning until its end."""
        return self._transaction(self._app, tenant_id, "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY")

    def directory(self) -> contextlib.AbstractAsyncContextManager[Connection]:
        """Open a transaction on the tables that lead to a tenant, and on no tenant's."""
        return self._transaction(self._app, None)

    def queue(self) -> contextlib.AbstractAsyncContextManager[Connection]:
        """Open a transaction on all tenants' queue columns; not durable, for a lease that is undone is merely free."""
        return self._transaction(self._queue, None, _BEGIN_QUICKLY)

    @contextlib.asynccontextmanager
    async def schedules(self) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
        """Open a connection of its own to the job library's tables; nothing of a tenant is seen on it.

        Raises DatabaseUnavailableError; what happens to the connection later is the library's to say.
        """
        settings = {"role": "turnmeter_jobs", "timezone": "UTC", "jit": "off", "application_name": "turnmeter_jobs"}
        try:
            connection = await asyncpg.connect(self._url, timeout=CONNECT_S, server_settings=settings)
        except (TimeoutError, *_CANNOT_CONNECT) as error:
            raise DatabaseUnavailableError("The database cannot be reached.") from error
        try:
            yield connection
        finally:
            connection.terminate()

    async def close(self) -> None:
        """Close all connections; one that is still busy after a while is cut off."""
        for pool in (self._app, self._queue):
            try:
                await asyncio.wait_for(pool.close(), CLOSE_S)
            except TimeoutError:
                pool.terminate()
