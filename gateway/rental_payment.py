"""A rental month's payment: what is charged, and what follows when it is paid or cannot be."""

from dataclasses import replace
from datetime import date
from uuid import UUID

from gateway import rental_store
from gateway.alerts import raise_alert
from gateway.line_kinds import RENTAL
from gateway.rental_days import Rental, notice_on, released_on
from gateway.resume import wake_line
from gateway.services import Services
from metering.connection import Connection
from metering.cycle import Cycle
from metering.operations import Applied, Charge, Outcome, ReceiptDraft, Refused


def rental_key(line_id: UUID, month: Cycle) -> str:
    return f"rental:{line_id}:{month.starts_on.isoformat()}"


def rental_receipt(services: Services, *, line_id: UUID, kind: str, month: Cycle, day: date) -> ReceiptDraft:
    """Return a month's receipt at the prices of the month's first day, whenever it is paid; `day` is when."""
    card = services.rate_cards.on(month.starts_on)
    return ReceiptDraft(
        receipt_id=services.new_id(),
        subject="rental",
        rate_card=card.version,
        lines=(card.line(RENTAL[kind], 1),),
        day=day,
        line_id=line_id,
    )


def rental_charge(services: Services, *, line_id: UUID, kind: str, month: Cycle, day: date) -> Charge:
    """Return the charge for a line's month, the same whoever makes it."""
    receipt = rental_receipt(services, line_id=line_id, kind=kind, month=month, day=day)
    return Charge(key=rental_key(line_id, month), receipt=receipt)


def is_paid(outcome: Outcome) -> bool:
    """Say whether a month is paid: a key that was used for another charge is this month's all the same."""
    return isinstance(outcome, Applied) or (isinstance(outcome, Refused) and outcome.reason == "key_reused")


async def note_paid(
    services: Services, connection: Connection, tenant_id: UUID, rental: Rental, *, until: date, day: date
) -> Rental:
    """Note the first day that is not paid; a line that owes nothing is in service, and answers what it missed."""
    if await rental_store.mark_paid(connection, tenant_id, rental, until=until, day=day):
        await wake_line(connection, tenant_id, rental.line_id, services.now())
    return replace(rental, due_on=until, unpaid_since=None, state="active" if until > day else rental.state)


async def note_unpaid(services: Services, connection: Connection, tenant_id: UUID, rental: Rental, day: date) -> Rental:
    """Take a line out of service whose month cannot be paid, tell its owner, and give it up when that was long ago."""
    since = rental.unpaid_since or day
    if day >= released_on(since):
        await rental_store.release(connection, tenant_id, rental.line_id)
        await _tell(services, connection, tenant_id, rental, kind="number_released", since=since, notice=None)
        return replace(rental, state="released")
    await rental_store.mark_unpaid(connection, tenant_id, rental.line_id, since=since)
    suspended = replace(rental, state="suspended", unpaid_since=since)
    notice = notice_on(since, day)
    await _tell(services, connection, tenant_id, suspended, kind="rental_unpaid", since=since, notice=notice)
    return suspended


async def warn(services: Services, connection: Connection, tenant_id: UUID, rental: Rental) -> None:
    """Tell the owner that a month falls due soon that could not be paid today."""
    await _tell(services, connection, tenant_id, rental, kind="rental_soon", since=rental.due_on, notice=None)


async def _tell(
    services: Services,
    connection: Connection,
    tenant_id: UUID,
    rental: Rental,
    *,
    kind: str,
    since: date,
    notice: int | None,
) -> None:
    day = {} if notice is None else {"day": notice}
    await raise_alert(
        connection,
        tenant_id,
        kind=kind,
        dedupe_key=":".join([kind, str(rental.line_id), since.isoformat(), *map(str, day.values())]),
        detail={
            "line_id": str(rental.line_id),
            "line_kind": rental.kind,
            "due_on": rental.due_on.isoformat(),
            "release_on": released_on(since).isoformat(),
            "rent_millicredits": monthly_rent(services, rental),
            **day,
        },
        now=services.now(),
        new_id=services.new_id,
    )


def monthly_rent(services: Services, rental: Rental) -> int:
    """Return what the due month costs, in millicredits."""
    return services.rate_cards.on(rental.month.starts_on).line(RENTAL[rental.kind], 1).amount_millicredits
