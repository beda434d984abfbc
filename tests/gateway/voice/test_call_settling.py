import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from uuid import UUID

import pytest

from gateway.db import Database
from gateway.services import Services
from gateway.voice.call import CallAccount
from gateway.voice.credit.minutes import begin_leg_minute, begin_minute, hold_leg_minute, settle_minute
from gateway.voice.credit.settling import end_call, note_duration, note_leg_duration, note_part, too_many
from tests.cast import Cast
from tests.conftest import Clock
from tests.gateway.voice.paying import CREDIT, FEE, Till, cost, dial, open_till, used
from tests.gateway.wiring import wired

SID = "CA0001"


@pytest.fixture
async def till(
    db: Database, clock: Clock, new_id: Callable[[], UUID], cast: Cast, tmp_path: Path
) -> AsyncIterator[Till]:
    async with wired(db, clock, new_id, tmp_path) as services:
        till = await open_till(services, cast, clock)
        await till.grant(9_000 * CREDIT)
        yield till


async def talked(till: Till, minutes: int) -> CallAccount:
    """A call of so many started minutes, of which the last is not settled."""
    account, held = await till.answered()
    await till.salon.do("UPDATE call SET call_sid = $2 WHERE call_id = $1", account.call_id, SID)
    for minute in range(1, minutes + 1):
        await begin_minute(till.services, account, held)
        if minute < minutes:
            ahead = await till.holds(account, minute + 1)
            await settle_minute(till.services, account, held, used(minute), provider_usage={})
            held = ahead
    await settle_minute(till.services, account, held, used(minutes), provider_usage={})
    return account


async def ends(till: Till, account: CallAccount, services: Services | None = None) -> None:
    await end_call(
        services or till.services,
        account,
        reason="goodbye",
        figures={"underruns": 0},
        provider_usage={"total_tokens": 90},
    )


async def refunds(till: Till) -> dict[str, int]:
    return {key: amount for key, amount in (await till.entries()).items() if key.startswith("refund:")}


@pytest.mark.parametrize(
    ("charged", "duration_s", "back"),
    [
        (3, 180, []),
        (3, 181, []),
        (3, 121, []),
        (3, 120, [3]),
        (3, 61, [3]),
        (3, 60, [2, 3]),
        (2, 0, [1, 2]),
        (0, 0, []),
    ],
)
def test_minutes_come_back_that_had_not_started_when_all_was_over(
    charged: int, duration_s: int, back: list[int]
) -> None:
    assert list(too_many(charged=charged, duration_s=duration_s)) == back


async def test_all_that_is_held_is_let_go_when_a_call_ends(till: Till) -> None:
    account, held = await till.answered()
    await begin_minute(till.services, account, held)
    await till.holds(account, 2)
    await dial(till, account, 1)
    await hold_leg_minute(till.services, account, 1, 1)
    other, _ = await till.answered("+491700000102")
    await ends(till, account)
    assert {key.split(":hold:")[0] for key in await till.open_holds()} == {f"call:{other.call_id}"}
    row = await till.call(account)
    assert (row["state"], row["end_reason"], row["ended_at"]) == ("ended", "goodbye", till.clock.now())
    assert (row["figures"], row["provider_usage"]) == ({"underruns": 0}, {"total_tokens": 90})


async def test_a_call_ends_once_and_not_by_an_earlier_stream(till: Till) -> None:
    account, _ = await till.answered()
    moved = await till.streams(account)
    await ends(till, account)
    assert (await till.call(account))["state"] == "live"
    assert len(await till.open_holds()) == 2
    await ends(till, moved)
    await end_call(till.services, moved, reason="other", figures={}, provider_usage={})
    assert (await till.call(account))["end_reason"] == "goodbye"
    ended = till.services.metrics.registry.get_sample_value
    assert ended("turnmeter_calls_total", {"reason": "goodbye"}) == 1
    assert ended("turnmeter_calls_total", {"reason": "other"}) is None
    assert (await till.wallet())[1] == 0


@pytest.mark.parametrize("end_first", [True, False])
async def test_minutes_beyond_twilios_duration_come_back_whichever_is_known_last(
    till: Till, *, end_first: bool
) -> None:
    account = await talked(till, 3)
    before, _ = await till.wallet()
    if end_first:
        await ends(till, account)
        await note_duration(till.services, till.tenant_id, SID, 119)
    else:
        await note_duration(till.services, till.tenant_id, SID, 119)
        assert await refunds(till) == {}
        await ends(till, account)
    assert await refunds(till) == {f"refund:call:{account.call_id}:minute:3:duration": FEE}
    assert await till.wallet() == (before + FEE, 0)
    row = await till.call(account)
    assert (row["duration_s"], row["minutes_charged"], row["reconciled_at"]) == (119, 3, till.clock.now())


async def test_told_again_or_otherwise_twilios_duration_changes_nothing(till: Till) -> None:
    account = await talked(till, 3)
    await ends(till, account)
    await asyncio.gather(*(note_duration(till.services, till.tenant_id, SID, 119) for _ in range(5)))
    for later in (119, 30, 0, 600):
        await note_duration(till.services, till.tenant_id, SID, later)
    assert await refunds(till) == {f"refund:call:{account.call_id}:minute:3:duration": FEE}
    assert (await till.call(account))["duration_s"] == 119


async def test_a_call_is_never_charged_more_for_having_been_longer(till: Till) -> None:
    account = await talked(till, 2)
    before = await till.wallet()
    await ends(till, account)
    await note_duration(till.services, till.tenant_id, SID, 600)
    assert await till.wallet() == before


async def test_a_call_without_a_length_gets_every_minute_back(till: Till) -> None:
    account = await talked(till, 2)
    await ends(till, account)
    await note_duration(till.services, till.tenant_id, SID, 0)
    assert list((await refunds(till)).values()) == [FEE, FEE]
    assert (await till.wallet())[0] == 9_000 * CREDIT - cost(used(1)) - cost(used(2))


async def test_an_end_and_a_duration_at_the_same_moment_correct_once(
    till: Till, database_url: str, clock: Clock, new_id: Callable[[], UUID], tmp_path: Path
) -> None:
    elsewhere = await Database.connect(database_url, connections=4)
    async with wired(elsewhere, clock, new_id, tmp_path) as other:
        account = await talked(till, 2)
        await asyncio.gather(
            ends(till, account),
            note_duration(other, till.tenant_id, SID, 59),
            ends(till, account, other),
            note_duration(till.services, till.tenant_id, SID, 59),
        )
    await elsewhere.close()
    assert await refunds(till) == {f"refund:call:{account.call_id}:minute:2:duration": FEE}
    await till.wallet()


async def test_the_duration_of_a_call_that_is_not_known_is_nobodys(till: Till, cast: Cast) -> None:
    account = await talked(till, 2)
    await ends(till, account)
    await note_duration(till.services, till.tenant_id, "CA9999", 1)
    await note_duration(till.services, cast.mallory, SID, 1)
    assert await refunds(till) == {}


async def test_a_leg_is_corrected_by_its_own_duration_once(till: Till) -> None:
    account = await talked(till, 2)
    await dial(till, account, 1)
    for minute in (1, 2):
        await hold_leg_minute(till.services, account, 1, minute)
        await begin_leg_minute(till.services, account, 1, minute)
    await note_leg_duration(till.services, till.tenant_id, account.call_id, 1, 60)
    assert await refunds(till) == {}
    await till.salon.do("UPDATE call_leg SET state = 'ended', ended_at = now()")
    for _ in range(2):
        await note_leg_duration(till.services, till.tenant_id, account.call_id, 1, 60)
    await ends(till, account)
    await note_duration(till.services, till.tenant_id, SID, 110)
    assert await refunds(till) == {f"refund:call:{account.call_id}:leg:1:minute:2:duration": FEE}
    await till.wallet()


async def test_usage_counts_the_minutes_that_are_left(till: Till) -> None:
    account = await talked(till, 3)
    await ends(till, account)
    await note_duration(till.services, till.tenant_id, SID, 60)
    usage = await till.row("SELECT quantity, amount_millicredits FROM usage_day WHERE item = 'call_minute'")
    assert tuple(usage.values()) == (1, FEE)


async def test_what_the_agents_part_was_like_is_kept_when_a_person_has_the_call_until_its_end(till: Till) -> None:
    account = await talked(till, 1)
    usage = {"answer": {"count": 2, "input_tokens": 40}}
    await note_part(till.services, account, figures={"answers": 2}, provider_usage=usage)
    await end_call(till.services, account, reason="forwarded", figures={}, provider_usage={})
    row = await till.call(account)
    assert (row["figures"], row["provider_usage"]) == ({"answers": 2}, usage)


async def test_a_call_of_several_streams_tells_of_each_and_sums_up_what_the_engines_counted(till: Till) -> None:
    account = await talked(till, 1)
    first, second = ({"answer": {"count": count, "input_tokens": 20 * count}} for count in (2, 1))
    await note_part(till.services, account, figures={"answers": 2}, provider_usage=first)
    again = await till.streams(account)
    await end_call(till.services, again, reason="goodbye", figures={"answers": 1}, provider_usage=second)
    row = await till.call(account)
    assert row["figures"] == {"answers": 1, "before": {"answers": 2}}
    assert row["provider_usage"] == {"answer": {"count": 3, "input_tokens": 60}}


async def test_a_stream_that_is_told_of_last_is_told_of_all_the_same(till: Till) -> None:
    account = await talked(till, 1)
    await end_call(till.services, account, reason="not_reached", figures={}, provider_usage={})
    await note_part(till.services, account, figures={"answers": 2}, provider_usage={"answer": {"count": 2}})
    row = await till.call(account)
    assert (row["figures"], row["provider_usage"]) == ({"answers": 2}, {"answer": {"count": 2}})
