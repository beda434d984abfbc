from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from uuid import UUID

import pytest

from gateway import contacts
from gateway.channels.base import Address
from gateway.db import Database
from gateway.voice import call_store
from gateway.voice.call import CallAccount, Progress, past_of
from gateway.voice.call_store import NewCall
from gateway.voice.engines.base import PastItem
from tests.cast import Cast
from tests.conftest import Clock
from tests.gateway.voice.paying import ANNA, CREDIT, Till, open_till
from tests.gateway.wiring import wired

EMRE = "+491700000102"


@pytest.fixture
async def till(
    db: Database, clock: Clock, new_id: Callable[[], UUID], cast: Cast, tmp_path: Path
) -> AsyncIterator[Till]:
    async with wired(db, clock, new_id, tmp_path) as services:
        till = await open_till(services, cast, clock)
        await till.grant(9_000 * CREDIT)
        yield till


async def saved(till: Till, account: CallAccount, progress: Progress) -> bool:
    services = till.services
    async with services.db.transaction(till.tenant_id) as connection:
        return await call_store.save_progress(
            connection, account, progress, state="away", lease_until=services.after(15.0)
        )


async def test_a_call_is_loaded_as_its_stream_needs_it(till: Till) -> None:
    await till.salon.publish(channel={"voice": {"greeting": "KI am Apparat."}})
    account = await till.rings()
    async with till.services.db.transaction(till.tenant_id) as connection:
        call = await call_store.load_call(connection, till.tenant_id, account.call_id, till.services.versions)
    assert call.account == account
    assert (call.our_number, call.caller, call.engine, call.state) == ("+4930000001", ANNA, "realtime", "offered")
    assert call.configuration.greeting == "KI am Apparat."
    assert (call.progress, call.stream_started_at) == (None, None)
    assert call.at(3).account.epoch == 3
    assert ANNA not in repr(call)


async def test_there_is_no_call_of_another_tenant(till: Till, cast: Cast) -> None:
    account = await till.rings()
    async with till.services.db.transaction(cast.mallory) as connection:
        with pytest.raises(LookupError):
            await call_store.load_call(connection, cast.mallory, account.call_id, till.services.versions)
        assert await call_store.find_by_sid(connection, cast.mallory, f"CA{account.call_id.hex}") is None


async def test_a_call_is_noted_once(till: Till) -> None:
    account = await till.rings(call_sid="CA1")
    again = NewCall(
        account=replace(account, call_id=till.services.new_id()), call_sid="CA1", caller=ANNA, engine="realtime"
    )
    now = till.services.now()
    async with till.services.db.transaction(till.tenant_id) as connection:
        assert not await call_store.insert_call(connection, again, now=now, lease_until=now)
        found = await call_store.find_by_sid(connection, till.tenant_id, "CA1")
    assert found == call_store.FoundCall(call_id=account.call_id, state="offered")


async def test_a_call_may_be_declined_as_it_comes_in_or_before_its_stream_begins(till: Till) -> None:
    account, now = await till.rings(), till.services.now()
    at_once = NewCall(
        account=replace(account, call_id=till.services.new_id()), call_sid="CA2", caller=ANNA, engine="realtime"
    )
    async with till.services.db.transaction(till.tenant_id) as connection:
        assert await call_store.insert_call(connection, at_once, now=now, lease_until=now, declined="busy")
        assert await call_store.decline_call(connection, account, reason="credits_in_flight", now=now)
        assert not await call_store.decline_call(connection, account, reason="busy", now=now)
        assert await call_store.begin_stream(connection, account, now=now, lease_until=now) is None
    rows = await till.rows("SELECT state, end_reason FROM call ORDER BY end_reason")
    assert [tuple(row.values()) for row in rows] == [("declined", "busy"), ("declined", "credits_in_flight")]


async def test_who_has_written_before_is_the_same_contact_on_the_phone(till: Till) -> None:
    services = till.services
    async with services.db.transaction(till.tenant_id) as connection:
        written = await contacts.resolve(
            connection,
            till.tenant_id,
            [Address(kind="phone", value=ANNA)],
            name="Anna",
            now=services.now(),
            new_id=services.new_id,
        )
    assert (await till.rings(ANNA)).contact_id == written
    assert (await till.rings(EMRE)).contact_id != written


async def test_who_withholds_their_number_is_somebody_new_each_time(till: Till) -> None:
    first, second = await till.rings(None), await till.rings(None)
    assert first.contact_id != second.contact_id
    assert first.conversation_id != second.conversation_id
    assert await till.rows("SELECT address FROM contact_address") == []
    async with till.services.db.transaction(till.tenant_id) as connection:
        call = await call_store.load_call(connection, till.tenant_id, first.call_id, till.services.versions)
    assert call.caller is None


async def test_nothing_on_the_phone_is_ever_due(till: Till) -> None:
    await till.answered()
    rows = await till.rows("SELECT channel, due_at, pending_since FROM conversation")
    assert [tuple(row.values()) for row in rows] == [("voice", None, None)]


async def test_a_stream_takes_the_call_from_an_earlier_one(till: Till, clock: Clock) -> None:
    account = await till.rings()
    first = await till.streams(account)
    started_at = (await till.call(account))["stream_started_at"]
    clock.advance(seconds=5)
    second = await till.streams(account)
    assert (first.epoch, second.epoch) == (1, 2)
    assert [await till.renews(each) for each in (first, second)] == [False, True]
    assert [await saved(till, each, Progress()) for each in (first, second)] == [False, True]
    assert (await till.call(account))["stream_started_at"] == started_at


async def test_no_stream_begins_for_a_call_that_has_waited_too_long_for_its_first(till: Till, clock: Clock) -> None:
    account, services = await till.rings(), till.services
    clock.advance(seconds=15)
    async with services.db.transaction(till.tenant_id) as connection:
        until = services.after(30.0)
        assert await call_store.begin_stream(connection, account, now=clock.now(), lease_until=until) is None


async def test_a_call_belongs_to_whoever_its_caller_turns_out_to_be(till: Till) -> None:
    account, services = await till.rings(ANNA), till.services
    phone, bsuid = Address(kind="phone", value=ANNA), Address(kind="bsuid", value="US.1")
    async with services.db.transaction(till.tenant_id) as connection:
        first, both = [
            await contacts.resolve(connection, till.tenant_id, addresses, now=services.now(), new_id=services.new_id)
            for addresses in ([bsuid], [bsuid, phone])
        ]
        call = await call_store.load_call(connection, till.tenant_id, account.call_id, services.versions)
    assert first != account.contact_id
    assert call.account.contact_id == both
    assert len(await till.rows("SELECT FROM contact")) == 1


async def test_a_call_goes_on_from_where_it_was_left(till: Till) -> None:
    account = await till.streams(await till.rings())
    words = PastItem(kind="agent", text="Guten Tag")
    progress = Progress(
        elapsed_ms=61_000, meter={"minute": 2}, past=past_of([words]), greeted=True, why="transfer_failed"
    )
    assert await saved(till, account, progress)
    async with till.services.db.transaction(till.tenant_id) as connection:
        call = await call_store.load_call(connection, till.tenant_id, account.call_id, till.services.versions)
    assert (call.state, call.progress) == ("away", progress)
    assert call.progress is not None
    assert call.progress.past_items == (words,)


async def test_calls_count_as_long_as_somebody_answers_for_them(till: Till, clock: Clock) -> None:
    first = await till.rings(ANNA)
    clock.advance(seconds=1)
    second = await till.streams(await till.rings(EMRE))
    clock.advance(seconds=13)
    third = await till.rings()
    assert [await earlier(till, account) for account in (first, second, third)] == [0, 1, 2]
    clock.advance(seconds=1)
    assert await earlier(till, third) == 1
    clock.advance(seconds=16)
    assert await earlier(till, third) == 0


async def test_of_calls_that_ring_at_once_none_counts_for_those_before_it(till: Till) -> None:
    accounts = [await till.rings(f"+4917000003{number:02d}") for number in range(5)]
    assert await till.rows("SELECT count(DISTINCT offered_at) FROM call") == [{"count": 1}]
    assert sorted([await earlier(till, account) for account in accounts]) == [0, 1, 2, 3, 4]


async def earlier(till: Till, account: CallAccount) -> int:
    async with till.services.db.transaction(till.tenant_id) as connection:
        call = await call_store.load_call(connection, till.tenant_id, account.call_id, till.services.versions)
        return await call_store.count_earlier(connection, call, now=till.clock.now())


async def test_a_token_opens_its_call_once(till: Till) -> None:
    account = await till.rings()
    token = await call_store.issue_token(till.services, till.tenant_id, account.call_id)
    assert await call_store.redeem_token(till.services, token) == (till.tenant_id, account.call_id)
    assert await call_store.redeem_token(till.services, token) is None


async def test_a_token_opens_nothing_after_a_minute_nor_one_that_nobody_gave(till: Till, clock: Clock) -> None:
    account = await till.rings()
    token = await call_store.issue_token(till.services, till.tenant_id, account.call_id)
    for other in ("", "tm_x", token[:-1], "\udcff" * 43):
        assert await call_store.redeem_token(till.services, other) is None
    clock.advance(seconds=60)
    assert await call_store.redeem_token(till.services, token) is None


async def test_of_a_token_only_its_hash_is_kept_and_not_for_long(till: Till, clock: Clock) -> None:
    account = await till.rings()
    tokens = [await call_store.issue_token(till.services, till.tenant_id, account.call_id) for _ in range(3)]
    assert len(set(tokens)) == 3
    assert all(len(token) == 43 for token in tokens)
    rows = await till.rows("SELECT call_token::text AS stored FROM call_token")
    assert not any(token in row["stored"] for row in rows for token in tokens)
    clock.advance(seconds=60)
    await call_store.issue_token(till.services, till.tenant_id, account.call_id)
    assert len(await till.rows("SELECT FROM call_token")) == 1
