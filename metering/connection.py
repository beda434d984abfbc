"""The type of a database connection, pooled or not; this package never opens one."""

from typing import TypeAlias, Union

import asyncpg
import asyncpg.pool

# Quoted: asyncpg's classes are generic for the type checker only.
Connection: TypeAlias = Union["asyncpg.Connection[asyncpg.Record]", "asyncpg.pool.PoolConnectionProxy[asyncpg.Record]"]
