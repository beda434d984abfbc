"""Delivery reports: what has become of our messages, in whatever order and however often they come.

What never left the provider is refunded. An SMS that left and did not arrive is not: the provider bills it too. Nor is
it sent again by itself, also where the code says that the handset may come back (30003, 30008): the first may still
arrive, and nobody has paid for a second. The owner is told and can write again.

States only move forward. A failure gives the credits back in the ledger's own transaction, together with the
stored report: so a provider's retry after a crash finds either both or neither.
"""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import structlog

from gateway import report_store
from gateway.alerts import raise_alert
from gateway.channels.base import DeliveryReport, DeliveryStatus
from gateway.parcel import RawBody
from gateway.refunds import give_up_part, give_up_unsent_behind
from gateway.report_store import SentPart
from gateway.segment_corrections import correct_segments
from gateway.services import Services
from gateway.window_store import opt_out
from metering.connection import Connection

REASON = "delivery failed"

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class _News:
    """One report on one line, and the webhook's body that brought it."""

    tenant_id: UUID
    line_id: UUID
    report: DeliveryReport
    raw: RawBody | None

    def at(self, now: datetime) -> datetime:
        return min(self.report.provider_at or now, now)

    @property
    def code(self) -> str:
        """The provider's error code, or its word for the failure."""
        codes = [str(error["code"]) for error in self.report.errors if error.get("code") is not None]
        return codes[0] if codes else self.report.provider_status


async def apply_report(
    services: Services, tenant_id: UUID, line_id: UUID, report: DeliveryReport, *, raw: RawBody | None = None
) -> None:
    """Apply one report to the message it is about; a report seen before changes nothing.

    `raw` is the webhook's body, stored in the same transaction as the report.
    """
    news = _News(tenant_id=tenant_id, line_id=line_id, report=report, raw=raw)
    if report.status is not DeliveryStatus.FAILED:
        await _correct_segments(services, news)
    if report.status in (DeliveryStatus.FAILED, DeliveryStatus.UNDELIVERED):
        await _apply_failure(services, news)
    else:
        await _apply_progress(services, news)


async def _apply_progress(services: Services, news: _News) -> None:
    now = services.now()
    async with services.db.transaction(news.tenant_id) as connection:
        is_new, message_id = await _record(connection, news, now)
        if not is_new or message_id is None or news.report.status is DeliveryStatus.UNKNOWN:
            return
        conversation_id = await report_store.move_forward(
            connection,
            news.tenant_id,
            message_id,
            status=news.report.status.value,
            provider_id=news.report.provider_id,
            at=news.at(now),
        )
    if conversation_id is not None:  # the next part of the answer may go
        services.arrivals.announce(news.tenant_id, conversation_id, now)


async def _correct_segments(services: Services, news: _News) -> None:
    """Believe what the provider counted; before the report is stored, so that its retry does this again."""
    if not news.report.segments:
        return
    async with services.db.transaction(news.tenant_id) as connection:
        part = await report_store.find_part(connection, news.tenant_id, news.line_id, news.report)
    if part is not None:
        await correct_segments(services, news.tenant_id, part.message_id, news.report.segments)


async def _apply_failure(services: Services, news: _News) -> None:
    async with services.db.transaction(news.tenant_id) as connection:
        part = await report_store.find_part(connection, news.tenant_id, news.line_id, news.report)
    is_refunded = part is not None and part.was_charged and not _stays_paid(part, news.report)
    if part is not None and _may_fail(part, news.report):
        # The report itself is stored last: until then, the provider's retry does all of this again.
        await give_up_unsent_behind(services, news.tenant_id, part, reason=REASON)
        if is_refunded:
            await _refund_reported(services, news, part)
    async with services.db.transaction(news.tenant_id) as connection:
        is_new, _ = await _record(connection, news, services.now())
        if is_new and part is not None and not is_refunded:
            await _end_part(services, connection, news, part, refunded=False)


async def _refund_reported(services: Services, news: _News, part: SentPart) -> None:
    """Refund a failed part and store its report in one transaction, unless its state has moved on meanwhile."""

    async def still_due(connection: Connection) -> bool:
        if await report_store.is_recorded(connection, news.tenant_id, news.line_id, news.report):
            return False
        await report_store.lock_window(connection, news.tenant_id, part)
        current = await report_store.lock_part(connection, news.tenant_id, part.message_id)
        return current is not None and _may_fail(current, news.report)

    async def end(connection: Connection, refunded: bool) -> None:
        await _record(connection, news, services.now())
        await _end_part(services, connection, news, part, refunded=refunded)

    await give_up_part(services, news.tenant_id, part, reason=REASON, still_due=still_due, on_end=end)


async def _record(connection: Connection, news: _News, now: datetime) -> tuple[bool, UUID | None]:
    return await report_store.record(connection, news.tenant_id, news.line_id, news.report, raw=news.raw, now=now)


async def _end_part(services: Services, connection: Connection, news: _News, part: SentPart, *, refunded: bool) -> None:
    """End a part that failed, if it still can, and tell the owner why."""
    now = services.now()
    if news.report.window_closed:
        await report_store.close_window(connection, news.tenant_id, part, reported_at=news.at(now), now=now)
    if news.report.opted_out:
        await opt_out(
            connection,
            news.tenant_id,
            line_id=part.line_id,
            contact_id=part.contact_id,
            channel=part.channel,
            sent_at=part.created_at,
            now=now,
        )
    current = await report_store.lock_part(connection, news.tenant_id, part.message_id)
    if current is None or not _may_fail(current, news.report):
        return
    if _stays_paid(part, news.report):
        await report_store.end_undelivered(
            connection, news.tenant_id, part.message_id, provider_id=news.report.provider_id, failure=news.code
        )
    else:
        await report_store.fail_part(connection, news.tenant_id, part.message_id, refunded=refunded, failure=news.code)
    kind, dedupe_key = _alert(news.report, part, now)
    await raise_alert(
        connection,
        news.tenant_id,
        kind=kind,
        dedupe_key=dedupe_key,
        detail={
            "message_id": str(part.message_id),
            "conversation_id": str(part.conversation_id),
            "line_id": str(part.line_id),
            "code": news.code,
            "refunded": refunded,
        },
        now=now,
        new_id=services.new_id,
    )


def _may_fail(part: SentPart, report: DeliveryReport) -> bool:
    """Say no for what has arrived, and for what went out by another attempt than the reported one."""
    return part.state in ("queued", "sent") and part.provider_id in (None, report.provider_id)


def _stays_paid(part: SentPart, report: DeliveryReport) -> bool:
    """Say yes to an SMS that left: it is billed whether it arrives or not. On WhatsApp nothing is lost by a refund."""
    return report.status is DeliveryStatus.UNDELIVERED and part.channel == "sms"


def _alert(report: DeliveryReport, part: SentPart, now: datetime) -> tuple[str, str]:
    """Return what the owner is told, and how often: an account that cannot pay is one alert a day, not hundreds."""
    if report.payment_problem:
        return "provider_payment", f"provider_payment:{part.line_id}:{now.date()}"
    if report.window_closed:
        kind = "window_closed"
    else:
        kind = "undelivered" if _stays_paid(part, report) else "delivery_failed"
    return kind, f"{kind}:{part.message_id}"
