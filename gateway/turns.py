"""One turn, from a due conversation to a charged answer in the outbox: hold, answer, capture, send.

Every step is its own transaction, bound to the lease's epoch and named by the turn's id: whatever line a
process dies at, the next worker finds what was begun and finishes it once.
"""

import asyncio
import time
from uuid import UUID

import structlog

from agents.disclosure import opening_text
from agents.errors import NoAnswerError
from agents.opening import agent_answers
from agents.responder import Answer
from gateway import turn_endings
from gateway.events_out import record_event, turn_detail
from gateway.group_commit import Companion
from gateway.services import Services
from gateway.turn_answer import DraftAbandonedError, answer_watched, may_abandon
from gateway.turn_begin import RunningTurn, begin, build, channel_of, day_of
from gateway.turn_draft import Draft, characters_for, draft_of, length_limit
from gateway.turn_media import media_of
from gateway.turn_quote import Quote, hold_for
from gateway.turn_scene import Lease
from gateway.turn_store import SupersededError, TurnEnd, end_charged_turn, give_back
from metering.budgets import limits_for
from metering.connection import Connection
from metering.operations import Applied, Capture, Held, Outcome, Refused, Release

IN_FLIGHT_RETRY_S = 2.0  # when other turns keep the credits: come back, do not refuse

log = structlog.get_logger(__name__)


async def run_turn(services: Services, lease: Lease) -> tuple[UUID, ...]:
    """Answer one due conversation; return the paid messages to send now. Raises StaleLeaseError."""
    turn = await begin(services, lease)
    if turn is None:
        return ()
    structlog.contextvars.bind_contextvars(trace_id=turn.row.trace_id, turn_id=str(turn.turn_id))
    try:
        return await _answer(services, turn) if await _may_answer(services, turn) else ()
    except asyncio.CancelledError:  # the process ends: somebody else goes on at once
        await asyncio.shield(_let_go(services, turn, abandoned=False))
        raise


async def _may_answer(services: Services, turn: RunningTurn) -> bool:
    """Decide everything that needs no credits; what may not be answered is ended here."""
    override = turn.configuration.channels.get(turn.scene.channel)  # type: ignore[call-overload]  # a plain str
    if turn.row.crashes >= services.limits.crashes_max:
        await turn_endings.handed_over(services, turn, "crashed", crashed=True)
    elif turn.scene.line_state != "active":
        await turn_endings.out_of_service(services, turn)
    elif not turn_endings.window_is_open(services, turn):
        await turn_endings.window_closed(services, turn)
    elif override is not None and not override.enabled:
        await turn_endings.silence(services, turn)
    elif not agent_answers(turn.configuration, services.now()):
        await turn_endings.away(services, turn)
    elif turn.scene.wallet_state == "paused":
        await turn_endings.no_credits(services, turn)
    else:
        return True
    return False


async def _answer(services: Services, turn: RunningTurn) -> tuple[UUID, ...]:
    channel, line = channel_of(services, turn.scene)
    media = await media_of(services, turn.tenant_id, channel, line, turn.messages, language=turn.configuration.language)
    first_answer = not turn.scene.answered_before
    opening = opening_text(turn.configuration) if first_answer else ""
    segments_max = turn.configuration.sms.segments_max
    characters_max = characters_for(turn, segments_max, opening=opening)
    prompt = await build(services, turn, media, first_answer=first_answer, characters_max=characters_max)
    quote = Quote(
        card=services.rate_cards.on(day_of(services, turn.scene)),
        channel=turn.scene.channel,
        input_tokens=prompt.input_tokens,
        opening_tokens=services.count_tokens(f"{opening}\n\n") if opening else 0,
        answer_max_tokens=turn.configuration.answer_max_tokens,
        answer_floor_tokens=services.limits.answer_floor_tokens,
        segments_max=segments_max,
    )
    held = await _hold(services, turn, quote)
    if held is None:
        return ()
    allowed = quote.allowance(held.amount_millicredits)
    length = length_limit(turn, channel, allowed, opening=opening)
    try:
        answer = await answer_watched(
            services, turn, prompt, channel=channel, line=line, answer_tokens=allowed.answer_tokens, length=length
        )
    except DraftAbandonedError:
        await _let_go(services, turn, abandoned=True)
        return ()
    except NoAnswerError as error:
        await turn_endings.apology(services, turn, error)
        return ()
    if answer.handed_over is not None:
        await turn_endings.handed_over(services, turn, answer.handed_over)
        return ()
    draft = draft_of(services, turn, answer, channel, quote=quote, held=held, first_answer=first_answer)
    return await _capture(services, turn, answer, draft)


async def _hold(services: Services, turn: RunningTurn, quote: Quote) -> Held | None:
    """Reserve the most that the answer can cost; None if the turn has ended for want of credits."""
    now, budgets = services.now(), turn.configuration.budgets
    hold = hold_for(
        quote,
        key=turn.hold_key,
        day=day_of(services, turn.scene),
        expires_at=services.lease_until(now),
        budgets=limits_for(
            channel=turn.scene.channel,
            contact_id=turn.scene.contact_id,
            agent_id=turn.scene.agent_id,
            contact_credits=budgets.contact,
            agent_credits=budgets.agent,
            channel_credits=budgets.channel,
        ),
    )
    with services.metrics.holds_waiting.track_inprogress():
        outcome = await services.ledger.hold(turn.tenant_id, hold, wait_s=services.limits.hold_wait_s)
    match outcome:
        case Held():
            return outcome
        case Refused(reason="over_budget"):
            await turn_endings.over_budget(services, turn, outcome.scope or "")
        case Refused(reason="credits_in_flight"):
            await _let_go(services, turn, abandoned=False, after_s=IN_FLIGHT_RETRY_S)
        case Refused():
            await turn_endings.no_credits(services, turn)
        case None:
            raise AssertionError("a hold without a check is decided")
    return None


async def _capture(services: Services, turn: RunningTurn, answer: Answer, draft: Draft) -> tuple[UUID, ...]:
    """Charge the answer and put it into the outbox, in one transaction, if nothing newer has arrived.

    Newer messages are rare at this very moment, so they are found by the write itself: it rolls the charge back.
    """
    charge_key = f"turn:{turn.turn_id}"

    async def write(connection: Connection, outcome: Outcome) -> None:
        if not isinstance(outcome, Applied):
            return
        now = services.now()
        end = TurnEnd(
            turn_id=turn.turn_id,
            state="charged",
            input_version=turn.scene.input_version,
            answered_ids=turn.scene.unanswered_ids,
            input_tokens=draft.input_tokens,
            output_tokens=draft.output_tokens,
            now=now,
        )
        await end_charged_turn(
            connection,
            turn.lease,
            end,
            receipt_id=draft.receipt.receipt_id,
            charge_key=charge_key,
            parts=draft.parts,
            only_if_newest=may_abandon(services, turn, answer.wrote),
            trace_id=turn.row.trace_id,
            send_lease_until=services.lease_until(now),
        )
        await record_event(
            connection,
            turn.tenant_id,
            kind="turn.completed",
            subject_id=turn.turn_id,
            detail=turn_detail(draft.receipt, outcome),
            now=now,
            new_id=services.new_id,
        )

    capture = Capture(hold_key=turn.hold_key, key=charge_key, receipt=draft.receipt)
    try:
        outcome = await services.ledger.submit(turn.tenant_id, capture, Companion(write=write))
    except SupersededError:
        await _let_go(services, turn, abandoned=True)
        return ()
    match outcome:
        case Applied():
            _count_charged(services, turn, answer, outcome)
            return tuple(part.message_id for part in draft.parts)
        case Refused():  # the hold ran out meanwhile: begin again with a new one, or wait for credits
            log.warning("capture_refused", reason=outcome.reason)
            await _let_go(services, turn, abandoned=False, after_s=IN_FLIGHT_RETRY_S)
        case _:
            raise AssertionError(f"a capture does not end as {type(outcome).__name__}")
    return ()


def _count_charged(services: Services, turn: RunningTurn, answer: Answer, charged: Applied) -> None:
    model_s = sum(int(str(attempt["took_ms"])) for attempt in answer.attempts) / 1000
    services.metrics.turns.labels("charged").inc()
    services.metrics.turn_overhead_s.observe(max(0.0, time.monotonic() - turn.began_at - model_s))
    services.metrics.charged_millicredits.inc(-charged.amount_millicredits)
    services.metrics.absorbed_millicredits.inc(charged.absorbed_millicredits)


async def _let_go(services: Services, turn: RunningTurn, *, abandoned: bool, after_s: float | None = None) -> None:
    """Give the turn back unfinished: its hold is released, and it is answered again when it is due."""
    await services.ledger.submit(turn.tenant_id, Release(hold_key=turn.hold_key))
    due_at = None if after_s is None else services.after(after_s)
    async with services.db.transaction(turn.tenant_id) as connection:
        await give_back(connection, turn.lease, turn.turn_id, abandoned=abandoned, due_at=due_at, now=services.now())
    services.arrivals.announce(turn.tenant_id, turn.lease.conversation_id, due_at or services.now())
