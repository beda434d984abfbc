"""Agents and their versions: published once, never changed, always there to return to."""

from collections.abc import Callable
from datetime import timedelta
from uuid import UUID

import asyncpg
import pytest

from agents.agent import AgentConfiguration, parse_agent
from agents.errors import ConfigurationError
from agents.store import (
    VersionCache,
    create_agent,
    find_agent,
    list_agents,
    list_versions,
    publish,
    read_agent,
    read_draft,
    read_version,
    roll_back,
    save_draft,
)
from gateway.db import Database
from tests.conftest import Clock

ACME, MALLORY = UUID(int=1), UUID(int=2)


def worded(instructions: str, name: str = "Rezeption") -> AgentConfiguration:
    return parse_agent({"name": name, "instructions": instructions})


@pytest.fixture
async def reception(db: Database, clock: Clock, new_id: Callable[[], UUID]) -> UUID:
    agent_id = new_id()
    async with db.transaction(ACME) as connection:
        await create_agent(connection, ACME, agent_id=agent_id, name="Rezeption", now=clock.now())
    return agent_id


async def test_a_new_agent_has_no_version_and_no_draft(db: Database, reception: UUID, clock: Clock) -> None:
    async with db.transaction(ACME) as connection:
        found = await find_agent(connection, ACME, "Rezeption")
        assert found is not None
        assert found == await read_agent(connection, ACME, reception)
        assert (found.agent_id, found.published_version, found.has_draft) == (reception, None, False)
        assert found.created_at == clock.now()
        assert await read_draft(connection, ACME, reception) is None
        assert await find_agent(connection, ACME, "rezeption") is None
        with pytest.raises(LookupError):
            await read_version(connection, ACME, reception, 1)


async def test_two_agents_of_a_tenant_cannot_have_one_name(db: Database, reception: UUID, clock: Clock) -> None:
    async with db.transaction(ACME) as connection:
        with pytest.raises(ConfigurationError, match='agent "Rezeption": is there already'):
            await create_agent(connection, ACME, agent_id=UUID(int=9), name="Rezeption", now=clock.now())
        assert [agent.agent_id for agent in await list_agents(connection, ACME)] == [reception]
    async with db.transaction(MALLORY) as connection:
        await create_agent(connection, MALLORY, agent_id=UUID(int=9), name="Rezeption", now=clock.now())


async def test_what_is_published_is_read_back_as_it_was(db: Database, reception: UUID, clock: Clock) -> None:
    configuration = parse_agent(
        {
            "name": "Rezeption",
            "instructions": "Hilf. 😀 \u202e <|endoftext|>",
            "facts": "a\x00b",
            "hours": {"monday": ["09:00-13:00"]},
            "closed_days": ["2026-12-24"],
            "service": [{"name": "Haarschnitt", "minutes": 45}],
            "channel": {"sms": {"greeting": ""}},
            "budgets": {"contact": 0},
        }
    )
    async with db.transaction(ACME) as connection:
        version = await publish(connection, ACME, reception, configuration, now=clock.now(), note="erste")
    async with db.transaction(ACME) as connection:
        assert version == 1
        assert await read_version(connection, ACME, reception, 1) == configuration
        (row,) = await list_versions(connection, ACME, reception)
        assert (row.version, row.note, row.published_at) == (1, "erste", clock.now())


async def test_publishing_makes_the_next_version_and_leaves_the_old_one(
    db: Database, reception: UUID, clock: Clock
) -> None:
    async with db.transaction(ACME) as connection:
        for number in (1, 2, 3):
            clock.advance(seconds=60)
            version = await publish(connection, ACME, reception, worded(f"Fassung {number}"), now=clock.now())
            assert version == number
        found = await read_agent(connection, ACME, reception)
        assert found is not None
        assert found.published_version == 3
        assert (await read_version(connection, ACME, reception, 1)).instructions == "Fassung 1"
        rows = await list_versions(connection, ACME, reception)
        assert [row.version for row in rows] == [3, 2, 1]
        assert rows[0].published_at - rows[1].published_at == timedelta(seconds=60)


async def test_publishing_the_same_again_changes_nothing(db: Database, reception: UUID, clock: Clock) -> None:
    async with db.transaction(ACME) as connection:
        for _ in range(2):
            assert await publish(connection, ACME, reception, worded("gleich"), now=clock.now()) == 1
        assert len(await list_versions(connection, ACME, reception)) == 1


@pytest.mark.parametrize(
    "change",
    ["UPDATE agent_version SET note = 'anders'", "DELETE FROM agent_version"],
)
async def test_a_version_cannot_be_changed_or_deleted(db: Database, reception: UUID, clock: Clock, change: str) -> None:
    async with db.transaction(ACME) as connection:
        await publish(connection, ACME, reception, worded("fest"), now=clock.now())
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        async with db.transaction(ACME) as connection:
            await connection.execute(change)


async def test_rolling_back_publishes_the_old_words_as_a_new_version(
    db: Database, reception: UUID, clock: Clock
) -> None:
    async with db.transaction(ACME) as connection:
        for words in ("gut", "schlecht"):
            await publish(connection, ACME, reception, worded(words), now=clock.now())
        assert await roll_back(connection, ACME, reception, 1, now=clock.now()) == 3
        found = await read_agent(connection, ACME, reception)
        assert found is not None
        assert found.published_version == 3
        assert (await read_version(connection, ACME, reception, 3)).instructions == "gut"
        assert [row.note for row in await list_versions(connection, ACME, reception)] == ["= 1", "", ""]
        with pytest.raises(LookupError):
            await roll_back(connection, ACME, reception, 9, now=clock.now())


async def test_rolling_back_to_what_is_published_makes_no_version(db: Database, reception: UUID, clock: Clock) -> None:
    async with db.transaction(ACME) as connection:
        await publish(connection, ACME, reception, worded("gut"), now=clock.now())
        assert await roll_back(connection, ACME, reception, 1, now=clock.now()) == 1


async def test_a_draft_answers_nobody_and_goes_with_publishing(db: Database, reception: UUID, clock: Clock) -> None:
    async with db.transaction(ACME) as connection:
        await publish(connection, ACME, reception, worded("alt"), now=clock.now())
        await save_draft(connection, ACME, reception, worded("neu"))
        found = await read_agent(connection, ACME, reception)
        assert found is not None
        assert (found.has_draft, found.published_version) == (True, 1)
        draft = await read_draft(connection, ACME, reception)
        assert draft == worded("neu")
        await publish(connection, ACME, reception, draft, now=clock.now())
        assert await read_draft(connection, ACME, reception) is None


async def test_a_draft_can_be_dropped(db: Database, reception: UUID) -> None:
    async with db.transaction(ACME) as connection:
        await save_draft(connection, ACME, reception, worded("neu"))
        await save_draft(connection, ACME, reception, None)
        assert await read_draft(connection, ACME, reception) is None


async def test_an_agent_takes_the_name_it_is_published_with(db: Database, reception: UUID, clock: Clock) -> None:
    async with db.transaction(ACME) as connection:
        await publish(connection, ACME, reception, worded("Hilf.", name="Empfang"), now=clock.now())
        assert await find_agent(connection, ACME, "Rezeption") is None
        found = await find_agent(connection, ACME, "Empfang")
        assert found is not None
        assert found.agent_id == reception


async def test_an_agent_cannot_take_anothers_name_and_nothing_is_published_then(
    db: Database, reception: UUID, clock: Clock
) -> None:
    async with db.transaction(ACME) as connection:
        await create_agent(connection, ACME, agent_id=UUID(int=9), name="Empfang", now=clock.now())
        with pytest.raises(ConfigurationError, match='agent "Empfang": another agent has this name'):
            await publish(connection, ACME, reception, worded("Hilf.", name="Empfang"), now=clock.now())
        assert await list_versions(connection, ACME, reception) == []
        assert await find_agent(connection, ACME, "Rezeption") is not None


async def test_versions_are_listed_by_page(db: Database, reception: UUID, clock: Clock) -> None:
    async with db.transaction(ACME) as connection:
        for number in range(5):
            await publish(connection, ACME, reception, worded(str(number)), now=clock.now())
        assert [row.version for row in await list_versions(connection, ACME, reception, limit=2)] == [5, 4]
        assert [row.version for row in await list_versions(connection, ACME, reception, before=4, limit=2)] == [3, 2]


async def test_a_cached_version_is_read_once(db: Database, reception: UUID, clock: Clock) -> None:
    cache: VersionCache = {}
    async with db.transaction(ACME) as connection:
        await publish(connection, ACME, reception, worded("gut"), now=clock.now())
        first = await read_version(connection, ACME, reception, 1, cache=cache)
        assert await read_version(connection, ACME, reception, 1, cache=cache) is first
        assert list(cache) == [(ACME, reception, 1)]


async def test_another_tenant_sees_and_changes_nothing(db: Database, reception: UUID, clock: Clock) -> None:
    async with db.transaction(ACME) as connection:
        await publish(connection, ACME, reception, worded("geheim"), now=clock.now())
    for tenant_id in (MALLORY, ACME):  # asking for the other's rows by name changes nothing either
        async with db.transaction(MALLORY) as connection:
            assert await list_agents(connection, tenant_id) == []
            assert await find_agent(connection, tenant_id, "Rezeption") is None
            assert await read_agent(connection, tenant_id, reception) is None
            assert await list_versions(connection, tenant_id, reception) == []
            assert await read_draft(connection, tenant_id, reception) is None
            with pytest.raises(LookupError):
                await read_version(connection, tenant_id, reception, 1)
            with pytest.raises(LookupError):
                await save_draft(connection, tenant_id, reception, worded("fremd"))
            with pytest.raises(LookupError):
                await publish(connection, tenant_id, reception, worded("fremd"), now=clock.now())
            with pytest.raises(LookupError):
                await roll_back(connection, tenant_id, reception, 1, now=clock.now())
