"""Which alerts are to be mailed: claimed over all tenants, noted in each one's own rows. Nothing here commits."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from gateway.alerts import Alert
from gateway.mail_letter import Reader
from gateway.tenants import find_tenant
from metering.connection import Connection

LEASE_S: Final = 120.0  # longer than the last of those claimed together may wait for a server that does not answer
TENANTS_AT_ONCE: Final = 20
ALERTS_AT_ONCE: Final = 1_000
GIVEN_UP_AFTER: Final = timedelta(days=3)  # what is older is seen where alerts are shown
RETRY_AFTER_MAX: Final = timedelta(hours=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """Alerts of one tenant that go into one mail, and how often that was tried with the oldest of them."""

    tenant_id: UUID
    alert_ids: tuple[UUID, ...]
    attempts: int


async def claim_due(connection: Connection, *, now: datetime) -> list[Due]:
    """Lease, under the queue's role, what is to be mailed, for every tenant with something due and an address.

    What waits for a digest goes along with what does not.
    """
    await connection.execute(
        "UPDATE alert SET mail_due_at = NULL WHERE mail_due_at IS NOT NULL AND created_at < $1", now - GIVEN_UP_AFTER
    )
    rows = await connection.fetch(
        """WITH wanted AS (
             SELECT a.tenant_id, a.alert_id FROM alert a
             WHERE a.mail_due_at IS NOT NULL AND (a.mail_lease_until IS NULL OR a.mail_lease_until <= $1)
               AND a.tenant_id IN (
                 SELECT due.tenant_id FROM alert due JOIN tenant t ON t.tenant_id = due.tenant_id
                 WHERE due.mail_due_at <= $1 AND (due.mail_lease_until IS NULL OR due.mail_lease_until <= $1)
                   AND t.alert_email IS NOT NULL
                 GROUP BY due.tenant_id ORDER BY min(due.mail_due_at) LIMIT $3)
             LIMIT $4 FOR NO KEY UPDATE OF a SKIP LOCKED)
           UPDATE alert a SET mail_lease_until = $2, mail_attempts = a.mail_attempts + 1
           FROM wanted WHERE a.tenant_id = wanted.tenant_id AND a.alert_id = wanted.alert_id
           RETURNING a.tenant_id, a.alert_id, a.mail_attempts""",
        now,
        now + timedelta(seconds=LEASE_S),
        TENANTS_AT_ONCE,
        ALERTS_AT_ONCE,
    )
    by_tenant: defaultdict[UUID, list[tuple[UUID, int]]] = defaultdict(list)
    for row in rows:
        by_tenant[row["tenant_id"]].append((row["alert_id"], row["mail_attempts"]))
    return [
        Due(
            tenant_id=tenant_id,
            alert_ids=tuple(sorted(alert_id for alert_id, _ in found)),
            attempts=max(attempts for _, attempts in found),
        )
        for tenant_id, found in by_tenant.items()
    ]


async def read_due(connection: Connection, due: Due) -> tuple[Reader | None, list[Alert]]:
    """Return who is to read it and what is still to be told; nobody, if the address was taken away."""
    tenant = await find_tenant(connection, str(due.tenant_id))
    rows = await connection.fetch(
        """SELECT alert_id, kind, detail, created_at, acknowledged_at FROM alert
           WHERE tenant_id = $1 AND alert_id = ANY ($2) AND mail_due_at IS NOT NULL ORDER BY alert_id""",
        due.tenant_id,
        due.alert_ids,
    )
    if tenant.alert_email is None:
        return None, []
    reader = Reader(name=tenant.name, email=tenant.alert_email, locale=tenant.locale, zone=tenant.zone)
    return reader, [Alert(**row) for row in rows]


async def note_mailed(connection: Connection, due: Due, alerts: Sequence[Alert], *, now: datetime) -> None:
    """Mail these alerts no more."""
    await connection.execute(
        """UPDATE alert SET mailed_at = $3, mail_due_at = NULL, mail_lease_until = NULL
           WHERE tenant_id = $1 AND alert_id = ANY ($2)""",
        due.tenant_id,
        [alert.alert_id for alert in alerts],
        now,
    )


async def note_failed(connection: Connection, due: Due, *, now: datetime) -> None:
    """Mail these alerts later: after a minute, two, four, at most an hour."""
    await connection.execute(
        """UPDATE alert SET mail_due_at = $3, mail_lease_until = NULL
           WHERE tenant_id = $1 AND alert_id = ANY ($2) AND mail_due_at IS NOT NULL""",
        due.tenant_id,
        due.alert_ids,
        now + retry_after(due.attempts),
    )


def retry_after(attempts: int) -> timedelta:
    """Return how long to wait after so many failed attempts (pure)."""
    return min(RETRY_AFTER_MAX, timedelta(minutes=2 ** min(attempts - 1, 10)))
