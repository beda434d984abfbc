"""Forwarded calls whose process dies or stops: another one goes on, and every minute is charged once."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from uuid import UUID

import aiohttp
import asyncpg
import pytest

from gateway.app import build_services
from gateway.db import Database
from gateway.errors import DatabaseUnavailableError, StaleLeaseError
from gateway.voice.answering import Voice, build_voice
from gateway.voice.credit.audit import audit_calls
from gateway.voice.credit.minutes import begin_leg_minute
from gateway.voice.credit.sweeps import end_orphaned_calls
from gateway.voice.legs.adoption import adopt_orphans, adopt_until
from metering.connection import Connection
from tests.gateway.voice.engine import ScriptedEngine
from tests.gateway.voice.telephone import FEE, Telephone
from tests.gateway.voice.test_forwarding import (
    FORWARDING,
    RICH,
    Forwarded,
    charged,
    holds,
    hung_up,
    put_through,
    rings_at_a_person,
    shown,
    tags,
    unwatched,
)

LEASE_S = 30
UNWATCHED_S = 120

Open = Callable[..., contextlib.AbstractAsyncContextManager[Telephone]]


@pytest.fixture
async def telephone(open_telephone: Open) -> AsyncIterator[Telephone]:
    async with open_telephone(engines={"realtime": ScriptedEngine()}) as opened:
        await opened.change_agent(voice=FORWARDING)
        yield opened


@contextlib.asynccontextmanager
async def another_process(telephone: Telephone) -> AsyncIterator[Voice]:
    """A process beside the one that the telephone rings in: same database and clock, nothing else in common."""
    one = telephone.services
    async with aiohttp.ClientSession() as http:
        services = build_services(
            one.settings,
            db=one.db,
            http=http,
            model=one.chat_model,  # type: ignore[arg-type]  # the one it was built with
            now=one.now,
            new_id=one.new_id,
            limits=one.limits,
        )
        voice = build_voice(services, {})
        try:
            yield voice
        finally:
            await voice.close()
            await services.ledger.close()


@pytest.fixture
async def other(telephone: Telephone) -> AsyncIterator[Voice]:
    async with another_process(telephone) as voice:
        yield voice


async def talking(telephone: Telephone) -> Forwarded:
    """A caller and a person who talk, 20 seconds into the call."""
    forwarded = await put_through(telephone)
    await forwarded.picks_up()
    await forwarded.presses("1")
    return forwarded


async def die(telephone: Telephone) -> None:
    """Let the process be no more, as far as its calls are concerned: nothing is handed over."""
    tasks = [watch.task for watch in telephone.voice.forwards.values()]
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def audited(telephone: Telephone) -> None:
    await telephone.audit()
    async with telephone.services.db.transaction(telephone.cast.acme) as connection:
        assert await audit_calls(connection, telephone.cast.acme) == ()


async def test_a_call_whose_process_died_is_watched_by_another_and_no_minute_is_missed_or_doubled(
    telephone: Telephone, other: Voice
) -> None:
    forwarded = await talking(telephone)
    telephone.clock.advance(seconds=41)  # 61 s into the call, 41 s of the person's
    await charged(telephone, "minute:2")
    await die(telephone)
    telephone.clock.advance(seconds=80)  # nobody has seen the third minute begin, nor the person's second and third
    assert await telephone.charges() == ["minute:1", "leg:1:minute:1", "minute:2"]
    await adopt_orphans(other)
    for key in ("minute:3", "leg:1:minute:2", "leg:1:minute:3"):
        await charged(telephone, key)
    telephone.clock.advance(seconds=40)
    await charged(telephone, "minute:4")
    await forwarded.ends("completed", 161)
    await telephone.told("completed", CallDuration="181")
    call, leg = await telephone.call(), await forwarded.row()
    assert (call["end_reason"], call["minutes_charged"], leg["minutes_charged"]) == ("forwarded", 4, 3)
    assert await telephone.wallet() == (RICH - 7 * FEE, 0)
    await audited(telephone)


async def test_minutes_that_twilio_did_not_count_come_back_after_a_process_died_too(
    telephone: Telephone, other: Voice
) -> None:
    forwarded = await talking(telephone)
    await die(telephone)
    telephone.clock.advance(seconds=101)
    await adopt_orphans(other)
    for key in ("minute:3", "leg:1:minute:2"):
        await charged(telephone, key)
    await forwarded.ends("completed", 59)
    await telephone.told("completed", CallDuration="79")
    assert await telephone.wallet() == (RICH - 3 * FEE, 0)
    await audited(telephone)


async def test_of_many_processes_one_takes_a_call_over(telephone: Telephone, other: Voice) -> None:
    await talking(telephone)
    await die(telephone)
    before = (await telephone.call())["lease_epoch"]
    telephone.clock.advance(seconds=LEASE_S - 1)
    await adopt_orphans(other)
    assert not other.forwards
    telephone.clock.advance(seconds=1)
    async with another_process(telephone) as third:
        for _ in range(3):
            await asyncio.gather(*(adopt_orphans(voice) for voice in (other, third, telephone.voice)))
        assert sorted(len(voice.forwards) for voice in (other, third, telephone.voice)) == [0, 0, 1]
    assert (await telephone.call())["lease_epoch"] == before + 1


async def test_a_process_that_is_there_again_takes_its_own_call_over(telephone: Telephone) -> None:
    await talking(telephone)
    await die(telephone)
    telephone.clock.advance(seconds=41)
    await adopt_orphans(telephone.voice)
    await charged(telephone, "minute:2")
    assert telephone.voice.forwards


async def test_a_process_that_was_only_slow_has_lost_its_forwarded_call(telephone: Telephone, other: Voice) -> None:
    forwarded = await talking(telephone)
    await die(telephone)
    telephone.clock.advance(seconds=LEASE_S)
    await adopt_orphans(other)
    with pytest.raises(StaleLeaseError):
        await begin_leg_minute(telephone.services, forwarded.call.account, 1, 2)
    assert await telephone.charges() == ["minute:1", "leg:1:minute:1"]


async def test_a_watch_that_has_lost_its_call_ends_and_lets_go_of_nothing(telephone: Telephone, other: Voice) -> None:
    await talking(telephone)
    await telephone.rows("UPDATE call SET lease_until = $1", telephone.clock.now())
    await adopt_orphans(other)
    await telephone.until(lambda: unwatched(telephone))
    assert other.forwards
    assert not telephone.services.live_calls.calls
    assert await holds(telephone, FEE)


async def test_a_process_that_stops_hands_its_call_over_at_once(telephone: Telephone, other: Voice) -> None:
    forwarded = await talking(telephone)
    await telephone.until(lambda: shown(telephone))
    telephone.services.live_calls.calls[forwarded.call.call_id].move()
    await telephone.services.live_calls.drained()
    assert await holds(telephone, FEE)  # the caller's next minute, for whoever goes on
    await adopt_orphans(other)
    assert other.forwards
    telephone.clock.advance(seconds=41)
    await charged(telephone, "minute:2")
    await forwarded.ends("completed", 41)
    await telephone.told("completed", CallDuration="61")
    assert await telephone.wallet() == (RICH - 3 * FEE, 0)
    await audited(telephone)


async def test_a_process_that_closes_hands_over_what_it_watches(telephone: Telephone, other: Voice) -> None:
    await put_through(telephone)
    await telephone.voice.close()
    assert not telephone.voice.forwards
    await adopt_orphans(other)
    assert other.forwards


async def test_a_call_that_still_rings_is_taken_over_and_charged_from_its_answer(
    telephone: Telephone, other: Voice
) -> None:
    forwarded = await rings_at_a_person(telephone)
    await telephone.voice.close()
    await adopt_orphans(other)
    assert await telephone.charges() == []
    await forwarded.picks_up()
    await forwarded.presses("1")
    telephone.clock.advance(seconds=60)
    for key in ("minute:2", "leg:1:minute:2"):
        await charged(telephone, key)
    assert sorted(await telephone.charges()) == ["leg:1:minute:1", "leg:1:minute:2", "minute:1", "minute:2"]


async def test_after_a_hand_over_a_call_that_nobody_takes_comes_back_to_the_agent(
    telephone: Telephone, other: Voice
) -> None:
    forwarded = await put_through(telephone)
    await telephone.voice.close()
    await adopt_orphans(other)
    assert tags(await forwarded.ends("busy")) == ["Connect", "Hangup"]
    assert (await telephone.call())["state"] == "away"
    assert await telephone.wallet() == (RICH - FEE, 0)


async def test_a_call_whose_missed_minutes_cannot_be_paid_is_ended(telephone: Telephone, other: Voice) -> None:
    forwarded = await talking(telephone)
    await die(telephone)
    telephone.clock.advance(seconds=50)
    await telephone.set_balance(FEE)  # the caller's second minute is held, the third and the person's second are not
    telephone.clock.advance(seconds=60)
    await adopt_orphans(other)
    await telephone.until(lambda: hung_up(telephone))
    assert await telephone.charges() == ["minute:1", "leg:1:minute:1", "minute:2"]
    await forwarded.ends("completed", 110)
    await telephone.told("completed", CallDuration="130")
    assert (await telephone.call())["state"] == "ended"
    assert await telephone.wallet() == (0, 0)


async def test_a_call_that_ended_while_nobody_listened_is_settled_by_twilios_word(
    telephone: Telephone, other: Voice
) -> None:
    await talking(telephone)
    telephone.clock.advance(seconds=61)
    await charged(telephone, "leg:1:minute:2")
    await die(telephone)
    telephone.carrier.shown = {
        "CA1": {"status": "completed", "duration": "81"},
        "CA2": {"status": "completed", "duration": "60"},
    }
    telephone.clock.advance(seconds=LEASE_S + 60)
    await adopt_orphans(other)
    assert not other.forwards
    call = await telephone.call()
    assert (call["state"], call["end_reason"], call["duration_s"]) == ("ended", "forwarded", 81)
    assert await telephone.wallet() == (RICH - 3 * FEE, 0)
    assert not telephone.carrier.forms("Status")
    await telephone.told("completed", CallDuration="81")
    await audited(telephone)


async def test_a_caller_who_gave_up_while_nobody_listened_is_not_waited_for(telephone: Telephone, other: Voice) -> None:
    await put_through(telephone)
    await die(telephone)
    telephone.carrier.shown["CA1"] = {"status": "completed", "duration": "30"}
    telephone.clock.advance(seconds=LEASE_S)
    await adopt_orphans(other)
    call = await telephone.call()
    assert (call["state"], call["end_reason"], call["minutes_charged"]) == ("ended", "caller_hung_up", 1)
    assert await telephone.wallet() == (RICH - FEE, 0)


async def test_where_twilio_cannot_be_asked_a_call_is_watched(telephone: Telephone, other: Voice) -> None:
    await talking(telephone)
    await die(telephone)
    telephone.carrier.refuses_with = 20003
    telephone.clock.advance(seconds=41)
    await adopt_orphans(other)
    await charged(telephone, "minute:2")


async def test_a_call_whose_leg_is_over_is_left_to_the_sweep(telephone: Telephone, other: Voice) -> None:
    forwarded = await talking(telephone)
    await forwarded.leg("statusCallback", CallStatus="completed", CallDuration="12")
    await telephone.until(lambda: unwatched(telephone))
    before = (await telephone.call())["lease_epoch"]
    telephone.clock.advance(seconds=LEASE_S)
    await adopt_orphans(other)
    assert not other.forwards
    assert (await telephone.call())["lease_epoch"] == before
    assert tags(await forwarded.ends("completed", 12)) == ["Hangup"]
    assert (await telephone.call())["end_reason"] == "forwarded"


async def test_a_call_that_nobody_takes_over_is_ended_at_twilio_too_and_nothing_stays_held(
    telephone: Telephone,
) -> None:
    forwarded = await talking(telephone)
    await die(telephone)
    telephone.clock.advance(seconds=LEASE_S + UNWATCHED_S - 1)
    await end_orphaned_calls(telephone.services)
    assert (await telephone.call())["state"] == "forwarding"
    assert not telephone.carrier.forms("Status")
    telephone.clock.advance(seconds=1)
    await end_orphaned_calls(telephone.services)
    assert await hung_up(telephone)
    assert (await telephone.call())["end_reason"] == "forwarding_lost"
    assert await telephone.wallet() == (RICH - 2 * FEE, 0)
    assert tags(await forwarded.ends("completed", 170)) == ["Hangup"]
    await audited(telephone)


async def test_where_twilio_does_not_end_it_either_the_books_are_closed_all_the_same(telephone: Telephone) -> None:
    await talking(telephone)
    await die(telephone)
    telephone.carrier.refuses_with = 20003
    telephone.clock.advance(seconds=LEASE_S + UNWATCHED_S)
    await end_orphaned_calls(telephone.services)
    assert (await telephone.call())["state"] == "ended"


async def test_a_call_of_whose_end_nobody_tells_is_ended_when_its_time_is_over(telephone: Telephone) -> None:
    forwarded = await put_through(telephone, balance=7 * FEE)
    [limit] = telephone.carrier.forms("TimeLimit")
    telephone.clock.advance(seconds=int(limit))
    await charged(telephone, "minute:5")
    assert not telephone.carrier.forms("Status")
    telephone.clock.advance(seconds=30)
    await telephone.until(lambda: hung_up(telephone))
    await telephone.until(lambda: unwatched(telephone))
    assert (await forwarded.row())["minutes_charged"] == 0


async def test_nothing_is_taken_over_where_there_is_no_account_at_twilio(telephone: Telephone, other: Voice) -> None:
    await put_through(telephone)
    await telephone.voice.close()
    without = replace(other, services=replace(other.services, twilio=None))
    await adopt_orphans(without)
    assert not other.forwards


async def test_a_process_looks_for_such_calls_until_it_is_to_end(telephone: Telephone, other: Voice) -> None:
    stopping = asyncio.Event()
    looking = asyncio.create_task(adopt_until(other, stopping))
    await put_through(telephone)
    await telephone.voice.close()

    async def watched() -> bool:
        return bool(other.forwards)

    await telephone.until(watched)
    stopping.set()
    await looking
    await other.close()
    await adopt_until(other, stopping)
    assert not other.forwards


@dataclass
class Interrupted:
    """A database that is away for as many questions as are left; each error once, then it is there again."""

    db: Database
    errors: list[Exception]

    def queue(self) -> contextlib.AbstractAsyncContextManager[Connection]:
        self.fail()
        return self.db.queue()

    def transaction(self, tenant_id: UUID) -> contextlib.AbstractAsyncContextManager[Connection]:
        self.fail()
        return self.db.transaction(tenant_id)

    def fail(self) -> None:
        if self.errors:
            raise self.errors.pop(0)


async def test_a_database_that_is_away_is_waited_for_and_nothing_else_ends_the_looking(
    telephone: Telephone, other: Voice
) -> None:
    await put_through(telephone)
    await telephone.voice.close()
    errors = [DatabaseUnavailableError("away"), asyncpg.InterfaceError("away"), KeyError("a mistake")]
    db = Interrupted(other.services.db, errors)
    limits = replace(other.services.limits, adopt_s=0.01)
    voice = replace(other, services=replace(other.services, db=db, limits=limits))  # type: ignore[arg-type]  # as much of one as is used
    stopping = asyncio.Event()
    looking = asyncio.create_task(adopt_until(voice, stopping))

    async def watched() -> bool:
        return bool(other.forwards)

    await telephone.until(watched)
    assert not errors
    stopping.set()
    await looking
    errors += [DatabaseUnavailableError("away"), asyncpg.InterfaceError("away")]  # its watch waits as well
    telephone.clock.advance(seconds=41)
    await charged(telephone, "minute:2")


async def test_one_call_that_cannot_be_read_keeps_no_other_from_being_taken_over(
    telephone: Telephone, other: Voice
) -> None:
    forwarded = await put_through(telephone)
    await telephone.voice.close()
    await telephone.rows(
        """INSERT INTO call (SELECT (jsonb_populate_record(c, jsonb_build_object(
             'call_id', gen_random_uuid(), 'call_sid', 'CA9', 'agent_version', 99))).* FROM call c)"""
    )
    await telephone.rows(
        """INSERT INTO call_leg (tenant_id, call_id, leg, time_limit_s, dialled_at)
           SELECT tenant_id, call_id, 1, 60, offered_at FROM call WHERE call_sid = 'CA9'"""
    )
    await adopt_orphans(other)
    assert set(other.forwards) == {forwarded.call.call_id}
