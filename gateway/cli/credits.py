"""`credits grant`, `credits balance`."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from gateway.cli.output import print_json
from gateway.errors import BadInputError, TurnmeterError
from gateway.rentals import collect_rents
from gateway.services import Services
from gateway.tenants import Tenant, find_tenant
from metering.credits import format_credits, parse_credits
from metering.entries import WalletView, read_wallet
from metering.operations import Applied, Grant, Refused

REASON_LENGTH_MAX = 200
REFERENCE_LENGTH_MAX = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedGrant:
    """Credits as the operator gives them; the same reference grants once."""

    credits: str
    reason: str
    expires_on: date | None
    reference: str | None


def balance_document(wallet: WalletView) -> dict[str, object]:
    """Return a balance with the names that the API has for it."""
    return {
        "balance_millicredits": wallet.balance_millicredits,
        "held_millicredits": wallet.held_millicredits,
        "available_millicredits": wallet.available_millicredits,
        "state": wallet.state,
    }


async def balance(services: Services, name_or_id: str, *, as_json: bool) -> None:
    tenant, wallet = await _wallet(services, name_or_id)
    if as_json:
        print_json(balance_document(wallet))
        return
    print(f"Balance    {format_credits(wallet.balance_millicredits, tenant.locale)} Credits")
    print(f"Held       {format_credits(wallet.held_millicredits, tenant.locale)} Credits")
    print(f"Available  {format_credits(wallet.available_millicredits, tenant.locale)} Credits")
    print(f"Services   {wallet.state}")


async def grant(services: Services, name_or_id: str, wanted: WantedGrant, *, as_json: bool) -> None:
    """Put credits into a wallet, once per reference; rents that waited for them are paid. Print what is in it now."""
    async with services.db.directory() as connection:
        tenant = await find_tenant(connection, name_or_id)
    operation = _operation(services, tenant, wanted)
    outcome = await services.ledger.submit(tenant.tenant_id, operation)
    if isinstance(outcome, Refused) and outcome.reason == "key_reused":
        raise BadInputError("this reference was used before, for another amount or expiry")
    if not isinstance(outcome, Applied):
        raise TurnmeterError("the grant was not made")
    await collect_rents(services, tenant)
    _, wallet = await _wallet(services, str(tenant.tenant_id))
    if as_json:
        print_json(
            {
                "granted_millicredits": outcome.amount_millicredits,
                "reference": operation.reference,
                "replayed": outcome.replayed,
                **balance_document(wallet),
            }
        )
        return
    granted = format_credits(outcome.amount_millicredits, tenant.locale)
    print(f"{granted} Credits {'were granted already' if outcome.replayed else 'granted'}.")
    print(f"Balance    {format_credits(wallet.balance_millicredits, tenant.locale)} Credits")


async def _wallet(services: Services, name_or_id: str) -> tuple[Tenant, WalletView]:
    async with services.db.directory() as connection:
        tenant = await find_tenant(connection, name_or_id)
    async with services.db.transaction(tenant.tenant_id) as connection:
        return tenant, await read_wallet(connection, tenant.tenant_id)


def _operation(services: Services, tenant: Tenant, wanted: WantedGrant) -> Grant:
    amount_millicredits = parse_credits(wanted.credits)
    if amount_millicredits == 0:
        raise BadInputError("a grant is more than 0 credits")
    grant_id = services.new_id()
    reference = (
        str(grant_id) if wanted.reference is None else _one_line("reference", wanted.reference, REFERENCE_LENGTH_MAX)
    )
    return Grant(
        reference=f"manual:{reference}",  # of its own kind: never in the way of a plan's package or a payment
        grant_id=grant_id,
        kind="manual",
        amount_millicredits=amount_millicredits,
        reason=_one_line("reason", wanted.reason, REASON_LENGTH_MAX),
        expires_at=None if wanted.expires_on is None else _end_of(wanted.expires_on, tenant, services.now()),
    )


def _one_line(what: str, text: str, length_max: int) -> str:
    words = " ".join(text.split())
    if not words or len(words) > length_max or not words.isprintable():
        raise BadInputError(f"the {what} has 1 to {length_max} characters on one line")
    return words


def _end_of(day: date, tenant: Tenant, now: datetime) -> datetime:
    """Return the moment at which a day ends for the tenant. Raises BadInputError if it is over."""
    if day < tenant.day(now):
        raise BadInputError(f"{day.isoformat()} is over; credits are granted until today or a later day")
    if day == date.max:
        raise BadInputError("leave --expires out for credits that do not expire")
    return datetime.combine(day + timedelta(days=1), time.min, tzinfo=tenant.zone).astimezone(UTC)
