"""`number search|order|release|list`: a tenant's numbers."""

from dataclasses import dataclass

from pydantic import TypeAdapter, ValidationError

from agents.parts import Channel
from gateway.cli.output import print_error, print_json, print_table
from gateway.cli.running import FAILURE
from gateway.errors import BadInputError
from gateway.line_file import normalised_number
from gateway.line_kinds import LineKind, read_kind
from gateway.line_store import LineRow, list_lines
from gateway.number_orders import WantedNumber, order_number, search_numbers
from gateway.number_return import release_line
from gateway.number_store import NumberOrder, list_open
from gateway.services import Services
from gateway.tenants import Tenant, find_tenant

_LINE_FIELDS = ("line_id", "number", "kind", "channels", "state", "provisioned_on", "rented_until", "unpaid_since")
_ORDER_FIELDS = ("order_id", "line_id", "number", "kind", "country", "channels", "state", "created_at")
_CHANNELS = TypeAdapter(tuple[Channel, ...])


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """An order as the operator writes it."""

    country: str
    kind: str
    agent: str
    channels: str
    number: str | None
    bundle: str | None
    address: str | None


async def search(services: Services, country: str, kind: str, limit: int, *, as_json: bool) -> None:
    offered = await search_numbers(services, country=country, kind=_kind(kind), limit=limit)
    if as_json:
        print_json({"items": offered})
        return
    rows = [(offer.number, offer.place, offer.needs_address) for offer in offered]
    print_table(("Number", "Place", "Address needed"), rows)


async def order(services: Services, name_or_id: str, asked: Asked, *, as_json: bool) -> int:
    """Order a number; return the exit code: failure if Twilio has not said yet."""
    tenant = await _tenant(services, name_or_id)
    ordered = await order_number(services, tenant, _wanted(asked))
    if as_json:
        print_json(_order_document(ordered))
    elif ordered.state == "done":
        print(f"{ordered.number} is a line of {tenant.name}.")
    if ordered.state == "done":
        return 0
    print_error(
        "Twilio has not said whether it sold the number; it is looked up in a minute. "
        f'`turnmeter number list "{tenant.name}"` shows what came of it.'
    )
    return FAILURE


async def release(services: Services, name_or_id: str, number: str, *, as_json: bool) -> None:
    tenant = await _tenant(services, name_or_id)
    wanted = _number(number)
    found = [line for line in await _lines(services, tenant) if line.number == wanted and line.state != "released"]
    if not found:
        raise BadInputError(f'this is no line of "{tenant.name}"; `turnmeter number list` shows them')
    await release_line(services, tenant.tenant_id, found[0].line_id)
    if as_json:
        print_json({"line_id": found[0].line_id, "number": found[0].number, "state": "released"})
    else:
        print(f"{found[0].number} is released.")


async def list_all(services: Services, name_or_id: str, *, as_json: bool) -> None:
    tenant = await _tenant(services, name_or_id)
    lines = await _lines(services, tenant)
    async with services.db.transaction(tenant.tenant_id) as connection:
        orders = await list_open(connection, tenant.tenant_id)
    if as_json:
        items = [{name: getattr(line, name) for name in _LINE_FIELDS} for line in lines]
        print_json({"items": items, "orders": [_order_document(each) for each in orders]})
        return
    rows: list[tuple[str, ...]] = [
        (line.number, line.kind, ", ".join(line.channels), line.state, str(line.rented_until or "")) for line in lines
    ]
    rows += [(each.number, each.kind, ", ".join(each.channels), "on order", "") for each in orders]
    print_table(("Number", "Kind", "Channels", "State", "Paid until before"), rows)


async def _tenant(services: Services, name_or_id: str) -> Tenant:
    async with services.db.directory() as connection:
        return await find_tenant(connection, name_or_id)


async def _lines(services: Services, tenant: Tenant) -> list[LineRow]:
    async with services.db.transaction(tenant.tenant_id) as connection:
        return await list_lines(connection, tenant.tenant_id)


def _order_document(ordered: NumberOrder) -> dict[str, object]:
    return {name: getattr(ordered, name) for name in _ORDER_FIELDS}


def _wanted(asked: Asked) -> WantedNumber:
    try:
        channels = _CHANNELS.validate_python(
            tuple(channel.strip() for channel in asked.channels.split(",") if channel.strip())
        )
    except ValidationError:
        raise BadInputError("channels: write whatsapp, sms, voice, with commas between them") from None
    return WantedNumber(
        country=asked.country,
        kind=_kind(asked.kind),
        agent=asked.agent,
        channels=channels,
        number=None if asked.number is None else _number(asked.number),
        bundle_sid=asked.bundle,
        address_sid=asked.address,
    )


def _kind(text: str) -> LineKind:
    try:
        return read_kind(text)
    except ValueError as error:
        raise BadInputError(f"kind: {error}") from None


def _number(text: str) -> str:
    try:
        return normalised_number(text)
    except ValueError as error:
        raise BadInputError(f"the number {error}") from None
