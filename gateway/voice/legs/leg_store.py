"""The rows of people who are dialled: one for each attempt to put a call through. Nothing here commits."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

from metering.connection import Connection

LegState = Literal["dialling", "answered", "ended"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LegRow:
    """One person's leg, and what has become of its call meanwhile."""

    leg: int
    leg_sid: str | None
    state: LegState
    outcome: str | None
    time_limit_s: int
    minutes_charged: int
    dialled_at: datetime
    answered_at: datetime | None
    call_state: str
    call_epoch: int
    call_began_at: datetime | None  # its first stream
    call_minutes_charged: int
    call_input_tokens: int
    call_output_tokens: int


async def insert_leg(
    connection: Connection, tenant_id: UUID, call_id: UUID, leg: int, *, time_limit_s: int, now: datetime
) -> bool:
    """Note that a person is about to be dialled, once for each leg; False if this one has been talked on or is over."""
    made = await connection.fetchval(
        """INSERT INTO call_leg (tenant_id, call_id, leg, time_limit_s, dialled_at) VALUES ($1, $2, $3, $4, $5)
           ON CONFLICT (tenant_id, call_id, leg) DO UPDATE SET time_limit_s = excluded.time_limit_s
             WHERE call_leg.state = 'dialling' RETURNING leg""",
        tenant_id,
        call_id,
        leg,
        time_limit_s,
        now,
    )
    return made is not None


async def read_leg(connection: Connection, tenant_id: UUID, call_id: UUID, leg: int) -> LegRow | None:
    row = await connection.fetchrow(
        """SELECT leg.leg, leg.leg_sid, leg.state, leg.outcome, leg.time_limit_s, leg.minutes_charged, leg.dialled_at,
                  leg.answered_at, call.state AS call_state, call.lease_epoch AS call_epoch,
                  call.stream_started_at AS call_began_at, call.minutes_charged AS call_minutes_charged,
                  call.input_tokens AS call_input_tokens, call.output_tokens AS call_output_tokens
           FROM call_leg leg JOIN call USING (tenant_id, call_id)
           WHERE leg.tenant_id = $1 AND leg.call_id = $2 AND leg.leg = $3""",
        tenant_id,
        call_id,
        leg,
    )
    return None if row is None else LegRow(**row)


async def next_leg(connection: Connection, tenant_id: UUID, call_id: UUID) -> int:
    """Return the number of the person to be dialled next."""
    number: int = await connection.fetchval(
        "SELECT coalesce(max(leg), 0) + 1 FROM call_leg WHERE tenant_id = $1 AND call_id = $2", tenant_id, call_id
    )
    return number


async def minutes_charged(connection: Connection, tenant_id: UUID, call_id: UUID) -> int:
    """Return how many minutes of the caller's own leg have begun."""
    minutes: int = await connection.fetchval(
        "SELECT minutes_charged FROM call WHERE tenant_id = $1 AND call_id = $2", tenant_id, call_id
    )
    return minutes


async def pick_up(
    connection: Connection, tenant_id: UUID, call_id: UUID, leg: int, *, leg_sid: str | None, now: datetime
) -> None:
    """Note that somebody, or something, has picked up: from here on the leg's minutes count."""
    await connection.execute(
        """UPDATE call_leg SET answered_at = coalesce(answered_at, $5), leg_sid = coalesce(leg_sid, $4)
           WHERE tenant_id = $1 AND call_id = $2 AND leg = $3 AND state <> 'ended'""",
        tenant_id,
        call_id,
        leg,
        leg_sid,
        now,
    )


async def accept(connection: Connection, tenant_id: UUID, call_id: UUID, leg: int) -> bool:
    """Note that a person has taken the call; False if it is too late for that."""
    taken = await connection.fetchval(
        """UPDATE call_leg SET state = 'answered'
           WHERE tenant_id = $1 AND call_id = $2 AND leg = $3 AND state <> 'ended' RETURNING leg""",
        tenant_id,
        call_id,
        leg,
    )
    return taken is not None


async def end_leg(
    connection: Connection, tenant_id: UUID, call_id: UUID, leg: int, *, said: str, now: datetime
) -> None:
    """Note how a leg ended, by Twilio's word for it; the first word counts.

    `completed` is one that a person had taken: of an answering machine that was hung up on, Twilio says so too.
    """
    await connection.execute(
        """UPDATE call_leg SET state = 'ended', ended_at = $5,
             outcome = CASE WHEN state = 'answered' THEN 'completed' WHEN $4 = 'completed' THEN 'no-answer' ELSE $4 END
           WHERE tenant_id = $1 AND call_id = $2 AND leg = $3 AND state <> 'ended'""",
        tenant_id,
        call_id,
        leg,
        said,
        now,
    )


async def go_on(connection: Connection, tenant_id: UUID, call_id: UUID, *, epoch: int) -> None:
    """Let a call whose person could not be dialled be pumped by the stream that it has."""
    await connection.execute(
        """UPDATE call SET state = 'live'
           WHERE tenant_id = $1 AND call_id = $2 AND lease_epoch = $3 AND state = 'forwarding'""",
        tenant_id,
        call_id,
        epoch,
    )
