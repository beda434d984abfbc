import asyncio
import functools
import json
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import datetime
from uuid import UUID

import asyncpg
import pytest

from gateway.db import Database
from gateway.errors import DatabaseUnavailableError
from gateway.group_commit import Companion, Ledger
from metering.audit import audit
from metering.connection import Connection
from metering.operations import Applied, Held, Operation, Outcome, Refused, Release
from tests.conftest import Clock
from tests.gateway.spender import COST, nobody_waits, spend
from tests.metering.operations import CARDS, capture, charge, grant, hold

LONG_S = 60.0


@pytest.fixture
async def ledger(db: Database, clock: Clock) -> AsyncIterator[Ledger]:
    made = Ledger(db, now=clock.now, on_resumed=nobody_waits)
    yield made
    await made.close()


@pytest.fixture
def tenant_id(new_id: Callable[[], UUID]) -> UUID:
    return new_id()


async def figures(db: Database, tenant_id: UUID) -> tuple[int, int]:
    """Return balance and held, of books that agree."""
    async with db.transaction(tenant_id) as connection:
        assert await audit(connection, tenant_id, CARDS) == ()
        row = await connection.fetchrow("SELECT balance_millicredits, held_millicredits FROM wallet")
    assert row is not None
    return row["balance_millicredits"], row["held_millicredits"]


def names_it(name: str) -> Companion:
    """A companion that leaves a row of its own, once: a second one with this name is an error."""

    async def write(connection: Connection, _outcome: Outcome) -> None:
        await connection.execute(
            """INSERT INTO contact (tenant_id, contact_id, name, created_at)
               VALUES (current_setting('app.tenant')::uuid, md5($1)::uuid, $1, now())""",
            name,
        )

    return Companion(write=write)


async def names(db: Database, tenant_id: UUID) -> list[str]:
    async with db.transaction(tenant_id) as connection:
        return [row["name"] for row in await connection.fetch("SELECT name FROM contact ORDER BY name")]


async def test_a_cancelled_caller_cancels_neither_its_operation_nor_its_neighbours(
    db: Database, ledger: Ledger, tenant_id: UUID
) -> None:
    await ledger.submit(tenant_id, grant(1_000))
    calls = [asyncio.create_task(ledger.submit(tenant_id, charge(f"sms:{n}", 10))) for n in range(5)]
    await asyncio.sleep(0)
    calls[2].cancel()
    outcomes = await asyncio.gather(*calls, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes].count(Applied) == 4
    assert isinstance(outcomes[2], asyncio.CancelledError)
    await ledger.close()
    assert await figures(db, tenant_id) == (950, 0)


async def test_a_companion_that_fails_harms_nobody_else_in_its_batch(
    db: Database, ledger: Ledger, tenant_id: UUID
) -> None:
    await ledger.submit(tenant_id, grant(1_000), names_it("taken"))
    wanted = ["a", "taken", "b", "c"]
    outcomes = await asyncio.gather(
        *(ledger.submit(tenant_id, charge(f"sms:{name}", 10), names_it(name)) for name in wanted),
        return_exceptions=True,
    )
    assert isinstance(outcomes[1], asyncpg.UniqueViolationError)
    assert [type(outcome) for outcome in outcomes].count(Applied) == 3
    assert await figures(db, tenant_id) == (970, 0)
    assert await names(db, tenant_id) == ["a", "b", "c", "taken"]


async def test_an_operation_whose_check_says_no_is_not_applied(db: Database, ledger: Ledger, tenant_id: UUID) -> None:
    await ledger.submit(tenant_id, grant(1_000))

    async def never(_connection: Connection) -> bool:
        return False

    unwanted = Companion(check=never, write=names_it("unwanted").write)
    outcomes = await asyncio.gather(
        ledger.submit(tenant_id, charge("sms:1", 10)), ledger.submit(tenant_id, charge("sms:2", 10), unwanted)
    )
    assert isinstance(outcomes[0], Applied)
    assert outcomes[1] is None
    assert await figures(db, tenant_id) == (990, 0)
    assert await names(db, tenant_id) == []


async def test_a_check_sees_what_the_wallets_lock_protects(db: Database, ledger: Ledger, tenant_id: UUID) -> None:
    """Two processes' checks of one tenant never run at the same moment."""
    await ledger.submit(tenant_id, grant(1_000))
    other = Ledger(db, now=ledger._now, on_resumed=nobody_waits)
    running = 0

    async def alone(connection: Connection) -> bool:
        nonlocal running
        running += 1
        assert running == 1
        await connection.execute("SELECT pg_sleep(0.02)")
        running -= 1
        return True

    both = [
        each.submit(tenant_id, charge(f"sms:{n}", 1), Companion(check=alone))
        for n in range(3)
        for each in (ledger, other)
    ]
    outcomes = await asyncio.gather(*both)
    assert Counter(isinstance(outcome, Applied) and outcome.replayed for outcome in outcomes) == {True: 3, False: 3}
    assert await figures(db, tenant_id) == (997, 0)


async def test_a_replayed_operation_writes_its_companion_too_and_a_waiting_one_does_not(
    db: Database, ledger: Ledger, tenant_id: UUID
) -> None:
    await ledger.submit(tenant_id, grant(1_000))
    await ledger.submit(tenant_id, charge("sms:1", 10))
    await ledger.submit(tenant_id, charge("sms:1", 10), names_it("replayed"))
    await ledger.submit(tenant_id, hold("turn:1:1", 900))
    await ledger.submit(tenant_id, hold("turn:2:1", 900), names_it("waiting"))
    assert await names(db, tenant_id) == ["replayed"]


async def test_what_resumes_with_the_wallet_is_told_in_the_same_transaction(
    db: Database, clock: Clock, tenant_id: UUID
) -> None:
    seen: list[tuple[str, str]] = []
    fails = True

    async def on_resumed(connection: Connection, tenant: UUID, now: datetime) -> None:
        assert (tenant, now) == (tenant_id, clock.now())
        async with db.transaction(tenant_id) as outside:
            before = await outside.fetchval("SELECT state FROM wallet")
        seen.append((before, await connection.fetchval("SELECT state FROM wallet")))
        if fails:
            raise LookupError("cannot wake them")

    ledger = Ledger(db, now=clock.now, on_resumed=on_resumed)
    await ledger.submit(tenant_id, grant(10))
    assert isinstance(await ledger.submit(tenant_id, hold("turn:1:1", 11)), Refused)
    with pytest.raises(LookupError):
        await ledger.submit(tenant_id, grant(100, "invoice 2"))
    assert await figures(db, tenant_id) == (10, 0)
    fails = False
    await ledger.submit(tenant_id, grant(100, "invoice 2"))
    await ledger.submit(tenant_id, grant(100, "invoice 3"))
    assert seen == [("paused", "active")] * 2
    assert await figures(db, tenant_id) == (210, 0)


async def test_nothing_is_kept_of_tenants_that_nobody_waits_for(ledger: Ledger, new_id: Callable[[], UUID]) -> None:
    tenants = [new_id() for _ in range(20)]
    await asyncio.gather(*(ledger.submit(tenant_id, grant(100)) for tenant_id in tenants))
    holds = [ledger.hold(tenant_id, hold("turn:1:1", 80), wait_s=0.0) for tenant_id in tenants]
    assert all(isinstance(outcome, Held) for outcome in await asyncio.gather(*holds))
    late = await ledger.hold(tenants[0], hold("turn:2:1", 80), wait_s=0.0)
    assert isinstance(late, Refused)
    await ledger.close()
    assert not ledger._tenants


async def test_closing_waits_for_all_that_was_submitted(db: Database, ledger: Ledger, tenant_id: UUID) -> None:
    await ledger.submit(tenant_id, grant(1_000))
    calls = [asyncio.create_task(ledger.submit(tenant_id, charge(f"sms:{n}", 1))) for n in range(30)]
    await asyncio.sleep(0)
    await ledger.close()
    assert await figures(db, tenant_id) == (970, 0)
    assert {type(outcome) for outcome in await asyncio.gather(*calls)} == {Applied}


async def test_a_hold_waits_for_one_in_flight_and_is_woken_when_it_ends(
    db: Database, ledger: Ledger, tenant_id: UUID
) -> None:
    await ledger.submit(tenant_id, grant(1_000))
    await ledger.hold(tenant_id, hold("turn:1:1", 800), wait_s=LONG_S)
    waiting = asyncio.create_task(ledger.hold(tenant_id, hold("turn:2:1", 800), wait_s=LONG_S))
    await asyncio.sleep(0.05)
    assert not waiting.done()
    await ledger.submit(tenant_id, capture("turn:1", "turn:1:1", 100))
    assert await waiting == Held(key="turn:2:1", amount_millicredits=800)
    assert await figures(db, tenant_id) == (900, 800)


async def test_a_hold_is_woken_by_a_grant_and_by_what_ends_in_another_process(
    db: Database, clock: Clock, ledger: Ledger, tenant_id: UUID
) -> None:
    other = Ledger(db, now=clock.now, on_resumed=nobody_waits)
    await ledger.submit(tenant_id, grant(1_000))
    await other.hold(tenant_id, hold("turn:1:1", 1_000), wait_s=LONG_S)
    by_grant, by_release = (
        asyncio.create_task(ledger.hold(tenant_id, hold(f"turn:{n}:1", 1_000), wait_s=LONG_S)) for n in (2, 3)
    )
    await asyncio.sleep(0.05)
    await ledger.submit(tenant_id, grant(1_000, "invoice 2"))
    await asyncio.wait([by_grant, by_release], return_when=asyncio.FIRST_COMPLETED)
    await other.submit(tenant_id, Release(hold_key="turn:1:1"))
    assert {type(outcome) for outcome in await asyncio.gather(by_grant, by_release)} == {Held}
    assert await figures(db, tenant_id) == (2_000, 2_000)


async def test_a_hold_that_has_waited_shrinks_and_one_that_cannot_is_refused_without_pausing(
    ledger: Ledger, tenant_id: UUID
) -> None:
    await ledger.submit(tenant_id, grant(1_000))
    await ledger.hold(tenant_id, hold("turn:1:1", 800), wait_s=LONG_S)
    shrunk = await ledger.hold(tenant_id, hold("turn:2:1", 800, 100), wait_s=0.05)
    assert shrunk == Held(key="turn:2:1", amount_millicredits=200)
    refused = await ledger.hold(tenant_id, hold("turn:3:1", 100), wait_s=0.05)
    assert refused == Refused(key="turn:3:1", reason="credits_in_flight", needed_millicredits=100)
    await ledger.submit(tenant_id, Release(hold_key="turn:2:1"))
    assert isinstance(await ledger.hold(tenant_id, hold("turn:4:1", 200), wait_s=LONG_S), Held)


async def test_an_unreachable_database_is_told_to_the_whole_batch_at_once(ledger: Ledger, tenant_id: UUID) -> None:
    tries = 0

    async def lost(_connection: Connection) -> bool:
        nonlocal tries
        tries += 1
        raise DatabaseUnavailableError("gone")

    calls = [ledger.submit(tenant_id, grant(1, f"invoice {n}"), Companion(check=lost)) for n in range(20)]
    outcomes = await asyncio.gather(*calls, return_exceptions=True)
    assert {type(outcome) for outcome in outcomes} == {DatabaseUnavailableError}
    assert tries < 20


async def test_two_hundred_submits_over_ten_keys_charge_ten_times(
    db: Database, ledger: Ledger, tenant_id: UUID
) -> None:
    await ledger.submit(tenant_id, grant(10_000))
    outcomes = await asyncio.gather(*(ledger.submit(tenant_id, charge(f"sms:{n % 10}", 7)) for n in range(200)))
    assert Counter(isinstance(outcome, Applied) and outcome.replayed for outcome in outcomes) == {True: 190, False: 10}
    assert await figures(db, tenant_id) == (9_930, 0)


async def test_a_nearly_empty_wallet_admits_exactly_what_it_can_pay(
    db: Database, ledger: Ledger, tenant_id: UUID
) -> None:
    await ledger.submit(tenant_id, grant(105 * COST + COST - 1))
    ends = await spend(db, tenant_id, "one", 200)
    assert ends.pop("paid") == 105
    assert set(ends) == {"insufficient_credits", "tenant_paused"}
    assert await figures(db, tenant_id) == (COST - 1, 0)


async def spender(url: str, tenant_id: UUID, name: str) -> asyncio.subprocess.Process:
    arguments = ("-m", "tests.gateway.spender", url, str(tenant_id), name, "100")
    pipe = asyncio.subprocess.PIPE
    return await asyncio.create_subprocess_exec(sys.executable, *arguments, stdin=pipe, stdout=pipe)


async def test_two_processes_on_a_nearly_empty_wallet_admit_exactly_what_it_can_pay(
    db: Database, ledger: Ledger, tenant_id: UUID, database_url: str
) -> None:
    await ledger.submit(tenant_id, grant(105 * COST + COST - 1))

    processes = [await spender(database_url, tenant_id, name) for name in ("one", "two")]
    for process in processes:
        assert process.stdout is not None
        assert await process.stdout.readline() == b"ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write(b"go\n")
    first, second = [Counter(json.loads((await process.communicate())[0])) for process in processes]
    ends = first + second
    assert ends.pop("paid") == 105
    assert set(ends) == {"insufficient_credits", "tenant_paused"}
    assert await figures(db, tenant_id) == (COST - 1, 0)


async def test_an_operation_is_drawn_up_from_what_the_batch_has_written_so_far(
    db: Database, ledger: Ledger, tenant_id: UUID
) -> None:
    """Twenty copies of one message at once: the first that is drawn up is the only one that is charged."""
    await ledger.submit(tenant_id, grant(1_000))

    async def draw(connection: Connection) -> Operation | None:
        if await connection.fetchval("SELECT count(*) FROM contact"):
            return None
        await names_it("first").write(connection, None)  # type: ignore[misc, arg-type]  # the outcome is not looked at
        return charge("sms:1", 10)

    outcomes = await asyncio.gather(*(ledger.submit(tenant_id, draw) for _ in range(20)))
    assert Counter(type(outcome) for outcome in outcomes) == {Applied: 1, type(None): 19}
    assert await figures(db, tenant_id) == (990, 0)
    assert await names(db, tenant_id) == ["first"]


async def test_what_cannot_be_drawn_up_harms_nobody_else_in_its_batch(
    db: Database, ledger: Ledger, tenant_id: UUID
) -> None:
    await ledger.submit(tenant_id, grant(1_000))

    async def broken(connection: Connection) -> Operation | None:
        await connection.execute("SELECT 1 / 0")
        return charge("sms:broken", 10)

    calls = [ledger.submit(tenant_id, charge(f"sms:{n}", 10)) for n in range(3)]
    outcomes = await asyncio.gather(*calls, ledger.submit(tenant_id, broken), return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [Applied, Applied, Applied, asyncpg.DivisionByZeroError]
    assert await figures(db, tenant_id) == (970, 0)


async def test_what_is_submitted_together_stays_together_in_its_batch(
    db: Database, ledger: Ledger, tenant_id: UUID
) -> None:
    await ledger.submit(tenant_id, grant(1_000))

    async def two(name: str, _connection: Connection) -> Sequence[Operation]:
        await asyncio.sleep(0)
        return [charge(f"sms:{name}:1", 1), charge(f"sms:{name}:2", 1)]

    await asyncio.gather(
        *(ledger.submit_together(tenant_id, functools.partial(two, name)) for name in "abc"),
        *(ledger.submit(tenant_id, charge(f"sms:{n}", 1)) for n in range(5)),
    )
    async with db.transaction(tenant_id) as connection:
        rows = await connection.fetch("SELECT key FROM ledger_entry ORDER BY sequence")
    keys = " ".join(row["key"] for row in rows)
    assert all(f"sms:{name}:1 sms:{name}:2" in keys for name in "abc")
    assert await figures(db, tenant_id) == (989, 0)


async def test_of_what_is_submitted_together_all_is_done_or_nothing(
    db: Database, ledger: Ledger, tenant_id: UUID
) -> None:
    await ledger.submit(tenant_id, grant(1_000))
    seen: list[Sequence[Outcome]] = []

    async def two(connection: Connection) -> Sequence[Operation]:
        await names_it("drawn").write(connection, None)  # type: ignore[misc, arg-type]  # the outcome is not looked at
        return [charge("sms:a", 100), charge("sms:b", 1_000)]

    async def only_both(_connection: Connection, outcomes: Sequence[Outcome]) -> None:
        seen.append(outcomes)
        if any(isinstance(outcome, Refused) for outcome in outcomes):
            raise LookupError("one of them cannot be paid")

    neighbour = ledger.submit(tenant_id, charge("sms:neighbour", 10))
    failed, paid = await asyncio.gather(
        ledger.submit_together(tenant_id, two, only_both), neighbour, return_exceptions=True
    )
    assert isinstance(failed, LookupError)
    assert isinstance(paid, Applied)
    assert [type(outcome) for outcome in seen[-1]] == [Applied, Refused]
    assert await figures(db, tenant_id) == (990, 0)
    assert await names(db, tenant_id) == []


async def test_nothing_to_do_together_is_told_all_the_same(db: Database, ledger: Ledger, tenant_id: UUID) -> None:
    async def nothing(connection: Connection) -> Sequence[Operation]:
        await names_it("drawn").write(connection, None)  # type: ignore[misc, arg-type]  # the outcome is not looked at
        return []

    told: list[Sequence[Outcome]] = []

    async def write(_connection: Connection, outcomes: Sequence[Outcome]) -> None:
        told.append(outcomes)

    assert await ledger.submit_together(tenant_id, nothing, write) == ()
    assert told == [[]]
    assert await names(db, tenant_id) == ["drawn"]
