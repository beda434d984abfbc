"""Tenants: made with what belongs to them in one transaction, found by name or id.

Tenants made here are on account: the first cycle's credits of their plan are granted at once and invoiced.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time
from uuid import UUID
from zoneinfo import ZoneInfo

from gateway.db import Database
from gateway.errors import BadInputError
from gateway.group_commit import Companion, Ledger
from gateway.identity import check_password, create_member, normalised_email
from metering.connection import Connection
from metering.cycle import Cycle, nth_cycle
from metering.ledger import lock as lock_wallet
from metering.operations import Grant, Outcome
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
    owner_email: str | None = None
    owner_password: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscription:
    """A tenant's plan and the cycle it is in; `cycle_ends_on` is the first day of the next one."""

    plan: str
    cycle: int
    cycle_starts_on: date
    cycle_ends_on: date
    state: str


async def create_tenant(
    db: Database,
    ledger: Ledger,
    wanted: NewTenant,
    plan: Plan | None,
    *,
    now: datetime,
    new_id: Callable[[], UUID],
) -> Tenant:
    """Make a tenant with its wallet, its owner and its subscription, whose first package is granted.

    All of it is one transaction. Raises BadInputError for a name or an e-mail address in use.
    """
    tenant = _checked(wanted, tenant_id=new_id(), now=now)
    cycle = nth_cycle(tenant.day(now), 1)

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
        if plan is not None:
            await _subscribe(connection, tenant.tenant_id, plan, cycle)

    if plan is None:
        async with db.transaction(tenant.tenant_id) as connection:
            await lock_wallet(connection, tenant.tenant_id)
            await write(connection)
    else:
        grant = package_grant(tenant, plan, cycle, grant_id=new_id())
        await ledger.submit(tenant.tenant_id, grant, Companion(write=write))
    return tenant


def package_grant(tenant: Tenant, plan: Plan, cycle: Cycle, *, grant_id: UUID) -> Grant:
    """Return the grant of a cycle's package, once per cycle; it ends with the cycle unless credits roll over."""
    ends_at = datetime.combine(cycle.ends_on, time.min, tzinfo=tenant.zone).astimezone(UTC)
    return Grant(
        reference=f"plan:{cycle.starts_on.isoformat()}",
        grant_id=grant_id,
        kind="plan",
        amount_millicredits=plan.package_millicredits,
        reason=f"{plan.name}, {cycle.starts_on.isoformat()}",
        expires_at=None if plan.rollover else ends_at,
    )


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


async def read_subscription(connection: Connection, tenant_id: UUID) -> Subscription | None:
    """Return the tenant's subscription, None if it has no plan."""
    row = await connection.fetchrow(
        "SELECT plan, cycle, cycle_starts_on, cycle_ends_on, state FROM subscription WHERE tenant_id = $1", tenant_id
    )
    return None if row is None else Subscription(**row)


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
        on_account=True,
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


async def _subscribe(connection: Connection, tenant_id: UUID, plan: Plan, cycle: Cycle) -> None:
    await connection.execute(
        """INSERT INTO subscription (tenant_id, plan, anchor_on, cycle, cycle_starts_on, cycle_ends_on)
           VALUES ($1, $2, $3, $4, $5, $6)""",
        tenant_id,
        plan.name,
        cycle.starts_on,
        cycle.number,
        cycle.starts_on,
        cycle.ends_on,
    )
