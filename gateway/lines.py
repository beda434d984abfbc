"""Applying a lines-and-agents file to a tenant, as often as one likes, and writing it back.

A new line pays its first month when it is made, in the same transaction. What cannot be paid is made all
the same, suspended, and tried again by the next apply. Lines that a file does not name are left alone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal
from uuid import UUID

from agents.agent import AgentConfiguration, dump_agent
from agents.errors import ConfigurationError
from agents.store import create_agent, find_agent, list_agents, publish, read_version
from gateway.group_commit import Companion
from gateway.line_file import LineTable, TenantFile
from gateway.line_store import LineRow, LineState, check_addresses, insert_line, list_lines, set_state, update_line
from gateway.resume import wake_line
from gateway.secret_box import SecretBox
from gateway.services import Services
from gateway.tenants import Tenant
from gateway.toml_text import toml_text
from metering.connection import Connection
from metering.operations import Applied, Charge, Outcome, ReceiptDraft
from metering.rates import Item

Change = Literal["created", "changed", "unchanged", "activated"]
RENTAL: Mapping[str, Item] = {"local": Item.NUMBER_LOCAL, "mobile": Item.NUMBER_MOBILE}


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentChange:
    """What applying a file did to an agent."""

    name: str
    version: int
    change: Change


@dataclass(frozen=True, slots=True, kw_only=True)
class LineChange:
    """What applying a file did to a line, and what its first month cost."""

    number: str
    change: Change
    state: LineState
    charged_millicredits: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class AppliedFile:
    """What applying a file did; `left_alone` are the tenant's lines that it does not name."""

    agents: tuple[AgentChange, ...]
    lines: tuple[LineChange, ...]
    left_alone: tuple[str, ...]


async def published_agents(connection: Connection, tenant_id: UUID) -> dict[UUID, str]:
    """Return the names of the agents that can answer a line."""
    rows = await list_agents(connection, tenant_id)
    return {row.agent_id: row.name for row in rows if row.published_version is not None}


async def apply_file(services: Services, tenant: Tenant, file: TenantFile) -> AppliedFile:
    """Make agents and lines as a file says.

    Agents and the lines there are change in one transaction, or not at all; then each new line is made and
    paid in one of its own. Raises BadInputError if an address is in use, ConfigurationError if a line's kind differs.
    """
    async with services.db.transaction(tenant.tenant_id) as connection:
        existing = {row.number: row for row in await list_lines(connection, tenant.tenant_id)}
        _check_kinds(file.lines, existing)
        await check_addresses(connection, tenant.tenant_id, file.lines, existing)
        agents = [await _publish(connection, services, tenant, agent) for agent in file.agents]
        names = await published_agents(connection, tenant.tenant_id)
        agent_ids = {name: agent_id for agent_id, name in names.items()}
        kept = await _update_lines(
            connection,
            tenant.tenant_id,
            file.lines,
            existing=existing,
            agent_ids=agent_ids,
            secret_box=services.secret_box,
        )
    lines = []
    for line in file.lines:
        change = kept.get(line.number)
        if change is None or change.state != "active":
            row = existing.get(line.number)
            change = await _rent(services, tenant, line, agent_id=agent_ids[line.agent], row=row, change=change)
        lines.append(change)
    named = {line.number for line in file.lines}
    return AppliedFile(
        agents=tuple(agents),
        lines=tuple(lines),
        left_alone=tuple(
            row.number for row in existing.values() if row.number not in named and row.state != "released"
        ),
    )


async def export_tenant(connection: Connection, tenant_id: UUID) -> str:
    """Return the file that `apply` would read without changing anything: published agents, lines, no secrets."""
    return toml_text(await export_document(connection, tenant_id))


async def export_document(connection: Connection, tenant_id: UUID) -> dict[str, object]:
    """Return the tables of an export."""
    agents = [
        dump_agent(await read_version(connection, tenant_id, row.agent_id, row.published_version))
        for row in await list_agents(connection, tenant_id)
        if row.published_version is not None
    ]
    names = await published_agents(connection, tenant_id)
    rows = [row for row in await list_lines(connection, tenant_id) if row.state != "released"]
    lines = [_line_table(row, names[row.agent_id]) for row in rows]
    return {name: tables for name, tables in (("agent", agents), ("line", lines)) if tables}


def _line_table(row: LineRow, agent_name: str) -> dict[str, object]:
    table = {
        "number": row.number,
        "kind": row.kind,
        "agent": agent_name,
        "channels": row.channels,
        "whatsapp_provider": row.whatsapp_provider,
        "whatsapp_phone_number_id": row.whatsapp_phone_number_id,
    }
    return {name: value for name, value in table.items() if value is not None}


def _check_kinds(lines: Sequence[LineTable], existing: Mapping[str, LineRow]) -> None:
    problems = [
        f'line {position}: kind: this number was set up as "{existing[line.number].kind}" and is rented as such'
        for position, line in enumerate(lines, start=1)
        if line.number in existing and existing[line.number].kind != line.kind
    ]
    if problems:
        raise ConfigurationError(problems)


async def _publish(
    connection: Connection, services: Services, tenant: Tenant, configuration: AgentConfiguration
) -> AgentChange:
    now = services.now()
    found = await find_agent(connection, tenant.tenant_id, configuration.name)
    agent_id = services.new_id() if found is None else found.agent_id
    if found is None:
        await create_agent(connection, tenant.tenant_id, agent_id=agent_id, name=configuration.name, now=now)
    version = await publish(connection, tenant.tenant_id, agent_id, configuration, now=now, note="apply")
    before = None if found is None else found.published_version
    change: Change = "created" if found is None else "unchanged" if before == version else "changed"
    return AgentChange(name=configuration.name, version=version, change=change)


async def _update_lines(
    connection: Connection,
    tenant_id: UUID,
    lines: Sequence[LineTable],
    *,
    existing: Mapping[str, LineRow],
    agent_ids: Mapping[str, UUID],
    secret_box: SecretBox,
) -> dict[str, LineChange]:
    changes: dict[str, LineChange] = {}
    for line in lines:
        row = existing.get(line.number)
        if row is not None:
            changed = await update_line(
                connection, tenant_id, row, line, agent_id=agent_ids[line.agent], secret_box=secret_box
            )
            changes[line.number] = LineChange(
                number=line.number, change="changed" if changed else "unchanged", state=row.state
            )
    return changes


async def _rent(
    services: Services,
    tenant: Tenant,
    line: LineTable,
    *,
    agent_id: UUID,
    row: LineRow | None,
    change: LineChange | None,
) -> LineChange:
    """Make a line, or wake one that is not active, for its first month's rent; unpaid it is suspended."""
    now = services.now()
    day = tenant.day(now)
    line_id = services.new_id() if row is None else row.line_id
    card = services.rate_cards.on(day)
    receipt = ReceiptDraft(
        receipt_id=services.new_id(),
        subject="rental",
        rate_card=card.version,
        lines=(card.line(RENTAL[line.kind], 1),),
        day=day,
        line_id=line_id,
        agent_id=agent_id,
    )

    async def write(connection: Connection, outcome: Outcome) -> None:
        state: LineState = "active" if isinstance(outcome, Applied) else "suspended"
        if row is not None:
            await set_state(connection, tenant.tenant_id, line_id, state=state, provisioned_on=day)
            if state == "active":
                await wake_line(connection, tenant.tenant_id, line_id, now)
            return
        await insert_line(
            connection,
            tenant.tenant_id,
            line,
            line_id=line_id,
            agent_id=agent_id,
            secret_box=services.secret_box,
            state=state,
            day=day,
            now=now,
        )

    charge = Charge(key=f"rental:{line_id}:{day.isoformat()}", receipt=receipt)
    outcome = await services.ledger.submit(tenant.tenant_id, charge, Companion(write=write))
    paid = isinstance(outcome, Applied)
    unpaid: Change = "created" if change is None else change.change
    return LineChange(
        number=line.number,
        change="activated" if paid and row is not None else unpaid,
        state="active" if paid else "suspended",
        charged_millicredits=receipt.total_millicredits if paid else 0,
    )
