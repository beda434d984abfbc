"""Recurring work is done once per time, by whichever process is there, and left to nobody by one that dies."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID

import asyncpg
import pytest
from pgqueuer.adapters.persistence.qb import QueryBuilderEnvironment
from pgqueuer.db import AsyncpgDriver
from pgqueuer.queries import Queries

from gateway.db import Database
from gateway.jobs import TABLES, Jobs, RecurringJob
from gateway.services import Services
from tests.conftest import Clock
from tests.gateway.wiring import wired

ONCE_A_YEAR = "0 0 1 1 *"
EVERY_SECOND = "* * * * * *"


@dataclass
class Log:
    """What was done, in order."""

    done: list[str] = field(default_factory=list)

    def job(self, name: str = "yearly", at: str = ONCE_A_YEAR) -> RecurringJob:
        async def run(_services: Services) -> None:
            self.done.append(name)

        return RecurringJob(name=name, at=at, run=run)


@pytest.fixture
async def services(db: Database, clock: Clock, new_id: Callable[[], UUID], tmp_path: Path) -> AsyncIterator[Services]:
    async with wired(db, clock, new_id, tmp_path) as wired_services:
        yield wired_services


@pytest.fixture
async def owner(database_url: str) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
    connection = await asyncpg.connect(database_url)
    yield connection
    await connection.close()


@contextlib.asynccontextmanager
async def following(services: Services, *jobs: RecurringJob) -> AsyncIterator[Jobs]:
    stop, process = asyncio.Event(), Jobs(services, jobs)
    running = asyncio.create_task(process.run(stop))
    try:
        yield process
    finally:
        stop.set()
        await running


async def until(holds: Callable[[], bool] | Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(30):
        while True:
            answer = holds()
            if answer if isinstance(answer, bool) else await answer:
                return
            await asyncio.sleep(0.02)


async def is_due(
    owner: "asyncpg.Connection[asyncpg.Record]", name: str = "yearly", *, status: str = "queued", alive_s: int = 0
) -> None:
    """Make a schedule due long ago, perhaps taken up by a process that last gave a sign so many seconds ago."""
    await owner.execute(
        """INSERT INTO turnmeter_jobs.pgqueuer_schedules (entrypoint, expression, next_run, status, heartbeat)
           VALUES ($1, $2, now() - interval '3 years', $3, now() - make_interval(secs => $4))
           ON CONFLICT (expression, entrypoint) DO UPDATE SET next_run = excluded.next_run""",
        name,
        ONCE_A_YEAR,
        status,
        alive_s,
    )


async def status_of(owner: "asyncpg.Connection[asyncpg.Record]", name: str = "yearly") -> str | None:
    found: str | None = await owner.fetchval(
        "SELECT status::text FROM turnmeter_jobs.pgqueuer_schedules WHERE entrypoint = $1", name
    )
    return found


async def idle(owner: "asyncpg.Connection[asyncpg.Record]") -> int:
    """Count the processes that have looked for what is due and found nothing for them."""
    count: int = await owner.fetchval(
        """SELECT count(*) FROM pg_stat_activity WHERE application_name = 'turnmeter_jobs' AND state = 'idle'
             AND datname = current_database() AND query LIKE '%picked_jobs%'"""
    )
    return count


async def test_the_library_finds_its_tables_as_it_would_make_them(
    owner: "asyncpg.Connection[asyncpg.Record]",
) -> None:
    plan = await Queries(AsyncpgDriver(owner), qbe=QueryBuilderEnvironment(TABLES)).plan_upgrade()
    assert list(plan.statements) == []


async def test_of_many_processes_one_makes_up_for_a_time_that_was_missed(
    services: Services, owner: "asyncpg.Connection[asyncpg.Record]"
) -> None:
    log = Log()
    await is_due(owner)

    async def have_looked() -> bool:
        return await idle(owner) == 3

    async with contextlib.AsyncExitStack() as processes:
        for _ in range(4):
            await processes.enter_async_context(following(services, log.job()))
        await until(have_looked)
        await until(lambda: log.done != [])
    assert log.done == ["yearly"]
    assert await status_of(owner) == "queued"


async def test_what_a_killed_process_had_begun_is_taken_over_and_what_a_living_one_does_is_not(
    services: Services, owner: "asyncpg.Connection[asyncpg.Record]"
) -> None:
    log = Log()
    await is_due(owner, "dead", status="picked", alive_s=31)
    await is_due(owner, "alive", status="picked", alive_s=0)
    async with following(services, log.job("dead"), log.job("alive")):
        await until(lambda: log.done != [])
    assert log.done == ["dead"]
    assert (await status_of(owner, "dead"), await status_of(owner, "alive")) == ("queued", "picked")


async def test_a_job_that_fails_stops_neither_the_others_nor_its_own_next_time(
    services: Services, owner: "asyncpg.Connection[asyncpg.Record]"
) -> None:
    log, failed = Log(), 0

    async def fail(_services: Services) -> None:
        nonlocal failed
        failed += 1
        raise LookupError("something that nobody expected")

    for times in (1, 2):
        await is_due(owner)
        await is_due(owner, "other")
        async with following(services, RecurringJob(name="yearly", at=ONCE_A_YEAR, run=fail), log.job("other")):
            await until(lambda times=times: failed == times and len(log.done) == times)
        assert await status_of(owner) == "queued"


@pytest.mark.parametrize("gives_up", [False, True])
async def test_in_the_end_what_is_running_is_finished_or_given_up_and_left_to_its_next_time(
    services: Services, owner: "asyncpg.Connection[asyncpg.Record]", *, gives_up: bool
) -> None:
    log, begun, go_on, stop = Log(), asyncio.Event(), asyncio.Event(), asyncio.Event()
    await is_due(owner)

    async def linger(_services: Services) -> None:
        begun.set()
        await go_on.wait()
        log.done.append("finished")

    jobs = Jobs(services, [RecurringJob(name="yearly", at=ONCE_A_YEAR, run=linger)])
    running = asyncio.create_task(jobs.run(stop))
    await begun.wait()
    stop.set()
    assert await status_of(owner) == "picked"
    assert not running.done()
    if gives_up:
        jobs.give_up()
    else:
        go_on.set()
    await running
    assert log.done == ([] if gives_up else ["finished"])
    assert await status_of(owner) == "queued"


async def test_a_lost_connection_is_replaced(services: Services, owner: "asyncpg.Connection[asyncpg.Record]") -> None:
    log = Log()

    async def is_at_rest() -> bool:
        return log.done != [] and await status_of(owner) == "queued"

    async with following(services, log.job(at=EVERY_SECOND)):
        await until(is_at_rest)
        await owner.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'turnmeter_jobs' "
            "AND datname = current_database()"
        )
        seen = len(log.done)
        await until(lambda: len(log.done) > seen)


async def test_the_schedules_connection_reads_nothing_of_a_tenant(services: Services) -> None:
    async with services.db.schedules() as connection:
        for table in ("tenant", "wallet", "subscription", "invoice"):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.fetch(f"SELECT * FROM {table}")
