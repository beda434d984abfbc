"""Twilio's own limit on a call: never before a call that is being paid, always some time."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.voice import call_store
from gateway.voice.call import Call
from gateway.voice.dead_man import GRACE_S, limit_s, set_limit
from tests.gateway.voice.engine import ScriptedEngine
from tests.gateway.voice.telephone import FEE, Telephone


@pytest.fixture
async def telephone(
    open_telephone: Callable[..., AbstractAsyncContextManager[Telephone]],
) -> AsyncIterator[Telephone]:
    async with open_telephone(engines={"realtime": ScriptedEngine()}) as opened:
        yield opened


async def ringing(telephone: Telephone) -> Call:
    await telephone.ring()
    services, row = telephone.services, await telephone.call()
    async with services.db.transaction(row["tenant_id"]) as connection:
        return await call_store.load_call(connection, row["tenant_id"], row["call_id"], services.versions)


@given(st.integers(0, 7_200), st.integers(0, 1_000), st.integers(1, 120))
def test_a_limit_is_later_than_every_minute_that_is_paid_and_not_later_than_the_owners(
    elapsed_s: int, affordable: int, max_minutes: int
) -> None:
    at_s = limit_s(elapsed_s=elapsed_s, affordable_minutes=affordable, max_minutes=max_minutes)
    assert at_s <= max_minutes * 60 + GRACE_S
    assert at_s > elapsed_s or at_s == max_minutes * 60 + GRACE_S


async def test_twilio_is_told_what_the_wallet_could_pay(telephone: Telephone) -> None:
    await telephone.set_balance(980_000 + 5 * FEE)
    assert await set_limit(telephone.services, await ringing(telephone), elapsed_s=0)
    assert telephone.carrier.forms("TimeLimit") == [str(6 * 60 + GRACE_S)]


async def test_twilio_is_told_what_the_owner_allows(telephone: Telephone) -> None:
    await telephone.change_agent(voice={"max_minutes": 3})
    assert await set_limit(telephone.services, await ringing(telephone), elapsed_s=30)
    assert telephone.carrier.forms("TimeLimit") == [str(3 * 60 + GRACE_S)]


async def test_a_call_without_a_limit_goes_on(telephone: Telephone) -> None:
    call = await ringing(telephone)
    telephone.carrier.refuses_with = 20001
    assert not await set_limit(telephone.services, call, elapsed_s=0)
