"""The owner's API: monthly statements, as JSON or as a table, and what the next month will cost."""

import re
from datetime import date, datetime
from typing import Final
from uuid import UUID

from gateway.api.call import NOT_FOUND, AnyRoute, Call, CsvText, Nothing, Route, Told, not_found
from gateway.api.money import Runway
from gateway.forecasts import read_forecast
from gateway.tenants import find_tenant
from metering import chain, statements

_MONTH: Final = re.compile(r"(2\d{3})-(0[1-9]|1[0-2])(\.csv)?")


class StatementEntry(Told):
    """One entry of the ledger; the amount is signed, the time on the tenant's clock."""

    sequence: int
    created_at: datetime
    kind: chain.EntryKind
    key: str
    reason: str
    receipt_id: UUID | None
    refunds_sequence: int | None
    amount_millicredits: int
    balance_before_millicredits: int
    balance_after_millicredits: int


class MonthStatement(Told):
    """A calendar month: opening + granted - charged + refunded - expired = closing.

    `digest` is the hash of the last entry until its end: kept, it shows whether the past was changed.
    """

    month: str
    timezone: str
    opening_millicredits: int
    granted_millicredits: int
    charged_millicredits: int
    refunded_millicredits: int
    expired_millicredits: int
    closing_millicredits: int
    first_sequence: int | None
    last_sequence: int | None
    digest: str | None
    entries: list[StatementEntry]


class RentDue(Told):
    """A number's month that falls due, or is owed already."""

    line_id: UUID
    kind: str
    due_on: date
    amount_millicredits: int


class MonthForecast(Told):
    """What the next thirty days cost at the pace of `runway`, with the rents that fall due until `until`."""

    runway: Runway
    until: date
    usage_millicredits: int
    rents: list[RentDue]
    rents_millicredits: int
    total_millicredits: int
    missing_millicredits: int


async def show_statement(call: Call[Nothing, Nothing]) -> MonthStatement | CsvText:
    """Answer a month such as `2026-11`; as a table for `2026-11.csv`, or if that is what is accepted."""
    found = _MONTH.fullmatch(call.path["month"])
    if found is None:
        raise not_found()
    month = date(int(found[1]), int(found[2]), 1)
    async with call.services.db.transaction(call.tenant_id) as connection:
        tenant = await find_tenant(connection, str(call.tenant_id))
        statement = await statements.read_statement(connection, call.tenant_id, month=month, timezone=tenant.zone)
    if found[3] or call.accepts_csv:
        return CsvText(name=f"statement-{month:%Y-%m}.csv", text=statements.as_csv(statement))
    return MonthStatement.model_validate(statements.as_document(statement))


async def show_forecast(call: Call[Nothing, Nothing]) -> MonthForecast:
    async with call.services.db.transaction(call.tenant_id) as connection:
        tenant = await find_tenant(connection, str(call.tenant_id))
        return MonthForecast.model_validate(await read_forecast(call.services, connection, tenant))


ROUTES: tuple[AnyRoute, ...] = (
    Route(
        method="GET",
        path="/statements/{month}",
        summary="Show a month's statement, as JSON or, with .csv after the month or Accept: text/csv, as a table",
        handler=show_statement,
        query=Nothing,
        body=Nothing,
        told=MonthStatement,
        refusals=(NOT_FOUND,),
        has_csv=True,
    ),
    Route(
        method="GET",
        path="/forecast",
        summary="Show how long the credits last and what the next thirty days cost",
        handler=show_forecast,
        query=Nothing,
        body=Nothing,
        told=MonthForecast,
    ),
)
