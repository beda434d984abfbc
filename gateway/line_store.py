"""The rows of lines, and the directory entries that lead to them. Nothing here commits."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from uuid import UUID

from gateway.channels.base import LineAddress
from gateway.errors import BadInputError
from gateway.line_file import LineTable
from gateway.rental_days import LineState
from gateway.secret_box import SecretBox
from metering.connection import Connection


@dataclass(frozen=True, slots=True, kw_only=True)
class LineRow:
    """A line as it is kept."""

    line_id: UUID
    number: str
    kind: str
    channels: tuple[str, ...]
    agent_id: UUID
    whatsapp_provider: str | None
    whatsapp_phone_number_id: str | None
    whatsapp_access_token_encrypted: bytes | None = field(repr=False)
    state: LineState
    provisioned_on: date
    rented_until: date | None
    unpaid_since: date | None
    twilio_number_sid: str | None


async def list_lines(connection: Connection, tenant_id: UUID) -> list[LineRow]:
    """Return the tenant's lines by number."""
    rows = await connection.fetch(
        """SELECT line_id, number, kind, channels, agent_id, whatsapp_provider, whatsapp_phone_number_id,
                  whatsapp_access_token_encrypted, state, provisioned_on, rented_until, unpaid_since,
                  twilio_number_sid
           FROM line WHERE tenant_id = $1 ORDER BY number""",
        tenant_id,
    )
    return [LineRow(**{**row, "channels": tuple(row["channels"])}) for row in rows]


async def insert_line(
    connection: Connection,
    tenant_id: UUID,
    line: LineTable,
    *,
    line_id: UUID,
    agent_id: UUID,
    secret_box: SecretBox,
    day: date,
    now: datetime,
    twilio_number_sid: str | None = None,
) -> None:
    """Make a line whose months count from a day, none paid yet, and let its addresses lead to it.

    Raises BadInputError if one of them is in use.
    """
    await _direct(connection, tenant_id, line_id, line)
    await connection.execute(
        """INSERT INTO line (tenant_id, line_id, number, kind, channels, agent_id, whatsapp_provider,
                             whatsapp_phone_number_id, whatsapp_access_token_encrypted, state, provisioned_on,
                             created_at, twilio_number_sid)
           VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 'suspended', $10, $11, $12)""",
        tenant_id,
        line_id,
        line.number,
        line.kind,
        line.channels,
        agent_id,
        line.whatsapp_provider,
        line.whatsapp_phone_number_id,
        _token(secret_box, line, None),
        day,
        now,
        twilio_number_sid,
    )


async def update_line(
    connection: Connection, tenant_id: UUID, row: LineRow, line: LineTable, *, agent_id: UUID, secret_box: SecretBox
) -> bool:
    """Make a line as a file says; return whether that changed it. Raises BadInputError if an address is in use."""
    token = _token(secret_box, line, row.whatsapp_access_token_encrypted)
    wanted = (line.channels, agent_id, line.whatsapp_provider, line.whatsapp_phone_number_id, token)
    there = (row.channels, row.agent_id, row.whatsapp_provider, row.whatsapp_phone_number_id)
    if wanted == (*there, row.whatsapp_access_token_encrypted):
        return False
    await connection.execute(
        """UPDATE line SET channels = $3, agent_id = $4, whatsapp_provider = $5, whatsapp_phone_number_id = $6,
                  whatsapp_access_token_encrypted = $7
           WHERE tenant_id = $1 AND line_id = $2""",
        tenant_id,
        row.line_id,
        *wanted,
    )
    await _direct(connection, tenant_id, row.line_id, line)
    return True


async def take_again(
    connection: Connection,
    tenant_id: UUID,
    line_id: UUID,
    line: LineTable,
    *,
    day: date,
    twilio_number_sid: str | None = None,
) -> None:
    """Let a line that was given up be one again whose months count from a day, none paid yet.

    Raises BadInputError if one of its addresses is in use.
    """
    await connection.execute(
        """UPDATE line SET state = 'suspended', provisioned_on = $3, rented_until = NULL, unpaid_since = NULL,
             twilio_number_sid = $4
           WHERE tenant_id = $1 AND line_id = $2""",
        tenant_id,
        line_id,
        day,
        twilio_number_sid,
    )
    await _direct(connection, tenant_id, line_id, line)


async def check_addresses(
    connection: Connection, tenant_id: UUID, lines: Sequence[LineTable], existing: Mapping[str, LineRow]
) -> None:
    """Raise BadInputError for each address that leads to another line, without saying whose it is."""
    problems = []
    for position, line in enumerate(lines, start=1):
        row = existing.get(line.number)
        ours = None if row is None else (tenant_id, row.line_id)
        for address in _addresses(line):
            owner = await connection.fetchrow(
                "SELECT tenant_id, line_id FROM line_directory WHERE address_kind = $1 AND address = $2",
                address.kind,
                address.value,
            )
            if owner is not None and tuple(owner) != ours:
                problems.append(f"line {position}: {_taken(address)}")
    if problems:
        raise BadInputError("\n".join(problems))


async def rotate_secrets(connection: Connection, secret_box: SecretBox, tenant_id: UUID) -> int:
    """Put the tenant's access tokens under the first key; return how many were under another."""
    rotated = 0
    for row in await list_lines(connection, tenant_id):
        stored = row.whatsapp_access_token_encrypted
        if stored is None or secret_box.is_current(stored):
            continue
        # the row may have changed since it was read: a token set meanwhile is newer than this one
        await connection.execute(
            """UPDATE line SET whatsapp_access_token_encrypted = $4
               WHERE tenant_id = $1 AND line_id = $2 AND whatsapp_access_token_encrypted = $3""",
            tenant_id,
            row.line_id,
            stored,
            secret_box.rotate(stored),
        )
        rotated += 1
    return rotated


def _token(secret_box: SecretBox, line: LineTable, stored: bytes | None) -> bytes | None:
    """Return the token to keep: the stored one unless the file gives another, so that nothing changes for nothing."""
    if line.whatsapp_access_token is None:
        return stored
    token = line.whatsapp_access_token.get_secret_value().encode()
    if not token:
        return None
    if stored is not None and secret_box.is_current(stored) and secret_box.decrypt(stored) == token:
        return stored
    return secret_box.encrypt(token)


def _addresses(line: LineTable) -> list[LineAddress]:
    addresses = [LineAddress(kind="number", value=line.number)]
    if line.whatsapp_phone_number_id is not None:
        addresses.append(LineAddress(kind="whatsapp_phone_number_id", value=line.whatsapp_phone_number_id))
    return addresses


def _taken(address: LineAddress) -> str:
    return f"{address.kind}: is in use by another line already"


async def _direct(connection: Connection, tenant_id: UUID, line_id: UUID, line: LineTable) -> None:
    """Let a line's addresses lead to it, and only those."""
    addresses = _addresses(line)
    await connection.execute(
        """DELETE FROM line_directory WHERE tenant_id = $1 AND line_id = $2
             AND (address_kind, address) NOT IN (SELECT * FROM unnest($3::text[], $4::text[]))""",
        tenant_id,
        line_id,
        [address.kind for address in addresses],
        [address.value for address in addresses],
    )
    for address in addresses:
        owner = await connection.fetchval(
            """INSERT INTO line_directory (address_kind, address, tenant_id, line_id) VALUES ($1, $2, $3, $4)
               ON CONFLICT (address_kind, address) DO UPDATE SET address = excluded.address RETURNING line_id""",
            address.kind,
            address.value,
            tenant_id,
            line_id,
        )
        if owner != line_id:  # made by somebody else since it was looked at
            raise BadInputError(_taken(address))
