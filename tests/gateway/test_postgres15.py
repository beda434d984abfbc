"""The oldest PostgreSQL that is promised, where one is installed: everything that stands in SQL is tried on it."""

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from uuid import UUID

import asyncpg
import pytest

from gateway.db import Database
from gateway.migrate import current, head, upgrade
from tests.cast import create_tenant
from tests.conftest import Clock

BINARIES = Path("/usr/lib/postgresql/15/bin")
USER = "nobody" if os.geteuid() == 0 else None

pytestmark = pytest.mark.skipif(not (BINARIES / "initdb").exists(), reason="no PostgreSQL 15 is installed")


@pytest.fixture(scope="module")
def url15() -> Iterator[str]:
    folder = Path(tempfile.mkdtemp(prefix="turnmeter-pg15-"))
    if USER:
        shutil.chown(folder, USER)
    initdb = [str(BINARIES / "initdb"), "-D", str(folder / "data"), "-U", "owner", "-A", "trust", "-N", "-E", "UTF8"]
    subprocess.run([*initdb, "--locale=C.UTF-8"], check=True, capture_output=True, user=USER)
    options = ["-c", "fsync=off", "-c", "listen_addresses=", "-c", f"unix_socket_directories={folder}"]
    server = subprocess.Popen(
        [str(BINARIES / "postgres"), "-D", str(folder / "data"), *options],
        user=USER,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    while not (folder / ".s.PGSQL.5432").exists() or not _accepts(folder):
        assert server.poll() is None
        time.sleep(0.05)
    yield f"postgresql://owner@/postgres?host={folder}"
    server.terminate()
    server.wait(20)
    shutil.rmtree(folder, ignore_errors=True)


def _accepts(folder: Path) -> bool:
    return not subprocess.run([BINARIES / "pg_isready", "-q", "-h", str(folder)], check=False).returncode


@pytest.fixture
async def db15(url15: str) -> AsyncIterator[Database]:
    await upgrade(url15)
    database = await Database.connect(url15, connections=4)
    yield database
    await database.close()


async def test_the_migrations_run(url15: str) -> None:
    await upgrade(url15)
    connection = await asyncpg.connect(url15)
    assert connection.get_server_version().major == 15
    assert await current(connection) == head()
    await connection.close()


async def test_tenants_are_kept_apart(db15: Database, clock: Clock, new_id: Callable[[], UUID]) -> None:
    acme = await create_tenant(db15, f"Acme {new_id()}", now=clock.now(), new_id=new_id)
    mallory = await create_tenant(db15, f"Mallory {new_id()}", now=clock.now(), new_id=new_id)
    async with db15.transaction(acme) as connection:
        assert await connection.fetchval("SELECT count(*) FROM wallet") == 1
    async with db15.transaction(mallory) as connection:
        assert await connection.fetchval("SELECT count(*) FROM wallet WHERE tenant_id = $1", acme) == 0
    async with db15.queue() as connection:
        assert await connection.fetchval("SELECT count(*) FROM wallet") >= 2


async def test_an_owner_without_superpowers_is_enough(url15: str) -> None:
    admin = await asyncpg.connect(url15)
    await admin.execute("DROP DATABASE IF EXISTS modest")
    await admin.execute("DROP ROLE IF EXISTS modest")
    await admin.execute("CREATE ROLE modest LOGIN CREATEROLE")
    await admin.execute("CREATE DATABASE modest OWNER modest")
    await admin.close()
    url = url15.replace("owner@/postgres", "modest@/modest")
    await upgrade(url)
    database = await Database.connect(url, connections=4)
    async with database.directory() as connection:
        assert await connection.fetchval("SELECT current_user") == "turnmeter_app"
    await database.close()
