"""The owner's API: publishing an agent's draft, and the versions that this has made."""

from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import Field

from agents import store
from agents.errors import ConfigurationError
from gateway.api.agents import NAME_TAKEN, found_agent, name_taken, told_configuration
from gateway.api.call import NOT_FOUND, AnyRoute, Asked, Call, Nothing, Refusal, Route, Told, not_found
from gateway.api.paging import Listed, Page, next_page, number_cursor, parse_number_cursor
from gateway.errors import ProblemError
from gateway.voice.notices import prepare_at_once
from metering.connection import Connection

VERSION_MAX = 2**31 - 1


class Version(Told):
    """A published version; it never changes."""

    version: int
    note: str
    published_at: datetime


class VersionPage(Listed[Version]):
    """An agent's versions, newest first."""


class WholeVersion(Told):
    """A version with its configuration."""

    version: int
    configuration: dict[str, Any]


class Publication(Asked):
    """What is published is the draft; the note says why."""

    note: str = Field(default="", max_length=500)


class RollBack(Asked):
    """The version to publish anew."""

    version: int = Field(ge=1, le=VERSION_MAX)
    note: str = Field(default="", max_length=500)


class Published(Told):
    """The version that new conversations are answered by from now on."""

    version: int


async def list_versions(call: Call[Page, Nothing]) -> VersionPage:
    limit, before = call.query.limit, parse_number_cursor(call.query.cursor, highest=VERSION_MAX)
    async with call.services.db.transaction(call.tenant_id) as connection:
        agent = await found_agent(connection, call.tenant_id, call.id("agent_id"))
        rows = await store.list_versions(connection, call.tenant_id, agent.agent_id, before=before, limit=limit + 1)
    page, cursor = next_page(rows, limit, lambda row: number_cursor(row.version))
    return VersionPage(items=[Version.model_validate(row) for row in page], next_cursor=cursor)


async def show_version(call: Call[Nothing, Nothing]) -> WholeVersion:
    version = call.number("version")
    async with call.services.db.transaction(call.tenant_id) as connection:
        try:
            configuration = await store.read_version(connection, call.tenant_id, call.id("agent_id"), version)
        except LookupError:
            raise not_found() from None
    return WholeVersion(version=version, configuration=told_configuration(configuration))


async def publish(call: Call[Nothing, Publication]) -> Published:
    agent_id = call.id("agent_id")
    async with call.services.db.transaction(call.tenant_id) as connection:
        await _lock(connection, call.tenant_id, agent_id)
        draft = await store.read_draft(connection, call.tenant_id, agent_id)
        if draft is None:
            raise ProblemError(409, "no_draft", "There is no draft to publish; save one first.")
        try:
            version = await store.publish(
                connection, call.tenant_id, agent_id, draft, now=call.services.now(), note=call.body.note
            )
        except ConfigurationError:
            raise name_taken() from None
    await prepare_at_once(call.services, call.tenant_id, agent_id)
    return Published(version=version)


async def roll_back(call: Call[Nothing, RollBack]) -> Published:
    async with call.services.db.transaction(call.tenant_id) as connection:
        try:
            version = await store.roll_back(
                connection,
                call.tenant_id,
                call.id("agent_id"),
                call.body.version,
                now=call.services.now(),
                note=call.body.note,
            )
        except LookupError:
            raise not_found() from None
        except ConfigurationError:
            raise name_taken() from None
    await prepare_at_once(call.services, call.tenant_id, call.id("agent_id"))
    return Published(version=version)


async def _lock(connection: Connection, tenant_id: UUID, agent_id: UUID) -> None:
    """Keep the draft as it is until it is published."""
    found = await connection.fetchval(
        "SELECT agent_id FROM agent WHERE tenant_id = $1 AND agent_id = $2 FOR NO KEY UPDATE", tenant_id, agent_id
    )
    if found is None:
        raise not_found()


ROUTES: tuple[AnyRoute, ...] = (
    Route(
        method="POST",
        path="/agents/{agent_id}/publish",
        summary="Publish the draft",
        handler=publish,
        query=Nothing,
        body=Publication,
        told=Published,
        refusals=(NOT_FOUND, NAME_TAKEN, Refusal(status=409, code="no_draft")),
    ),
    Route(
        method="POST",
        path="/agents/{agent_id}/roll-back",
        summary="Publish an old version anew",
        handler=roll_back,
        query=Nothing,
        body=RollBack,
        told=Published,
        refusals=(NOT_FOUND, NAME_TAKEN),
    ),
    Route(
        method="GET",
        path="/agents/{agent_id}/versions",
        summary="List an agent's versions",
        handler=list_versions,
        query=Page,
        body=Nothing,
        told=VersionPage,
        refusals=(NOT_FOUND,),
    ),
    Route(
        method="GET",
        path="/agents/{agent_id}/versions/{version}",
        summary="Show a version",
        handler=show_version,
        query=Nothing,
        body=Nothing,
        told=WholeVersion,
        refusals=(NOT_FOUND,),
    ),
)
