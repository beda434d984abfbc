"""`invoice list`, `invoice confirm`, `invoice void`."""

from decimal import Decimal, InvalidOperation

from gateway.billing import Confirmed, confirm, void
from gateway.cli.output import print_json, print_table
from gateway.errors import BadInputError
from gateway.invoices import Invoice, list_invoices
from gateway.services import Services
from gateway.tenants import Tenant, find_tenant, list_tenants

LISTED_MAX = 1_000  # of one tenant, the newest
PAID_REFERENCE_LENGTH_MAX = 200
MINOR = 100  # in one unit of the currencies that plans are sold in
_FIELDS = (
    "invoice_id",
    "reference",
    "purpose",
    "plan",
    "cycle_starts_on",
    "amount_minor",
    "currency",
    "credits",
    "state",
    "due_on",
    "created_at",
    "granted_at",
    "paid_at",
    "paid_reference",
    "voided_at",
)


def invoice_document(invoice: Invoice) -> dict[str, object]:
    """Return an invoice with the names that the API has for it."""
    return {name: getattr(invoice, name) for name in _FIELDS}


def money(amount_minor: int, currency: str) -> str:
    return f"{amount_minor // MINOR}.{amount_minor % MINOR:02d} {currency}"


async def list_all(services: Services, name_or_id: str | None, *, as_json: bool) -> None:
    async with services.db.directory() as connection:
        tenants = [await find_tenant(connection, name_or_id)] if name_or_id else await list_tenants(connection)
    found: list[tuple[Tenant, Invoice]] = []
    for tenant in tenants:
        async with services.db.transaction(tenant.tenant_id) as connection:
            invoices = await list_invoices(connection, tenant.tenant_id, limit=LISTED_MAX)
        found.extend((tenant, invoice) for invoice in invoices)
    if as_json:
        print_json({"items": [{"tenant": tenant.name, **invoice_document(invoice)} for tenant, invoice in found]})
        return
    rows = [
        (
            tenant.name,
            invoice.reference,
            f"{invoice.purpose} {invoice.plan}",
            money(invoice.amount_minor, invoice.currency),
            invoice.state,
            f"{invoice.due_on}",
            "granted" if invoice.granted_at else "waits for payment",
        )
        for tenant, invoice in found
    ]
    print_table(("Tenant", "Reference", "For", "Amount", "State", "Due", "Credits"), rows, right=("Amount",))


async def confirm_payment(
    services: Services, reference: str, *, amount: str | None, paid_reference: str | None, as_json: bool
) -> None:
    """Confirm a payment and print what it was for."""
    noted = await confirm(
        services,
        reference,
        amount_minor=None if amount is None else _minor(amount),
        paid_reference=None if paid_reference is None else _one_line(paid_reference),
    )
    _print(noted, "was confirmed before" if noted.was_paid else "is paid", as_json=as_json)


async def withdraw(services: Services, reference: str, *, as_json: bool) -> None:
    _print(await void(services, reference), "is withdrawn", as_json=as_json)


def _print(noted: Confirmed, what: str, *, as_json: bool) -> None:
    tenant, invoice = noted.tenant, noted.invoice
    if as_json:
        print_json({"tenant": tenant.name, "was_paid": noted.was_paid, **invoice_document(invoice)})
    else:
        print(f"{invoice.reference} of {tenant.name}, {money(invoice.amount_minor, invoice.currency)}, {what}.")


def _minor(amount: str) -> int:
    """Return a currency's smallest units. Raises BadInputError."""
    try:
        minor = Decimal(amount.strip().replace(",", ".")) * MINOR
    except InvalidOperation:
        minor = Decimal("NaN")
    if not minor.is_finite() or minor != int(minor) or minor < 0:
        raise BadInputError(f'"{amount}" is not an amount of money; write it like 49.00')
    return int(minor)


def _one_line(text: str) -> str:
    words = " ".join(text.split())
    if not words or len(words) > PAID_REFERENCE_LENGTH_MAX or not words.isprintable():
        raise BadInputError(f"a payment's reference has 1 to {PAID_REFERENCE_LENGTH_MAX} characters on one line")
    return words
