import asyncio
import contextlib
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable
from datetime import datetime
from pathlib import Path
from uuid import UUID

import asyncpg
import psutil
import pytest

from gateway.db import Database, split_connections, transaction_is_open
from gateway.errors import DatabaseUnavailableError
from gateway.migrate import upgrade
from gateway.postgres import join
from tests.cast import create_tenant
from tests.conftest import Clock


async def add_contact(db: Database, tenant_id: UUID, name: str, *, contact_id: UUID, now: datetime) -> None:
    async with db.transaction(tenant_id) as connection:
        await connection.execute(
            "INSERT INTO contact (tenant_id, contact_id, name, created_at) VALUES ($1, $2, $3, $4)",
            *(tenant_id, contact_id, name, now),
        )


async def test_a_tenant_sees_its_own_rows_and_nobody_elses(
    db: Database, clock: Clock, new_id: Callable[[], UUID]
) -> None:
    acme = await create_tenant(db, "Acme", now=clock.now(), new_id=new_id)
    mallory = await create_tenant(db, "Mallory", now=clock.now(), new_id=new_id)
    await add_contact(db, acme, "Erika", contact_id=new_id(), now=clock.now())
    async with db.transaction(mallory) as connection:
        assert await connection.fetch("SELECT * FROM contact") == []
        assert await connection.execute("UPDATE contact SET name = 'mine'") == "UPDATE 0"
        assert await connection.execute("DELETE FROM contact WHERE tenant_id = $1", acme) == "DELETE 0"
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        async with db.transaction(mallory) as connection:
            await connection.execute(
                "INSERT INTO contact (tenant_id, contact_id, created_at) VALUES ($1, $2, $3)",
                acme,
                new_id(),
                clock.now(),
            )
    async with db.transaction(acme) as connection:
        assert [row["name"] for row in await connection.fetch("SELECT name FROM contact")] == ["Erika"]


async def test_a_transaction_without_a_tenant_sees_no_tenants_rows(
    db: Database, clock: Clock, new_id: Callable[[], UUID]
) -> None:
    acme = await create_tenant(db, "Acme", now=clock.now(), new_id=new_id)
    await add_contact(db, acme, "Erika", contact_id=new_id(), now=clock.now())
    async with db.directory() as connection:
        assert await connection.fetch("SELECT * FROM contact") == []
        assert await connection.fetchval("SELECT count(*) FROM tenant") == 1


@pytest.mark.parametrize(
    "question", ["SELECT text FROM message", "SELECT * FROM conversation", "SELECT * FROM contact"]
)
async def test_the_queue_sees_no_texts(db: Database, question: str) -> None:
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        async with db.queue() as connection:
            await connection.fetch(question)


async def test_history_cannot_be_changed_by_the_application(db: Database, new_id: Callable[[], UUID]) -> None:
    for change in ("UPDATE ledger_entry SET reason = ''", "DELETE FROM receipt", "DELETE FROM charge_key"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            async with db.transaction(new_id()) as connection:
                await connection.execute(change)


async def test_an_error_rolls_back_and_frees_the_connection(
    db: Database, clock: Clock, new_id: Callable[[], UUID]
) -> None:
    acme = await create_tenant(db, "Acme", now=clock.now(), new_id=new_id)

    async def fail() -> None:
        async with db.transaction(acme) as connection:
            assert transaction_is_open()
            await connection.execute("UPDATE tenant SET locale = 'en'")
            raise LookupError

    for _ in range(40):
        with pytest.raises(LookupError):
            await fail()
    assert not transaction_is_open()
    async with db.transaction(acme) as connection:
        assert await connection.fetchval("SELECT locale FROM tenant") == "de"


async def test_a_transaction_in_which_a_statement_failed_does_not_pass_for_committed(
    db: Database, new_id: Callable[[], UUID]
) -> None:
    async def swallow() -> None:
        async with db.transaction(new_id()) as connection:
            with contextlib.suppress(asyncpg.DivisionByZeroError):
                await connection.execute("SELECT 1 / 0")

    with pytest.raises(asyncpg.InFailedSQLTransactionError):
        await swallow()


async def test_a_cancelled_transaction_is_rolled_back_and_its_connection_serves_the_next(
    db: Database, clock: Clock, new_id: Callable[[], UUID]
) -> None:
    acme = await create_tenant(db, "Acme", now=clock.now(), new_id=new_id)
    began = asyncio.Event()

    async def work() -> None:
        async with db.transaction(acme) as connection:
            await connection.execute("UPDATE tenant SET locale = 'en'")
            began.set()
            await connection.execute("SELECT pg_sleep(30)")

    task = asyncio.create_task(work())
    await began.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    async with db.directory() as connection:
        assert await connection.fetchval("SELECT locale FROM tenant") == "de"
        assert await connection.fetchval("SELECT current_setting('app.tenant', true)") in (None, "")


@pytest.mark.parametrize(("total", "parts"), [(4, (3, 1)), (16, (14, 2)), (20, (18, 2)), (200, (197, 3))])
def test_the_roles_share_a_processs_connections(total: int, parts: tuple[int, int]) -> None:
    assert split_connections(total) == parts


async def test_a_process_never_opens_more_connections_than_its_budget(database_url: str) -> None:
    database = await Database.connect(database_url, connections=4)

    async def work(number: int) -> None:
        async with database.queue() if number % 4 == 0 else database.directory() as connection:
            await connection.execute("SELECT pg_sleep(0.02)")

    await asyncio.gather(*(work(number) for number in range(40)))
    async with database.directory() as connection:
        opened = await connection.fetchval(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND usename IS NOT NULL"
        )
    assert opened <= 4
    await database.close()


async def test_a_database_that_is_not_there_is_named_as_such_without_its_address() -> None:
    with pytest.raises(DatabaseUnavailableError) as raised:
        await Database.connect("postgresql://me:hunter2@127.0.0.1:1/none")
    assert str(raised.value) == "The database cannot be reached."


@pytest.fixture
async def own_server() -> AsyncIterator[tuple[Database, Path]]:
    """A server of the test's own: it may be killed."""
    folder = Path(tempfile.mkdtemp(prefix="turnmeter-db-"))
    folder.chmod(0o755)
    server = await asyncio.to_thread(join, folder, options={"fsync": "off"})
    await upgrade(server.url)
    database = await Database.connect(server.url, connections=4)
    yield database, folder / "postgres/server/data/postmaster.pid"
    await database.close()
    await asyncio.to_thread(server.close)
    shutil.rmtree(folder, ignore_errors=True)


def kill_server(pid_file: Path) -> None:
    server = psutil.Process(int(pid_file.read_text().splitlines()[0]))
    processes = [server, *server.children()]
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(processes, timeout=10)


async def test_after_a_restart_of_the_database_work_goes_on(own_server: tuple[Database, Path]) -> None:
    database, pid_file = own_server
    async with database.directory() as connection:
        await connection.execute("SELECT 1")
    kill_server(pid_file)
    async with database.directory() as connection, database.queue() as other:
        assert await connection.fetchval("SELECT 1") == 1
        assert await other.fetchval("SELECT 1") == 1


async def test_who_loses_the_database_in_the_middle_is_told_so(own_server: tuple[Database, Path]) -> None:
    database, pid_file = own_server

    async def lose() -> None:
        async with database.directory() as connection:
            await asyncio.to_thread(kill_server, pid_file)
            await connection.execute("SELECT 1")

    with pytest.raises(DatabaseUnavailableError):
        await lose()
    async with database.directory() as connection:
        assert await connection.fetchval("SELECT 1") == 1


async def test_a_snapshot_sees_its_beginning_until_its_end_and_writes_nothing(
    db: Database, clock: Clock, new_id: Callable[[], UUID]
) -> None:
    acme = await create_tenant(db, "Acme", now=clock.now(), new_id=new_id)
    await add_contact(db, acme, "Erika", contact_id=new_id(), now=clock.now())
    async with db.snapshot(acme) as connection:
        assert await connection.fetchval("SELECT count(*) FROM contact") == 1
        await add_contact(db, acme, "Max", contact_id=new_id(), now=clock.now())
        assert await connection.fetchval("SELECT count(*) FROM contact") == 1
    with pytest.raises(asyncpg.ReadOnlySQLTransactionError):
        async with db.snapshot(acme) as connection:
            await connection.execute("DELETE FROM contact")
    async with db.transaction(acme) as connection:
        assert await connection.fetchval("SELECT count(*) FROM contact") == 2
