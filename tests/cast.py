"""Who every route is tried with: acme has credit, broke has none, mallory is another tenant."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from gateway.db import Database
from metering.ledger import apply
from metering.operations import Grant

CREDIT_MILLICREDITS: Final = 10_000_000  # 10,000 credits


@dataclass(frozen=True, slots=True, kw_only=True)
class Cast:
    """The tenants' ids."""

    acme: UUID
    broke: UUID
    mallory: UUID


async def create_tenant(db: Database, name: str, *, now: datetime, new_id: Callable[[], UUID]) -> UUID:
    """A tenant with an empty wallet."""
    tenant_id = new_id()
    async with db.transaction(tenant_id) as connection:
        await connection.execute(
            "INSERT INTO tenant (tenant_id, name, created_at) VALUES ($1, $2, $3)", tenant_id, name, now
        )
        await connection.execute("INSERT INTO wallet (tenant_id) VALUES ($1)", tenant_id)
    return tenant_id


async def grant(
    db: Database, tenant_id: UUID, amount_millicredits: int, *, now: datetime, new_id: Callable[[], UUID]
) -> None:
    grant_id = new_id()
    granted = Grant(
        reference=str(grant_id),
        grant_id=grant_id,
        kind="manual",
        amount_millicredits=amount_millicredits,
        reason="for the test",
    )
    async with db.transaction(tenant_id) as connection:
        await apply(connection, tenant_id, [granted], now=now)


async def assemble(db: Database, *, now: datetime, new_id: Callable[[], UUID]) -> Cast:
    acme = await create_tenant(db, "Acme", now=now, new_id=new_id)
    broke = await create_tenant(db, "Broke", now=now, new_id=new_id)
    mallory = await create_tenant(db, "Mallory", now=now, new_id=new_id)
    for tenant_id in (acme, mallory):
        await grant(db, tenant_id, CREDIT_MILLICREDITS, now=now, new_id=new_id)
    return Cast(acme=acme, broke=broke, mallory=mallory)
