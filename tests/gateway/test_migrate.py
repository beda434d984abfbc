import asyncio
import secrets
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory

from gateway.db import Database
from gateway.migrate import MIGRATIONS, current, head, upgrade
from gateway.postgres import join
from tests.conftest import with_database

ROOT = Path(__file__).parents[2]


@pytest.fixture
async def empty_urls(server_url: str) -> AsyncIterator[list[str]]:
    """Two databases without a schema."""
    names = [f"empty_{secrets.token_hex(6)}" for _ in range(2)]
    admin = await asyncpg.connect(server_url)
    for name in names:
        await admin.execute(f'CREATE DATABASE "{name}"')
    yield [with_database(server_url, name) for name in names]
    for name in names:
        await admin.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
    await admin.close()


def test_the_files_numbers_and_alembics_order_agree() -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    assert ScriptDirectory.from_config(config).get_current_head() == head()


async def test_a_database_is_migrated_once(empty_urls: list[str]) -> None:
    url = empty_urls[0]
    assert await upgrade(url)
    assert not await upgrade(url)
    connection = await asyncpg.connect(url)
    assert await current(connection) == head()
    assert await connection.fetchval("SELECT count(*) FROM wallet") == 0
    await connection.close()


async def test_processes_that_start_together_migrate_once_also_two_databases_of_one_server(
    empty_urls: list[str],
) -> None:
    program = "import asyncio, sys; from gateway.migrate import upgrade; print(asyncio.run(upgrade(sys.argv[1])))"

    async def start(url: str) -> str:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", program, url, cwd=ROOT, stdout=asyncio.subprocess.PIPE
        )
        out, _ = await process.communicate()
        assert process.returncode == 0
        return out.decode().splitlines()[-1]

    done = await asyncio.gather(*(start(url) for url in [*empty_urls, *empty_urls, *empty_urls]))
    assert sorted(done) == ["False"] * 4 + ["True"] * 2


async def test_a_migration_that_fails_leaves_nothing_behind(empty_urls: list[str]) -> None:
    connection = await asyncpg.connect(empty_urls[0])
    await connection.execute("CREATE TABLE outbox (stands_in_the_way integer)")
    with pytest.raises(asyncpg.DuplicateTableError):
        await upgrade(empty_urls[0])
    tables = await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    assert [row["tablename"] for row in tables] == ["outbox"]
    await connection.close()


async def test_an_owner_without_superpowers_is_enough_where_it_makes_the_roles() -> None:
    folder = Path(tempfile.mkdtemp(prefix="turnmeter-migrate-"))
    folder.chmod(0o755)
    server = await asyncio.to_thread(join, folder, options={"fsync": "off"})
    admin = await asyncpg.connect(server.url)
    await admin.execute("CREATE ROLE modest LOGIN CREATEROLE PASSWORD 'modest'")
    await admin.execute("CREATE DATABASE modest OWNER modest")
    await admin.close()
    place = server.url.split("host=")[1]
    url = f"postgresql://modest:modest@/modest?host={place}"
    assert await upgrade(url)
    database = await Database.connect(url, connections=4)
    async with database.directory() as connection, database.queue() as other:
        assert await connection.fetchval("SELECT current_user") == "turnmeter_app"
        assert await other.fetchval("SELECT current_user") == "turnmeter_queue"
    await database.close()
    await asyncio.to_thread(server.close)
    shutil.rmtree(folder, ignore_errors=True)
