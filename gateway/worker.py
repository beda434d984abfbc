"""The loop that answers due conversations and sends what waits: leases, renewals, recurring work, an orderly end.

Any number of workers, in any number of processes, share the queues; a lease's epoch decides whose work counts.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import TypeAlias, TypeVar
from uuid import UUID

import asyncpg
import structlog

from gateway import outbox_store, work_queue
from gateway.errors import StaleLeaseError
from gateway.jobs import Jobs, RecurringJob
from gateway.outbox import deliver, send
from gateway.outbox_store import SendLease
from gateway.recurring import RECURRING
from gateway.services import Services
from gateway.sweeps import free_holds
from gateway.turn_scene import Lease
from gateway.turns import run_turn
from gateway.voice.credit.sweeps import end_orphaned_calls
from gateway.webhook_delivery import deliver_as_they_come

RECONNECT_S = 1.0

Task: TypeAlias = "asyncio.Task[None]"
Work = TypeVar("Work", Lease, SendLease)

log = structlog.get_logger(__name__)


class Worker:
    """One process's share of the work. `run` until told to stop, then `drain`."""

    def __init__(self, services: Services, recurring: Sequence[RecurringJob] = RECURRING) -> None:
        self._services = services
        self._jobs = Jobs(services, recurring)
        self._recurring: asyncio.Task[None] | None = None
        self._turns: dict[asyncio.Task[None], Lease] = {}
        self._sends: dict[asyncio.Task[None], SendLease] = {}
        self._turns_of: Counter[UUID] = Counter()  # by tenant

    async def run(self, stop: asyncio.Event) -> None:
        """Take up work until `stop` is set; what is in flight then is left to `drain`."""
        loops = [
            asyncio.create_task(self._repeat(self._take_up)),
            asyncio.create_task(self._repeat(self._renew)),
            asyncio.create_task(self._repeat(self._free_holds)),
            asyncio.create_task(self._repeat(self._post_events)),
        ]
        self._recurring = asyncio.create_task(self._jobs.run(stop))
        try:
            await stop.wait()
        finally:
            for loop in loops:
                loop.cancel()
            await asyncio.gather(*loops, return_exceptions=True)

    async def drain(self, timeout_s: float) -> None:
        """Finish what is in flight, for so long; the rest is given back."""
        jobs = [] if self._recurring is None else [self._recurring]
        running = [*self._turns, *self._sends, *jobs]
        if running:
            renewing = asyncio.create_task(self._repeat(self._renew))
            await asyncio.wait(running, timeout=timeout_s)
            renewing.cancel()
            await asyncio.gather(renewing, return_exceptions=True)
        self._jobs.give_up()
        for task in (*self._turns, *self._sends):
            task.cancel()
        await asyncio.gather(*self._turns, *self._sends, *jobs, return_exceptions=True)

    async def _repeat(self, step: Callable[[], Awaitable[None]]) -> None:
        """Repeat a step for good; a database that is away is waited for."""
        while True:
            try:
                await step()
            except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError) as error:
                log.warning("worker_step_failed", step=step.__name__, error=type(error).__name__)
                await asyncio.sleep(RECONNECT_S)
            except Exception:  # the task's outermost edge: a step that fails must not leave the others to themselves
                log.exception("worker_step_failed", step=step.__name__)
                await asyncio.sleep(RECONNECT_S)

    async def _take_up(self) -> None:
        services, limits = self._services, self._services.limits
        now = services.now()
        until = services.lease_until(now)
        turns, sends = limits.turns_in_flight - len(self._turns), limits.sends_in_flight - len(self._sends)
        if turns <= 0 and sends <= 0:
            await services.arrivals.wait_until(now + timedelta(seconds=limits.poll_s))
            return
        async with services.db.queue() as connection:
            due = await work_queue.claim_conversations(
                connection,
                now=now,
                lease_until=until,
                limit=turns,
                per_tenant=limits.turns_per_tenant,
                in_flight=self._turns_of,
            )
            letters = await outbox_store.claim_due(connection, now=now, lease_until=until, limit=sends)
        for lease in due:
            self._follow(self._turns, lease, asyncio.create_task(self._turn(lease)))
        self._turns_of.update(lease.tenant_id for lease in due)
        for letter in letters:
            self._follow(self._sends, letter, asyncio.create_task(self._send(letter)))
        if not any(self._turns_of[lease.tenant_id] >= limits.turns_per_tenant for lease in due):
            await services.arrivals.wait_until(now + timedelta(seconds=limits.poll_s))

    def _follow(self, running: "dict[Task, Work]", work: "Work", task: "Task") -> None:
        running[task] = work

        def ended(task: "Task") -> None:
            del running[task]
            self._make_room(work)

        task.add_done_callback(ended)

    def _make_room(self, work: "Lease | SendLease") -> None:
        """Wake the loop if it has left something due for want of room."""
        limits = self._services.limits
        if isinstance(work, Lease):
            full = (
                limits.turns_per_tenant <= self._turns_of[work.tenant_id]
                or limits.turns_in_flight == len(self._turns) + 1
            )
            self._turns_of -= Counter([work.tenant_id])
        else:
            full = limits.sends_in_flight == len(self._sends) + 1
        if full:
            self._services.arrivals.announce(work.tenant_id, work.conversation_id, self._services.now())

    async def _turn(self, lease: Lease) -> None:
        structlog.contextvars.bind_contextvars(
            tenant_id=str(lease.tenant_id), conversation_id=str(lease.conversation_id)
        )
        try:
            message_ids = await run_turn(self._services, lease)
            if message_ids:
                await deliver(self._services, lease.tenant_id, lease.conversation_id, message_ids)
        except StaleLeaseError:
            log.warning("lease_lost")
        except Exception:  # the task's outermost edge: the lease runs out, and whoever comes next goes on from there
            log.exception("turn_crashed")

    async def _send(self, lease: SendLease) -> None:
        structlog.contextvars.bind_contextvars(tenant_id=str(lease.tenant_id), message_id=str(lease.message_id))
        try:
            left = await send(self._services, lease)
        except Exception:  # the task's outermost edge: the message stays in the outbox
            log.exception("send_crashed")
            return
        if left:
            self._services.arrivals.announce(lease.tenant_id, lease.conversation_id, self._services.now())

    async def _renew(self) -> None:
        services = self._services
        await asyncio.sleep(services.limits.lease_s / 3)
        until = services.lease_until(services.now())
        turns, sends = list(self._turns.values()), list(self._sends.values())
        async with services.db.queue() as connection:
            if turns:
                await work_queue.renew_turns(connection, turns, lease_until=until)
            if sends:
                await work_queue.renew_sends(connection, sends, lease_until=until)

    async def _post_events(self) -> None:
        await deliver_as_they_come(self._services)

    async def _free_holds(self) -> None:
        await asyncio.sleep(self._services.limits.sweep_s)
        await free_holds(self._services)
        await end_orphaned_calls(self._services)
