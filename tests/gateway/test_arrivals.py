"""Arrivals shorten waits within one process."""

import asyncio
import gc
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from gateway.arrivals import ANNOUNCED_MAX, Arrivals

TENANT = UUID(int=1)
CONVERSATION = UUID(int=2)


def real_now() -> datetime:
    return datetime.now(UTC)


def seconds(count: float) -> timedelta:
    return timedelta(seconds=count)


async def waited(arrivals: Arrivals, deadline_s: float) -> float:
    started = real_now()
    await arrivals.wait_until(started + seconds(deadline_s))
    return (real_now() - started).total_seconds()


async def test_a_wait_ends_at_its_deadline_when_nothing_arrives() -> None:
    assert 0.05 <= await waited(Arrivals(real_now), 0.05) < 1


async def test_a_wait_ends_when_announced_work_is_due() -> None:
    arrivals = Arrivals(real_now)
    arrivals.announce(TENANT, CONVERSATION, real_now() + seconds(0.05))
    assert 0.04 <= await waited(arrivals, 10) < 5


async def test_work_announced_during_a_wait_shortens_it() -> None:
    arrivals = Arrivals(real_now)
    waiting = asyncio.create_task(waited(arrivals, 10))
    await asyncio.sleep(0.02)
    arrivals.announce(TENANT, CONVERSATION, real_now())
    assert await waiting < 5


async def test_two_waits_both_end_when_the_work_is_due() -> None:
    arrivals = Arrivals(real_now)
    both = [asyncio.create_task(waited(arrivals, 10)) for _ in range(2)]
    await asyncio.sleep(0.02)
    arrivals.announce(TENANT, CONVERSATION, real_now() + seconds(0.03))
    assert max(await asyncio.gather(*both)) < 5


async def test_work_that_was_waited_for_does_not_end_the_next_wait() -> None:
    arrivals = Arrivals(real_now)
    arrivals.announce(TENANT, CONVERSATION, real_now())
    await waited(arrivals, 10)
    assert await waited(arrivals, 0.05) >= 0.05


async def test_a_watcher_hears_of_its_own_conversation_only() -> None:
    arrivals = Arrivals(real_now)
    watched = arrivals.watch(CONVERSATION)
    arrivals.announce(TENANT, UUID(int=3), real_now())
    assert not watched.is_set()
    arrivals.announce(TENANT, CONVERSATION, None)
    assert watched.is_set()


async def test_a_new_watcher_does_not_see_what_an_earlier_one_was_told() -> None:
    arrivals = Arrivals(real_now)
    first = arrivals.watch(CONVERSATION)
    arrivals.announce(TENANT, CONVERSATION, None)
    assert first.is_set()
    assert not arrivals.watch(CONVERSATION).is_set()


async def test_a_conversation_that_nobody_watches_any_more_costs_nothing() -> None:
    arrivals = Arrivals(real_now)
    watched = arrivals.watch(CONVERSATION)
    del watched
    gc.collect()
    assert not list(arrivals._watched)


@pytest.mark.parametrize("age_s", [0, 60])
async def test_a_process_without_a_worker_does_not_pile_up_announcements(age_s: float) -> None:
    arrivals = Arrivals(real_now)
    for _ in range(ANNOUNCED_MAX + 50):
        arrivals.announce(TENANT, CONVERSATION, real_now() - seconds(age_s))
    assert len(arrivals._due) <= ANNOUNCED_MAX
