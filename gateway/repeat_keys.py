"""Requests that a caller may send again: the same key does the same thing once, for 24 hours."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from metering.connection import Connection

HONOURED_FOR = timedelta(hours=24)


@dataclass(frozen=True, slots=True, kw_only=True)
class RepeatKey:
    """The caller's name for what it wants, and a hash of all it asked for."""

    key: str
    request_hash: bytes


class DoneMeanwhileError(Exception):
    """The same was done since `find_done` found nothing: roll back, and look again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What was done under a key: for which request, and what came of it."""

    request_hash: bytes
    response: Mapping[str, object]


async def find_done(connection: Connection, tenant_id: UUID, key: str, *, now: datetime) -> Done | None:
    """Return what was done under a key, as long as the key is honoured.

    The caller holds a lock under which such requests stand in a row, so that two with one key cannot both find none.
    """
    row = await connection.fetchrow(
        """SELECT request_hash, response FROM idempotency_key
           WHERE tenant_id = $1 AND key = $2 AND created_at > $3""",
        tenant_id,
        key,
        now - HONOURED_FOR,
    )
    return Done(**row) if row else None


async def remember(
    connection: Connection,
    tenant_id: UUID,
    repeat: RepeatKey,
    *,
    status: int,
    response: Mapping[str, object],
    now: datetime,
) -> None:
    """Note what was done, in the transaction that did it; an old use of the key is forgotten.

    Raises DoneMeanwhileError if the key is in use: two requests of one batch are both looked up before either is done.
    """
    noted = await connection.fetchval(
        """INSERT INTO idempotency_key AS old (tenant_id, key, request_hash, status, response, created_at)
           VALUES ($1, $2, $3, $4, $5, $6)
           ON CONFLICT (tenant_id, key) DO UPDATE
             SET request_hash = $3, status = $4, response = $5, created_at = $6 WHERE old.created_at <= $7
           RETURNING true""",
        tenant_id,
        repeat.key,
        repeat.request_hash,
        status,
        dict(response),
        now,
        now - HONOURED_FOR,
    )
    if noted is None:
        raise DoneMeanwhileError
