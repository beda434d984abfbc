"""Handing messages to their provider: each attempt is recorded before it is made, and its outcome after.

Definite refusal: the credits come back and the owner is told. Throttled or not connected: another attempt
within the limits. No answer after the request was written: nobody knows, so the delivery report decides; without
one, a provider that answers questions is asked (Twilio), and what it never took is sent again; at the other (Meta) the
message is sent once more if the window is still open, and given back after that.
"""

import asyncio
from collections.abc import Sequence
from typing import assert_never
from uuid import UUID

import structlog

from gateway import outbox_store, report_store
from gateway.alerts import raise_alert
from gateway.channels.base import Acknowledgement, Address, LineCredentials, Outbound
from gateway.errors import (
    SendError,
    SendNotConnectedError,
    SendOutcomeUnknownError,
    SendRefusedError,
    SendThrottledError,
)
from gateway.outbox_store import Letter, SendLease
from gateway.outbox_verdicts import Verdict, verdict
from gateway.refunds import give_up_part, give_up_unsent_behind
from gateway.segment_corrections import correct_segments
from gateway.services import Services
from gateway.window_store import opt_out
from metering.connection import Connection

WRITTEN = 1  # the epoch of a message that is still with the worker who wrote it
BACK_OFF_S = (2.0, 8.0, 30.0, 120.0, 600.0)


log = structlog.get_logger(__name__)


async def deliver(services: Services, tenant_id: UUID, conversation_id: UUID, message_ids: Sequence[UUID]) -> None:
    """Send the parts of an answer that this worker has just written, one after the other."""
    for position, message_id in enumerate(message_ids):
        lease = SendLease(tenant_id=tenant_id, message_id=message_id, conversation_id=conversation_id, epoch=WRITTEN)
        if await send(services, lease):
            continue
        async with services.db.transaction(tenant_id) as connection:
            await outbox_store.release(connection, tenant_id, message_ids[position:], epoch=WRITTEN)
        return


async def send(services: Services, lease: SendLease) -> bool:
    """Try one leased message; return whether it has left, so that the next one may."""
    letter, decided, wait_s = await _decide(services, lease, paced=False)
    if wait_s > 0:  # the worker renews the lease while we wait for our place
        await asyncio.sleep(wait_s)
        letter, decided, _ = await _decide(services, lease, paced=True)
    if letter is None:
        return False
    _bind_log(lease, letter)
    match decided:
        case "send":
            return await _hand_to_provider(services, lease, letter)
        case "already_reported":
            return True
        case "look_up":
            return await _look_up(services, lease, letter)
        case "line_not_active" | "window_closed" | "opted_out" | "too_often" | "lost":
            await _give_up(services, lease, failure=decided)
        case "ask_reports":
            pass
        case _:
            assert_never(decided)
    return False


def _bind_log(lease: SendLease, letter: Letter) -> None:
    """Name the turn and the message on every line that this task logs from here on."""
    of_turn = {} if letter.turn_id is None else {"turn_id": str(letter.turn_id)}
    structlog.contextvars.bind_contextvars(trace_id=letter.trace_id, message_id=str(lease.message_id), **of_turn)


async def _decide(services: Services, lease: SendLease, *, paced: bool) -> tuple[Letter | None, Verdict, float]:
    """Lock the message, decide what is to be done and write that down; or return how long to wait before it."""
    async with services.db.transaction(lease.tenant_id) as connection:
        letter = await outbox_store.lock_letter(connection, lease)
        if letter is None:
            return None, "already_reported", 0.0
        decided = verdict(services, letter)
        if decided == "send" and not paced and letter.channel == "whatsapp":  # Twilio paces SMS itself
            wait_s = services.throttle.wait_s(letter.number, letter.reply_address)
            if wait_s > 0:
                return letter, decided, wait_s
        await _record(services, connection, lease, decided)
    return letter, decided, 0.0


async def _record(services: Services, connection: Connection, lease: SendLease, decided: Verdict) -> None:
    """Write down what is about to happen, before it does."""
    now = services.now()
    match decided:
        case "send":
            await outbox_store.start_attempt(connection, lease, now=now, lease_until=services.lease_until(now))
        case "ask_reports":
            await outbox_store.wait_for_report(connection, lease, due_at=services.after(services.limits.unknown_wait_s))
        case "already_reported":
            await outbox_store.settle_reported(connection, lease)
        case _:  # given up in a transaction of its own, with the refund
            pass


async def _hand_to_provider(services: Services, lease: SendLease, letter: Letter) -> bool:
    try:
        channel = services.channels[letter.provider]
        acknowledged = await channel.send(_credentials(services, letter), _outbound(lease, letter))
    except SendError as error:
        services.metrics.sends.labels(letter.provider, type(error).__name__).inc()
        await _not_acknowledged(services, lease, letter, error)
        return False
    services.metrics.sends.labels(letter.provider, "acknowledged").inc()
    await _acknowledged(services, lease, letter, acknowledged)
    return True


async def _look_up(services: Services, lease: SendLease, letter: Letter) -> bool:
    """Ask the provider what became of a send; what it never took is due again at once."""
    since = letter.first_attempt_at or services.now()
    async with services.db.transaction(lease.tenant_id) as connection:
        known = await outbox_store.known_provider_ids(connection, lease)
    try:
        channel = services.channels[letter.provider]
        found = await channel.find_sent(
            _credentials(services, letter), _outbound(lease, letter), since=since, known=known
        )
    except SendError as error:  # it failed there, or nobody could be asked: then it stays unknown
        await _not_acknowledged(services, lease, letter, error)
        return False
    log.info("send_looked_up", found=found is not None)
    if found is None:
        async with services.db.transaction(lease.tenant_id) as connection:
            await outbox_store.try_again(connection, lease, due_at=services.now())
        services.arrivals.announce(lease.tenant_id, lease.conversation_id, services.now())
        return False
    await _acknowledged(services, lease, letter, found)
    return True


async def _acknowledged(services: Services, lease: SendLease, letter: Letter, acknowledged: Acknowledgement) -> None:
    # Not durable: if the database dies right now, the delivery report says the same once more.
    async with services.db.transaction(lease.tenant_id, durable=False) as connection:
        await outbox_store.acknowledge(connection, lease, acknowledged.provider_id)
    services.arrivals.announce(lease.tenant_id, lease.conversation_id, None)
    if acknowledged.segments and acknowledged.segments != letter.segments:
        await correct_segments(services, lease.tenant_id, lease.message_id, acknowledged.segments)


def _outbound(lease: SendLease, letter: Letter) -> Outbound:
    return Outbound(
        message_id=lease.message_id,
        to=Address(kind=letter.reply_address_kind, value=letter.reply_address),
        text=letter.text,
    )


async def _not_acknowledged(services: Services, lease: SendLease, letter: Letter, error: SendError) -> None:
    match error:
        case SendRefusedError():
            log.warning("send_refused", code=error.code)
            await _give_up(services, lease, failure=error.code, refusal=error)
        case SendOutcomeUnknownError():
            log.warning("send_outcome_unknown")
            async with services.db.transaction(lease.tenant_id) as connection:
                await outbox_store.wait_for_report(
                    connection, lease, due_at=services.after(services.limits.unknown_wait_s)
                )
        case SendThrottledError() | SendNotConnectedError():
            await _postpone(services, lease, letter, error)
        case _:
            raise AssertionError(f"a send does not end as {type(error).__name__}")


async def _postpone(services: Services, lease: SendLease, letter: Letter, error: SendError) -> None:
    """Wait before the next attempt; if that would be one too many or too late, give up now and let nobody wait."""
    delay_s = BACK_OFF_S[min(letter.attempts, len(BACK_OFF_S) - 1)]
    if isinstance(error, SendThrottledError) and error.retry_after_s is not None:
        delay_s = max(delay_s, error.retry_after_s)
    log.info("send_postponed", error=type(error).__name__)
    due_at = services.after(delay_s)
    tried_for_s = (due_at - (letter.first_attempt_at or services.now())).total_seconds()
    if letter.attempts + 1 >= services.limits.send_attempts or tried_for_s > services.limits.send_for_s:
        await _give_up(services, lease, failure="too_often")
        return
    async with services.db.transaction(lease.tenant_id) as connection:
        await outbox_store.try_again(connection, lease, due_at=due_at)
    services.arrivals.announce(lease.tenant_id, lease.conversation_id, due_at)


async def _give_up(
    services: Services, lease: SendLease, *, failure: str, refusal: SendRefusedError | None = None
) -> None:
    """End a message that will not leave: refund it and what waits behind it, and tell the owner."""
    async with services.db.transaction(lease.tenant_id) as connection:
        part = await report_store.lock_part(connection, lease.tenant_id, lease.message_id)
    if part is None:
        return
    await give_up_unsent_behind(services, lease.tenant_id, part, reason=failure)

    async def still_due(connection: Connection) -> bool:
        await report_store.lock_window(connection, lease.tenant_id, part)
        current = await report_store.lock_part(connection, lease.tenant_id, lease.message_id)
        return current is not None and current.outbox_state in ("pending", "sending", "unknown")

    async def end(connection: Connection, refunded: bool) -> None:
        now = services.now()
        if refusal is not None and refusal.window_closed:
            await report_store.close_window(connection, lease.tenant_id, part, reported_at=now, now=now)
        if refusal is not None and refusal.opted_out:
            await opt_out(
                connection,
                lease.tenant_id,
                line_id=part.line_id,
                contact_id=part.contact_id,
                channel=part.channel,
                sent_at=part.created_at,
                now=now,
            )
        await report_store.fail_part(connection, lease.tenant_id, lease.message_id, refunded=refunded, failure=failure)
        kind = alert_kind(failure, refusal)
        once_per = lease.message_id if kind in ("delivery_failed", "window_closed") else f"{part.line_id}:{now.date()}"
        await raise_alert(
            connection,
            lease.tenant_id,
            kind=kind,
            dedupe_key=f"{kind}:{once_per}",
            detail={
                "message_id": str(lease.message_id),
                "conversation_id": str(part.conversation_id),
                "line_id": str(part.line_id),
                "code": failure,
                "refunded": refunded,
            },
            now=now,
            new_id=services.new_id,
        )

    await give_up_part(services, lease.tenant_id, part, reason=failure, still_due=still_due, on_end=end)
    services.arrivals.announce(lease.tenant_id, lease.conversation_id, services.now())


def alert_kind(failure: str, refusal: SendRefusedError | None) -> str:
    """Return what the owner is told: a closed window, an account that cannot pay, a channel that is down (pure)."""
    if failure == "window_closed" or (refusal is not None and refusal.window_closed):
        return "window_closed"
    if refusal is not None and refusal.payment_problem:
        return "provider_payment"
    if refusal is not None and refusal.channel_down:
        return "provider_account"
    return "delivery_failed"


def _credentials(services: Services, letter: Letter) -> LineCredentials:
    encrypted = letter.access_token_encrypted
    return LineCredentials(
        line_id=letter.line_id,
        number=letter.number,
        provider_line_id=letter.provider_line_id,
        access_token=services.secret_box.decrypt(encrypted).decode() if encrypted is not None else None,
    )
