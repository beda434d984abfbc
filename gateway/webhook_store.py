"""The rows of webhook endpoints: where an owner's systems hear of events. Nothing here commits."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal
from uuid import UUID

from gateway.errors import BadInputError
from gateway.events_out import EVENT_KINDS
from gateway.outside_addresses import url_problem
from gateway.secret_box import SecretBox
from gateway.webhook_signature import SECRET_BYTES, secret_text
from metering.connection import Connection

ENDPOINTS_MAX: Final = 10  # of one tenant
OLD_SECRET_FOR: Final = timedelta(hours=24)
DisabledReason = Literal["by_hand", "gone", "failing"]
_COLUMNS: Final = "endpoint_id, url, kinds, enabled, disabled_reason, failing_since, created_at"


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """One address that is told of events; without `kinds`, of all. Its secret is shown only when it is made."""

    endpoint_id: UUID
    url: str
    kinds: tuple[str, ...]
    enabled: bool
    disabled_reason: DisabledReason | None
    failing_since: datetime | None
    created_at: datetime


async def create_endpoint(
    connection: Connection,
    tenant_id: UUID,
    *,
    endpoint_id: UUID,
    url: str,
    kinds: Sequence[str],
    secret_box: SecretBox,
    may_stay_inside: bool,
    now: datetime,
) -> str:
    """Make an endpoint and return its secret, `whsec_…`, the only time that it is seen.

    Raises BadInputError for a URL or a kind that cannot be used, or one endpoint too many.
    """
    _check(url, kinds, may_stay_inside=may_stay_inside)
    # One after the other, so that the count holds.
    await connection.execute("SELECT FROM tenant WHERE tenant_id = $1 FOR NO KEY UPDATE", tenant_id)
    count = await connection.fetchval("SELECT count(*) FROM webhook_endpoint WHERE tenant_id = $1", tenant_id)
    if count >= ENDPOINTS_MAX:
        raise BadInputError(f"there are {ENDPOINTS_MAX} webhooks already; delete one first")
    secret = secrets.token_bytes(SECRET_BYTES)
    await connection.execute(
        """INSERT INTO webhook_endpoint (tenant_id, endpoint_id, url, kinds, secret_encrypted, created_at)
           VALUES ($1, $2, $3, $4, $5, $6)""",
        tenant_id,
        endpoint_id,
        url,
        _distinct(kinds),
        secret_box.encrypt(secret),
        now,
    )
    return secret_text(secret)


async def list_endpoints(connection: Connection, tenant_id: UUID) -> list[Endpoint]:
    """Return the tenant's endpoints, oldest first."""
    rows = await connection.fetch(
        f"SELECT {_COLUMNS} FROM webhook_endpoint WHERE tenant_id = $1 ORDER BY endpoint_id",  # noqa: S608 - a constant
        tenant_id,
    )
    return [Endpoint(**{**row, "kinds": tuple(row["kinds"])}) for row in rows]


async def read_endpoint(connection: Connection, tenant_id: UUID, endpoint_id: UUID) -> Endpoint | None:
    row = await connection.fetchrow(
        f"SELECT {_COLUMNS} FROM webhook_endpoint WHERE tenant_id = $1 AND endpoint_id = $2",  # noqa: S608 - a constant
        tenant_id,
        endpoint_id,
    )
    return None if row is None else Endpoint(**{**row, "kinds": tuple(row["kinds"])})


async def change_endpoint(
    connection: Connection,
    tenant_id: UUID,
    endpoint_id: UUID,
    *,
    url: str | None = None,
    kinds: Sequence[str] | None = None,
    enabled: bool | None = None,
    may_stay_inside: bool,
) -> bool:
    """Change what is given; return whether there is such an endpoint. Raises BadInputError as creating does.

    Switched off, what waits for it fails; switched on, it begins anew, with events that happen from then on.
    """
    before = await _locked(connection, tenant_id, endpoint_id)
    if before is None:
        return False
    _check(before.url if url is None else url, () if kinds is None else kinds, may_stay_inside=may_stay_inside)
    await connection.execute(
        "UPDATE webhook_endpoint SET url = $3, kinds = $4 WHERE tenant_id = $1 AND endpoint_id = $2",
        tenant_id,
        endpoint_id,
        before.url if url is None else url,
        list(before.kinds) if kinds is None else _distinct(kinds),
    )
    if enabled is False and before.enabled:
        await disable_endpoint(connection, tenant_id, endpoint_id, "by_hand")
    elif enabled and not before.enabled:
        await connection.execute(
            """UPDATE webhook_endpoint SET enabled = true, disabled_reason = NULL, failing_since = NULL
               WHERE tenant_id = $1 AND endpoint_id = $2""",
            tenant_id,
            endpoint_id,
        )
    return True


async def disable_endpoint(connection: Connection, tenant_id: UUID, endpoint_id: UUID, reason: DisabledReason) -> None:
    """Send nothing more there; what waits for it fails."""
    await connection.execute(
        "UPDATE webhook_endpoint SET enabled = false, disabled_reason = $3 WHERE tenant_id = $1 AND endpoint_id = $2",
        tenant_id,
        endpoint_id,
        reason,
    )
    await connection.execute(
        """UPDATE webhook_delivery SET state = 'failed', next_attempt_at = NULL, last_error = 'disabled'
           WHERE tenant_id = $1 AND endpoint_id = $2 AND state = 'pending'""",
        tenant_id,
        endpoint_id,
    )


async def delete_endpoint(connection: Connection, tenant_id: UUID, endpoint_id: UUID) -> bool:
    """Forget an endpoint and the log of what went there; return whether there was one."""
    found = await connection.fetchval(
        "DELETE FROM webhook_endpoint WHERE tenant_id = $1 AND endpoint_id = $2 RETURNING true", tenant_id, endpoint_id
    )
    await connection.execute(
        "DELETE FROM webhook_delivery WHERE tenant_id = $1 AND endpoint_id = $2", tenant_id, endpoint_id
    )
    return bool(found)


async def renew_secret(
    connection: Connection, tenant_id: UUID, endpoint_id: UUID, *, secret_box: SecretBox, now: datetime
) -> str | None:
    """Give an endpoint a new secret and return it; the old one signs beside it for a day. None: no such endpoint."""
    secret = secrets.token_bytes(SECRET_BYTES)
    found = await connection.fetchval(
        """UPDATE webhook_endpoint SET previous_secret_encrypted = secret_encrypted, previous_secret_until = $4,
                                       secret_encrypted = $3
           WHERE tenant_id = $1 AND endpoint_id = $2 RETURNING true""",
        tenant_id,
        endpoint_id,
        secret_box.encrypt(secret),
        now + OLD_SECRET_FOR,
    )
    return secret_text(secret) if found else None


async def rotate_secrets(connection: Connection, secret_box: SecretBox, tenant_id: UUID) -> int:
    """Put every stored secret under the first key; return how many were not."""
    rows = await connection.fetch(
        """SELECT endpoint_id, secret_encrypted, previous_secret_encrypted FROM webhook_endpoint
           WHERE tenant_id = $1 FOR NO KEY UPDATE""",
        tenant_id,
    )
    rotated = 0
    for row in rows:
        stored = [row["secret_encrypted"], row["previous_secret_encrypted"]]
        renewed = [None if each is None else secret_box.rotate(each) for each in stored]
        changed = sum(new != old for new, old in zip(renewed, stored, strict=True))
        if changed:
            await connection.execute(
                """UPDATE webhook_endpoint SET secret_encrypted = $3, previous_secret_encrypted = $4
                   WHERE tenant_id = $1 AND endpoint_id = $2""",
                tenant_id,
                row["endpoint_id"],
                *renewed,
            )
        rotated += changed
    return rotated


async def _locked(connection: Connection, tenant_id: UUID, endpoint_id: UUID) -> Endpoint | None:
    await connection.execute(
        "SELECT FROM webhook_endpoint WHERE tenant_id = $1 AND endpoint_id = $2 FOR NO KEY UPDATE",
        tenant_id,
        endpoint_id,
    )
    return await read_endpoint(connection, tenant_id, endpoint_id)


def _check(url: str, kinds: Sequence[str], *, may_stay_inside: bool) -> None:
    problem = url_problem(url, may_stay_inside=may_stay_inside)
    if problem is not None:
        raise BadInputError(f"the URL {problem}")
    unknown = sorted(set(kinds) - set(EVENT_KINDS))
    if unknown:
        raise BadInputError(f'"{unknown[0]}" is not a kind of event; there are {", ".join(EVENT_KINDS)}')


def _distinct(kinds: Sequence[str]) -> list[str]:
    return list(dict.fromkeys(kinds))
