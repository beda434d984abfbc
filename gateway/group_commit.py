"""The ledger's queue: one transaction in flight per tenant; what arrives meanwhile is the next batch.

That makes a hot tenant fast without a cache: the balance of record stays the wallet row. A batch that fails is
repeated one by one, so that a bad row harms nobody else; a caller that is cancelled never cancels a batch.
"""

import asyncio
import itertools
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from uuid import UUID

from gateway.db import Database
from gateway.errors import DatabaseUnavailableError
from metering import ledger
from metering.connection import Connection
from metering.operations import (
    Applied,
    Ended,
    ExpireHold,
    Held,
    Hold,
    LowBalance,
    MustWait,
    Operation,
    Outcome,
    Refused,
    Release,
)

OTHER_PROCESSES_POLL_S = 0.2  # their holds end without a word to this process

Check = Callable[[Connection], Awaitable[bool]]
Write = Callable[[Connection, Outcome], Awaitable[None]]
Draw = Callable[[Connection], Awaitable[Operation | None]]
DrawTogether = Callable[[Connection], Awaitable[Sequence[Operation]]]
WriteTogether = Callable[[Connection, Sequence[Outcome]], Awaitable[None]]
OnResumed = Callable[[Connection, UUID, datetime], Awaitable[None]]
OnLow = Callable[[Connection, UUID, LowBalance, datetime], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Companion:
    """Rows of the caller that go with an operation, in its transaction.

    `check` runs under the wallet's lock, before the operation is decided: False, and it is not. `write` runs after the
    ledger's rows, for every outcome but MustWait, repeated ones too.
    """

    check: Check | None = None
    write: Write | None = None


@dataclass(slots=True, eq=False, kw_only=True)
class _Waiting:
    """What one caller submitted: operations that are decided one after another, nothing of others between them."""

    operations: Sequence[Operation] | DrawTogether
    check: Check | None = None
    write: WriteTogether | None = None
    durable: bool
    done: "asyncio.Future[Sequence[Outcome] | None]"


@dataclass(slots=True)
class _Tenant:
    queue: list[_Waiting] = field(default_factory=list)
    task: "asyncio.Task[None] | None" = None
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    holds_waiting: int = 0


class Ledger:
    """Submits operations in batches. Nothing is kept of a tenant that nobody is waiting for.

    `on_resumed` is called in the transaction that ends a pause, `on_low` in the one that takes a balance to a level of
    its mark, if anybody is to be told.
    """

    def __init__(
        self,
        db: Database,
        *,
        now: Callable[[], datetime],
        on_resumed: OnResumed,
        on_low: OnLow | None = None,
        batch_max: int = 256,
    ) -> None:
        self._db = db
        self._now = now
        self._on_resumed = on_resumed
        self._on_low = on_low
        self._batch_max = batch_max
        self._tenants: defaultdict[UUID, _Tenant] = defaultdict(_Tenant)

    async def submit(
        self, tenant_id: UUID, operation: Operation | Draw, companion: Companion | None = None
    ) -> Outcome | None:
        """Apply an operation in the tenant's next batch; None if its companion's check said no.

        An operation whose content depends on rows is drawn up in the transaction, by a function that is called under
        the wallet's lock after the check; None, and there is nothing to apply. What it has written stays.
        Raises what the companion raises, and the database's errors; the operation was then not applied.
        """
        outcomes = await self._submit(
            tenant_id,
            [operation] if not callable(operation) else _drawing(operation),
            check=companion.check if companion else None,
            write=_writing(companion.write) if companion and companion.write else None,
            durable=companion is not None or not isinstance(operation, Hold | Release | ExpireHold),
        )
        return outcomes[0] if outcomes else None

    async def submit_together(
        self, tenant_id: UUID, draw: DrawTogether, write: WriteTogether | None = None
    ) -> Sequence[Outcome]:
        """Apply the operations that are drawn up, in order and in one transaction: all that they change, or nothing.

        `draw` is called under the wallet's lock; `write` gets the outcomes, none if there was nothing to apply.
        Raises what they raise, and the database's errors; nothing was then changed.
        """
        outcomes = await self._submit(tenant_id, draw, write=write, durable=True)
        return outcomes or ()

    async def hold(
        self, tenant_id: UUID, hold: Hold, companion: Companion | None = None, *, wait_s: float
    ) -> Held | Refused | None:
        """Open a hold, waiting for holds in flight: for `wait_s` in full, and for as long again with a shorter answer.

        Refused with `credits_in_flight`, without a word to the companion, if even then they keep what this one needs.
        """
        clock = asyncio.get_running_loop().time
        asked_at = clock()
        tenant = self._tenants[tenant_id]
        tenant.holds_waiting += 1
        try:
            while True:
                waited = clock() - asked_at
                changed = tenant.changed
                asked = replace(
                    hold, may_shrink=waited >= wait_s, expires_at=hold.expires_at + timedelta(seconds=waited)
                )
                outcome = await self.submit(tenant_id, asked, companion)
                match outcome:
                    case Held() | Refused() | None:
                        return outcome
                    case MustWait() if waited >= 2 * wait_s:
                        return Refused(
                            key=hold.key, reason="credits_in_flight", needed_millicredits=hold.min_millicredits
                        )
                    case MustWait():
                        pass
                    case _:
                        raise AssertionError(f"a hold does not end as {type(outcome).__name__}")
                await _set_within(changed, OTHER_PROCESSES_POLL_S)
        finally:
            tenant.holds_waiting -= 1
            self._forget(tenant_id, tenant)

    async def _submit(
        self,
        tenant_id: UUID,
        operations: Sequence[Operation] | DrawTogether,
        *,
        check: Check | None = None,
        write: WriteTogether | None = None,
        durable: bool,
    ) -> Sequence[Outcome] | None:
        done = asyncio.get_running_loop().create_future()
        done.add_done_callback(_retrieve)  # a caller that was cancelled never asks for its error
        tenant = self._tenants[tenant_id]
        tenant.queue.append(_Waiting(operations=operations, check=check, write=write, durable=durable, done=done))
        if tenant.task is None:
            tenant.task = asyncio.create_task(self._work(tenant_id, tenant))
        return await asyncio.shield(done)

    async def close(self) -> None:
        """Wait for everything that was submitted."""
        while tasks := [tenant.task for tenant in self._tenants.values() if tenant.task is not None]:
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _work(self, tenant_id: UUID, tenant: _Tenant) -> None:
        while tenant.queue:
            batch = tenant.queue[: self._batch_max]
            del tenant.queue[: self._batch_max]
            try:
                await self._commit(tenant_id, tenant, batch)
            except Exception as error:  # noqa: BLE001 - belongs to whoever submitted, who is told below
                if len(batch) == 1 or isinstance(error, DatabaseUnavailableError):
                    _fail(batch, error)
                else:
                    await self._one_by_one(tenant_id, tenant, batch)
        tenant.task = None
        self._forget(tenant_id, tenant)

    async def _one_by_one(self, tenant_id: UUID, tenant: _Tenant, batch: Sequence[_Waiting]) -> None:
        for waiting in batch:
            try:
                await self._commit(tenant_id, tenant, [waiting])
            except Exception as error:  # noqa: BLE001 - as above
                _fail([waiting], error)

    async def _commit(self, tenant_id: UUID, tenant: _Tenant, batch: Sequence[_Waiting]) -> None:
        """Apply a batch in one transaction and tell everybody how it went for them."""
        decided: dict[_Waiting, Sequence[Outcome] | None] = dict.fromkeys(batch)
        now = self._now()
        async with self._db.transaction(tenant_id, durable=any(each.durable for each in batch)) as connection:
            wanted = await _wanted(connection, tenant_id, batch)
            operations = [operation for each in wanted.values() for operation in each]
            outcomes = await ledger.apply(connection, tenant_id, operations, now=now) if operations else []
            told = iter(outcomes)
            for waiting, own in wanted.items():
                decided[waiting] = settled = list(itertools.islice(told, len(own)))
                if waiting.write is not None:
                    await waiting.write(connection, settled)
            await self._tell(connection, tenant_id, outcomes, now)
        for waiting, settled_or_none in decided.items():
            if not waiting.done.done():
                waiting.done.set_result(settled_or_none)
        if any(isinstance(outcome, Applied | Ended) for outcome in outcomes):
            tenant.changed.set()
            tenant.changed = asyncio.Event()

    async def _tell(self, connection: Connection, tenant_id: UUID, outcomes: Sequence[Outcome], now: datetime) -> None:
        if any(isinstance(outcome, Applied) and outcome.resumed for outcome in outcomes):
            await self._on_resumed(connection, tenant_id, now)
        if self._on_low is not None:
            for low in _lowest(outcomes):
                await self._on_low(connection, tenant_id, low, now)

    def _forget(self, tenant_id: UUID, tenant: _Tenant) -> None:
        idle = tenant.task is None and not tenant.queue and not tenant.holds_waiting
        if idle and self._tenants.get(tenant_id) is tenant:
            del self._tenants[tenant_id]


def _lowest(outcomes: Sequence[Outcome]) -> Iterable[LowBalance]:
    """Return the lowest level that was reached of each mark: who hears of a tenth need not hear of a fifth."""
    lowest: dict[int, LowBalance] = {}
    for outcome in outcomes:
        low = outcome.low if isinstance(outcome, Applied | Refused) else None
        if low is not None and (low.full_sequence not in lowest or low.percent < lowest[low.full_sequence].percent):
            lowest[low.full_sequence] = low
    return lowest.values()


def _drawing(draw: Draw) -> DrawTogether:
    async def draw_one(connection: Connection) -> Sequence[Operation]:
        operation = await draw(connection)
        return [] if operation is None else [operation]

    return draw_one


def _writing(write: Write) -> WriteTogether:
    async def write_one(connection: Connection, outcomes: Sequence[Outcome]) -> None:
        for outcome in outcomes:
            if not isinstance(outcome, MustWait):
                await write(connection, outcome)

    return write_one


def _fail(batch: Sequence[_Waiting], error: Exception) -> None:
    for waiting in batch:
        if not waiting.done.done():
            waiting.done.set_exception(error)


def _retrieve(done: "asyncio.Future[Sequence[Outcome] | None]") -> None:
    if not done.cancelled():
        done.exception()


async def _wanted(
    connection: Connection, tenant_id: UUID, batch: Sequence[_Waiting]
) -> dict[_Waiting, Sequence[Operation]]:
    """Return what its companions still want, asked and drawn up under the wallet's lock."""
    if any(callable(waiting.operations) or waiting.check is not None for waiting in batch):
        await ledger.lock(connection, tenant_id)
    wanted: dict[_Waiting, Sequence[Operation]] = {}
    for waiting in batch:
        if waiting.check is not None and not await waiting.check(connection):
            continue
        operations = waiting.operations
        wanted[waiting] = await operations(connection) if callable(operations) else operations
    return wanted


async def _set_within(event: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        pass
