"""Telling the owner that credits run low or out, in the ledger's own transaction: once for each grant and level."""

from collections.abc import Callable
from datetime import datetime
from uuid import UUID

from gateway.alerts import raise_alert
from gateway.group_commit import OnLow
from gateway.tenants import find_tenant
from metering.connection import Connection
from metering.operations import LowBalance
from metering.usage import read_runway


def telling_of_low_balance(new_id: Callable[[], UUID]) -> OnLow:
    """Return what the ledger calls when a balance has fallen to a level of its mark."""

    async def tell(connection: Connection, tenant_id: UUID, low: LowBalance, now: datetime) -> None:
        kind = "low_balance" if low.percent else "paused"
        level = f":{low.percent}" if low.percent else ""
        await raise_alert(
            connection,
            tenant_id,
            kind=kind,
            dedupe_key=f"{kind}:{low.full_sequence}{level}",
            detail={
                "percent": low.percent,
                "balance_millicredits": low.balance_millicredits,
                "full_millicredits": low.full_millicredits,
                "days_left": await _days_left(connection, tenant_id, low, now) if low.percent else 0,
            },
            now=now,
            new_id=new_id,
        )

    return tell


async def _days_left(connection: Connection, tenant_id: UUID, low: LowBalance, now: datetime) -> int | None:
    tenant = await find_tenant(connection, str(tenant_id))
    runway = await read_runway(
        connection, tenant_id, today=tenant.day(now), available_millicredits=low.balance_millicredits
    )
    return runway.days_left
