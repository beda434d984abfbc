"""Bringing a database to this version's schema: at every start, by whoever comes first."""

import re
from pathlib import Path
from typing import Final

import asyncpg
import structlog

MIGRATIONS: Final = Path(__file__).parent / "migrations"
_LOCK: Final = 0x7475726E  # "turn": one migration at a time in a database

log = structlog.get_logger(__name__)


def head() -> str:
    """Name the newest migration: the files are numbered."""
    numbers = [path.stem[:4] for path in (MIGRATIONS / "versions").glob("*.py") if re.match(r"\d{4}_", path.name)]
    return max(numbers)


async def current(connection: "asyncpg.Connection[asyncpg.Record]") -> str | None:
    """Name the migration that a database is at; None before the first."""
    if await connection.fetchval("SELECT to_regclass('public.alembic_version')") is None:
        return None
    found: str | None = await connection.fetchval("SELECT version_num FROM alembic_version")
    return found


async def upgrade(url: str) -> bool:
    """Migrate to the newest schema, unless it is there; says whether it did anything.

    The caller is the schema's owner and may create roles. Processes that start together wait for the first one.
    """
    connection = await asyncpg.connect(url)
    try:
        if await current(connection) == head():
            return False
        await connection.execute("SELECT pg_advisory_lock($1)", _LOCK)
        before = await current(connection)
        if before == head():
            return False
        log.info("database_migrates", before=before, after=head())
        await _run_alembic(url)
    finally:
        await connection.close()  # lets go of the lock
    return True


async def _run_alembic(url: str) -> None:
    # Alembic and SQLAlchemy take half a second to load, which a start without news need not spend.
    from alembic import command  # noqa: PLC0415 - see above
    from alembic.config import Config  # noqa: PLC0415 - see above
    from sqlalchemy.ext.asyncio import create_async_engine  # noqa: PLC0415 - see above
    from sqlalchemy.pool import NullPool  # noqa: PLC0415 - see above

    async def open_connection() -> "asyncpg.Connection[asyncpg.Record]":
        return await asyncpg.connect(url)

    # asyncpg reads the address itself: SQLAlchemy knows fewer forms of it.
    engine = create_async_engine("postgresql+asyncpg://", async_creator=open_connection, poolclass=NullPool)
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    async with engine.begin() as connection:

        def run(sync_connection: object) -> None:
            config.attributes["connection"] = sync_connection
            command.upgrade(config, "head")

        await connection.run_sync(run)
    await engine.dispose()
