"""The window's row: times decide, not the order in which webhooks arrive."""

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import permutations
from typing import Any
from uuid import UUID

import pytest

from gateway.channels.base import OptOutWord
from gateway.db import Database
from gateway.window_store import Window, count_message, count_sms, lock_window, opt_out, set_preference
from tests.cast import Cast
from tests.conftest import Clock
from tests.gateway.waiting import until_somebody_waits

MINUTE = timedelta(minutes=1)


class Row:
    """The window of one contact on one line, each call in its own transaction."""

    def __init__(self, db: Database, tenant_id: UUID, new_id: Callable[[], UUID]) -> None:
        self.db, self.tenant_id = db, tenant_id
        self.key = {"line_id": new_id(), "contact_id": new_id()}

    async def write(self, at: datetime, *, stop: bool = False) -> Window:
        async with self.db.transaction(self.tenant_id) as connection:
            return await count_message(connection, self.tenant_id, **self.key, written_at=at, stop=stop)

    async def wish(self, at: datetime, *, wants_messages: bool) -> None:
        async with self.db.transaction(self.tenant_id) as connection:
            await set_preference(
                connection, self.tenant_id, **self.key, channel="whatsapp", wants_messages=wants_messages, at=at
            )

    async def write_sms(self, at: datetime, word: OptOutWord | None = None) -> Window:
        async with self.db.transaction(self.tenant_id) as connection:
            return await count_sms(connection, self.tenant_id, **self.key, written_at=at, word=word)

    async def refuse(self, sent_at: datetime, at: datetime) -> None:
        async with self.db.transaction(self.tenant_id) as connection:
            await opt_out(connection, self.tenant_id, **self.key, channel="sms", sent_at=sent_at, now=at)

    async def close(self, at: datetime) -> None:
        async with self.db.transaction(self.tenant_id) as connection:
            await connection.execute("UPDATE service_window SET closed_by_provider_at = $1", at)

    async def read(self) -> dict[str, Any]:
        async with self.db.transaction(self.tenant_id) as connection:
            [row] = await connection.fetch("SELECT * FROM service_window")
        return dict(row)


@pytest.fixture
def row(db: Database, cast: Cast, new_id: Callable[[], UUID]) -> Row:
    return Row(db, cast.acme, new_id)


@pytest.fixture
def now(clock: Clock) -> datetime:
    return clock.now()


async def test_the_latest_message_counts_in_whatever_order_they_arrive(
    db: Database, cast: Cast, new_id: Callable[[], UUID], now: datetime
) -> None:
    for order in permutations([now, now - MINUTE, now - 2 * MINUTE]):
        row = Row(db, cast.acme, new_id)
        seen = [await row.write(at) for at in order]
        assert seen[-1].last_customer_message_at == now


async def test_locking_a_window_opens_none(row: Row) -> None:
    async with row.db.transaction(row.tenant_id) as connection:
        await lock_window(connection, row.tenant_id, **row.key, channel="whatsapp")
    assert (await row.read())["last_customer_message_at"] is None


async def test_locking_a_window_keeps_what_is_known(row: Row, now: datetime) -> None:
    await row.write(now, stop=True)
    await row.close(now)
    before = await row.read()
    async with row.db.transaction(row.tenant_id) as connection:
        await lock_window(connection, row.tenant_id, **row.key, channel="whatsapp")
    assert await row.read() == before


@pytest.mark.parametrize("exists", [False, True], ids=["a new row", "a known row"])
async def test_whoever_has_locked_the_window_is_waited_for(row: Row, now: datetime, exists: bool) -> None:
    if exists:
        await row.write(now)
    async with row.db.transaction(row.tenant_id) as connection:
        await lock_window(connection, row.tenant_id, **row.key, channel="whatsapp")
        writing = asyncio.create_task(row.write(now + MINUTE))
        await until_somebody_waits(row.db)
        assert not writing.done()
    assert (await writing).last_customer_message_at == now + MINUTE


async def test_a_customer_who_writes_opens_what_the_provider_had_closed(row: Row, now: datetime) -> None:
    await row.write(now - MINUTE)
    await row.close(now)
    assert (await row.write(now + MINUTE)).closed_by_provider_at is None


async def test_a_message_from_before_the_closing_opens_nothing(row: Row, now: datetime) -> None:
    await row.write(now - 2 * MINUTE)
    await row.close(now)
    assert (await row.write(now - MINUTE)).closed_by_provider_at == now


async def test_a_message_of_the_same_second_as_the_closing_opens_it(row: Row, now: datetime) -> None:
    """Providers count in whole seconds: the message may have been written after the closing."""
    await row.write(now - MINUTE)
    await row.close(now + timedelta(milliseconds=900))
    assert (await row.write(now)).closed_by_provider_at is None


async def test_stop_is_new_once(row: Row, now: datetime) -> None:
    first, second = await row.write(now, stop=True), await row.write(now + MINUTE, stop=True)
    assert (first.opted_out_at, first.opted_out_before) == (now, None)
    assert (second.opted_out_at, second.opted_out_before) == (now + MINUTE, now)


async def test_an_older_stop_that_comes_later_moves_the_wish_nowhere(row: Row, now: datetime) -> None:
    await row.write(now, stop=True)
    assert (await row.write(now - MINUTE, stop=True)).opted_out_at == now


@pytest.mark.parametrize("late", [False, True], ids=["in order", "the stop comes last"])
async def test_a_message_after_a_stop_wins(row: Row, now: datetime, late: bool) -> None:
    stop, message = (now - MINUTE, True), (now, False)
    for at, stops in (message, stop) if late else (stop, message):
        await row.write(at, stop=stops)
    assert (await row.read())["opted_out_at"] is None


@pytest.mark.parametrize("late", [False, True], ids=["in order", "the message comes last"])
async def test_a_stop_after_a_message_wins(row: Row, now: datetime, late: bool) -> None:
    message, stop = (now - MINUTE, False), (now, True)
    for at, stops in (stop, message) if late else (message, stop):
        await row.write(at, stop=stops)
    assert (await row.read())["opted_out_at"] == now


async def test_a_wish_told_to_the_provider_counts_before_anybody_has_written(row: Row, now: datetime) -> None:
    await row.wish(now, wants_messages=False)
    assert (await row.read())["opted_out_at"] == now
    assert (await row.read())["last_customer_message_at"] is None


async def test_a_message_since_a_wish_says_more(row: Row, now: datetime) -> None:
    await row.write(now)
    await row.wish(now - MINUTE, wants_messages=False)
    assert (await row.read())["opted_out_at"] is None


async def test_wanting_messages_again_undoes_an_earlier_wish_and_no_later_one(row: Row, now: datetime) -> None:
    await row.wish(now, wants_messages=False)
    await row.wish(now - MINUTE, wants_messages=True)
    assert (await row.read())["opted_out_at"] == now
    await row.wish(now + MINUTE, wants_messages=True)
    assert (await row.read())["opted_out_at"] is None


async def test_an_older_wish_does_not_move_a_later_one_back(row: Row, now: datetime) -> None:
    await row.wish(now, wants_messages=False)
    await row.wish(now - MINUTE, wants_messages=False)
    assert (await row.read())["opted_out_at"] == now


async def test_after_stop_by_sms_only_start_opens_again(row: Row, now: datetime) -> None:
    await row.write_sms(now, "stop")
    await row.write_sms(now + MINUTE)
    await row.write_sms(now + 2 * MINUTE, "help")
    assert (await row.write_sms(now + 3 * MINUTE, "stop")).opted_out_at == now
    started = await row.write_sms(now + 4 * MINUTE, "start")
    assert (started.opted_out_at, started.opted_out_before) == (None, now)


async def test_an_sms_opens_no_window_on_whatsapp_and_stops_nothing_there(row: Row, now: datetime) -> None:
    await row.write(now - MINUTE)
    await row.write_sms(now, "stop")
    window = await row.write(now - MINUTE)
    assert (window.last_customer_message_at, window.opted_out_at) == (now - MINUTE, None)


async def test_a_provider_that_lets_nothing_through_is_believed_until_the_contact_writes(
    row: Row, now: datetime
) -> None:
    await row.refuse(now, now + MINUTE)
    assert (await row.read())["opted_out_at"] == now + MINUTE
    await row.write_sms(now + 2 * MINUTE, "start")
    await row.refuse(now, now + 3 * MINUTE)
    assert (await row.read())["opted_out_at"] is None
