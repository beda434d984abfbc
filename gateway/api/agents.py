"""The owner's API: agents and their drafts."""

from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import Field, RootModel

from agents import store
from agents.agent import AgentConfiguration, parse_agent
from agents.errors import ConfigurationError
from gateway.api.call import NOT_FOUND, AnyRoute, Call, Nothing, Refusal, Route, Told, not_found
from gateway.api.paging import Listed, Page, next_page, parse_text_cursor, text_cursor
from gateway.errors import ProblemError
from metering.connection import Connection

NAME_TAKEN = Refusal(status=409, code="name_taken")


class AgentTable(RootModel[dict[str, Any]]):
    """An agent's configuration, as in a lines-and-agents file."""


class Agent(Told):
    """An agent as it is listed; `published_version` is null until the first is published."""

    id: UUID = Field(validation_alias="agent_id")
    name: str
    published_version: int | None
    has_draft: bool
    created_at: datetime


class AgentPage(Listed[Agent]):
    """Agents by name."""


class WholeAgent(Agent):
    """An agent with the configuration that new conversations are answered by."""

    configuration: dict[str, Any] | None


class Draft(Told):
    """A configuration that nobody is answered by yet."""

    configuration: dict[str, Any]


async def list_agents(call: Call[Page, Nothing]) -> AgentPage:
    after = parse_text_cursor(call.query.cursor)
    async with call.services.db.transaction(call.tenant_id) as connection:
        rows = await store.list_agents(connection, call.tenant_id)
    names = [row.name for row in rows]
    if after is not None:
        rows = rows[names.index(after) + 1 :] if after in names else [row for row in rows if row.name > after]
    page, cursor = next_page(rows, call.query.limit, lambda row: text_cursor(row.name))
    return AgentPage(items=[Agent.model_validate(row) for row in page], next_cursor=cursor)


async def create_agent(call: Call[Nothing, AgentTable]) -> WholeAgent:
    configuration = _configuration(call.body)
    agent_id = call.services.new_id()
    async with call.services.db.transaction(call.tenant_id) as connection:
        try:
            await store.create_agent(
                connection, call.tenant_id, agent_id=agent_id, name=configuration.name, now=call.services.now()
            )
        except ConfigurationError:
            raise name_taken() from None
        await store.save_draft(connection, call.tenant_id, agent_id, configuration)
        return await _whole(connection, call.tenant_id, agent_id)


async def show_agent(call: Call[Nothing, Nothing]) -> WholeAgent:
    async with call.services.db.transaction(call.tenant_id) as connection:
        return await _whole(connection, call.tenant_id, call.id("agent_id"))


async def show_draft(call: Call[Nothing, Nothing]) -> Draft:
    async with call.services.db.transaction(call.tenant_id) as connection:
        draft = await store.read_draft(connection, call.tenant_id, call.id("agent_id"))
    if draft is None:
        raise not_found()
    return Draft(configuration=told_configuration(draft))


async def save_draft(call: Call[Nothing, AgentTable]) -> Draft:
    agent_id = call.id("agent_id")
    async with call.services.db.transaction(call.tenant_id) as connection:
        await found_agent(connection, call.tenant_id, agent_id)
        configuration = _configuration(call.body)
        await store.save_draft(connection, call.tenant_id, agent_id, configuration)
    return Draft(configuration=told_configuration(configuration))


async def found_agent(connection: Connection, tenant_id: UUID, agent_id: UUID) -> store.AgentRow:
    agent = await store.read_agent(connection, tenant_id, agent_id)
    if agent is None:
        raise not_found()
    return agent


async def _whole(connection: Connection, tenant_id: UUID, agent_id: UUID) -> WholeAgent:
    agent = await found_agent(connection, tenant_id, agent_id)
    published = agent.published_version
    return WholeAgent(
        id=agent.agent_id,
        name=agent.name,
        published_version=published,
        has_draft=agent.has_draft,
        created_at=agent.created_at,
        configuration=None
        if published is None
        else told_configuration(await store.read_version(connection, tenant_id, agent_id, published)),
    )


def _configuration(table: AgentTable) -> AgentConfiguration:
    try:
        return parse_agent(table.root)
    except ConfigurationError as error:
        raise ProblemError(
            422,
            "invalid_agent",
            "The agent cannot be used as it is; see errors.",
            errors=[{"field": "", "problem": problem} for problem in error.problems],
        ) from None


def told_configuration(configuration: AgentConfiguration) -> dict[str, Any]:
    return configuration.model_dump(mode="json", by_alias=True)


def name_taken() -> ProblemError:
    return ProblemError(409, "name_taken", "Another agent has this name.")


ROUTES: tuple[AnyRoute, ...] = (
    Route(
        method="GET",
        path="/agents",
        summary="List agents",
        handler=list_agents,
        query=Page,
        body=Nothing,
        told=AgentPage,
    ),
    Route(
        method="POST",
        path="/agents",
        summary="Make an agent, as a draft",
        handler=create_agent,
        query=Nothing,
        body=AgentTable,
        told=WholeAgent,
        status=201,
        refusals=(NAME_TAKEN,),
    ),
    Route(
        method="GET",
        path="/agents/{agent_id}",
        summary="Show an agent",
        handler=show_agent,
        query=Nothing,
        body=Nothing,
        told=WholeAgent,
        refusals=(NOT_FOUND,),
    ),
    Route(
        method="GET",
        path="/agents/{agent_id}/draft",
        summary="Show an agent's draft",
        handler=show_draft,
        query=Nothing,
        body=Nothing,
        told=Draft,
        refusals=(NOT_FOUND,),
    ),
    Route(
        method="PUT",
        path="/agents/{agent_id}/draft",
        summary="Save an agent's draft",
        handler=save_draft,
        query=Nothing,
        body=AgentTable,
        told=Draft,
        refusals=(NOT_FOUND,),
    ),
)
