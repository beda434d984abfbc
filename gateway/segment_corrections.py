"""What Twilio counted against what we charged: an SMS of fewer segments gives the difference back, once.

We count code units before sending, Twilio keeps some characters together and says afterwards. More segments than were
charged are borne by the operator: a price that was shown is never raised.
"""

from dataclasses import replace
from uuid import UUID
from zoneinfo import ZoneInfo

import structlog

from gateway import refund_store, report_store
from gateway.report_store import SentPart
from gateway.services import Services
from metering.connection import Connection
from metering.operations import Applied, Refund, Refused
from metering.rates import Item, Line

REASON = "fewer segments"

log = structlog.get_logger(__name__)


async def correct_segments(services: Services, tenant_id: UUID, message_id: UUID, segments: int) -> None:
    """Correct a sent message to the segments that Twilio bills; 0 says that it does not know yet.

    Downwards the difference is refunded, the first time that Twilio says so. Upwards it is only counted.
    """
    if segments < 1:
        return
    async with services.db.transaction(tenant_id) as connection:
        part = await report_store.read_part(connection, tenant_id, message_id)
        line = None if part is None else _sms_line(part)
        if line is None or line.quantity == segments:
            return
        if segments > line.quantity:
            await _note_more(services, connection, tenant_id, message_id, billed=segments, charged=line.quantity)
            return
    await _refund_difference(services, tenant_id, message_id, segments)


async def _note_more(
    services: Services, connection: Connection, tenant_id: UUID, message_id: UUID, *, billed: int, charged: int
) -> None:
    """Count once what Twilio bills beyond the charge, however often it says so."""
    if await refund_store.note_provider_segments(connection, tenant_id, message_id, billed):
        log.warning("segments_undercharged", tenant_id=str(tenant_id), message_id=str(message_id), billed=billed)
        services.metrics.segments_undercharged.inc(billed - charged)


async def _refund_difference(services: Services, tenant_id: UUID, message_id: UUID, segments: int) -> None:
    async def draw(connection: Connection) -> Refund | None:
        part = await report_store.lock_part(connection, tenant_id, message_id)
        line = None if part is None else _sms_line(part)
        if part is None or line is None or line.quantity <= segments:
            return None
        key = f"refund:{part.charge_key}:{message_id}:segments"
        if await refund_store.was_refunded(connection, tenant_id, key):
            log.warning("segments_corrected_before", tenant_id=str(tenant_id), message_id=str(message_id))
            return None
        kept = [replace(each, quantity=segments) if each is line else each for each in part.refund_lines]
        await refund_store.correct_part(connection, tenant_id, message_id, segments=segments, refund_lines=kept)
        return Refund(
            key=key,
            charge_key=part.charge_key or "",
            lines=(replace(line, quantity=line.quantity - segments),),
            channel=part.channel,
            day=services.now().astimezone(ZoneInfo(part.timezone)).date(),
            reason=REASON,
        )

    outcome = await services.ledger.submit(tenant_id, draw)
    if isinstance(outcome, Refused):
        log.error("refund_refused", tenant_id=str(tenant_id), message_id=str(message_id), reason=outcome.reason)
    elif isinstance(outcome, Applied):
        services.metrics.refunded_millicredits.inc(outcome.amount_millicredits)


def _sms_line(part: SentPart) -> Line | None:
    """Return what is still charged for the message's segments."""
    if part.charge_key is None:
        return None
    return next((line for line in part.refund_lines if line.item is Item.SMS_SENT), None)
