"""How a turn ends when nothing is charged: each ending frees the conversation and says what the owner must know.

What may be sent here is free and fixed: the owner's away text, the apology, the handover text. Where messages have a
price, as on SMS, nothing is sent: nobody would have paid for it.
"""

from collections.abc import Mapping
from uuid import UUID

from agents.errors import NoAnswerError
from gateway import takeover
from gateway.alerts import raise_alert
from gateway.channels.whatsapp import window
from gateway.services import Services
from gateway.system_messages import queue_free_text
from gateway.turn_begin import RunningTurn, day_of
from gateway.turn_scene import lock_mode
from gateway.turn_store import TurnEnd, TurnState, WaitingFor, end_turn, give_back
from metering.connection import Connection
from metering.operations import Release


def window_is_open(services: Services, turn: RunningTurn) -> bool:
    """Return whether we may write to the contact freely now; only WhatsApp has a window."""
    scene = turn.scene
    margin_s = services.limits.margin_for(scene.provider)
    return scene.channel != "whatsapp" or window.is_open(
        scene.last_customer_message_at, scene.closed_by_provider_at, services.now(), margin_s
    )


async def window_closed(services: Services, turn: RunningTurn) -> None:
    """Refuse to answer outside the service window; the customer's next message opens it again."""
    async with services.db.transaction(turn.tenant_id) as connection:
        failure = "service_window_closed"
        if await _end(services, connection, turn, "window_closed", waiting_for="window", failure=failure):
            await _tell(services, connection, turn, "window_closed", once_per=str(turn.turn_id), detail={})
    _count(services, "window_closed")


async def no_credits(services: Services, turn: RunningTurn) -> None:
    """Wait for credits: the customer gets the away text once a day; the owner has been told when the wallet paused."""
    async with services.db.transaction(turn.tenant_id) as connection:
        if not await _is_paused(connection, turn.tenant_id):  # a grant came in between: answer after all
            now = services.now()
            await give_back(connection, turn.lease, turn.turn_id, abandoned=False, due_at=now, now=now)
        elif await _end(
            services, connection, turn, "no_credits", waiting_for="credits", failure="insufficient_credits"
        ):
            await _send_away_text(services, connection, turn)
    _announce(services, turn)
    _count(services, "no_credits")


async def over_budget(services: Services, turn: RunningTurn, scope: str) -> None:
    """Do what the owner chose for a daily limit that is reached."""
    chosen = turn.configuration.budgets.when_spent
    day = day_of(services, turn.scene)
    async with services.db.transaction(turn.tenant_id) as connection:
        if await _end(services, connection, turn, "over_budget", waiting_for="budget", failure=f"budget {scope}"):
            if chosen == "away_text":
                await _send_away_text(services, connection, turn)
            elif chosen == "handover":
                await _hand_over(services, connection, turn, "budget")
        await _tell(
            services, connection, turn, "over_budget", once_per=f"{scope}:{day.isoformat()}", detail={"scope": scope}
        )
    _announce(services, turn)
    _count(services, "over_budget")


async def away(services: Services, turn: RunningTurn) -> None:
    """Outside the hours in which the agent answers: the away text once a day, and nothing else."""
    async with services.db.transaction(turn.tenant_id) as connection:
        if await _end(services, connection, turn, "no_reply", answered=True):
            await _send_away_text(services, connection, turn)
    _announce(services, turn)
    _count(services, "no_reply")


async def out_of_service(services: Services, turn: RunningTurn) -> None:
    """Answer nothing on a line that is suspended; what was written is answered when it is active again."""
    async with services.db.transaction(turn.tenant_id) as connection:
        await _end(services, connection, turn, "no_reply")
    _count(services, "no_reply")


async def silence(services: Services, turn: RunningTurn) -> None:
    """Answer nothing: the agent is switched off on this channel."""
    async with services.db.transaction(turn.tenant_id) as connection:
        await _end(services, connection, turn, "no_reply", answered=True)
    _count(services, "no_reply")


async def handed_over(services: Services, turn: RunningTurn, reason: str, *, crashed: bool = False) -> None:
    """Pass the conversation to a person, uncharged; what is unanswered stays so for them."""
    await services.ledger.submit(turn.tenant_id, Release(hold_key=turn.hold_key))
    async with services.db.transaction(turn.tenant_id) as connection:
        await _end(services, connection, turn, "handed_over", failure="crashed" if crashed else None)
        await _hand_over(services, connection, turn, reason)
    _announce(services, turn)
    _count(services, "handed_over")


async def apology(services: Services, turn: RunningTurn, error: NoAnswerError) -> None:
    """Say a fixed apology, uncharged, because no model answered; tell the owner, also if a tool had done something.

    Where nothing may be said for free, the message stays unanswered: the owner sees who is waiting.
    """
    await services.ledger.submit(turn.tenant_id, Release(hold_key=turn.hold_key))
    now = services.now()
    outcomes = [str(attempt.get("outcome")) for attempt in error.attempts]
    async with services.db.transaction(turn.tenant_id) as connection:
        failure = " ".join(outcomes)
        free = _is_free(turn)
        state: TurnState = "answered_free" if free else "failed"
        ended = await _end(services, connection, turn, state, answered=free, failure=failure)
        if ended and turn.configuration.apology_text and free:
            await _send(services, connection, turn, turn.configuration.apology_text)
        await _tell(
            services, connection, turn, "model_down", once_per=f"{now:%Y-%m-%dT%H}", detail={"attempts": outcomes}
        )
        if error.wrote:
            await _tell(services, connection, turn, "written_unanswered", once_per=str(turn.turn_id), detail={})
    _announce(services, turn)
    _count(services, state)


async def _is_paused(connection: Connection, tenant_id: UUID) -> bool:
    """Lock the wallet against grants and say whether it is paused, so that no resuming is missed."""
    state = await connection.fetchval("SELECT state FROM wallet WHERE tenant_id = $1 FOR SHARE", tenant_id)
    return bool(state == "paused")


async def _end(
    services: Services,
    connection: Connection,
    turn: RunningTurn,
    state: TurnState,
    *,
    waiting_for: WaitingFor | None = None,
    failure: str | None = None,
    answered: bool = False,
) -> bool:
    """End the turn; False if a person has taken over meanwhile, so that nothing more is to be said."""
    if await lock_mode(connection, turn.lease) != "agent":
        await give_back(connection, turn.lease, turn.turn_id, abandoned=False, now=services.now())
        return False
    end = TurnEnd(
        turn_id=turn.turn_id,
        state=state,
        input_version=turn.scene.input_version,
        answered_ids=turn.scene.unanswered_ids if answered else (),
        waiting_for=waiting_for,
        failure=failure,
        now=services.now(),
    )
    await end_turn(connection, turn.lease, end)
    return True


async def _hand_over(services: Services, connection: Connection, turn: RunningTurn, reason: str) -> None:
    await takeover.hand_over(
        connection,
        turn.tenant_id,
        turn.lease.conversation_id,
        reason=reason,
        text=turn.configuration.handover_text if _is_free(turn) else "",
        trace_id=turn.row.trace_id,
        now=services.now(),
        new_id=services.new_id,
    )


async def _send_away_text(services: Services, connection: Connection, turn: RunningTurn) -> None:
    """Write the away text, once per conversation and day, while the window is open."""
    if not _is_free(turn) or not turn.configuration.away_text or not window_is_open(services, turn):
        return
    first_today = await connection.fetchval(
        """UPDATE conversation SET away_text_on = $3
           WHERE tenant_id = $1 AND conversation_id = $2 AND away_text_on IS DISTINCT FROM $3 RETURNING true""",
        turn.tenant_id,
        turn.lease.conversation_id,
        day_of(services, turn.scene),
    )
    if first_today:
        await _send(services, connection, turn, turn.configuration.away_text)


def _is_free(turn: RunningTurn) -> bool:
    """Return whether a message costs nothing on this channel."""
    return turn.scene.channel == "whatsapp"


async def _send(services: Services, connection: Connection, turn: RunningTurn, text: str) -> UUID:
    return await queue_free_text(
        connection,
        turn.tenant_id,
        turn.lease.conversation_id,
        text=text,
        trace_id=turn.row.trace_id,
        now=services.now(),
        new_id=services.new_id,
        turn_id=turn.turn_id,
    )


async def _tell(
    services: Services,
    connection: Connection,
    turn: RunningTurn,
    kind: str,
    *,
    once_per: str,
    detail: Mapping[str, object],
) -> None:
    await raise_alert(
        connection,
        turn.tenant_id,
        kind=kind,
        dedupe_key=f"{kind}:{once_per}",
        detail={"conversation_id": str(turn.lease.conversation_id), "turn_id": str(turn.turn_id), **detail},
        now=services.now(),
        new_id=services.new_id,
    )


def _announce(services: Services, turn: RunningTurn) -> None:
    services.arrivals.announce(turn.tenant_id, turn.lease.conversation_id, services.now())


def _count(services: Services, state: TurnState) -> None:
    services.metrics.turns.labels(state).inc()
