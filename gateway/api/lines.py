"""The owner's API: the lines that customers reach the tenant on."""

from datetime import date
from typing import Literal
from uuid import UUID

from pydantic import Field

from gateway import line_store
from gateway.api.call import AnyRoute, Call, Nothing, Route, Told
from gateway.api.paging import Listed, Page, next_page, parse_text_cursor, text_cursor
from gateway.rental_days import LineState


class Line(Told):
    """One line. Its access token is never shown. `rented_until` is the first day that is not paid."""

    id: UUID = Field(validation_alias="line_id")
    number: str
    kind: Literal["local", "mobile"]
    channels: list[str]
    agent_id: UUID
    whatsapp_provider: str | None
    whatsapp_phone_number_id: str | None
    state: LineState
    provisioned_on: date
    rented_until: date | None
    unpaid_since: date | None


class LinePage(Listed[Line]):
    """Lines by number."""


async def list_lines(call: Call[Page, Nothing]) -> LinePage:
    after = parse_text_cursor(call.query.cursor)
    async with call.services.db.transaction(call.tenant_id) as connection:
        rows = await line_store.list_lines(connection, call.tenant_id)
    rows = [row for row in rows if after is None or row.number > after]  # a number is ASCII: one order everywhere
    page, cursor = next_page(rows, call.query.limit, lambda row: text_cursor(row.number))
    return LinePage(items=[Line.model_validate(row) for row in page], next_cursor=cursor)


ROUTES: tuple[AnyRoute, ...] = (
    Route(
        method="GET",
        path="/lines",
        summary="List lines",
        handler=list_lines,
        query=Page,
        body=Nothing,
        told=LinePage,
    ),
)
