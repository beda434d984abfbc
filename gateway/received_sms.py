"""A received SMS: stored and charged in one transaction, once per MessageSid, whatever it says and whatever follows.

What cannot be paid is stored all the same, is marked uncollected and never charged later. Everything here runs under
the wallet's lock, so a tenant's SMS follow one another: a copy finds the first, and the daily limit holds exactly.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from uuid import UUID

import structlog

from gateway import contacts, inbox_store, received_store, window_store
from gateway.alerts import raise_alert
from gateway.channels.base import Inbound, OptOutWord
from gateway.consent import plain_words, sms_word
from gateway.conversations import Place
from gateway.customer_messages import TYPED, enter, message_of, queue_change, wants_a_person
from gateway.group_commit import Companion
from gateway.inbox_store import NewMessage, Treatment
from gateway.parcel import Changed, DuplicateError, Parcel
from gateway.safe_text import safe_text
from gateway.services import Services
from gateway.window_store import Window
from metering.connection import Connection
from metering.operations import Applied, Charge, Outcome, ReceiptDraft, Refused
from metering.rates import Item

TOO_MANY_TODAY = "too_many_today"

log = structlog.get_logger(__name__)


@dataclass(slots=True, kw_only=True)
class _Receiving:
    """One SMS on its way in; afterwards it knows what has become of its conversation. A batch may try it twice."""

    services: Services
    parcel: Parcel
    event: Inbound
    message: NewMessage | None = None
    day: date | None = None
    changed: Changed | None = None  # None: the message was known

    async def draw(self, connection: Connection) -> Charge | None:
        """Store the message, let it do what it says, and return what it costs; None if it costs nothing."""
        self.message = self.changed = None
        parcel, event = self.parcel, self.event
        # Asked first, so that a copy of an old STOP stops nothing.
        if await inbox_store.is_known(connection, parcel.tenant_id, parcel.line_id, event.provider_id):
            return None
        contact_id = await contacts.resolve(
            connection, parcel.tenant_id, event.sender.addresses, now=parcel.now, new_id=parcel.new_id
        )
        text, word = safe_text(event.text), _word(event)
        window = await window_store.count_sms(
            connection,
            parcel.tenant_id,
            line_id=parcel.line_id,
            contact_id=contact_id,
            written_at=parcel.now,
            word=word,
        )
        place = await enter(connection, parcel, contact_id=contact_id, reply_to=event.sender.reply_to)
        limit = parcel.limits.sms_received_per_day
        self.day, received = await received_store.count_today(
            connection,
            parcel.tenant_id,
            line_id=parcel.line_id,
            contact_id=contact_id,
            now=parcel.now,
            limit=limit,
        )
        beyond = received >= limit
        treatment = _treatment(None if _is_talk(event, word, window) else word, window, place, beyond=beyond)
        message = message_of(parcel, event, place=place, contact_id=contact_id, text=text, treatment=treatment)
        self.message = replace(
            message,
            segments=max(1, event.segments),
            receipt_id=None if beyond else parcel.new_id(),
            content={**message.content, "uncollected": TOO_MANY_TODAY} if beyond else message.content,
        )
        self.changed = await self._store(connection, place, treatment, text)
        if beyond:
            await _tell_of_flood(connection, parcel, contact_id, self.day)
            return None
        return _charge(self.services, parcel, self.message, place, self.day)

    async def _store(self, connection: Connection, place: Place, treatment: Treatment, text: str) -> Changed:
        parcel, event, message = self.parcel, self.event, self.message
        if message is None:
            raise AssertionError("drawn up before it is stored")
        is_new, due_at = await inbox_store.store_message(
            connection, parcel.tenant_id, message, queue_change(parcel, event, treatment), parcel.raw
        )
        if not is_new:
            raise AssertionError("the wallet's lock keeps copies apart")
        if treatment == "stop":
            await inbox_store.end_pending(connection, parcel.tenant_id, place.conversation_id)
        elif treatment == "answer" and event.kind in TYPED and await wants_a_person(connection, parcel, place, text):
            due_at = None
        return Changed(conversation_id=place.conversation_id, due_at=due_at)

    async def write(self, connection: Connection, outcome: Outcome) -> None:
        """Note on the message that it was not paid, and tell the owner if that is why the tenant pauses."""
        if not isinstance(outcome, Refused) or self.message is None or self.day is None:
            return
        await received_store.mark_uncollected(
            connection, self.parcel.tenant_id, self.message.message_id, reason=outcome.reason
        )
        if outcome.paused_now:
            # The same key as a turn's that finds the wallet empty: one a day, whoever is first.
            await _tell(
                connection,
                self.parcel,
                "paused",
                once_per=self.day.isoformat(),
                detail={
                    "conversation_id": str(self.message.conversation_id),
                    "needed_millicredits": outcome.needed_millicredits,
                },
            )


async def accept_sms(services: Services, parcel: Parcel, event: Inbound) -> Changed:
    """Store and charge a customer's SMS and make its conversation due.

    Raises DuplicateError if the message is known, ChannelNotOnLineError if the line has no SMS; nothing is then stored.
    """
    receiving = _Receiving(services=services, parcel=parcel, event=event)
    outcome = await services.ledger.submit(parcel.tenant_id, receiving.draw, Companion(write=receiving.write))
    if receiving.changed is None:
        raise DuplicateError
    if isinstance(outcome, Applied):
        services.metrics.charged_millicredits.inc(-outcome.amount_millicredits)
    else:
        reason = outcome.reason if isinstance(outcome, Refused) else TOO_MANY_TODAY
        services.metrics.sms_uncollected.labels(reason).inc()
        log.info("sms_uncollected", tenant_id=str(parcel.tenant_id), line_id=str(parcel.line_id), reason=reason)
    return receiving.changed


def _word(event: Inbound) -> OptOutWord | None:
    """Return the word that Twilio has obeyed: it says so itself, or does so with these words."""
    return event.opt_out or (sms_word(event.text) if event.kind in TYPED else None)


def _is_talk(event: Inbound, word: OptOutWord | None, window: Window) -> bool:
    """Say whether a YES answers our question: nothing was stopped that it could start again."""
    never_stopped = word == "start" and event.opt_out is None and window.opted_out_before is None
    return never_stopped and plain_words(event.text) == "yes"


def _treatment(word: OptOutWord | None, window: Window, place: Place, *, beyond: bool) -> Treatment:
    if word == "stop":
        return "stop"
    # Twilio itself confirms START and answers HELP; to whoever has said STOP it lets nothing through.
    if word is not None or window.opted_out_at is not None or beyond:
        return "record"
    return "answer" if place.in_service else "keep"


def _charge(services: Services, parcel: Parcel, message: NewMessage, place: Place, day: date) -> Charge:
    if message.receipt_id is None or message.segments is None:
        raise AssertionError("what is charged has a receipt and segments")
    card = services.rate_cards.on(day)
    receipt = ReceiptDraft(
        receipt_id=message.receipt_id,
        subject="received",
        rate_card=card.version,
        lines=(card.line(Item.SMS_RECEIVED, message.segments),),
        day=day,
        channel=parcel.channel,
        conversation_id=message.conversation_id,
        contact_id=message.contact_id,
        line_id=parcel.line_id,
        agent_id=place.agent_id,
        agent_version=place.agent_version,
    )
    return Charge(key=f"sms:{message.provider_id}", receipt=receipt, for_customer=True)


async def _tell_of_flood(connection: Connection, parcel: Parcel, contact_id: UUID, day: date) -> None:
    """Tell the owner, once a day, that somebody writes more than is answered."""
    await _tell(
        connection,
        parcel,
        "sms_flood",
        once_per=f"{parcel.line_id}:{contact_id}:{day.isoformat()}",
        detail={"line_id": str(parcel.line_id), "contact_id": str(contact_id)},
    )


async def _tell(
    connection: Connection, parcel: Parcel, kind: str, *, once_per: str, detail: Mapping[str, object]
) -> None:
    await raise_alert(
        connection,
        parcel.tenant_id,
        kind=kind,
        dedupe_key=f"{kind}:{once_per}",
        detail=detail,
        now=parcel.now,
        new_id=parcel.new_id,
    )
