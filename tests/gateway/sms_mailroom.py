"""Twilio's SMS before a real inbox: events go in as its webhook would read them, rows are looked at afterwards."""

from dataclasses import dataclass
from uuid import UUID

from gateway.channels.base import (
    Address,
    DeliveryReport,
    DeliveryStatus,
    Inbound,
    LineAddress,
    LineEvent,
    MediaReference,
    OptOutWord,
    Sender,
)
from gateway.inbox import accept
from gateway.services import Services
from metering.audit import audit
from metering.operations import Applied, Charge, Grant, ReceiptDraft
from metering.rates import Item, Line
from tests.gateway.mailroom import ANNA, OF_ACME, Mailroom

NUMBER = f"+49151{OF_ACME}"
RECEIVED = 200_000  # millicredits for a segment
SENT = Line(Item.SMS_SENT, 3, 2_500_000)
TOKENS = Line(Item.CHAT_OUTPUT, 10, 200)


@dataclass
class SmsMailroom:
    """Acme's line speaks SMS too; whoever calls is Twilio."""

    mailroom: Mailroom

    @property
    def services(self) -> Services:
        return self.mailroom.services

    async def receive(self, *events: LineEvent, provider: str = "twilio") -> None:
        await accept(self.services, provider, events, (), b"MessageSid=SM")

    async def write(
        self,
        number: int | str,
        words: str = "Hallo",
        *,
        wa_id: str = ANNA,
        segments: int = 1,
        opt_out: OptOutWord | None = None,
    ) -> None:
        await self.receive(self.sms(number, words, wa_id=wa_id, segments=segments, opt_out=opt_out))

    def sms(
        self,
        number: int | str,
        words: str = "Hallo",
        *,
        wa_id: str = ANNA,
        segments: int = 1,
        opt_out: OptOutWord | None = None,
        media: tuple[MediaReference, ...] = (),
    ) -> LineEvent:
        address = Address(kind="phone", value=f"+{wa_id}")
        inbound = Inbound(
            provider_id=f"SM{number}",
            sender=Sender(addresses=(address,), reply_to=address),
            kind="image" if media else "text",
            text=words,
            provider_at=None,
            segments=segments,
            opt_out=opt_out,
            media=media,
        )
        return on_number(inbound)

    def report(
        self,
        status: DeliveryStatus,
        *,
        provider_id: str = "SM-OUT1",
        message_id: UUID | None = None,
        code: int | None = None,
        segments: int | None = None,
        opted_out: bool = False,
    ) -> LineEvent:
        return on_number(
            DeliveryReport(
                provider_id=provider_id,
                status=status,
                provider_status=status.value,
                our_message_id=message_id,
                provider_at=None,
                errors=() if code is None else ({"code": code},),
                segments=segments,
                opted_out=opted_out,
            )
        )

    async def sent(self, position: int = 1, *, state: str = "sent", turn_id: UUID | None = None) -> UUID:
        """Put an SMS of ours into Anna's conversation, of three segments and ten tokens, as if it had just gone out."""
        services, acme = self.services, self.mailroom.cast.acme
        message_id, now = services.new_id(), self.mailroom.clock.now()
        place = await self.mailroom.row("SELECT conversation_id, line_id, contact_id FROM conversation")
        key = f"turn:{message_id}"
        receipt = ReceiptDraft(
            receipt_id=services.new_id(),
            subject="turn",
            rate_card=services.rate_cards.on(now.date()).version,
            lines=(TOKENS, SENT),
            day=now.date(),
            channel="sms",
        )
        assert isinstance(await services.ledger.submit(acme, Charge(key=key, receipt=receipt)), Applied)
        refund_lines = [
            {"item": str(line.item), "quantity": line.quantity, "unit_millicredits": line.unit_millicredits}
            for line in receipt.lines
        ]
        async with services.db.transaction(acme) as connection:
            await connection.execute(
                """INSERT INTO message (tenant_id, message_id, conversation_id, line_id, contact_id, direction, author,
                                        kind, text, provider_id, state, created_at, turn_id, segments)
                   VALUES ($1, $2, $3, $4, $5, 'out', 'agent', 'text', 'Gern!', $6, $7, $8, $9, 3)""",
                acme,
                message_id,
                *place.values(),
                f"SM-OUT{position}" if state == "sent" else None,
                state,
                now,
                turn_id,
            )
            await connection.execute(
                """INSERT INTO outbox (tenant_id, message_id, conversation_id, line_id, position, charge_key,
                                       refund_lines, state, due_at, trace_id, turn_id)
                   VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 't', $10)""",
                acme,
                message_id,
                place["conversation_id"],
                place["line_id"],
                position,
                key,
                refund_lines,
                "sent" if state == "sent" else "pending",
                now,
                turn_id,
            )
        return message_id

    async def grant(self, millicredits: int) -> None:
        grant_id = self.services.new_id()
        granted = Grant(
            reference=str(grant_id),
            grant_id=grant_id,
            kind="manual",
            amount_millicredits=millicredits,
            reason="for the test",
        )
        await self.services.ledger.submit(self.mailroom.cast.acme, granted)

    async def charges(self) -> dict[str, int]:
        """Return what was charged for received SMS, in millicredits, by key."""
        rows = await self.mailroom.rows(
            "SELECT key, -amount_millicredits AS amount FROM ledger_entry WHERE kind = 'charge' AND key LIKE 'sms:%'"
        )
        return {row["key"]: row["amount"] for row in rows}

    async def states(self) -> dict[str, str]:
        rows = await self.mailroom.rows("SELECT provider_id, state FROM message WHERE direction = 'in'")
        return {row["provider_id"]: row["state"] for row in rows}

    async def alerts(self) -> list[str]:
        return [row["kind"] for row in await self.mailroom.rows("SELECT kind FROM alert ORDER BY created_at")]

    async def audit(self) -> None:
        async with self.services.db.transaction(self.mailroom.cast.acme) as connection:
            assert await audit(connection, self.mailroom.cast.acme, self.services.rate_cards) == ()


def on_number(event: Inbound | DeliveryReport) -> LineEvent:
    return LineEvent(line=LineAddress(kind="number", value=NUMBER), event=event, channel="sms")


async def with_sms(mailroom: Mailroom) -> SmsMailroom:
    """Let Acme's line speak SMS beside WhatsApp."""
    acme = mailroom.cast.acme
    await mailroom.rows("UPDATE line SET channels = '{whatsapp,sms}'")
    async with mailroom.services.db.directory() as connection:
        await connection.execute(
            "INSERT INTO line_directory VALUES ('number', $1, $2, $3)", NUMBER, acme, mailroom.line_ids[acme]
        )
    return SmsMailroom(mailroom)
