"""One database for the commands of a module, copied from the migrated template."""

import asyncio
import secrets
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

from tests.conftest import with_database
from tests.gateway.cli.installation import Installation


@pytest.fixture(scope="module")
def installation(server_url: str, template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    name = f"test_{secrets.token_hex(8)}"
    asyncio.run(_execute(server_url, f'CREATE DATABASE "{name}" TEMPLATE "{template}"'))
    folder: Path = tmp_path_factory.mktemp("installation")
    yield Installation(data_dir=folder, database_url=with_database(server_url, name))
    asyncio.run(_execute(server_url, f'DROP DATABASE "{name}" WITH (FORCE)'))


async def _execute(url: str, statement: str) -> None:
    connection = await asyncpg.connect(url)
    await connection.execute(statement)
    await connection.close()
