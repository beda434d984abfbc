"""The type of a database connection, pooled or not; this package never opens one."""

import contextlib
from collections.abc import AsyncIterator
from typing import TypeAlias, Union

import asyncpg
import asyncpg.pool

# Quoted: asyncpg's classes are generic for the type checker only.
Connection: TypeAlias = Union["asyncpg.Connection[asyncpg.Record]", "asyncpg.pool.PoolConnectionProxy[asyncpg.Record]"]


@contextlib.asynccontextmanager
async def savepoint(connection: Connection) -> AsyncIterator[None]:
    """Undo only what is done inside when it fails; the caller's transaction lives on."""
    await connection.execute("SAVEPOINT inner_work")
    try:
        yield
    except BaseException:
        await connection.execute("ROLLBACK TO SAVEPOINT inner_work")
        raise
    await connection.execute("RELEASE SAVEPOINT inner_work")
