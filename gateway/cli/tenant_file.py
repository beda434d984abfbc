"""`apply` and `export`: a tenant's agents and lines as a file."""

import sys
from collections.abc import Collection
from dataclasses import asdict
from pathlib import Path

from gateway.cli.output import print_error, print_json, print_table
from gateway.cli.running import FAILURE
from gateway.errors import BadInputError
from gateway.line_file import parse_tenant_file
from gateway.lines import AppliedFile, apply_file, export_document, published_agents
from gateway.services import Services
from gateway.tenants import Tenant, find_tenant
from gateway.toml_text import toml_text
from gateway.voice.notices import prepare_at_once
from metering.credits import format_credits

FILE_BYTES_MAX = 2 * 1024 * 1024


async def apply(services: Services, name_or_id: str, path: Path, *, as_json: bool) -> int:
    """Apply a file; return the exit code: failure if a line could not be paid."""
    text = _read(path)
    async with services.db.directory() as connection:
        tenant = await find_tenant(connection, name_or_id)
    async with services.db.transaction(tenant.tenant_id) as connection:
        agents = await published_agents(connection, tenant.tenant_id)
    file = parse_tenant_file(text, set(agents.values()))
    applied = await apply_file(services, tenant, file)
    await _prepare_for_calls(services, tenant, {agent.name for agent in file.agents})
    if as_json:
        print_json(asdict(applied))
    else:
        _print(applied, tenant)
    unpaid = [str(position) for position, line in enumerate(applied.lines, start=1) if line.state != "active"]
    if unpaid:
        print_error(
            f"not enough credits for the first month of line {', '.join(unpaid)} of the file: suspended. "
            f'Grant credits (turnmeter credits grant "{tenant.name}" …), and the rent is paid from them.'
        )
    return FAILURE if unpaid else 0


async def export(services: Services, name_or_id: str, *, as_json: bool) -> None:
    async with services.db.directory() as connection:
        tenant = await find_tenant(connection, name_or_id)
    async with services.db.transaction(tenant.tenant_id) as connection:
        document = await export_document(connection, tenant.tenant_id)
    if as_json:
        print_json(document)
    else:
        sys.stdout.buffer.write(toml_text(document).encode())
        sys.stdout.buffer.flush()


async def _prepare_for_calls(services: Services, tenant: Tenant, names: Collection[str]) -> None:
    """Have spoken beforehand what callers will hear of the file's agents; with all of it there, nothing is done."""
    async with services.db.transaction(tenant.tenant_id) as connection:
        agents = await published_agents(connection, tenant.tenant_id)
    for agent_id, name in agents.items():
        if name in names:
            await prepare_at_once(services, tenant.tenant_id, agent_id)


def _read(path: Path) -> str:
    """Return a file's text, or what is piped in for `-`."""
    try:
        content = sys.stdin.buffer.read(FILE_BYTES_MAX + 1) if str(path) == "-" else _read_file(path)
    except OSError as error:
        raise BadInputError(f"{path}: {error.strerror}") from None
    if len(content) > FILE_BYTES_MAX:
        raise BadInputError(f"{path}: is larger than {FILE_BYTES_MAX} bytes")
    try:
        return content.decode()
    except UnicodeDecodeError:
        raise BadInputError(f"{path}: is not text in UTF-8") from None


def _read_file(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(FILE_BYTES_MAX + 1)


def _print(applied: AppliedFile, tenant: Tenant) -> None:
    if applied.agents:
        print_table(
            ("Agent", "Version", ""), [(agent.name, str(agent.version), agent.change) for agent in applied.agents]
        )
    if applied.lines:
        rows = [
            (
                line.number,
                line.state,
                line.change,
                format_credits(line.charged_millicredits, tenant.locale) if line.charged_millicredits else "",
            )
            for line in applied.lines
        ]
        print_table(("Line", "State", "", "Credits"), rows, right=("Credits",))
    for number in applied.left_alone:
        print(f"Not in the file, left as it is: {number}")
