"""Tenants: made with what belongs to them in one transaction, found by name or id.

To a tenant on account the first package of its plan is granted at once; another pays the invoice before.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, datetime
from uuid import UUID
from zoneinfo import ZoneInfo

from gateway.db import Database
from gateway.errors import BadInputError
from gateway.group_commit import Companion, Ledger
from gateway.identity import check_password, create_member, normalised_email
from gateway.invoices import Invoice, grant_of, insert_invoice, package_invoice
from gateway.subscriptions import subscribe
from metering.connection import Connection
from metering.cycle import Cycle, nth_cycle
from metering.ledger import lock as lock_wallet
from metering.operations import Outcome
from metering.plans import Plan

NAME_LENGTH_MAX = 120
LOCALES = ("de", "en")
_COLUMNS = "tenant_id, name, timezone, locale, alert_email, on_account, created_at"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tenant:
    """A customer organization of ours."""

    tenant_id: UUID
    name: str
    timezone: str
    locale: str
    alert_email: str | None
    on_account: bool
    created_at: datetime

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.timezone)

    def day(self, now: datetime) -> date:
        """Return the tenant's date at a moment."""
        return now.astimezone(self.zone).date()


@dataclass(frozen=True, slots=True, kw_only=True)
class NewTenant:
    """What is asked for. With an e-mail address, its owner can sign in and is alerted there."""

    name: str
    locale: str = "de"
    timezone: str = "Europe/Berlin"
    on_account: bool = True
    owner_email: str | None = None
    owner_password: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class _First:
    """What a tenant with a plan begins with."""

    plan: Plan
    cycle: Cycle
    invoice: Invoice


async def create_tenant(
    db: Database,
    ledger: Ledger,
    wanted: NewTenant,
    plan: Plan | None,
    *,
    now: datetime,
    new_id: Callable[[], UUID],
) -> Tenant:
    """Make a tenant with its wallet, its owner and its subscription, whose first package is invoiced.

    All of it is one transaction. Raises BadInputError for a name or an e-mail address in use.
    """
    tenant = _checked(wanted, tenant_id=new_id(), now=now)
    first = None if plan is None else _first(tenant, plan, invoice_id=new_id(), now=now)

    async def write(connection: Connection, _outcome: Outcome | None = None) -> None:
        await _insert(connection, tenant)
        if wanted.owner_email is not None and wanted.owner_password is not None:
            await create_member(
                connection,
                tenant.tenant_id,
                member_id=new_id(),
                email=wanted.owner_email,
                password=wanted.owner_password,
                role="owner",
                now=now,
            )
        if first is not None:
            await subscribe(connection, tenant.tenant_id, first.plan, first.cycle)
            await insert_invoice(connection, first.invoice)

    if first is None or first.invoice.granted_at is None:
        async with db.transaction(tenant.tenant_id) as connection:
            await lock_wallet(connection, tenant.tenant_id)
            await write(connection)
    else:
        ends_on = first.invoice.credits_end_on
        grant = grant_of(first.invoice, grant_id=new_id(), ends_on=ends_on, zone=tenant.zone)
        await ledger.submit(tenant.tenant_id, grant, Companion(write=write))
    return tenant


def _first(tenant: Tenant, plan: Plan, *, invoice_id: UUID, now: datetime) -> _First:
    today = tenant.day(now)
    cycle = nth_cycle(today, 1)
    invoice = package_invoice(
        tenant.tenant_id, plan, cycle, on_account=tenant.on_account, invoice_id=invoice_id, today=today, now=now
    )
    return _First(plan=plan, cycle=cycle, invoice=invoice)


async def find_tenant(connection: Connection, name_or_id: str) -> Tenant:
    """Return the tenant of that name or id. Raises BadInputError, which says where to see them."""
    row = await connection.fetchrow(
        f"SELECT {_COLUMNS} FROM tenant WHERE name = $1 OR tenant_id = $2 ORDER BY tenant_id = $2 DESC LIMIT 1",  # noqa: S608 - a constant
        name_or_id.strip() if name_or_id.isprintable() else "",  # a name that no column could hold
        _as_id(name_or_id),
    )
    if row is None:
        raise BadInputError(f'there is no tenant "{name_or_id}"; `turnmeter tenant list` shows them')
    return Tenant(**row)


async def list_tenants(connection: Connection) -> list[Tenant]:
    """Return all tenants by name."""
    rows = await connection.fetch(f"SELECT {_COLUMNS} FROM tenant ORDER BY lower(name), name")  # noqa: S608 - a constant
    return [Tenant(**row) for row in rows]


def _checked(wanted: NewTenant, *, tenant_id: UUID, now: datetime) -> Tenant:
    name = " ".join(wanted.name.split())
    if not name or len(name) > NAME_LENGTH_MAX or not name.isprintable() or _as_id(name) is not None:
        raise BadInputError(f"a tenant's name has 1 to {NAME_LENGTH_MAX} characters on one line, and is not an id")
    if wanted.locale not in LOCALES:
        raise BadInputError(f'"{wanted.locale}" is not a locale; write one of {", ".join(LOCALES)}')
    if (wanted.owner_email is None) != (wanted.owner_password is None):
        raise BadInputError("an owner needs both an e-mail address and a password")
    if wanted.owner_password is not None:
        check_password(wanted.owner_password)
    return Tenant(
        tenant_id=tenant_id,
        name=name,
        timezone=_known_zone(wanted.timezone),
        locale=wanted.locale,
        alert_email=None if wanted.owner_email is None else normalised_email(wanted.owner_email),
        on_account=wanted.on_account,
        created_at=now,
    )


def _known_zone(name: str) -> str:
    try:
        return ZoneInfo(name).key
    except (LookupError, ValueError, OSError):  # unknown; a path or NUL; a folder such as "Europe"
        raise BadInputError(f'"{name}" is not a time zone; write it like "Europe/Berlin"') from None


def _as_id(text: str) -> UUID | None:
    try:
        return UUID(text.strip())
    except ValueError:
        return None


async def _insert(connection: Connection, tenant: Tenant) -> None:
    made = await connection.fetchval(
        """INSERT INTO tenant (tenant_id, name, timezone, locale, alert_email, on_account, created_at)
           VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (name) DO NOTHING RETURNING tenant_id""",
        tenant.tenant_id,
        tenant.name,
        tenant.timezone,
        tenant.locale,
        tenant.alert_email,
        tenant.on_account,
        tenant.created_at,
    )
    if made is None:
        raise BadInputError(f'there is a tenant "{tenant.name}" already')
