"""Applying a lines-and-agents file to a tenant, as often as one likes, and writing it back.

A new line pays its first month when it is made, in the same transaction. What cannot be paid is made all
the same, suspended, and tried again by the next apply, as by every grant. Lines that a file does not name are left
alone.
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
from gateway.line_store import LineRow, check_addresses, insert_line, list_lines, take_again, update_line
from gateway.rental_days import LineState, Rental
from gateway.rental_payment import is_paid, note_paid, note_unpaid, rental_charge
from gateway.rentals import Collected, collect_rent
from gateway.secret_box import SecretBox
from gateway.services import Services
from gateway.tenants import Tenant
from gateway.toml_text import toml_text
from metering.connection import Connection
from metering.operations import Applied, Outcome

Change = Literal["created", "changed", "unchanged", "activated"]


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
        _check_numbers(file.lines, existing)
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


def _check_numbers(lines: Sequence[LineTable], existing: Mapping[str, LineRow]) -> None:
    problems = []
    for position, line in enumerate(lines, start=1):
        row = existing.get(line.number)
        if row is None:
            continue
        if row.kind != line.kind:
            problems.append(
                f'line {position}: kind: this number was set up as "{row.kind}" and is rented as such; '
                "for the other kind, order another number"
            )
        if row.state == "released" and row.twilio_number_sid is not None:
            problems.append(f"line {position}: number: is being given back to Twilio; order another one")
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
    """Make a line, or wake one that is not active, for its rent; unpaid it is suspended."""
    if row is not None and row.state == "suspended":
        collected = await collect_rent(services, tenant, row.line_id)
    else:
        collected = await _rent_anew(services, tenant, line, agent_id=agent_id, row=row)
    unpaid: Change = "created" if change is None else change.change
    return LineChange(
        number=line.number,
        change="activated" if collected.state == "active" and row is not None else unpaid,
        state=collected.state,
        charged_millicredits=collected.charged_millicredits,
    )


async def _rent_anew(
    services: Services, tenant: Tenant, line: LineTable, *, agent_id: UUID, row: LineRow | None
) -> Collected:
    """Make a line, or take one again that was given up; its months count from today, and the first is charged."""
    tenant_id, day = tenant.tenant_id, tenant.day(services.now())
    rental = Rental(
        line_id=services.new_id() if row is None else row.line_id,
        kind=line.kind,
        state="suspended",
        provisioned_on=day,
        due_on=day,
    )
    charge = rental_charge(services, line_id=rental.line_id, kind=rental.kind, month=rental.month, day=day)

    async def write(connection: Connection, outcome: Outcome) -> None:
        if row is not None:
            await take_again(connection, tenant_id, row.line_id, line, day=day)
        else:
            await insert_line(
                connection,
                tenant_id,
                line,
                line_id=rental.line_id,
                agent_id=agent_id,
                secret_box=services.secret_box,
                day=day,
                now=services.now(),
            )
        if is_paid(outcome):
            await note_paid(services, connection, tenant_id, rental, until=rental.month.ends_on, day=day)
        else:
            await note_unpaid(services, connection, tenant_id, rental, day)

    outcome = await services.ledger.submit(tenant_id, charge, Companion(write=write))
    charged = isinstance(outcome, Applied) and not outcome.replayed
    return Collected(
        charged_millicredits=charge.receipt.total_millicredits if charged else 0,
        state="active" if outcome is not None and is_paid(outcome) else "suspended",
    )
