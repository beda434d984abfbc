"""Who is writing: any of a contact's addresses leads to the same contact.

Customers arrive by number, by the provider's own id, or by both; ids that are seen together belong
together, so two contacts that turn out to be one are merged into the older.

`resolve` locks the addresses it was given until the transaction ends. Whoever works on a contact's rows
resolves it first, so that a merge never pulls a contact away under somebody's feet.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from gateway.channels.base import Address
from metering.connection import Connection

LONGEST_NAME = 200  # characters; a profile name is the customer's to choose

# What points at a contact. Windows are not here: two of them become one.
_REPOINT_STATEMENTS = (
    "UPDATE contact_address SET contact_id = $2 WHERE tenant_id = $1 AND contact_id = ANY ($3)",
    "UPDATE conversation SET contact_id = $2 WHERE tenant_id = $1 AND contact_id = ANY ($3)",
    "UPDATE message SET contact_id = $2 WHERE tenant_id = $1 AND contact_id = ANY ($3)",
    "UPDATE appointment SET contact_id = $2 WHERE tenant_id = $1 AND contact_id = ANY ($3)",
    "UPDATE call SET contact_id = $2 WHERE tenant_id = $1 AND contact_id = ANY ($3)",
)


@dataclass(frozen=True, slots=True)
class _Owner:
    contact_id: UUID
    name: str


async def resolve(
    connection: Connection,
    tenant_id: UUID,
    addresses: Sequence[Address],
    *,
    name: str = "",
    now: datetime,
    new_id: Callable[[], UUID],
) -> UUID:
    """Return the contact behind these addresses, created or merged as needed, its name brought up to date."""
    wanted = _in_order(addresses)
    owners = await _lock_owners(connection, tenant_id, wanted)
    candidate: UUID | None = None
    if len(owners) < len(wanted):
        candidate = new_id()
        taken = await _claim(connection, tenant_id, wanted, contact_id=candidate)
        if len(owners) + taken == len(wanted):
            owners = [*owners, _Owner(candidate, "")]
        else:  # somebody took one of them meanwhile
            owners = await _lock_owners(connection, tenant_id, wanted)
    contact = await _one_of(connection, tenant_id, owners, candidate=candidate, name=name[:LONGEST_NAME], now=now)
    if name and name[:LONGEST_NAME] != contact.name:
        await connection.execute(
            "UPDATE contact SET name = $3 WHERE tenant_id = $1 AND contact_id = $2",
            tenant_id,
            contact.contact_id,
            name[:LONGEST_NAME],
        )
    return contact.contact_id


async def find(connection: Connection, tenant_id: UUID, addresses: Sequence[Address]) -> UUID | None:
    """Return the contact that one of these addresses leads to, locked as by `resolve`; None if nobody is known."""
    owners = await _lock_owners(connection, tenant_id, _in_order(addresses))
    return owners[0].contact_id if owners else None


async def begin_unknown(connection: Connection, tenant_id: UUID, *, now: datetime, new_id: Callable[[], UUID]) -> UUID:
    """Make a contact that has no address: somebody who does not show their number. Nothing leads to them again."""
    contact_id = new_id()
    await connection.execute(
        "INSERT INTO contact (tenant_id, contact_id, created_at) VALUES ($1, $2, $3)", tenant_id, contact_id, now
    )
    return contact_id


def _in_order(addresses: Sequence[Address]) -> list[Address]:
    """Everybody locks in this order, in the database too (COLLATE "C"), so that nobody waits in a circle."""
    return sorted(set(addresses), key=lambda address: (address.kind, address.value))


async def _lock_owners(connection: Connection, tenant_id: UUID, wanted: Sequence[Address]) -> list[_Owner]:
    """Lock the addresses that exist and read whose they are.

    The join stands outside the lock: a merge that we waited for has changed `contact_id`.
    """
    rows = await connection.fetch(
        """WITH locked AS MATERIALIZED (
             SELECT contact_id FROM contact_address
             WHERE tenant_id = $1 AND (kind, address) IN (SELECT * FROM unnest($2::text[], $3::text[]))
             ORDER BY kind COLLATE "C", address COLLATE "C" FOR NO KEY UPDATE)
           SELECT locked.contact_id, coalesce(c.name, '') AS name
           FROM locked LEFT JOIN contact c ON c.tenant_id = $1 AND c.contact_id = locked.contact_id""",
        tenant_id,
        [address.kind for address in wanted],
        [address.value for address in wanted],
    )
    return [_Owner(row["contact_id"], row["name"]) for row in rows]


async def _claim(connection: Connection, tenant_id: UUID, wanted: Sequence[Address], *, contact_id: UUID) -> int:
    """Take the addresses nobody has and return how many; waits for whoever is taking one of them right now."""
    rows = await connection.fetch(
        """INSERT INTO contact_address (tenant_id, kind, address, contact_id)
           SELECT $1, kind, address, $2 FROM unnest($3::text[], $4::text[]) AS wanted (kind, address)
           ON CONFLICT (tenant_id, kind, address) DO NOTHING RETURNING kind""",
        tenant_id,
        contact_id,
        [address.kind for address in wanted],
        [address.value for address in wanted],
    )
    return len(rows)


async def _one_of(
    connection: Connection,
    tenant_id: UUID,
    owners: Sequence[_Owner],
    *,
    candidate: UUID | None,
    name: str,
    now: datetime,
) -> _Owner:
    """Make one contact of the owners: the only one, the candidate that has no row yet, or the oldest of several."""
    known = {owner.contact_id: owner for owner in owners if owner.contact_id != candidate}
    if not known and candidate is not None:
        await connection.execute(
            "INSERT INTO contact (tenant_id, contact_id, name, created_at) VALUES ($1, $2, $3, $4)",
            tenant_id,
            candidate,
            name,
            now,
        )
        return _Owner(candidate, name)
    first = next(iter(known.values()))
    if any(owner.contact_id == candidate for owner in owners):
        await connection.execute(
            "UPDATE contact_address SET contact_id = $3 WHERE tenant_id = $1 AND contact_id = $2",
            tenant_id,
            candidate,
            first.contact_id,
        )
    return first if len(known) == 1 else await _merge(connection, tenant_id, list(known))


async def _merge(connection: Connection, tenant_id: UUID, contact_ids: Sequence[UUID]) -> _Owner:
    """Make several contacts one: the oldest keeps its name and facts, and gets everything the others have."""
    await connection.execute(
        """SELECT FROM contact_address WHERE tenant_id = $1 AND contact_id = ANY ($2)
           ORDER BY kind COLLATE "C", address COLLATE "C" FOR NO KEY UPDATE""",
        tenant_id,
        contact_ids,
    )
    contacts = await connection.fetch(
        """SELECT contact_id, name, facts FROM contact WHERE tenant_id = $1 AND contact_id = ANY ($2)
           ORDER BY created_at, contact_id""",
        tenant_id,
        contact_ids,
    )
    kept, others = contacts[0], [contact["contact_id"] for contact in contacts[1:]]
    await _merge_windows(connection, tenant_id, kept=kept["contact_id"], others=others)
    for statement in _REPOINT_STATEMENTS:
        await connection.execute(statement, tenant_id, kept["contact_id"], others)
    name = next((contact["name"] for contact in contacts if contact["name"]), "")
    facts = {key: value for contact in reversed(contacts) for key, value in contact["facts"].items()}
    await connection.execute(
        "UPDATE contact SET name = $3, facts = $4 WHERE tenant_id = $1 AND contact_id = $2",
        tenant_id,
        kept["contact_id"],
        name,
        facts,
    )
    await connection.execute("DELETE FROM contact WHERE tenant_id = $1 AND contact_id = ANY ($2)", tenant_id, others)
    return _Owner(kept["contact_id"], name)


async def _merge_windows(connection: Connection, tenant_id: UUID, *, kept: UUID, others: Sequence[UUID]) -> None:
    """Join the windows by line and channel; a wish or a closing stands unless the customer has written since.

    On SMS a wish stands until the customer takes it back.
    """
    await connection.execute(
        """WITH every AS (
             SELECT * FROM service_window
             WHERE tenant_id = $1 AND (contact_id = $2 OR contact_id = ANY ($3)) FOR UPDATE),
           gone AS (DELETE FROM service_window WHERE tenant_id = $1 AND contact_id = ANY ($3)),
           joined AS (
             SELECT line_id, channel, max(last_customer_message_at) AS written, max(closed_by_provider_at) AS closed,
                    max(opted_out_at) AS opted_out
             FROM every GROUP BY line_id, channel)
           INSERT INTO service_window
             (tenant_id, line_id, contact_id, channel, last_customer_message_at, closed_by_provider_at, opted_out_at)
           SELECT $1, line_id, $2, channel, written, CASE WHEN written > closed THEN NULL ELSE closed END,
                  CASE WHEN written > opted_out AND channel <> 'sms' THEN NULL ELSE opted_out END
           FROM joined
           ON CONFLICT (tenant_id, line_id, contact_id, channel) DO UPDATE SET
             last_customer_message_at = excluded.last_customer_message_at,
             closed_by_provider_at = excluded.closed_by_provider_at,
             opted_out_at = excluded.opted_out_at""",
        tenant_id,
        kept,
        others,
    )
