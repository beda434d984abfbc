"""Recurring work: which process does what when, by the schedules of pgqueuer. The only importer of that library.

A schedule is a row. Whichever process finds it due first takes it, its heartbeat says that it is at work, and after
half a minute without one another process takes it over. A time that was missed is made up for once.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final

import asyncpg
import structlog
from pgqueuer.adapters.persistence.qb import QueryBuilderEnvironment, QuerySchedulerBuilder
from pgqueuer.db import AsyncpgDriver
from pgqueuer.domain.settings import DBSettings
from pgqueuer.models import Schedule
from pgqueuer.queries import Queries
from pgqueuer.sm import SchedulerManager

from gateway.services import Services

RECONNECT_S: Final = 1.0
# All by name: the library would take what is left out from the environment.
TABLES: Final = DBSettings(
    prefix="",
    db_schema="turnmeter_jobs",
    channel="ch_pgqueuer",
    function="fn_pgqueuer_changed",
    statistics_table="pgqueuer_statistics",
    queue_status_type="pgqueuer_status",
    queue_table="pgqueuer",
    queue_table_log="pgqueuer_log",
    trigger="tg_pgqueuer_changed",
    schedules_table="pgqueuer_schedules",
)

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class RecurringJob:
    """Something to do again and again. `at` is a cron expression in UTC: five fields, and perhaps one of seconds."""

    name: str
    at: str
    run: Callable[[Services], Awaitable[None]]


class Jobs:
    """One process's share of the recurring work. `run` until told to stop; `give_up` what is then still running."""

    def __init__(self, services: Services, jobs: Sequence[RecurringJob]) -> None:
        self._services = services
        self._jobs = jobs
        self._running: set[asyncio.Task[None]] = set()

    async def run(self, stop: asyncio.Event) -> None:
        """Do what falls due until `stop` is set, and what is running then to its end.

        A database that is away is waited for.
        """
        while not stop.is_set():
            try:
                await self._follow_schedules(stop)
            except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError) as error:
                log.warning("schedules_lost", error=type(error).__name__)
            except Exception:  # the task's outermost edge: nothing else would begin again
                log.exception("schedules_failed")
            await _set_within(stop, RECONNECT_S)

    def give_up(self) -> None:
        """Cancel what is running: it is done again at its next time."""
        for task in self._running:
            task.cancel()

    async def _follow_schedules(self, stop: asyncio.Event) -> None:
        async with self._services.db.schedules() as connection:
            manager = SchedulerManager(
                Queries(
                    AsyncpgDriver(connection),
                    qbe=QueryBuilderEnvironment(TABLES),
                    qbs=QuerySchedulerBuilder(TABLES),
                )
            )
            manager.shutdown = stop
            for job in self._jobs:
                manager.schedule(job.name, self._services.limits.recurring_at or job.at)(self._dispatched(job))
            await manager.run()

    def _dispatched(self, job: RecurringJob) -> Callable[[Schedule], Awaitable[None]]:
        async def dispatched(_schedule: Schedule) -> None:
            task = asyncio.ensure_future(job.run(self._services))
            self._running.add(task)
            try:
                await asyncio.wait([task])
            finally:
                self._running.discard(task)
                task.cancel()
            if task.cancelled():
                log.warning("job_given_up", job=job.name)
            elif error := task.exception():
                log.error("job_failed", job=job.name, exc_info=error)

        return dispatched


async def _set_within(event: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        pass
