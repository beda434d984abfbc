"""A message that a person or a program of the business writes into a conversation.

It is charged like everything that leaves: an SMS by its segments, a WhatsApp message with a receipt of nothing. Its
place in the outbox is written in the charge's transaction.
"""

from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Literal
from uuid import UUID

from gateway import takeover
from gateway.channels.sms.segments import count_segments
from gateway.channels.sms.smart_encoding import plain
from gateway.channels.whatsapp import window
from gateway.conversations import ConversationView, read_conversation
from gateway.errors import ProblemError, ServiceWindowClosedError
from gateway.group_commit import Companion
from gateway.repeat_keys import RepeatKey, find_done, remember
from gateway.services import Services
from gateway.tenants import find_tenant
from gateway.turn_quote import stored_lines
from gateway.window_store import lock_window
from metering.connection import Connection
from metering.operations import Applied, Charge, Outcome, ReceiptDraft, Refused
from metering.rates import Item

WHATSAPP_CHARACTERS_MAX = 4096
TWILIO_CHARACTERS_MAX = 1600
SMS_SEGMENTS_MAX = 10
WRITABLE = ("whatsapp", "sms")

Author = Literal["member", "api"]


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenMessage:
    """What is to be sent. With `take_over`, a person answers the conversation from now on."""

    conversation_id: UUID
    author: Author
    text: str
    take_over: bool = False
    repeat: RepeatKey | None = None


@dataclass(slots=True, kw_only=True)
class _Writing:
    """What goes with the charge in its transaction; afterwards it knows why nothing was charged, if so."""

    services: Services
    tenant_id: UUID
    written: WrittenMessage
    message_id: UUID
    charge: Charge
    view: ConversationView
    segments: int | None
    done_before: UUID | None = None
    problem: ProblemError | None = None

    async def check(self, connection: Connection) -> bool:
        """Decide under the wallet's and the window's lock whether the message may be sent."""
        self.done_before = self.problem = None
        if not await self._is_new(connection):
            return False
        view = self.view
        await lock_window(
            connection, self.tenant_id, line_id=view.line_id, contact_id=view.contact_id, channel=view.channel
        )
        current = await read_conversation(connection, self.tenant_id, view.conversation_id)
        line = await _read_line(connection, self.tenant_id, view)
        margin_s = self.services.limits.margin_for(line.provider)
        self.problem = _problem(current, line, now=self.services.now(), margin_s=margin_s) if current else _unknown()
        return self.problem is None

    async def write(self, connection: Connection, outcome: Outcome) -> None:
        """Write the message and its place in the outbox."""
        if not isinstance(outcome, Applied):
            return
        now = self.services.now()
        if self.written.take_over:
            await takeover.take_over(connection, self.tenant_id, self.view.conversation_id, now)
        await _insert(
            connection, self.tenant_id, self.written, self.message_id, self.charge, segments=self.segments, now=now
        )
        if self.written.repeat is not None:
            response = {"message_id": str(self.message_id)}
            await remember(connection, self.tenant_id, self.written.repeat, status=201, response=response, now=now)

    async def _is_new(self, connection: Connection) -> bool:
        repeat = self.written.repeat
        if repeat is None:
            return True
        done = await find_done(connection, self.tenant_id, repeat.key, now=self.services.now())
        if done is None:
            return True
        if done.request_hash == repeat.request_hash:
            self.done_before = UUID(str(done.response["message_id"]))
        else:
            self.problem = ProblemError(
                409, "idempotency_key_reused", "This Idempotency-Key was used for another request; take a new one."
            )
        return False


async def write_message(services: Services, tenant_id: UUID, written: WrittenMessage) -> UUID:
    """Charge a message and put it into the outbox; return its id, or that of the same request before.

    Raises ProblemError: 404 without such a conversation, 422 if it is too long, 409 if it may not be sent now or the
    key was used for something else, 402 if it cannot be paid.
    """
    async with services.db.transaction(tenant_id) as connection:
        view = await read_conversation(connection, tenant_id, written.conversation_id)
        if view is None:
            raise _unknown()
        if view.channel not in WRITABLE:
            raise ProblemError(
                409, "channel_not_writable", f"Nothing can be written into a conversation on {view.channel}."
            )
        line = await _read_line(connection, tenant_id, view)
        day = (await find_tenant(connection, str(tenant_id))).day(services.now())
    text, segments = _as_sent(written.text, channel=view.channel, provider=line.provider)
    message_id = services.new_id()
    writing = _Writing(
        services=services,
        tenant_id=tenant_id,
        written=replace(written, text=text),
        message_id=message_id,
        charge=_charge(services, view, message_id, day, segments=segments),
        view=view,
        segments=segments,
    )
    outcome = await services.ledger.submit(
        tenant_id, writing.charge, Companion(check=writing.check, write=writing.write)
    )
    if writing.done_before is not None:
        return writing.done_before
    if writing.problem is not None:
        raise writing.problem
    if isinstance(outcome, Refused):
        raise ProblemError(402, outcome.reason, "The wallet cannot pay for this message.")
    services.arrivals.announce(tenant_id, written.conversation_id, services.now())
    return message_id


@dataclass(frozen=True, slots=True)
class _LineNow:
    """What writing needs to know of a line."""

    state: str
    provider: str
    has_channel: bool
    is_paused: bool  # the tenant's wallet


async def _read_line(connection: Connection, tenant_id: UUID, view: ConversationView) -> _LineNow:
    row = await connection.fetchrow(
        """SELECT state, coalesce(whatsapp_provider, '') AS provider, $3 = ANY (channels) AS has_channel,
                  EXISTS (SELECT FROM wallet WHERE tenant_id = $1 AND state = 'paused') AS is_paused
           FROM line WHERE tenant_id = $1 AND line_id = $2""",
        tenant_id,
        view.line_id,
        view.channel,
    )
    return _LineNow(**row) if row else _LineNow("released", "", has_channel=False, is_paused=False)


def _as_sent(text: str, *, channel: str, provider: str) -> tuple[str, int | None]:
    """Return a text as it leaves and its segments, if it is priced by them. Raises ProblemError if it is too long.

    A person's words are never cut, and their emoji stay: what the segments cost stands on the receipt.
    """
    if channel != "sms":
        characters_max = TWILIO_CHARACTERS_MAX if provider == "twilio" else WHATSAPP_CHARACTERS_MAX
        if len(text) > characters_max:
            raise _too_long(f"A message on this line has at most {characters_max} characters.")
        return text, None
    encoded = plain(text, allow_unicode=True).strip()
    counted = count_segments(encoded)
    if len(encoded) > TWILIO_CHARACTERS_MAX or counted.segments > SMS_SEGMENTS_MAX:
        raise _too_long(
            f"An SMS has at most {SMS_SEGMENTS_MAX} segments and {TWILIO_CHARACTERS_MAX} characters; "
            f"this one would have {counted.segments} segments ({counted.encoding})."
        )
    return encoded, counted.segments


def _too_long(what: str) -> ProblemError:
    return ProblemError(422, "message_too_long", f"{what} Shorten it, or send it as several messages.")


def _charge(services: Services, view: ConversationView, message_id: UUID, day: date, *, segments: int | None) -> Charge:
    card = services.rate_cards.on(day)
    line = card.line(Item.WHATSAPP_MESSAGE, 1) if segments is None else card.line(Item.SMS_SENT, segments)
    receipt = ReceiptDraft(
        receipt_id=services.new_id(),
        subject="message",
        rate_card=card.version,
        lines=(line,),
        day=day,
        channel=view.channel,
        conversation_id=view.conversation_id,
        contact_id=view.contact_id,
        line_id=view.line_id,
    )
    return Charge(key=f"message:{message_id}", receipt=receipt)


def _unknown() -> ProblemError:
    return ProblemError(404, "not_found", "There is no such conversation.")


def _problem(view: ConversationView, line: _LineNow, *, now: datetime, margin_s: float) -> ProblemError | None:
    """Return why nothing may be sent into a conversation now."""
    if line.state != "active":
        return ProblemError(409, "line_not_active", f"The line is {line.state}.")
    if not line.has_channel:
        return ProblemError(409, "channel_not_writable", f"The line has no {view.channel} any more.")
    if line.is_paused and view.channel == "sms":
        return ProblemError(402, "tenant_paused", "SMS are paused until there are credits again.")
    if view.opted_out_at is not None:
        return ProblemError(409, "contact_opted_out", "The customer has asked not to be written to.")
    last, closed = view.last_customer_message_at, view.closed_by_provider_at
    if view.channel == "whatsapp" and not window.is_open(last, closed, now, margin_s):
        return ServiceWindowClosedError(closed or (last and window.closes_at(last, margin_s)))
    return None


async def _insert(
    connection: Connection,
    tenant_id: UUID,
    written: WrittenMessage,
    message_id: UUID,
    charge: Charge,
    *,
    segments: int | None,
    now: datetime,
) -> None:
    lines = charge.receipt.lines
    await connection.execute(
        """WITH place AS (
             UPDATE conversation
             SET next_position = next_position + 1, last_message_at = greatest(last_message_at, $7)
             WHERE tenant_id = $1 AND conversation_id = $2
             RETURNING line_id, contact_id, next_position - 1 AS position),
           written AS (
             INSERT INTO message (tenant_id, message_id, conversation_id, line_id, contact_id, direction, author,
                                  kind, text, receipt_id, state, created_at, segments)
             SELECT $1, $3, $2, line_id, contact_id, 'out', $4, 'text', $5, $6, 'queued', $7, $11 FROM place)
           INSERT INTO outbox (tenant_id, message_id, conversation_id, line_id, position, charge_key, refund_lines,
                               due_at, trace_id)
           SELECT $1, $3, $2, line_id, position, $8, $9, $7, $10 FROM place""",
        tenant_id,
        written.conversation_id,
        message_id,
        written.author,
        written.text,
        charge.receipt.receipt_id,
        now,
        charge.key,
        stored_lines(lines),
        f"{written.author}-{message_id.hex}",
        segments,
    )
