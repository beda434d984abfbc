"""What tools did in a turn, in the tenant's rows: a later attempt of the turn starts from it.

Nothing here commits: the caller owns the transaction.
"""

from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

from agents.connection import Connection
from agents.recorded import RecordedCall, arguments_hash


async def record_result(
    connection: Connection,
    tenant_id: UUID,
    turn_id: UUID,
    *,
    position: int,
    attempt: int,
    name: str,
    arguments: Mapping[str, object],
    writes: bool,
    result: str,
    now: datetime,
    failed: bool = False,
) -> None:
    """Record what a call did: within the transaction that did it, or after its recorded intent.

    Raises ValueError if the position holds another call, or this one done already.
    """
    recorded = await connection.fetchval(
        """INSERT INTO tool_call (tenant_id, turn_id, position, attempt, name, arguments, arguments_hash, writes,
                                  state, result, created_at)
           VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
           ON CONFLICT (tenant_id, turn_id, position) DO UPDATE SET state = excluded.state, result = excluded.result
           WHERE tool_call.state = 'intended' AND tool_call.name = excluded.name
             AND tool_call.arguments_hash = excluded.arguments_hash
           RETURNING position""",
        tenant_id,
        turn_id,
        position,
        attempt,
        name,
        dict(arguments),
        arguments_hash(arguments),
        writes,
        "failed" if failed else "done",
        result,
        now,
    )
    if recorded is None:
        raise ValueError(f"position {position} of turn {turn_id} is taken")


async def record_intent(
    connection: Connection,
    tenant_id: UUID,
    turn_id: UUID,
    *,
    position: int,
    attempt: int,
    name: str,
    arguments: Mapping[str, object],
    now: datetime,
) -> None:
    """Record that a write outside this database is about to be tried; commit before trying it."""
    await connection.execute(
        """INSERT INTO tool_call (tenant_id, turn_id, position, attempt, name, arguments, arguments_hash, writes,
                                  state, created_at)
           VALUES ($1, $2, $3, $4, $5, $6, $7, true, 'intended', $8)""",
        tenant_id,
        turn_id,
        position,
        attempt,
        name,
        dict(arguments),
        arguments_hash(arguments),
        now,
    )


async def list_recorded(connection: Connection, tenant_id: UUID, turn_id: UUID) -> tuple[RecordedCall, ...]:
    """Return what earlier attempts of a turn did, in the order in which they did it."""
    rows = await connection.fetch(
        """SELECT position, name, arguments, writes, state, result FROM tool_call
           WHERE tenant_id = $1 AND turn_id = $2 ORDER BY position""",
        tenant_id,
        turn_id,
    )
    return tuple(RecordedCall(**row) for row in rows)
