import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import date
from pathlib import Path
from types import MappingProxyType
from uuid import UUID

import pytest

from gateway.db import Database
from gateway.errors import MinuteUnpaidError, StaleLeaseError
from gateway.voice.call import CallAccount, MinuteHeld, MinuteRefused
from gateway.voice.credit.minutes import (
    affordable_forward_minutes,
    begin_leg_minute,
    begin_minute,
    enlarge,
    hold_first,
    hold_leg_minute,
    hold_minute,
    release_leg_minute,
    release_minute,
    settle_minute,
)
from metering.rates import RateCard, RateCards
from tests.cast import Cast
from tests.conftest import Clock
from tests.gateway.voice.paying import (
    ANNA,
    AUDIO,
    CREDIT,
    FEE,
    LEAST_AUDIO,
    STEP,
    Till,
    a_minute,
    cost,
    dial,
    expiry,
    open_till,
    used,
)
from tests.gateway.wiring import wired

EMRE = "+491700000102"


@pytest.fixture
async def till(
    db: Database, clock: Clock, new_id: Callable[[], UUID], cast: Cast, tmp_path: Path
) -> AsyncIterator[Till]:
    async with wired(db, clock, new_id, tmp_path) as services:
        yield await open_till(services, cast, clock)


async def settle(till: Till, account: CallAccount, held: MinuteHeld, input_tokens: int, output_tokens: int) -> int:
    usage = used(held.minute, input_tokens, output_tokens)
    return await settle_minute(till.services, account, held, usage, provider_usage={"total_tokens": 7})


async def test_the_first_minute_is_held_at_its_worst_before_the_call_is_answered(till: Till) -> None:
    await till.grant(5_000 * CREDIT)
    account = await till.rings()
    held = await hold_first(till.services, account)
    key = f"call:{account.call_id}:hold:1"
    assert held == MinuteHeld(
        minute=1, fee_key=f"{key}:fee", audio_key=f"{key}:audio", audio_millicredits=AUDIO, full=True
    )
    assert await till.open_holds() == {f"{key}:fee": FEE, f"{key}:audio": AUDIO}
    assert await till.wallet() == (5_000 * CREDIT, FEE + AUDIO)


async def test_a_first_minute_asked_for_again_is_held_once(till: Till) -> None:
    await till.grant(5_000 * CREDIT)
    account = await till.rings()
    first, again = await hold_first(till.services, account), await hold_first(till.services, account)
    assert first == again
    assert await till.wallet() == (5_000 * CREDIT, FEE + AUDIO)


async def test_what_does_not_fit_is_held_by_tenths_of_a_second(till: Till) -> None:
    await till.grant(FEE + LEAST_AUDIO + 3 * STEP + 1)
    held = a_minute(await hold_first(till.services, await till.rings()))
    assert (held.audio_millicredits, held.full) == (LEAST_AUDIO + 3 * STEP, False)
    assert not await till.paused()


async def test_less_than_fifteen_seconds_are_refused_and_the_tenant_pauses_and_hears_of_it(till: Till) -> None:
    await till.grant(FEE + LEAST_AUDIO - 1)
    refused = await hold_first(till.services, await till.rings())
    assert refused == MinuteRefused(reason="insufficient_credits")
    assert await till.paused()
    assert await till.alerts() == ["paused"]
    assert await till.wallet() == (FEE + LEAST_AUDIO - 1, 0)
    assert await hold_first(till.services, await till.rings(EMRE)) == MinuteRefused(reason="tenant_paused")


async def test_credits_that_other_calls_hold_are_not_waited_for_and_pause_nobody(till: Till) -> None:
    await till.grant(FEE + AUDIO + FEE + LEAST_AUDIO - 1)
    await till.answered()
    refused = await hold_first(till.services, await till.rings(EMRE))
    assert refused == MinuteRefused(reason="credits_in_flight")
    assert not await till.paused()


async def test_two_calls_on_the_last_credits_never_both_go_unanswered(
    till: Till, database_url: str, clock: Clock, new_id: Callable[[], UUID], tmp_path: Path
) -> None:
    await till.grant(FEE + LEAST_AUDIO + 50 * CREDIT)
    elsewhere = await Database.connect(database_url, connections=4)
    async with wired(elsewhere, clock, new_id, tmp_path) as other:
        for _ in range(15):
            accounts = [await till.rings(ANNA), await till.rings(EMRE)]
            both = await asyncio.gather(hold_first(till.services, accounts[0]), hold_first(other, accounts[1]))
            assert sum(isinstance(held, MinuteHeld) for held in both) == 1
            for account, held in zip(accounts, both, strict=True):
                if isinstance(held, MinuteHeld):
                    await release_minute(till.services, await till.streams(account), held)
    await elsewhere.close()
    assert await till.wallet() == (FEE + LEAST_AUDIO + 50 * CREDIT, 0)


async def test_hundreds_of_calls_at_once_are_answered_as_far_as_the_wallet_pays_and_no_further(
    till: Till, database_url: str, clock: Clock, new_id: Callable[[], UUID], tmp_path: Path
) -> None:
    await till.grant(40 * (FEE + AUDIO) + FEE + LEAST_AUDIO)
    accounts = [await till.rings(f"+4917{number:08}") for number in range(200)]
    elsewhere = await Database.connect(database_url, connections=4)
    async with wired(elsewhere, clock, new_id, tmp_path) as other:
        held = await asyncio.gather(
            *(hold_first(till.services if n % 2 else other, account) for n, account in enumerate(accounts))
        )
    await elsewhere.close()
    assert sum(isinstance(each, MinuteHeld) for each in held) == 41
    assert {each.reason for each in held if isinstance(each, MinuteRefused)} == {"credits_in_flight"}
    balance, of_it_held = await till.wallet()
    assert balance == of_it_held


async def test_a_minutes_fee_is_charged_once_as_it_begins(till: Till) -> None:
    await till.grant(5_000 * CREDIT)
    account, held = await till.answered()
    assert [await begin_minute(till.services, account, held) for _ in range(3)] == [FEE] * 3
    assert await till.entries() == {f"call:{account.call_id}:minute:1": -FEE}
    assert await till.wallet() == (5_000 * CREDIT - FEE, AUDIO)
    assert (await till.call(account))["minutes_charged"] == 1


async def test_the_fees_receipt_says_whose_call_it_was(till: Till) -> None:
    await till.grant(5_000 * CREDIT)
    account, held = await till.answered()
    await begin_minute(till.services, account, held)
    receipt = await till.row("SELECT * FROM receipt")
    assert (receipt["subject"], receipt["channel"], receipt["agent_version"]) == ("call", "voice", 1)
    assert receipt["lines"] == [
        {"item": "call_minute", "quantity": 1, "unit_millicredits": FEE, "amount_millicredits": FEE}
    ]
    assert (receipt["conversation_id"], receipt["contact_id"]) == (account.conversation_id, account.contact_id)
    assert (receipt["line_id"], receipt["agent_id"]) == (account.line_id, account.agent_id)


async def test_a_minutes_audio_is_charged_once_for_what_was_used_and_the_rest_returns(till: Till) -> None:
    await till.grant(5_000 * CREDIT)
    account, held = await till.answered()
    await begin_minute(till.services, account, held)
    assert [await settle(till, account, held, 420, 310) for _ in range(3)] == [cost(used(1, 420, 310))] * 3
    assert await till.wallet() == (5_000 * CREDIT - FEE - cost(used(1, 420, 310)), 0)
    row = await till.call(account)
    assert (row["input_tokens"], row["output_tokens"]) == (420, 310)
    receipt = await till.row("SELECT lines, provider_usage FROM receipt ORDER BY sequence DESC LIMIT 1")
    assert [(line["item"], line["quantity"]) for line in receipt["lines"]] == [
        ("voice_input", 420),
        ("voice_output", 310),
    ]
    assert receipt["provider_usage"] == {"total_tokens": 7, "counted_by": "audio"}


async def test_a_receipt_says_that_words_were_counted(till: Till) -> None:
    await till.grant(5_000 * CREDIT)
    account, held = await till.answered()
    await settle_minute(till.services, account, held, used(1), counted_by="tiktoken", provider_usage={})
    assert (await till.row("SELECT provider_usage FROM receipt"))["provider_usage"] == {"counted_by": "tiktoken"}


async def test_a_minute_in_which_nobody_was_heard_costs_its_fee_only(till: Till) -> None:
    await till.grant(5_000 * CREDIT)
    account, held = await till.answered()
    await begin_minute(till.services, account, held)
    assert await settle(till, account, held, 0, 0) == 0
    assert await till.entries() == {f"call:{account.call_id}:minute:1": -FEE}
    assert await till.wallet() == (5_000 * CREDIT - FEE, 0)


async def test_more_than_is_held_is_never_charged(till: Till) -> None:
    await till.grant(FEE + LEAST_AUDIO)
    account, held = await till.answered()
    await begin_minute(till.services, account, held)
    assert await settle(till, account, held, 600, 1_200) == LEAST_AUDIO
    assert await till.wallet() == (0, 0)


async def test_a_later_minute_that_can_be_held_in_part_pauses_nobody_and_grows_with_a_top_up(till: Till) -> None:
    await till.grant(FEE + AUDIO + FEE + LEAST_AUDIO)
    account, first = await till.answered()
    await begin_minute(till.services, account, first)
    part = await till.holds(account, 2)
    assert (part.audio_millicredits, part.full) == (LEAST_AUDIO, False)
    assert await enlarge(till.services, account, part) is None
    await till.grant(100 * CREDIT)
    more = await enlarge(till.services, account, part)
    assert more == replace(part, audio_millicredits=LEAST_AUDIO + 67 * STEP)
    await till.grant(5_000 * CREDIT)
    full = await enlarge(till.services, account, part)
    assert full == replace(part, audio_millicredits=AUDIO, full=True)
    assert await till.holds(account, 2) == full
    assert not await till.paused()


async def test_a_part_grows_past_midnight_within_the_limits_of_its_own_day(till: Till, clock: Clock) -> None:
    await till.salon.publish(budgets={"contact": 700})
    clock.at = clock.at.replace(hour=22, minute=59, second=50)  # ten to midnight, in Berlin
    await till.grant(5_000 * CREDIT)
    account, held = await till.answered()
    assert held.audio_millicredits == 605_000 - (605_000 - LEAST_AUDIO) % STEP
    clock.advance(seconds=20)
    assert await enlarge(till.services, account, held) is None
    assert (await till.wallet())[1] == FEE + held.audio_millicredits


async def test_what_the_wallet_cannot_pay_of_the_next_minute_is_refused(till: Till) -> None:
    await till.grant(FEE + LEAST_AUDIO + 10 * CREDIT)
    account, first = await till.answered()
    await begin_minute(till.services, account, first)
    assert await hold_minute(till.services, account, 2) == MinuteRefused(reason="insufficient_credits")
    assert await till.paused()
    assert await settle(till, account, first, 100, 100) == cost(used(1, 100, 100))


async def test_daily_limits_count_calls_and_the_owner_hears_of_it_once(till: Till) -> None:
    await till.salon.publish(budgets={"contact": 1_500})
    await till.grant(9_000 * CREDIT)
    account, first = await till.answered()
    await begin_minute(till.services, account, first)
    part = await till.holds(account, 2)
    assert part.audio_millicredits <= 1_500 * CREDIT - 2 * FEE - AUDIO
    refused = await hold_minute(till.services, account, 3)
    assert refused == MinuteRefused(reason="over_budget", scope=f"contact:{account.contact_id}:voice")
    assert await hold_first(till.services, await till.rings()) == refused
    assert isinstance(await hold_first(till.services, await till.rings(EMRE)), MinuteHeld)
    assert await till.alerts() == ["over_budget"]


async def test_what_was_let_go_is_held_anew(till: Till) -> None:
    await till.grant(5_000 * CREDIT)
    account, first = await till.answered()
    await begin_minute(till.services, account, first)
    for _ in range(3):
        second = await till.holds(account, 2)
        await release_minute(till.services, account, second)
    second = await till.holds(account, 2)
    await begin_minute(till.services, account, second)
    await settle(till, account, second, 10, 10)
    assert sum((await till.open_holds()).values()) == AUDIO
    assert await till.wallet() == (5_000 * CREDIT - 2 * FEE - cost(used(2, 10, 10)), AUDIO)


async def test_a_stream_goes_on_with_the_minute_that_another_began(till: Till) -> None:
    await till.grant(5_000 * CREDIT)
    account, held = await till.answered()
    await begin_minute(till.services, account, held)
    moved = await till.streams(account)
    same = await till.holds(moved, 1)
    assert same == held
    await begin_minute(till.services, moved, same)
    await settle(till, moved, same, 10, 10)
    assert await till.wallet() == (5_000 * CREDIT - FEE - cost(used(1, 10, 10)), 0)


async def test_a_minute_that_was_settled_is_held_again_without_its_fee(till: Till) -> None:
    await till.grant(5_000 * CREDIT)
    account, held = await till.answered()
    await begin_minute(till.services, account, held)
    await settle(till, account, held, 10, 10)
    moved = await till.streams(account)
    rest = await till.holds(moved, 1)
    assert await till.open_holds() == {f"call:{account.call_id}:hold:1:audio:2": AUDIO}
    assert await begin_minute(till.services, moved, rest) == FEE
    await settle(till, moved, rest, 20, 20)
    assert await till.entries() == {
        f"call:{account.call_id}:minute:1": -FEE,
        f"call:{account.call_id}:audio:1": -cost(used(1, 10, 10)),
        f"call:{account.call_id}:audio:1:2": -cost(used(1, 20, 20)),
    }


async def test_an_earlier_stream_changes_nothing_any_more(till: Till) -> None:
    await till.grant(5_000 * CREDIT)
    account, held = await till.answered()
    await till.streams(account)
    services = till.services
    before = await till.wallet()
    for attempt in (
        begin_minute(services, account, held),
        hold_minute(services, account, 2),
        enlarge(services, account, held),
        settle(till, account, held, 10, 10),
        begin_leg_minute(services, account, 1, 1),
        hold_leg_minute(services, account, 1, 1),
    ):
        with pytest.raises(StaleLeaseError):
            await attempt
    await release_minute(services, account, held)
    assert not await till.renews(account)
    assert await till.wallet() == before == (5_000 * CREDIT, FEE + AUDIO)


async def test_a_stream_that_does_not_begin_leaves_nothing_held(till: Till, clock: Clock) -> None:
    await till.grant(5_000 * CREDIT)
    account = await till.rings()
    await hold_first(till.services, account)
    clock.advance(seconds=14.9)
    await till.sweep()
    assert (await till.wallet())[1] == FEE + AUDIO
    clock.advance(seconds=0.2)
    await till.sweep()
    assert await till.wallet() == (5_000 * CREDIT, 0)


async def test_what_is_held_lives_as_long_as_its_call_is_kept(till: Till, clock: Clock) -> None:
    await till.grant(5_000 * CREDIT)
    account, _ = await till.answered()
    await till.holds(account, 2)
    for _ in range(10):
        clock.advance(seconds=20)
        assert await till.renews(account)
        await till.sweep()
    assert (await till.wallet())[1] == 2 * (FEE + AUDIO)
    clock.advance(seconds=31)
    await till.sweep()
    assert await till.wallet() == (5_000 * CREDIT, 0)


async def test_a_minute_whose_hold_ran_out_is_charged_if_the_wallet_still_pays_it(till: Till, clock: Clock) -> None:
    await till.grant(FEE + AUDIO)
    account, held = await till.answered()
    clock.advance(seconds=31)
    await till.services.ledger.submit(till.tenant_id, expiry(held.fee_key))
    await till.services.ledger.submit(till.tenant_id, expiry(held.audio_key))
    assert await begin_minute(till.services, account, held) == FEE
    other = a_minute(await hold_first(till.services, await till.rings(EMRE)))
    assert other.audio_millicredits == AUDIO - FEE - (AUDIO - FEE - LEAST_AUDIO) % STEP
    assert await settle(till, account, held, 600, 1_200) == 0
    with pytest.raises(MinuteUnpaidError):
        await begin_minute(till.services, account, replace(held, minute=2))
    assert (await till.call(account))["minutes_charged"] == 1
    assert (await till.wallet())[0] == AUDIO


async def test_a_call_is_charged_by_the_prices_that_were_valid_when_it_came_in(till: Till) -> None:
    await till.grant(5_000 * CREDIT)
    account, held = await till.answered()
    old = till.services.rate_cards.cards[-1]
    twice = RateCard(
        "twice", date(2026, 11, 1), MappingProxyType({item: 2 * unit for item, unit in old.unit_millicredits.items()})
    )
    services = replace(till.services, rate_cards=RateCards((*till.services.rate_cards.cards, twice)))
    assert await begin_minute(services, account, held) == FEE
    till.services = services
    later, held_later = await till.answered(EMRE)
    assert held_later.audio_millicredits == 2 * AUDIO
    assert await begin_minute(services, later, held_later) == 2 * FEE
    await till.wallet()


async def test_both_legs_of_a_forwarded_call_are_held_and_charged_by_the_minute(till: Till) -> None:
    await till.grant(5_000 * CREDIT)
    account, held = await till.answered()
    await begin_minute(till.services, account, held)
    await settle(till, account, held, 0, 0)
    await dial(till, account, 1)
    services = till.services
    for leg, minute in ((0, 2), (1, 1)):
        assert isinstance(await hold_leg_minute(services, account, leg, minute), MinuteHeld)
        assert [await begin_leg_minute(services, account, leg, minute) for _ in range(2)] == [FEE, FEE]
        assert isinstance(await hold_leg_minute(services, account, leg, minute), MinuteHeld)
    call = f"call:{account.call_id}"
    assert await till.entries() == {
        f"{call}:minute:1": -FEE,
        f"{call}:minute:2": -FEE,
        f"{call}:leg:1:minute:1": -FEE,
    }
    assert await till.wallet() == (5_000 * CREDIT - 3 * FEE, 0)
    assert (await till.call(account))["minutes_charged"] == 2
    assert (await till.row("SELECT minutes_charged FROM call_leg"))["minutes_charged"] == 1


async def test_a_fee_that_is_held_already_is_not_held_twice_when_the_agent_takes_the_call_back(till: Till) -> None:
    await till.grant(5_000 * CREDIT)
    account, held = await till.answered()
    await begin_minute(till.services, account, held)
    await settle(till, account, held, 10, 10)
    await hold_leg_minute(till.services, account, 0, 2)
    back = await till.streams(account)
    second = await till.holds(back, 2)
    assert sum((await till.open_holds()).values()) == FEE + AUDIO
    assert await begin_minute(till.services, back, second) == FEE
    assert (await till.wallet())[1] == AUDIO


async def test_a_legs_minute_that_does_not_begin_is_let_go_and_may_be_held_anew(till: Till) -> None:
    await till.grant(5_000 * CREDIT)
    account, held = await till.answered()
    await release_minute(till.services, account, held)
    await dial(till, account, 1)
    for _ in range(2):
        assert isinstance(await hold_leg_minute(till.services, account, 1, 1), MinuteHeld)
        await release_leg_minute(till.services, account, 1, 1)
    assert await till.wallet() == (5_000 * CREDIT, 0)
    await hold_leg_minute(till.services, account, 1, 1)
    assert await begin_leg_minute(till.services, account, 1, 1) == FEE
    assert await till.wallet() == (5_000 * CREDIT - FEE, 0)


async def test_no_minute_begins_on_a_leg_that_is_over(till: Till) -> None:
    await till.grant(5_000 * CREDIT)
    account, _ = await till.answered()
    await dial(till, account, 1)
    await till.salon.do("UPDATE call_leg SET state = 'ended', ended_at = now()")
    with pytest.raises(StaleLeaseError):
        await begin_leg_minute(till.services, account, 1, 1)
    assert await till.entries() == {}


async def test_minutes_are_affordable_by_the_wallet_and_by_the_days_limits(till: Till) -> None:
    await till.grant(FEE + AUDIO + 7 * FEE)
    account, held = await till.answered()
    assert await affordable_forward_minutes(till.services, account) == 3
    assert await affordable_forward_minutes(till.services, account, legs=1) == 7
    await release_minute(till.services, account, held)
    limited = replace(account, budgets=tuple(replace(b, limit_millicredits=5 * FEE) for b in account.budgets))
    assert await affordable_forward_minutes(till.services, limited) == 2
    await till.salon.do("UPDATE wallet SET state = 'paused', paused_at = now()")
    assert await affordable_forward_minutes(till.services, account) == 0


async def test_what_a_call_uses_is_counted_as_the_phones(till: Till) -> None:
    await till.grant(5_000 * CREDIT)
    account, held = await till.answered()
    await begin_minute(till.services, account, held)
    await settle(till, account, held, 10, 20)
    rows = await till.rows("SELECT channel, item, quantity, amount_millicredits FROM usage_day ORDER BY item")
    assert [tuple(row.values()) for row in rows] == [
        ("voice", "call_minute", 1, FEE),
        ("voice", "voice_input", 10, 2_950),
        ("voice", "voice_output", 20, 11_800),
    ]
