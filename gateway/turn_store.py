"""The statements of a turn: how it begins, is taken up again, and ends.

Every write is bound to the lease's epoch: a worker whose lease was taken over changes nothing.
Locks: wallet, service window, conversation, message.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

from gateway.errors import StaleLeaseError
from gateway.turn_scene import Lease, Scene, UnfinishedTurn
from metering.connection import Connection

GIVEN_BACK = 0  # a turn's epoch while nobody works on it: it did not crash

TurnState = Literal[
    "charged",
    "answered_free",
    "unpaid",
    "no_credits",
    "over_budget",
    "window_closed",
    "handed_over",
    "no_reply",
    "failed",
]
WaitingFor = Literal["credits", "budget", "unpaid", "window"]


class SupersededError(Exception):
    """What the answer was made for is no longer the newest state of its conversation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnEnd:
    """How a turn ends. `answered_ids`: the messages that need no further answer."""

    turn_id: UUID
    state: TurnState
    input_version: int
    answered_ids: Sequence[UUID]
    waiting_for: WaitingFor | None = None
    failure: str | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    now: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class PaidPart:
    """One part of a charged answer; `refund_lines` is what it cost, as the outbox keeps it."""

    message_id: UUID
    text: str
    refund_lines: Sequence[Mapping[str, object]]
    segments: int | None = None  # where messages are priced by segment


async def begin_turn(
    connection: Connection, lease: Lease, scene: Scene, *, turn_id: UUID, trace_id: str, now: datetime
) -> None:
    """Record that a turn has begun."""
    await connection.execute(
        """INSERT INTO turn (tenant_id, turn_id, conversation_id, state, lease_epoch, input_version, agent_version,
                             trace_id, started_at)
           VALUES ($1, $2, $3, 'running', $4, $5, $6, $7, $8)""",
        lease.tenant_id,
        turn_id,
        lease.conversation_id,
        lease.epoch,
        scene.input_version,
        scene.agent_version,
        trace_id,
        now,
    )


async def resume_turn(
    connection: Connection, lease: Lease, turn: UnfinishedTurn, *, input_version: int
) -> UnfinishedTurn:
    """Take up an unfinished turn as its next attempt; an attempt that somebody held to the end crashed."""
    crashed = turn.lease_epoch != GIVEN_BACK
    row = await connection.fetchrow(
        """UPDATE turn SET attempt = attempt + 1, crashes = crashes + $3, lease_epoch = $4, input_version = $5
           WHERE tenant_id = $1 AND turn_id = $2
           RETURNING turn_id, attempt, crashes, abandoned_drafts, trace_id, lease_epoch""",
        lease.tenant_id,
        turn.turn_id,
        int(crashed),
        lease.epoch,
        input_version,
    )
    if row is None:
        raise AssertionError("an unfinished turn has a row")
    return UnfinishedTurn(**row)


async def give_back(
    connection: Connection,
    lease: Lease,
    turn_id: UUID,
    *,
    abandoned: bool,
    now: datetime,
    due_at: datetime | None = None,
) -> None:
    """Let the conversation go with its turn unfinished: for a newer message, or because the process ends.

    Without `due_at` the conversation stays due when it was. If it is not, or a person has taken over meanwhile, the
    turn is over: nobody would take it up again. A lease that has moved on is left alone.
    """
    await connection.execute(
        """WITH freed AS (
             UPDATE conversation SET lease_until = NULL, due_at = CASE WHEN mode = 'agent' THEN coalesce($6, due_at) END
             WHERE tenant_id = $1 AND conversation_id = $2 AND lease_epoch = $3 RETURNING mode, due_at)
           UPDATE turn SET lease_epoch = 0, abandoned_drafts = abandoned_drafts + $5,
             state = CASE WHEN freed.due_at IS NOT NULL THEN state
                          WHEN freed.mode = 'human' THEN 'handed_over' ELSE 'no_reply' END,
             ended_at = CASE WHEN freed.due_at IS NULL THEN $7::timestamptz END
           FROM freed WHERE turn.tenant_id = $1 AND turn.turn_id = $4 AND turn.state = 'running'""",
        lease.tenant_id,
        lease.conversation_id,
        lease.epoch,
        turn_id,
        int(abandoned),
        due_at,
        now,
    )


async def let_go(connection: Connection, lease: Lease, *, answered: bool) -> None:
    """Let a conversation go in which the agent has nothing to answer: it is not due, and nobody works on it.

    Not `answered`: somebody still waits, for a person for instance.
    """
    await connection.execute(
        """UPDATE conversation SET lease_until = NULL, due_at = NULL,
             pending_since = CASE WHEN $4 THEN NULL ELSE pending_since END
           WHERE tenant_id = $1 AND conversation_id = $2 AND lease_epoch = $3""",
        lease.tenant_id,
        lease.conversation_id,
        lease.epoch,
        answered,
    )


async def end_turn(connection: Connection, lease: Lease, end: TurnEnd) -> None:
    """End a turn that is not charged and let the conversation go. Raises StaleLeaseError, to be rolled back."""
    ended = await connection.fetchval(_END, *_end_values(lease, end))
    if ended is None:
        raise StaleLeaseError


async def end_charged_turn(
    connection: Connection,
    lease: Lease,
    end: TurnEnd,
    *,
    receipt_id: UUID,
    charge_key: str,
    parts: Sequence[PaidPart],
    only_if_newest: bool,
    trace_id: str,
    send_lease_until: datetime,
) -> None:
    """End a charged turn: its parts, their place in the outbox and the turn itself, in the charge's transaction.

    The parts are leased to the caller, epoch 1, who sends them at once. Raises SupersededError, to be rolled back, if
    a person has taken over, the lease has moved on or, with `only_if_newest`, a newer message has arrived.
    """
    ended = await connection.fetchval(
        _END_CHARGED,
        *_end_values(lease, end),
        receipt_id,
        charge_key,
        [part.message_id for part in parts],
        [part.text for part in parts],
        [list(part.refund_lines) for part in parts],
        trace_id,
        send_lease_until,
        only_if_newest,
        [part.segments for part in parts],
    )
    if ended is None:
        raise SupersededError


def _end_values(lease: Lease, end: TurnEnd) -> tuple[object, ...]:
    return (
        lease.tenant_id,
        lease.conversation_id,
        lease.epoch,
        end.turn_id,
        end.state,
        end.now,
        end.failure,
        end.input_tokens,
        end.output_tokens,
        list(end.answered_ids),
        end.input_version,
        end.waiting_for,
    )


# What arrived after the turn began stays due when the inbox said; so nothing is dropped.
_CONVERSATION_AFTER = """
  lease_until = NULL,
  due_at = CASE WHEN input_version = $11 THEN NULL ELSE due_at END,
  waiting_for = CASE WHEN input_version = $11 THEN $12 ELSE waiting_for END,
  pending_since = CASE
    WHEN $12::text IS NOT NULL THEN pending_since
    WHEN input_version = $11 AND cardinality($10::uuid[]) > 0 THEN NULL
    ELSE (SELECT min(m.created_at) FROM message m
          WHERE m.tenant_id = $1 AND m.conversation_id = $2 AND m.direction = 'in' AND m.state = 'received'
            AND m.turn_id IS NULL AND NOT m.message_id = ANY ($10)) END
"""

_TURN_AFTER = """
ended AS (
  UPDATE turn SET state = $5, ended_at = $6, failure = $7, input_tokens = $8, output_tokens = $9
  FROM freed WHERE turn.tenant_id = $1 AND turn.turn_id = $4),
answered AS (
  UPDATE message SET turn_id = $4 FROM freed
  WHERE message.tenant_id = $1 AND message.message_id = ANY ($10) AND message.turn_id IS NULL)
"""

_END = f"""
WITH freed AS (
  UPDATE conversation SET {_CONVERSATION_AFTER}
  WHERE tenant_id = $1 AND conversation_id = $2 AND lease_epoch = $3 RETURNING conversation_id),
{_TURN_AFTER}
SELECT conversation_id FROM freed
"""  # noqa: S608 - constants inside a constant

# A microsecond between parts: a thread is read in the order of its times.
_END_CHARGED = f"""
WITH freed AS (
  UPDATE conversation SET {_CONVERSATION_AFTER},
    next_position = next_position + cardinality($15::uuid[]), last_message_at = greatest(last_message_at, $6)
  WHERE tenant_id = $1 AND conversation_id = $2 AND lease_epoch = $3 AND mode = 'agent'
    AND (input_version = $11 OR NOT $20)
  RETURNING conversation_id, line_id, contact_id, next_position - cardinality($15::uuid[]) AS position),
{_TURN_AFTER},
part AS (
  SELECT message_id, text, segments, place, $17::jsonb -> (place::integer - 1) AS refund_lines
  FROM unnest($15::uuid[], $16::text[], $21::integer[])
       WITH ORDINALITY AS part (message_id, text, segments, place)),
written AS (
  INSERT INTO message (tenant_id, message_id, conversation_id, line_id, contact_id, direction, author, kind, text,
                       turn_id, receipt_id, state, created_at, segments)
  SELECT $1, part.message_id, $2, freed.line_id, freed.contact_id, 'out', 'agent', 'text', part.text, $4, $13,
         'queued', $6 + (part.place - 1) * interval '1 microsecond', part.segments
  FROM part, freed),
queued AS (
  INSERT INTO outbox (tenant_id, message_id, conversation_id, line_id, turn_id, position, charge_key, refund_lines,
                      due_at, lease_until, lease_epoch, trace_id)
  SELECT $1, part.message_id, $2, freed.line_id, $4, freed.position + part.place - 1, $14, part.refund_lines,
         $6, $19, 1, $18
  FROM part, freed)
SELECT conversation_id FROM freed
"""  # noqa: S608 - constants inside a constant
