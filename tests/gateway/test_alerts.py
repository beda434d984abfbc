"""An owner hears of everything once, however many processes find out."""

import asyncio
from collections.abc import Callable
from uuid import UUID

import pytest

from gateway.alerts import Alert, acknowledge, list_alerts, raise_alert
from gateway.db import Database
from tests.cast import Cast
from tests.conftest import Clock


class Office:
    """One tenant's alerts, each call in its own transaction."""

    def __init__(self, db: Database, tenant_id: UUID, clock: Clock, new_id: Callable[[], UUID]) -> None:
        self.db, self.tenant_id, self.clock, self.new_id = db, tenant_id, clock, new_id

    async def tell(self, kind: str, dedupe_key: str, *, then: Callable[[], object] = bool) -> bool:
        async with self.db.transaction(self.tenant_id) as connection:
            told = await raise_alert(
                connection,
                self.tenant_id,
                kind=kind,
                dedupe_key=dedupe_key,
                detail={"told": dedupe_key},
                now=self.clock.now(),
                new_id=self.new_id,
            )
            then()
            return told

    async def read(self, *, limit: int = 50, before: UUID | None = None, open_only: bool = False) -> list[Alert]:
        async with self.db.transaction(self.tenant_id) as connection:
            return await list_alerts(connection, self.tenant_id, limit=limit, before=before, open_only=open_only)

    async def acknowledge(self, alert_id: UUID) -> bool:
        async with self.db.transaction(self.tenant_id) as connection:
            return await acknowledge(connection, self.tenant_id, alert_id, now=self.clock.now())


@pytest.fixture
def office(db: Database, cast: Cast, clock: Clock, new_id: Callable[[], UUID]) -> Office:
    return Office(db, cast.acme, clock, new_id)


@pytest.fixture
def elsewhere(db: Database, cast: Cast, clock: Clock, new_id: Callable[[], UUID]) -> Office:
    return Office(db, cast.mallory, clock, new_id)


async def test_ten_who_find_out_at_once_tell_once(office: Office) -> None:
    told = await asyncio.gather(*(office.tell("paused", "paused:2026-11-24") for _ in range(10)))
    assert sorted(told) == [False] * 9 + [True]
    [alert] = await office.read()
    assert (alert.kind, alert.detail) == ("paused", {"told": "paused:2026-11-24"})


async def test_the_next_day_is_told_again(office: Office) -> None:
    assert await office.tell("paused", "paused:2026-11-24")
    assert await office.tell("paused", "paused:2026-11-25")


async def test_the_first_telling_stands_even_after_it_was_seen(office: Office) -> None:
    await office.tell("paused", "paused:2026-11-24")
    [alert] = await office.read()
    await office.acknowledge(alert.alert_id)
    office.clock.advance(seconds=60)
    assert not await office.tell("paused", "paused:2026-11-24")
    assert await office.read(open_only=True) == []


async def test_each_tenant_is_told_of_its_own(office: Office, elsewhere: Office) -> None:
    assert await office.tell("paused", "paused:2026-11-24")
    assert await elsewhere.tell("paused", "paused:2026-11-24")
    [alert] = await office.read()
    assert not await elsewhere.acknowledge(alert.alert_id)
    assert (await office.read())[0].acknowledged_at is None


async def test_a_failed_transaction_has_told_nothing(office: Office) -> None:
    with pytest.raises(ZeroDivisionError):
        await office.tell("paused", "paused", then=lambda: 1 // 0)
    assert await office.read() == []
    assert await office.tell("paused", "paused")


async def test_pages_show_every_alert_once_the_newest_first(office: Office) -> None:
    for number in range(7):
        await office.tell("late_message", str(number))
        office.clock.advance(seconds=1)
    pages: list[list[Alert]] = [await office.read(limit=3)]
    while pages[-1]:
        pages.append(await office.read(limit=3, before=pages[-1][-1].alert_id))
    assert [alert.detail["told"] for page in pages for alert in page] == ["6", "5", "4", "3", "2", "1", "0"]


async def test_an_alert_is_seen_when_it_was_first_seen(office: Office) -> None:
    await office.tell("paused", "paused")
    [alert] = await office.read()
    first = office.clock.now()
    assert await office.acknowledge(alert.alert_id)
    office.clock.advance(seconds=60)
    assert await office.acknowledge(alert.alert_id)
    [seen] = await office.read()
    assert seen.acknowledged_at == first


async def test_an_unknown_alert_cannot_be_seen(office: Office) -> None:
    assert not await office.acknowledge(office.new_id())
