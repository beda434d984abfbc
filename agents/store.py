"""Agents and their immutable versions, in the tenant's rows.

Nothing here commits: the caller owns the transaction. Configurations are stored whole, so that a default
reworded in a later release does not change what was published.
"""

from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import asyncpg

from agents.agent import AgentConfiguration, parse_agent
from agents.connection import Connection, savepoint
from agents.errors import ConfigurationError

VersionCache = MutableMapping[tuple[UUID, UUID, int], AgentConfiguration]


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentRow:
    """An agent as it is listed; `published_version` is None until the first is published."""

    agent_id: UUID
    name: str
    published_version: int | None
    has_draft: bool
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionRow:
    """A published version as it is listed."""

    version: int
    note: str
    published_at: datetime


_AGENT_COLUMNS = "agent_id, name, published_version, draft IS NOT NULL AS has_draft, created_at"


async def create_agent(connection: Connection, tenant_id: UUID, *, agent_id: UUID, name: str, now: datetime) -> None:
    """Make an agent without a version. Raises ConfigurationError if the tenant has one of that name."""
    made = await connection.fetchval(
        """INSERT INTO agent (tenant_id, agent_id, name, created_at) VALUES ($1, $2, $3, $4)
           ON CONFLICT (tenant_id, name) DO NOTHING RETURNING agent_id""",
        tenant_id,
        agent_id,
        name,
        now,
    )
    if made is None:
        raise ConfigurationError([f'agent "{name}": is there already'])


async def find_agent(connection: Connection, tenant_id: UUID, name: str) -> AgentRow | None:
    """Return the tenant's agent of that exact name."""
    row = await connection.fetchrow(
        f"SELECT {_AGENT_COLUMNS} FROM agent WHERE tenant_id = $1 AND name = $2",  # noqa: S608 - a constant
        tenant_id,
        name,
    )
    return None if row is None else AgentRow(**row)


async def read_agent(connection: Connection, tenant_id: UUID, agent_id: UUID) -> AgentRow | None:
    """Return one of the tenant's agents."""
    row = await connection.fetchrow(
        f"SELECT {_AGENT_COLUMNS} FROM agent WHERE tenant_id = $1 AND agent_id = $2",  # noqa: S608 - a constant
        tenant_id,
        agent_id,
    )
    return None if row is None else AgentRow(**row)


async def list_agents(connection: Connection, tenant_id: UUID) -> list[AgentRow]:
    """Return the tenant's agents by name."""
    rows = await connection.fetch(
        f"SELECT {_AGENT_COLUMNS} FROM agent WHERE tenant_id = $1 ORDER BY name",  # noqa: S608 - a constant
        tenant_id,
    )
    return [AgentRow(**row) for row in rows]


async def list_versions(
    connection: Connection, tenant_id: UUID, agent_id: UUID, *, before: int | None = None, limit: int = 50
) -> list[VersionRow]:
    """Return an agent's versions, newest first, those before a version if one is given."""
    rows = await connection.fetch(
        """SELECT version, note, published_at FROM agent_version
           WHERE tenant_id = $1 AND agent_id = $2 AND ($3::integer IS NULL OR version < $3)
           ORDER BY version DESC LIMIT $4""",
        tenant_id,
        agent_id,
        before,
        limit,
    )
    return [VersionRow(**row) for row in rows]


async def save_draft(
    connection: Connection, tenant_id: UUID, agent_id: UUID, configuration: AgentConfiguration | None
) -> None:
    """Keep a configuration that nobody is answered by yet; None drops it. Raises LookupError without the agent."""
    draft = None if configuration is None else _stored(configuration)
    found = await connection.fetchval(
        "UPDATE agent SET draft = $3 WHERE tenant_id = $1 AND agent_id = $2 RETURNING agent_id",
        tenant_id,
        agent_id,
        draft,
    )
    if found is None:
        raise LookupError(f"no agent {agent_id}")


async def read_draft(connection: Connection, tenant_id: UUID, agent_id: UUID) -> AgentConfiguration | None:
    """Return the agent's draft, None if there is none."""
    draft = await connection.fetchval(
        "SELECT draft FROM agent WHERE tenant_id = $1 AND agent_id = $2", tenant_id, agent_id
    )
    return None if draft is None else parse_agent(draft)


async def publish(
    connection: Connection,
    tenant_id: UUID,
    agent_id: UUID,
    configuration: AgentConfiguration,
    *,
    now: datetime,
    note: str = "",
) -> int:
    """Make a configuration the one that new conversations are answered by; return its version.

    The draft is dropped and the agent takes the configuration's name. Publishing what is published already
    makes no new version. Raises LookupError without the agent, ConfigurationError if the name is another's.
    """
    found = await connection.fetchrow(
        "SELECT published_version FROM agent WHERE tenant_id = $1 AND agent_id = $2 FOR NO KEY UPDATE",
        tenant_id,
        agent_id,
    )
    if found is None:
        raise LookupError(f"no agent {agent_id}")
    stored = _stored(configuration)
    version = await _same_version(connection, tenant_id, agent_id, found["published_version"], stored)
    try:
        async with savepoint(connection):
            if version is None:
                version = await _insert_version(connection, tenant_id, agent_id, stored, now=now, note=note)
            await _point_at(connection, tenant_id, agent_id, version=version, name=configuration.name)
    except asyncpg.UniqueViolationError:
        raise ConfigurationError([f'agent "{configuration.name}": another agent has this name']) from None
    return version


async def roll_back(
    connection: Connection, tenant_id: UUID, agent_id: UUID, version: int, *, now: datetime, note: str = ""
) -> int:
    """Publish an old version's configuration anew; return the new version. Raises LookupError if there is none."""
    configuration = await read_version(connection, tenant_id, agent_id, version)
    return await publish(connection, tenant_id, agent_id, configuration, now=now, note=note or f"= {version}")


async def read_version(
    connection: Connection, tenant_id: UUID, agent_id: UUID, version: int, *, cache: VersionCache | None = None
) -> AgentConfiguration:
    """Return a published configuration. Versions never change, so a process may keep them in `cache`.

    Raises LookupError if there is no such version.
    """
    key = (tenant_id, agent_id, version)
    if cache is not None and key in cache:
        return cache[key]
    stored = await connection.fetchval(
        "SELECT configuration FROM agent_version WHERE tenant_id = $1 AND agent_id = $2 AND version = $3",
        tenant_id,
        agent_id,
        version,
    )
    if stored is None:
        raise LookupError(f"no version {version} of agent {agent_id}")
    configuration = parse_agent(stored)
    if cache is not None:
        cache[key] = configuration
    return configuration


def _stored(configuration: AgentConfiguration) -> dict[str, object]:
    return configuration.model_dump(mode="json", by_alias=True)


async def _same_version(
    connection: Connection, tenant_id: UUID, agent_id: UUID, published: int | None, stored: Mapping[str, object]
) -> int | None:
    """Return the published version if it holds exactly this configuration."""
    if published is None:
        return None
    same = await connection.fetchval(
        """SELECT configuration = $4::jsonb FROM agent_version
           WHERE tenant_id = $1 AND agent_id = $2 AND version = $3""",
        tenant_id,
        agent_id,
        published,
        stored,
    )
    return published if same else None


async def _insert_version(
    connection: Connection,
    tenant_id: UUID,
    agent_id: UUID,
    stored: Mapping[str, object],
    *,
    now: datetime,
    note: str,
) -> int:
    version: int = await connection.fetchval(
        """INSERT INTO agent_version (tenant_id, agent_id, version, configuration, note, published_at)
           SELECT $1, $2, coalesce(max(version), 0) + 1, $3, $4, $5 FROM agent_version
           WHERE tenant_id = $1 AND agent_id = $2 RETURNING version""",
        tenant_id,
        agent_id,
        stored,
        note,
        now,
    )
    return version


async def _point_at(connection: Connection, tenant_id: UUID, agent_id: UUID, *, version: int, name: str) -> None:
    await connection.execute(
        """UPDATE agent SET published_version = $3, name = $4, draft = NULL
           WHERE tenant_id = $1 AND agent_id = $2""",
        tenant_id,
        agent_id,
        version,
        name,
    )
