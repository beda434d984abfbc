"""The owner's API: balance, ledger, receipts, usage."""

from datetime import date, datetime, timedelta
from typing import Literal
from uuid import UUID

from pydantic import Field

from gateway.api.call import NOT_FOUND, AnyRoute, Asked, Call, Nothing, Route, Told, invalid, not_found
from gateway.api.paging import Listed, Page, next_page, number_cursor, parse_number_cursor
from gateway.tenants import find_tenant
from metering import chain, entries, receipts, usage

USAGE_DAYS = 30  # listed unless asked for others
USAGE_DAYS_MAX = 366
FIRST_DAY = date(2000, 1, 1)
LAST_DAY = date(3000, 1, 1)


class Balance(Told):
    """What the tenant owns, what is set aside for work in progress, and whether its services run."""

    balance_millicredits: int
    held_millicredits: int
    available_millicredits: int
    state: Literal["active", "paused"]


class LedgerEntry(Told):
    """One change of the balance; the amount is signed."""

    sequence: int
    kind: chain.EntryKind
    key: str
    amount_millicredits: int
    balance_before_millicredits: int
    balance_after_millicredits: int
    receipt_id: UUID | None
    refunds_sequence: int | None
    reason: str
    created_at: datetime


class LedgerPage(Listed[LedgerEntry]):
    """Ledger entries, newest first."""


class ReceiptLine(Told):
    """Quantity times rate. What is free has a line too."""

    item: str
    quantity: int
    unit_millicredits: int
    amount_millicredits: int


class Receipt(Told):
    """The itemized account of one charge, and what has been given back of it since.

    `counted_by`: what a minute of a call was counted by, seconds of audio or the words' tokens.
    """

    id: UUID = Field(validation_alias="receipt_id")
    subject: Literal["turn", "message", "received", "rental", "call"]
    sequence: int
    turn_id: UUID | None
    conversation_id: UUID | None
    contact_id: UUID | None
    line_id: UUID | None
    agent_id: UUID | None
    agent_version: int | None
    channel: str | None
    rate_card: str
    lines: list[ReceiptLine]
    total_millicredits: int
    refunded_millicredits: int
    balance_before_millicredits: int
    balance_after_millicredits: int
    day: date
    created_at: datetime
    counted_by: Literal["audio", "tiktoken"] | None


class ReceiptPage(Listed[Receipt]):
    """Receipts, newest first."""


class ReceiptQuery(Page):
    """A page of all receipts, or of those of one conversation or turn."""

    conversation_id: UUID | None = None
    turn_id: UUID | None = None


class UsageQuery(Asked):
    """From one of the tenant's days to another, both included; the last thirty by default."""

    first: date | None = Field(default=None, alias="from", ge=FIRST_DAY, lt=LAST_DAY)
    last: date | None = Field(default=None, alias="to", ge=FIRST_DAY, lt=LAST_DAY)


class UsageRow(Told):
    """What one item came to on one day; refunds are taken off."""

    day: date
    channel: str | None
    item: str
    quantity: int
    amount_millicredits: int


class Runway(Told):
    """How long the credits last at the pace of the days from `from` to `to`, rent of numbers left out."""

    first: date = Field(serialization_alias="from")
    last: date = Field(serialization_alias="to")
    days: int
    spent_millicredits: int
    available_millicredits: int
    days_left: int | None
    forecast_month_millicredits: int


class UsagePage(Listed[UsageRow]):
    """Usage by day, channel and item, oldest first; always all of it."""

    first: date = Field(serialization_alias="from")
    last: date = Field(serialization_alias="to")
    runway: Runway


async def show_balance(call: Call[Nothing, Nothing]) -> Balance:
    async with call.services.db.transaction(call.tenant_id) as connection:
        return Balance.model_validate(await entries.read_wallet(connection, call.tenant_id))


async def list_ledger(call: Call[Page, Nothing]) -> LedgerPage:
    before = parse_number_cursor(call.query.cursor)
    async with call.services.db.transaction(call.tenant_id) as connection:
        rows = await entries.list_entries(connection, call.tenant_id, limit=call.query.limit + 1, before=before)
    page, cursor = next_page(rows, call.query.limit, lambda row: number_cursor(row.sequence))
    return LedgerPage(items=[LedgerEntry.model_validate(row) for row in page], next_cursor=cursor)


async def list_receipts(call: Call[ReceiptQuery, Nothing]) -> ReceiptPage:
    query = call.query
    async with call.services.db.transaction(call.tenant_id) as connection:
        rows = await receipts.list_receipts(
            connection,
            call.tenant_id,
            limit=query.limit + 1,
            before=parse_number_cursor(query.cursor),
            conversation_id=query.conversation_id,
            turn_id=query.turn_id,
        )
    page, cursor = next_page(rows, query.limit, lambda row: number_cursor(row.sequence))
    return ReceiptPage(items=[Receipt.model_validate(row) for row in page], next_cursor=cursor)


async def show_receipt(call: Call[Nothing, Nothing]) -> Receipt:
    async with call.services.db.transaction(call.tenant_id) as connection:
        receipt = await receipts.read_receipt(connection, call.tenant_id, call.id("receipt_id"))
    if receipt is None:
        raise not_found()
    return Receipt.model_validate(receipt)


async def show_usage(call: Call[UsageQuery, Nothing]) -> UsagePage:
    async with call.services.db.transaction(call.tenant_id) as connection:
        tenant = await find_tenant(connection, str(call.tenant_id))
        today = tenant.day(call.services.now())
        last = call.query.last or today
        first = call.query.first or last - timedelta(days=USAGE_DAYS - 1)
        if not timedelta() <= last - first < timedelta(days=USAGE_DAYS_MAX):
            raise invalid("from", f"must be at most {USAGE_DAYS_MAX} days before the last day, and not after it")
        rows = await usage.usage_between(connection, call.tenant_id, first=first, last=last)
        wallet = await entries.read_wallet(connection, call.tenant_id)
        runway = await usage.read_runway(
            connection, call.tenant_id, today=today, available_millicredits=wallet.available_millicredits
        )
    return UsagePage(
        items=[UsageRow.model_validate(row) for row in rows],
        first=first,
        last=last,
        runway=Runway.model_validate(runway),
    )


ROUTES: tuple[AnyRoute, ...] = (
    Route(
        method="GET",
        path="/balance",
        summary="Show the wallet",
        handler=show_balance,
        query=Nothing,
        body=Nothing,
        told=Balance,
    ),
    Route(
        method="GET",
        path="/ledger",
        summary="List ledger entries",
        handler=list_ledger,
        query=Page,
        body=Nothing,
        told=LedgerPage,
    ),
    Route(
        method="GET",
        path="/receipts",
        summary="List receipts",
        handler=list_receipts,
        query=ReceiptQuery,
        body=Nothing,
        told=ReceiptPage,
    ),
    Route(
        method="GET",
        path="/receipts/{receipt_id}",
        summary="Show a receipt",
        handler=show_receipt,
        query=Nothing,
        body=Nothing,
        told=Receipt,
        refusals=(NOT_FOUND,),
    ),
    Route(
        method="GET",
        path="/usage",
        summary="Show usage by day, channel and item, and how long the credits last",
        handler=show_usage,
        query=UsageQuery,
        body=Nothing,
        told=UsagePage,
    ),
)
