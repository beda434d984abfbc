"""The owner's API: numbers that could be ordered, ordering one, and giving one up."""

import hashlib
import json
from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import AfterValidator, BeforeValidator, Field

from agents.parts import Channel
from gateway import number_orders, number_store
from gateway.api.call import NOT_FOUND, AnyRoute, Asked, Call, Nothing, Refusal, Route, Told, not_found
from gateway.line_file import normalised_number
from gateway.line_kinds import LineKind, read_kind
from gateway.number_return import release_line
from gateway.number_store import OrderState
from gateway.repeat_keys import RepeatKey
from gateway.tenants import find_tenant

Kind = Annotated[LineKind, BeforeValidator(read_kind)]
Country = Annotated[str, Field(pattern="^[A-Z]{2}$")]


class AvailableNumber(Told):
    """A number that could be ordered. `needs_address` says which address its country wants to see."""

    number: str
    place: str
    needs_address: str


class AvailableNumbers(Told):
    """Numbers that could be ordered, as many as were asked for."""

    items: list[AvailableNumber]


class AvailableQuery(Asked):
    """A country by its two letters, and a kind of number."""

    country: Country
    kind: Kind
    limit: int = Field(default=20, ge=1, le=number_orders.OFFERED_MAX)


class NewNumber(Asked):
    """A number to order: that one, or the first that is to be had."""

    country: Country
    kind: Kind
    agent: str = Field(min_length=1, max_length=80)
    channels: tuple[Channel, ...] = Field(min_length=1, max_length=3)
    number: Annotated[str, AfterValidator(normalised_number)] | None = None
    bundle_sid: str | None = Field(default=None, pattern="^BU[0-9a-fA-F]{32}$")
    address_sid: str | None = Field(default=None, pattern="^AD[0-9a-fA-F]{32}$")


class NumberOrder(Told):
    """A number on order. `buying`: Twilio has not said yet, and is asked again; `done`: it is a line."""

    id: UUID = Field(validation_alias="order_id")
    line_id: UUID
    number: str
    kind: Literal["local", "mobile"]
    channels: list[Channel]
    state: OrderState
    failure: str | None
    created_at: datetime


async def list_available(call: Call[AvailableQuery, Nothing]) -> AvailableNumbers:
    query = call.query
    found = await number_orders.search_numbers(call.services, country=query.country, kind=query.kind, limit=query.limit)
    return AvailableNumbers(items=[AvailableNumber.model_validate(offer) for offer in found])


async def order_number(call: Call[Nothing, NewNumber]) -> NumberOrder:
    async with call.services.db.directory() as connection:
        tenant = await find_tenant(connection, str(call.tenant_id))
    wanted = number_orders.WantedNumber(**dict(call.body), repeat=_repeat_key(call))
    return NumberOrder.model_validate(await number_orders.order_number(call.services, tenant, wanted))


async def show_order(call: Call[Nothing, Nothing]) -> NumberOrder:
    async with call.services.db.transaction(call.tenant_id) as connection:
        order = await number_store.read_order(connection, call.tenant_id, call.id("order_id"))
    if order is None:
        raise not_found()
    return NumberOrder.model_validate(order)


async def release(call: Call[Nothing, Nothing]) -> None:
    if not await release_line(call.services, call.tenant_id, call.id("line_id")):
        raise not_found()


def _repeat_key(call: Call[Nothing, NewNumber]) -> RepeatKey | None:
    if call.idempotency_key is None:
        return None
    asked = json.dumps(["number", call.body.model_dump()], sort_keys=True)
    return RepeatKey(key=call.idempotency_key, request_hash=hashlib.sha256(asked.encode()).digest())


_FROM_TWILIO = (Refusal(status=409, code="twilio_not_configured"), Refusal(status=503, code="twilio_unavailable"))

ROUTES: tuple[AnyRoute, ...] = (
    Route(
        method="GET",
        path="/numbers/available",
        summary="Search numbers that could be ordered",
        handler=list_available,
        query=AvailableQuery,
        body=Nothing,
        told=AvailableNumbers,
        refusals=(Refusal(status=409, code="order_refused"), *_FROM_TWILIO),
    ),
    Route(
        method="POST",
        path="/numbers",
        summary="Order a number; its first month is charged",
        handler=order_number,
        query=Nothing,
        body=NewNumber,
        told=NumberOrder,
        status=201,
        takes_idempotency_key=True,
        refusals=(
            Refusal(status=400, code="bad_input"),
            Refusal(status=402, code="insufficient_credits"),
            Refusal(status=409, code="number_not_available"),
            Refusal(status=409, code="order_refused"),
            Refusal(status=409, code="order_expired"),
            Refusal(status=409, code="idempotency_key_reused"),
            *_FROM_TWILIO,
        ),
    ),
    Route(
        method="GET",
        path="/numbers/orders/{order_id}",
        summary="Show an order",
        handler=show_order,
        query=Nothing,
        body=Nothing,
        told=NumberOrder,
        refusals=(NOT_FOUND,),
    ),
    Route(
        method="DELETE",
        path="/lines/{line_id}",
        summary="Give a line up; a number that was ordered here goes back",
        handler=release,
        query=Nothing,
        body=Nothing,
        told=None,
        status=204,
        refusals=(NOT_FOUND,),
    ),
)
