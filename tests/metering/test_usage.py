from datetime import UTC, date, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from gateway.db import Database
from metering.rates import Item, Line
from metering.usage import Runway, Usage, read_runway, runway, usage_between
from tests.metering.spending import Spending, some_id

AT = datetime(2026, 11, 24, 10, 0, tzinfo=UTC)
TODAY = AT.date()


def used(days_ago: int, amount: int, item: str = "chat_input") -> Usage:
    return Usage(
        day=TODAY - timedelta(days=days_ago), channel="whatsapp", item=item, quantity=1, amount_millicredits=amount
    )


def computed(rows: list[Usage], *, began: int, available: int = 1_000_000) -> Runway:
    return runway(rows, today=TODAY, began_on=TODAY - timedelta(days=began), available_millicredits=available)


async def test_usage_is_listed_by_day_channel_and_item(db: Database) -> None:
    spending = Spending(db, some_id())
    await spending.grant(100_000_000, AT)
    await spending.charge([Line(Item.CHAT_INPUT, 700, 40), Line(Item.CHAT_OUTPUT, 30, 200)], AT)
    await spending.charge([Line(Item.CHAT_INPUT, 500, 40)], AT)
    await spending.charge([Line(Item.NUMBER_MOBILE, 1, 60_000_000)], AT, subject="rental", channel=None)
    for days_ago, segments in ((1, 2), (2, 9)):
        day = TODAY - timedelta(days=days_ago)
        await spending.charge([Line(Item.SMS_SENT, segments, 2_500_000)], AT, channel="sms", day=day)
    async with db.transaction(spending.tenant_id) as connection:
        listed = await usage_between(connection, spending.tenant_id, first=TODAY - timedelta(days=1), last=TODAY)
    assert [(row.day.day, row.channel, row.item, row.quantity, row.amount_millicredits) for row in listed] == [
        (23, "sms", "sms_sent", 2, 5_000_000),
        (24, "whatsapp", "chat_input", 1_200, 48_000),
        (24, "whatsapp", "chat_output", 30, 6_000),
        (24, None, "number_mobile", 1, 60_000_000),
    ]


async def test_what_was_given_back_was_not_used(db: Database) -> None:
    spending = Spending(db, some_id())
    await spending.grant(1_000_000, AT)
    receipt_id = await spending.charge([Line(Item.CHAT_INPUT, 700, 40), Line(Item.CHAT_OUTPUT, 30, 200)], AT)
    await spending.refund(receipt_id, [Line(Item.CHAT_OUTPUT, 20, 200)], AT)
    async with db.transaction(spending.tenant_id) as connection:
        listed = await usage_between(connection, spending.tenant_id, first=TODAY, last=TODAY)
    assert [(row.item, row.quantity, row.amount_millicredits) for row in listed] == [
        ("chat_input", 700, 28_000),
        ("chat_output", 10, 2_000),
    ]


async def test_the_runway_is_read_from_the_last_whole_week(db: Database) -> None:
    spending = Spending(db, some_id())
    await spending.grant(1_000_000, AT)
    for days_ago, amount in ((40, 99), (8, 70_000), (7, 700), (1, 700), (0, 50_000)):
        day = TODAY - timedelta(days=days_ago)
        await spending.charge([Line(Item.CHAT_INPUT, amount, 1)], AT, day=day)
    async with db.transaction(spending.tenant_id) as connection:
        found = await read_runway(connection, spending.tenant_id, today=TODAY, available_millicredits=10_000)
    assert found == Runway(
        first=date(2026, 11, 17),
        last=date(2026, 11, 23),
        days=7,
        spent_millicredits=1_400,
        available_millicredits=10_000,
        days_left=50,
        forecast_month_millicredits=6_000,
    )


async def test_a_tenant_without_usage_has_no_end_in_sight(db: Database) -> None:
    tenant_id = some_id()
    async with db.transaction(tenant_id) as connection:
        found = await read_runway(connection, tenant_id, today=TODAY, available_millicredits=10_000)
    assert (found.first, found.last, found.days_left, found.forecast_month_millicredits) == (TODAY, TODAY, None, 0)


def test_on_the_first_day_the_pace_is_that_of_the_day_so_far() -> None:
    assert computed([used(0, 100_000)], began=0).days_left == 10


def test_after_two_days_the_pace_is_that_of_the_one_whole_day() -> None:
    found = computed([used(1, 100_000), used(0, 5)], began=1)
    assert (found.days, found.days_left) == (1, 10)


def test_quiet_days_since_the_beginning_count_too() -> None:
    found = computed([used(4, 100_000)], began=4)
    assert (found.days, found.days_left) == (4, 40)


def test_the_months_rent_of_a_number_does_not_make_the_credits_look_short() -> None:
    assert computed([used(1, 100_000), used(1, 60_000_000, "number_mobile")], began=7).days_left == 70


def test_a_week_of_refunds_only_is_no_pace() -> None:
    found = computed([used(1, -100)], began=7)
    assert (found.days_left, found.forecast_month_millicredits) == (None, 0)


@given(
    amounts=st.lists(st.tuples(st.integers(0, 20), st.integers(0, 10**9)), max_size=30),
    began=st.integers(-1, 30),
    available=st.integers(0, 10**12),
)
def test_what_is_left_lasts_the_days_it_says_and_not_one_more(
    amounts: list[tuple[int, int]], began: int, available: int
) -> None:
    found = computed([used(days_ago, amount) for days_ago, amount in amounts], began=began, available=available)
    assert 1 <= found.days <= 7
    assert found.first <= found.last <= TODAY
    if found.days_left is not None:
        per_day = found.spent_millicredits / found.days
        assert found.days_left * per_day <= available * (1 + 1e-9)
        assert (found.days_left + 1) * per_day > available * (1 - 1e-9)
