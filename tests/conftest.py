"""A private PostgreSQL per test run, a database per test copied from a migrated template."""

import asyncio
import hashlib
import os
import secrets
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit
from uuid import UUID

import asyncpg
import pytest

from gateway.db import Database
from gateway.ids import uuid7
from gateway.migrate import MIGRATIONS, upgrade
from gateway.postgres import join
from tests.cast import Cast, assemble


@dataclass
class Clock:
    """Time as the test says."""

    at: datetime = field(default_factory=lambda: datetime(2026, 11, 24, 10, 0, tzinfo=UTC))

    def now(self) -> datetime:
        return self.at

    def advance(self, *, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)


def with_database(url: str, name: str) -> str:
    """The same server's address, leading to another of its databases."""
    return urlsplit(url)._replace(path=f"/{name}").geturl()


@pytest.fixture(scope="session")
def server_url() -> Iterator[str]:
    external = os.environ.get("TURNMETER_TEST_DATABASE_URL")
    if external:
        yield external
        return
    folder = Path(tempfile.mkdtemp(prefix="turnmeter-test-"))
    folder.chmod(0o755)  # the server's user must get in
    with join(folder, options={"fsync": "off", "max_connections": "300"}) as server:
        yield with_database(server.url, "postgres")
    shutil.rmtree(folder, ignore_errors=True)


async def _create_template(server_url: str, name: str) -> None:
    """Make it under a name of its own first: a template is either whole or not there."""
    admin = await asyncpg.connect(server_url)
    try:
        await admin.execute("SELECT pg_advisory_lock(hashtext($1))", name)
        if await admin.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", name):
            return
        draft = f"{name}_{secrets.token_hex(4)}"
        await admin.execute(f'CREATE DATABASE "{draft}"')
        await upgrade(with_database(server_url, draft))
        await admin.execute(f'ALTER DATABASE "{draft}" RENAME TO "{name}"')
    finally:
        await admin.close()


@pytest.fixture(scope="session")
def template(server_url: str) -> str:
    schema = b"".join(path.read_bytes() for path in sorted((MIGRATIONS / "versions").glob("0*")))
    name = "template_" + hashlib.sha256(schema).hexdigest()[:12]
    asyncio.run(_create_template(server_url, name))
    return name


@pytest.fixture
async def database_url(server_url: str, template: str) -> AsyncIterator[str]:
    name = f"test_{secrets.token_hex(8)}"
    admin = await asyncpg.connect(server_url)
    await admin.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
    yield with_database(server_url, name)
    await admin.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
    await admin.close()


@pytest.fixture
async def db(database_url: str) -> AsyncIterator[Database]:
    database = await Database.connect(database_url)
    yield database
    await database.close()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def new_id(clock: Clock) -> Callable[[], UUID]:
    def make() -> UUID:
        return uuid7(unix_ms=int(clock.now().timestamp() * 1000), random_bits=os.urandom(10))

    return make


@pytest.fixture
async def cast(db: Database, clock: Clock, new_id: Callable[[], UUID]) -> Cast:
    return await assemble(db, now=clock.now(), new_id=new_id)
