"""A call's meter asks, the ledger does: each once and in order, on good days and while the ledger is away."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import replace
from pathlib import Path
from uuid import UUID

import pytest

from gateway.db import Database
from gateway.errors import DatabaseUnavailableError, MinuteUnpaidError, StaleLeaseError
from gateway.services import Services
from gateway.voice.call import Call, MinuteRefused, Progress
from gateway.voice.call_meter import CallMeter
from gateway.voice.call_store import load_call
from gateway.voice.credit.meter_effects import CutOff, WrapUp
from gateway.voice.credit.metered_minutes import MINUTE_MS
from gateway.voice.credit.minutes import rates_for
from gateway.voice.credit.opening_meter import Paid, paid_so_far
from gateway.voice.credit.paying import Paying
from gateway.voice.credit.tally import Tally
from tests.cast import Cast
from tests.conftest import Clock
from tests.gateway.voice.paying import AUDIO, FEE, Till, open_till
from tests.gateway.wiring import wired


@pytest.fixture
async def till(
    db: Database, clock: Clock, new_id: Callable[[], UUID], cast: Cast, tmp_path: Path
) -> AsyncIterator[Till]:
    async with wired(db, clock, new_id, tmp_path) as services:
        yield await open_till(services, cast, clock)


class Desk:
    """A call's meter and payments, driven by hand."""

    def __init__(self, services: Services, call: Call, paid: Paid) -> None:
        self.now_ms = 0
        self.answers = 0
        self.held: list[int] = []
        self.meter = CallMeter(
            rates_for(services, call.account),
            first_held_millicredits=paid.first_held_millicredits,
            resumed=paid.resumed,
            count="text",
        )
        self.paying = Paying(
            services,
            call,
            self.meter,
            paid.held,
            counted_by="tiktoken",
            now_ms=lambda: self.now_ms,
            take_usage=self._usage,
            answered=self._answered,
            minute_held=self.held.append,
            try_again_s=(0.0,),
        )
        self._running = asyncio.create_task(self.paying.run())

    def at(self, ms: int) -> list[object]:
        self.now_ms = ms
        return [*self.paying.want(self.meter.due(ms))]

    async def answered(self, count: int = 1) -> None:
        async with asyncio.timeout(10):
            while self.answers < count:  # noqa: ASYNC110 - another task counts
                await asyncio.sleep(0.005)

    async def close(self, ms: int) -> None:
        self.paying.want(self.meter.close(ms))
        await self.done()
        await self.paying.release_ahead()

    async def done(self) -> None:
        self.paying.close()
        await self._running

    def _answered(self) -> None:
        self.answers += 1

    def _usage(self) -> Mapping[str, object]:
        return {"requests": 1}


async def call_of(till: Till, credits_: int = 10_000) -> Call:
    await till.grant(credits_ * 1_000)
    account, _ = await till.answered()
    async with till.services.db.transaction(till.tenant_id) as connection:
        return await load_call(connection, till.tenant_id, account.call_id, till.services.versions)


async def desk_for(till: Till, call: Call) -> Desk:
    paid = await paid_so_far(till.services, call)
    assert isinstance(paid, Paid)
    return Desk(till.services, call, paid)


async def charged(till: Till) -> dict[str, int]:
    return {key.split(":", 2)[2]: -amount for key, amount in (await till.entries()).items()}


async def test_a_minute_is_charged_held_and_settled_in_order(till: Till) -> None:
    desk = await desk_for(till, await call_of(till))
    assert desk.at(0) == []
    desk.meter.read_tokens(10)
    desk.meter.spoke_tokens(20)
    desk.at(MINUTE_MS - 5_000)
    await desk.answered()
    assert desk.held == [2]
    desk.at(MINUTE_MS)
    await desk.close(MINUTE_MS + 1_000)
    assert await charged(till) == {"minute:1": FEE, "audio:1": 10 * 295 + 20 * 590, "minute:2": FEE}
    assert (await till.wallet())[1] == 0
    row = await till.row("SELECT provider_usage FROM receipt WHERE provider_usage ? 'requests'")
    assert row["provider_usage"] == {"requests": 1, "counted_by": "tiktoken"}


async def test_what_is_held_ahead_is_let_go_of_at_the_end(till: Till) -> None:
    desk = await desk_for(till, await call_of(till))
    desk.at(0)
    desk.at(MINUTE_MS - 5_000)
    await desk.answered()
    await desk.close(MINUTE_MS - 1_000)
    assert await charged(till) == {"minute:1": FEE}
    assert (await till.wallet())[1] == 0


async def test_credits_that_do_not_suffice_for_another_minute_are_told(till: Till) -> None:
    desk = await desk_for(till, await call_of(till, (FEE + AUDIO) // 1_000))
    desk.at(0)
    desk.at(MINUTE_MS - 7_000)
    await desk.answered()
    words = desk.at(MINUTE_MS - 6_500)
    assert [type(word) for word in words] == [WrapUp]
    assert [type(word) for word in desk.at(MINUTE_MS - 1_500)] == [CutOff]
    await desk.close(MINUTE_MS - 1_000)
    assert await charged(till) == {"minute:1": FEE}


async def test_a_top_up_enlarges_what_is_held(till: Till) -> None:
    desk = await desk_for(till, await call_of(till, 400))
    assert [type(word) for word in desk.at(0)] == [WrapUp]
    desk.at(2_000)
    await desk.answered()
    await till.grant(10_000_000)
    desk.at(4_500)
    await desk.answered(2)
    assert desk.meter.held_millicredits == AUDIO
    await desk.close(3_000)
    assert (await till.wallet())[1] == 0


async def test_another_stream_ends_the_payments(till: Till) -> None:
    desk = await desk_for(till, await call_of(till))
    desk.at(0)
    desk.at(1)
    await till.salon.do("UPDATE call SET lease_epoch = lease_epoch + 1")
    desk.at(MINUTE_MS - 5_000)
    with pytest.raises(StaleLeaseError):
        await desk.done()


async def test_a_minute_that_nothing_pays_is_told(till: Till) -> None:
    call = await call_of(till)
    desk = await desk_for(till, call)
    await till.salon.do("UPDATE hold SET state = 'expired', ended_at = now() WHERE state = 'open'")
    await till.salon.do("UPDATE wallet SET held_millicredits = 0, balance_millicredits = 0")
    desk.at(0)
    with pytest.raises(MinuteUnpaidError):
        await desk.done()


class Away:
    """A ledger that cannot be reached for some time."""

    def __init__(self, services: Services, times: int) -> None:
        self._ledger = services.ledger
        self.times = times

    async def submit(self, *arguments: object, **named: object) -> object:
        if self.times > 0:
            self.times -= 1
            raise DatabaseUnavailableError("away")
        return await self._ledger.submit(*arguments, **named)  # type: ignore[arg-type]  # passed on as they came

    async def submit_together(self, *arguments: object, **named: object) -> object:
        return await self._ledger.submit_together(*arguments, **named)  # type: ignore[arg-type]  # as above


async def test_a_ledger_that_is_away_holds_nothing_and_charges_later(till: Till) -> None:
    call = await call_of(till)
    paid = await paid_so_far(till.services, call)
    assert isinstance(paid, Paid)
    away = Away(till.services, times=1)
    desk = Desk(replace(till.services, ledger=away), call, paid)  # type: ignore[arg-type]  # as much of one as is used
    desk.at(0)
    away_again = MINUTE_MS - 5_000
    async with asyncio.timeout(10):
        while not await charged(till):  # noqa: ASYNC110 - PostgreSQL calls nobody
            await asyncio.sleep(0.01)
    away.times = 1
    desk.at(away_again)
    await desk.answered()
    assert desk.held == []
    await desk.close(away_again + 10)
    assert await charged(till) == {"minute:1": FEE}


@pytest.mark.parametrize("next_minute_begins", [True, False])
async def test_a_fee_that_could_not_be_charged_for_long_is_charged_with_what_follows(
    till: Till, *, next_minute_begins: bool
) -> None:
    call = await call_of(till)
    paid = await paid_so_far(till.services, call)
    assert isinstance(paid, Paid)
    away = Away(till.services, times=2)  # as often as it is tried
    desk = Desk(replace(till.services, ledger=away), call, paid)  # type: ignore[arg-type]  # as much of one as is used
    desk.at(0)
    desk.at(MINUTE_MS - 5_000)
    await desk.answered()
    if next_minute_begins:
        desk.at(MINUTE_MS)
    await desk.close(MINUTE_MS + 10 if next_minute_begins else MINUTE_MS - 10)
    expected = {"minute:1": FEE, "minute:2": FEE} if next_minute_begins else {"minute:1": FEE}
    assert await charged(till) == expected
    assert (await till.wallet())[1] == 0


async def test_a_call_that_goes_on_finds_its_minute_as_it_was_left(till: Till) -> None:
    call = await call_of(till)
    desk = await desk_for(till, call)
    desk.at(0)
    desk.meter.spoke_tokens(7)
    desk.at(10_000)
    await desk.done()
    progress = Progress(elapsed_ms=10_000, meter=desk.meter.snapshot().to_json(), greeted=True, why="move")
    till.clock.advance(seconds=11)
    moved = replace(call, account=await till.streams(call.account), progress=progress)
    paid = await paid_so_far(till.services, moved)
    assert isinstance(paid, Paid)
    assert paid.resumed is not None
    assert (paid.resumed.minute, paid.resumed.minute_age_ms, paid.elapsed_ms) == (1, 11_000, 11_000)
    again = Desk(till.services, moved, paid)
    again.at(0)
    await again.close(1_000)
    assert await charged(till) == {"minute:1": FEE, "audio:1": 7 * 590}


async def test_a_call_that_comes_back_from_a_person_goes_on_in_the_minute_that_runs(till: Till) -> None:
    call = await call_of(till)
    desk = await desk_for(till, call)
    desk.at(0)
    await desk.close(10_000)
    snapshot = desk.meter.snapshot()
    assert snapshot.minute_age_ms is None
    progress = Progress(elapsed_ms=10_000, meter=snapshot.to_json(), greeted=True, why="transfer_failed")
    till.clock.advance(seconds=25)
    back = replace(call, account=await till.streams(call.account), progress=progress)
    paid = await paid_so_far(till.services, back)
    assert isinstance(paid, Paid)
    assert paid.resumed is not None
    assert (paid.resumed.minute, paid.resumed.minute_age_ms) == (1, 25_000)
    till.clock.advance(seconds=60)
    later = await paid_so_far(till.services, back)
    assert isinstance(later, Paid)
    assert later.resumed is not None
    assert (later.resumed.minute, later.resumed.minute_age_ms) == (1, None)
    assert set(later.held) == {2}
    assert later.resumed.tally == Tally()


async def test_a_call_that_nothing_pays_is_refused(till: Till) -> None:
    await till.grant(1_000_000)
    account = await till.rings()
    await till.salon.do("UPDATE wallet SET balance_millicredits = 0")
    account = await till.streams(account)
    async with till.services.db.transaction(till.tenant_id) as connection:
        call = await load_call(connection, till.tenant_id, account.call_id, till.services.versions)
    assert isinstance(await paid_so_far(till.services, call), MinuteRefused)
