"""Invoices: credits that are to be paid for, each found anywhere by the reference that its payer writes.

An invoice grants its credits once: at once to a tenant on account, else when its payment is confirmed.
"""

from dataclasses import dataclass, fields
from datetime import UTC, date, datetime, time, timedelta
from typing import Final, Literal
from uuid import UUID
from zoneinfo import ZoneInfo

from metering.connection import Connection
from metering.credits import MILLICREDITS
from metering.cycle import Cycle
from metering.operations import Grant
from metering.plans import Plan

Purpose = Literal["cycle", "upgrade", "refill"]
InvoiceState = Literal["open", "paid", "void"]

PAYABLE_FOR: Final = timedelta(days=14)
_DIGITS: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # no I, L, O, U: what is read out is typed alike
_TYPED_ALIKE: Final = str.maketrans("ILO", "110", " -")
_LENGTH: Final = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Invoice:
    """A package, an upgrade's difference or a refill, and what became of it; `credits` are whole ones.

    Credits that do not roll over are good until the day before `credits_end_on`.
    """

    tenant_id: UUID
    invoice_id: UUID
    reference: str
    purpose: Purpose
    plan: str
    cycle_starts_on: date
    amount_minor: int
    currency: str
    credits: int
    credits_end_on: date | None
    state: InvoiceState
    due_on: date
    created_at: datetime
    granted_at: datetime | None = None
    paid_at: datetime | None = None
    paid_reference: str | None = None
    voided_at: datetime | None = None

    @property
    def grant_reference(self) -> str:
        """A cycle's package is granted once per cycle, whichever invoice it is on."""
        if self.purpose == "cycle":
            return f"plan:{self.cycle_starts_on.isoformat()}"
        return f"invoice:{self.invoice_id}"


_FIELDS: Final = tuple(field.name for field in fields(Invoice))
_COLUMNS: Final = ", ".join(_FIELDS)


def reference_of(invoice_id: UUID) -> str:
    """Return what a payer writes on a transfer, such as `TM-7K3FQ-0X9AB`: fifty of the id's random bits."""
    bits, text = invoice_id.int, ""
    for _ in range(_LENGTH):
        bits, digit = divmod(bits, len(_DIGITS))
        text += _DIGITS[digit]
    return f"TM-{text[:5]}-{text[5:]}"


def as_reference(typed: str) -> str | None:
    """Return a reference as it is kept, however it was typed; None for what cannot be one."""
    text = typed.strip().upper().translate(_TYPED_ALIKE)
    if len(text) == len("TM") + _LENGTH:
        text = text.removeprefix("TM")
    if len(text) != _LENGTH or not set(text) <= set(_DIGITS):
        return None
    return f"TM-{text[:5]}-{text[5:]}"


def grant_of(invoice: Invoice, *, grant_id: UUID, ends_on: date | None, zone: ZoneInfo) -> Grant:
    """Return the grant of an invoice's credits; they end with the day before `ends_on` on the tenant's clock."""
    ends_at = None if ends_on is None else datetime.combine(ends_on, time.min, tzinfo=zone).astimezone(UTC)
    of_cycle = invoice.purpose == "cycle"
    return Grant(
        reference=invoice.grant_reference,
        grant_id=grant_id,
        kind="plan" if of_cycle else "refill",
        amount_millicredits=invoice.credits * MILLICREDITS,
        reason=f"{invoice.plan}, {invoice.cycle_starts_on.isoformat() if of_cycle else invoice.reference}",
        expires_at=ends_at,
    )


def package_invoice(
    tenant_id: UUID, plan: Plan, cycle: Cycle, *, on_account: bool, invoice_id: UUID, today: date, now: datetime
) -> Invoice:
    """Return the invoice of a cycle's package."""
    return new_invoice(
        tenant_id,
        purpose="cycle",
        plan=plan,
        cycle_starts_on=cycle.starts_on,
        credits=plan.credits,
        amount_minor=plan.price_minor,
        credits_end_on=None if plan.rollover else cycle.ends_on,
        on_account=on_account,
        invoice_id=invoice_id,
        today=today,
        now=now,
    )


def new_invoice(
    tenant_id: UUID,
    *,
    purpose: Purpose,
    plan: Plan,
    cycle_starts_on: date,
    credits: int,  # noqa: A002 - what they are called everywhere
    amount_minor: int,
    credits_end_on: date | None,
    on_account: bool,
    invoice_id: UUID,
    today: date,
    now: datetime,
) -> Invoice:
    """Return an invoice as it begins: granted at once if it is on account, and paid too if it costs nothing."""
    is_free = amount_minor == 0
    return Invoice(
        tenant_id=tenant_id,
        invoice_id=invoice_id,
        reference=reference_of(invoice_id),
        purpose=purpose,
        plan=plan.name,
        cycle_starts_on=cycle_starts_on,
        amount_minor=amount_minor,
        currency=plan.currency,
        credits=credits,
        credits_end_on=credits_end_on,
        state="paid" if is_free else "open",
        due_on=today + PAYABLE_FOR,
        created_at=now,
        granted_at=now if on_account or is_free else None,
        paid_at=now if is_free else None,
    )


async def insert_invoice(connection: Connection, invoice: Invoice) -> None:
    """Write an invoice and the reference that leads to it."""
    places = ", ".join(f"${place}" for place in range(1, len(_FIELDS) + 1))
    await connection.execute(
        f"INSERT INTO invoice ({_COLUMNS}) VALUES ({places})",  # noqa: S608 - constants
        *(getattr(invoice, name) for name in _FIELDS),
    )
    await connection.execute(
        "INSERT INTO invoice_directory (reference, tenant_id, invoice_id) VALUES ($1, $2, $3)",
        invoice.reference,
        invoice.tenant_id,
        invoice.invoice_id,
    )


async def find_invoice(connection: Connection, typed: str) -> tuple[UUID, UUID] | None:
    """Return the tenant and the invoice that a reference means."""
    row = await connection.fetchrow(
        "SELECT tenant_id, invoice_id FROM invoice_directory WHERE reference = $1", as_reference(typed)
    )
    return None if row is None else (row["tenant_id"], row["invoice_id"])


async def read_invoice(connection: Connection, tenant_id: UUID, invoice_id: UUID) -> Invoice | None:
    row = await connection.fetchrow(
        f"SELECT {_COLUMNS} FROM invoice WHERE tenant_id = $1 AND invoice_id = $2",  # noqa: S608 - a constant
        tenant_id,
        invoice_id,
    )
    return None if row is None else Invoice(**row)


async def list_invoices(
    connection: Connection, tenant_id: UUID, *, limit: int, before: UUID | None = None
) -> list[Invoice]:
    """Return invoices, newest first; `before` is the last of the page before (ids are ordered by time)."""
    rows = await connection.fetch(
        f"""SELECT {_COLUMNS} FROM invoice
            WHERE tenant_id = $1 AND ($2::uuid IS NULL OR invoice_id < $2)
            ORDER BY invoice_id DESC LIMIT $3""",  # noqa: S608 - a constant
        tenant_id,
        before,
        limit,
    )
    return [Invoice(**row) for row in rows]


async def upgrades_bought(connection: Connection, tenant_id: UUID, cycle_starts_on: date) -> tuple[Invoice, ...]:
    """Return what a cycle's upgrades were refilled with, unless the invoice was withdrawn; oldest first."""
    rows = await connection.fetch(
        f"""SELECT {_COLUMNS} FROM invoice
            WHERE tenant_id = $1 AND cycle_starts_on = $2 AND purpose = 'upgrade' AND state <> 'void'
            ORDER BY invoice_id""",  # noqa: S608 - a constant
        tenant_id,
        cycle_starts_on,
    )
    return tuple(Invoice(**row) for row in rows)


async def mark_paid(
    connection: Connection, tenant_id: UUID, invoice_id: UUID, *, paid_reference: str | None, now: datetime
) -> bool:
    """Note the payment of an open invoice, whose credits are granted by now; return whether it was open."""
    paid = await connection.fetchval(
        """UPDATE invoice SET state = 'paid', paid_at = $3, granted_at = coalesce(granted_at, $3), paid_reference = $4
           WHERE tenant_id = $1 AND invoice_id = $2 AND state = 'open' RETURNING true""",
        tenant_id,
        invoice_id,
        now,
        paid_reference,
    )
    return paid is True


async def mark_void(connection: Connection, tenant_id: UUID, invoice_id: UUID, *, now: datetime) -> bool:
    """Withdraw an open invoice; return whether it was open."""
    voided = await connection.fetchval(
        """UPDATE invoice SET state = 'void', voided_at = $3
           WHERE tenant_id = $1 AND invoice_id = $2 AND state = 'open' RETURNING true""",
        tenant_id,
        invoice_id,
        now,
    )
    return voided is True
