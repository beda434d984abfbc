"""Workers share the work: none is lost with one that stops, and no tenant keeps the others waiting."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest
from typing_extensions import override

from agents.model import ChatReply, ChatRequest
from gateway import work_queue
from gateway.group_commit import Companion, Draw, Ledger
from gateway.limits import Limits
from gateway.resume import wake_waiting
from gateway.services import Services
from gateway.worker import Worker
from metering.operations import Grant, Hold, Operation, Outcome
from tests.gateway.mailroom import OF_MALLORY, Mailroom

QUICK = Limits(poll_s=0.02, sweep_s=0.05, lease_s=1.0, turns_in_flight=8, turns_per_tenant=6)


class Silent:
    """A model that thinks until it is cancelled; it counts who asks."""

    def __init__(self) -> None:
        self.asked = 0
        self.given_up = 0

    async def complete(self, request: ChatRequest, *, timeout_s: float) -> ChatReply:
        del request, timeout_s
        self.asked += 1
        try:
            await asyncio.Event().wait()
        finally:
            self.given_up += 1
        raise AssertionError("never set")


class FailsAtFirst(Ledger):
    """A ledger whose first operations meet an error that nobody expects."""

    failures = 2

    @override
    async def submit(
        self, tenant_id: UUID, operation: Operation | Draw, companion: Companion | None = None
    ) -> Outcome | None:
        if self.failures:
            self.failures -= 1
            raise AssertionError("the books do not add up")
        return await super().submit(tenant_id, operation, companion)


@pytest.fixture
def model(mailroom: Mailroom) -> Silent:
    silent = Silent()
    mailroom.services = replace(mailroom.services, chat_model=silent, limits=QUICK)
    return silent


@contextlib.asynccontextmanager
async def working(services: Services, *, drain_s: float = 0.0) -> AsyncIterator[Worker]:
    stop, worker = asyncio.Event(), Worker(services)
    running = asyncio.create_task(worker.run(stop))
    try:
        yield worker
    finally:
        stop.set()
        await running
        await worker.drain(drain_s)


async def until(holds: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(15):
        while not await holds():  # noqa: ASYNC110 - the database calls nobody
            await asyncio.sleep(0.01)


async def pay(mailroom: Mailroom, tenant_id: UUID) -> None:
    grant_id = mailroom.services.new_id()
    grant = Grant(reference=str(grant_id), grant_id=grant_id, kind="manual", amount_millicredits=10**9, reason="t")
    await mailroom.services.ledger.submit(tenant_id, grant)


async def written(mailroom: Mailroom, count: int, *, line: str = "1000001", first: int = 1) -> None:
    """Let so many customers write and their bursts end."""
    for number in range(first, first + count):
        wa_id = f"4917000{number:05d}"
        await mailroom.receive(mailroom.text(number, wa_id=wa_id), line=line, wa_id=wa_id)
    mailroom.clock.advance(seconds=10)


async def leased(mailroom: Mailroom, tenant_id: UUID) -> int:
    rows = await mailroom.rows("SELECT 1 FROM conversation WHERE lease_until IS NOT NULL", tenant_id=tenant_id)
    return len(rows)


async def test_a_worker_that_stops_gives_its_turns_back_at_once(mailroom: Mailroom, model: Silent) -> None:
    await pay(mailroom, mailroom.cast.acme)
    await written(mailroom, 2)

    async def both_asked() -> bool:
        return model.asked == 2

    async with working(mailroom.services):
        await until(both_asked)
    assert model.given_up == 2
    conversations = await mailroom.rows("SELECT due_at, lease_until FROM conversation")
    assert all(row["due_at"] is not None and row["lease_until"] is None for row in conversations)
    turns = await mailroom.rows("SELECT state, crashes, lease_epoch FROM turn")
    assert turns == [{"state": "running", "crashes": 0, "lease_epoch": 0}] * 2
    assert [row["state"] for row in await mailroom.rows("SELECT state FROM hold")] == ["released"] * 2

    async with working(mailroom.services):  # and whoever comes next goes on
        await until(lambda: _is(model, 4))
    assert {row["crashes"] for row in await mailroom.rows("SELECT crashes FROM turn")} == {0}


async def _is(model: Silent, asked: int) -> bool:
    return model.asked == asked


@pytest.mark.usefixtures("model")
async def test_a_busy_tenant_leaves_room_for_the_others(mailroom: Mailroom) -> None:
    """Acme's customers came first and their turns never end; Mallory's one customer is served all the same."""
    acme, mallory = mailroom.cast.acme, mailroom.cast.mallory
    await pay(mailroom, acme)
    await pay(mailroom, mallory)
    await written(mailroom, 12)
    await written(mailroom, 1, line=OF_MALLORY, first=50)

    async def mallory_is_served() -> bool:
        return await leased(mailroom, mallory) == 1

    async with working(mailroom.services):
        await until(mallory_is_served)
        assert await leased(mailroom, acme) == QUICK.turns_per_tenant


async def test_leases_and_holds_are_renewed_while_their_work_goes_on(mailroom: Mailroom, model: Silent) -> None:
    await pay(mailroom, mailroom.cast.acme)
    await written(mailroom, 1)

    async def asked() -> bool:
        return model.asked == 1

    async def renewed() -> bool:
        now = mailroom.clock.now()
        lease = await mailroom.row("SELECT lease_until FROM conversation")
        hold = await mailroom.row("SELECT expires_at FROM hold")
        return bool(lease["lease_until"] > now and hold["expires_at"] > now)

    async with working(mailroom.services):
        await until(asked)
        mailroom.clock.advance(seconds=0.9)
        before = await mailroom.row("SELECT lease_until, expires_at FROM conversation, hold")

        async def later() -> bool:
            now = await mailroom.row("SELECT lease_until, expires_at FROM conversation, hold")
            return bool(now["lease_until"] > before["lease_until"] and now["expires_at"] > before["expires_at"])

        await until(later)
        assert await renewed()
    assert model.asked == 1


@pytest.mark.usefixtures("model")
async def test_one_row_that_somebody_else_holds_delays_no_other_renewal(mailroom: Mailroom) -> None:
    await written(mailroom, 2)
    db, now = mailroom.services.db, mailroom.clock.now()
    async with db.queue() as connection:
        leases = await work_queue.claim_conversations(connection, now=now, lease_until=now, limit=2)
    until_at = now + timedelta(seconds=30)
    async with db.transaction(mailroom.cast.acme) as busy:
        await busy.execute("SELECT FROM conversation WHERE conversation_id = $1 FOR UPDATE", leases[0].conversation_id)
        async with asyncio.timeout(5), db.queue() as connection:
            await work_queue.renew_turns(connection, leases, lease_until=until_at)
    rows = await mailroom.rows("SELECT conversation_id FROM conversation WHERE lease_until = $1", until_at)
    assert rows == [{"conversation_id": leases[1].conversation_id}]


@pytest.mark.usefixtures("model")
async def test_a_step_that_fails_is_repeated(mailroom: Mailroom) -> None:
    """What ends a loop for good would look like an idle worker."""

    await pay(mailroom, mailroom.cast.acme)
    hold = Hold(
        key="of a worker that died",
        max_millicredits=1,
        min_millicredits=1,
        step_millicredits=1,
        may_shrink=False,
        expires_at=mailroom.clock.now(),
        rate_card="t",
        day=mailroom.clock.now().date(),
    )
    await mailroom.services.ledger.hold(mailroom.cast.acme, hold, wait_s=1)
    await mailroom.services.ledger.close()
    mailroom.clock.advance(seconds=1)
    ledger = FailsAtFirst(mailroom.services.db, now=mailroom.clock.now, on_resumed=wake_waiting)

    async def expired() -> bool:
        return await mailroom.rows("SELECT state FROM hold") == [{"state": "expired"}]

    async with working(replace(mailroom.services, ledger=ledger)):
        await until(expired)
    assert ledger.failures == 0
