"""`migrate`: the database's schema, brought up to date and nothing else."""

import asyncio
import contextlib

from gateway import postgres
from gateway.cli.output import print_json
from gateway.migrate import head, upgrade
from gateway.settings import Settings


async def migrate(settings: Settings, *, as_json: bool) -> None:
    """Migrate the database, starting the private server for as long as it takes."""
    async with contextlib.AsyncExitStack() as stack:
        url = settings.database_url
        if url is None:
            server = await asyncio.to_thread(postgres.join, settings.data_dir)
            stack.push_async_callback(asyncio.to_thread, server.close)
            url = server.url
        migrated = await upgrade(url)
    if as_json:
        print_json({"schema": head(), "migrated": migrated})
    else:
        print(f"The schema is at {head()}{'' if migrated else ', as it was'}.")
