"""Seeing from outside that somebody waits for a lock."""

import asyncio

from gateway.db import Database


async def until_somebody_waits(db: Database) -> None:
    async with db.directory() as connection:
        while not await connection.fetchval("SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted)"):  # noqa: ASYNC110 - PostgreSQL calls nobody
            await asyncio.sleep(0.01)
