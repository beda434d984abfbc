"""A Realtime server that refuses, breaks off, hangs or says nothing, and what we call that."""

import asyncio
import socket
from collections.abc import Callable

import pytest

from gateway.simulator.openai_realtime import FakeRealtime
from gateway.simulator.realtime_mind import Script
from gateway.voice.engines.base import (
    AudioDelta,
    EngineError,
    EngineLostError,
    EngineRefusedError,
    ResponseEnded,
    Trouble,
)
from gateway.voice.engines.realtime import Patience
from tests.gateway.voice.engines.listening import SETUP, Listener, connected, engine, in_session

LONG = "Einen Augenblick bitte, ich sehe gleich einmal im Kalender nach, ob da noch etwas frei ist."


async def failing(break_it: Callable[[FakeRealtime], None], *, timeout_s: float = 30.0) -> EngineError:
    fake = FakeRealtime(Script(), api_key="sk-secret")
    break_it(fake)
    async with fake.running() as url:
        with pytest.raises((EngineLostError, EngineRefusedError)) as caught:
            await engine(url).connect(SETUP, timeout_s=timeout_s)
        return caught.value


@pytest.mark.parametrize("status", [400, 401, 403, 404])
async def test_a_server_that_will_take_no_session_refuses(status: int) -> None:
    error = await failing(lambda fake: fake.faults.refused_statuses.append(status))
    assert isinstance(error, EngineRefusedError)
    assert error.reason == f"HTTP {status}"


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503])
async def test_a_server_that_is_busy_or_unwell_may_work_later(status: int) -> None:
    error = await failing(lambda fake: fake.faults.refused_statuses.append(status))
    assert isinstance(error, EngineLostError)
    assert error.reason == f"HTTP {status}"


async def test_an_empty_account_is_refused_though_it_looks_like_being_busy() -> None:
    def empty(fake: FakeRealtime) -> None:
        fake.faults.refused_statuses.append(429)
        fake.faults.refusal_code = "insufficient_quota"

    error = await failing(empty)
    assert isinstance(error, EngineRefusedError)
    assert error.reason == "insufficient_quota"


async def test_a_wrong_key_is_refused() -> None:
    fake = FakeRealtime(Script(), api_key="sk-other")
    async with fake.running() as url:
        with pytest.raises(EngineRefusedError) as caught:
            await engine(url).connect(SETUP, timeout_s=30)
    assert caught.value.reason == "invalid_api_key"


@pytest.mark.parametrize("code", ["invalid_value", "insufficient_quota", "model_not_found"])
async def test_a_set_up_that_the_server_objects_to_is_refused(code: str) -> None:
    error = await failing(lambda fake: fake.faults.session_errors.append(code))
    assert isinstance(error, EngineRefusedError)
    assert error.reason == code


@pytest.mark.parametrize("code", ["server_error", "rate_limit_exceeded", "session_expired"])
async def test_a_set_up_that_the_server_fails_at_may_work_later(code: str) -> None:
    error = await failing(lambda fake: fake.faults.session_errors.append(code))
    assert isinstance(error, EngineLostError)
    assert error.reason == code


async def test_a_refusal_may_come_as_the_reason_of_a_close() -> None:
    refused = await failing(
        lambda fake: fake.faults.session_closes.append((3000, "invalid_request_error.invalid_api_key"))
    )
    assert isinstance(refused, EngineRefusedError)
    assert refused.reason == "invalid_api_key"
    lost = await failing(lambda fake: fake.faults.session_closes.append((1011, "Erika war hier")))
    assert isinstance(lost, EngineLostError)
    assert lost.reason == "closed 1011"


async def test_a_connection_that_breaks_off_in_the_handshake_is_lost() -> None:
    error = await failing(lambda fake: setattr(fake.faults, "connects_dropped", 1))
    assert isinstance(error, EngineLostError)
    assert error.reason == "connection failed"


async def test_a_server_that_takes_long_is_lost_after_the_time_that_there_is() -> None:
    def slow(fake: FakeRealtime) -> None:
        fake.faults.connect_delay_s = 60

    error = await failing(slow, timeout_s=0.1)
    assert isinstance(error, EngineLostError)
    assert error.reason == "time-out"


async def test_a_server_that_says_nothing_is_lost_after_the_time_that_there_is() -> None:
    error = await failing(lambda fake: setattr(fake.faults, "connects_silent", 1), timeout_s=0.3)
    assert isinstance(error, EngineLostError)
    assert error.reason == "time-out"


async def test_nobody_at_the_address_is_a_loss() -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        with pytest.raises(EngineLostError) as caught:
            await engine(f"ws://127.0.0.1:{nobody.getsockname()[1]}/v1/realtime").connect(SETUP, timeout_s=30)
    assert caught.value.reason == "connection failed"


async def test_errors_tell_neither_the_key_nor_what_anybody_said() -> None:
    for break_it in (
        lambda fake: fake.faults.refused_statuses.append(401),
        lambda fake: fake.faults.refused_statuses.append(503),
        lambda fake: fake.faults.session_errors.append("invalid_value"),
    ):
        error = await failing(break_it)
        assert "sk-secret" not in repr(error)
        assert "server" not in str(error)  # as the simulated one says
        assert error.__cause__ is None


async def flood(listener: Listener) -> None:
    """Say more than any buffer on the way can take."""
    while True:
        await listener.session.hear("A" * 65536)


async def used_up(listener: Listener) -> None:
    """Everything but `close` says that the session is gone."""
    session = listener.session
    for call in (
        session.hear("AAAA"),
        session.respond(),
        session.cancel(),
        session.truncate("item_1", 0, 0),
        session.tell("x"),
        session.add_words("x"),
        session.give_result("call_1", "x"),
    ):
        with pytest.raises(EngineLostError):
            await call
    await session.close()


async def test_a_line_that_dies_while_the_agent_speaks_is_lost() -> None:
    async with in_session(Script(LONG), speed=20.0) as (listener, fake):
        fake.faults.dropped_after_ms.append(600)
        await listener.session.respond()
        assert (await listener.until_lost()).reason == "connection lost"
        assert 600 <= sum(len(delta.audio) for delta in listener.of(AudioDelta)) / 8 < 900
        await used_up(listener)


async def test_a_server_that_leaves_is_lost() -> None:
    async with in_session() as (listener, fake):
        await fake.sessions[0].end(code=1012, reason="restarting")
        assert (await listener.until_lost()).reason == "closed 1012"
        await used_up(listener)


async def test_a_session_that_has_lasted_its_time_is_lost_and_another_works() -> None:
    fake = FakeRealtime(Script("Guten Tag."), session_s=0.2)
    async with fake.running() as url:
        async with connected(url) as listener:
            assert (await listener.until_lost()).reason == "session_expired"
        fake.session_s = 3600
        async with connected(url) as listener:
            await listener.session.respond()
            await listener.until(ResponseEnded)


async def test_an_account_that_runs_out_during_a_call_is_fatal() -> None:
    async with in_session(Script(LONG)) as (listener, fake):
        fake.faults.failed_codes.append("insufficient_quota")
        await listener.session.respond()
        trouble = await listener.until(Trouble)
    assert listener.of(ResponseEnded)[0].status == "failed"
    assert trouble == Trouble(code="insufficient_quota", severity="fatal")


async def test_an_answer_that_fails_leaves_the_session_as_it_is() -> None:
    async with in_session(Script("", "Gern.")) as (listener, fake):
        fake.faults.failed_codes.append("rate_limit_exceeded")
        await listener.session.respond()
        failed = await listener.until(ResponseEnded)
        await listener.session.respond()
        again = await listener.until(ResponseEnded, count=2)
    assert (failed.status, failed.reason) == ("failed", "rate_limit_exceeded")
    assert again.status == "completed"


async def test_an_error_out_of_nowhere_leaves_the_session_as_it_is() -> None:
    async with in_session(Script("Gern.")) as (listener, fake):
        await fake.sessions[0].object_to("server_error")
        assert (await listener.until(Trouble)).severity == "error"
        await listener.session.respond()
        await listener.until(ResponseEnded)


async def test_a_server_that_takes_nothing_more_is_lost_instead_of_waited_for() -> None:
    fake = FakeRealtime(Script())
    async with fake.running() as url, connected(url, patience=Patience(send_s=0.3, heartbeat_s=60.0)) as listener:
        fake.sessions[0].stop_reading()
        with pytest.raises(EngineLostError) as caught:
            await asyncio.wait_for(flood(listener), 60)
        assert caught.value.reason == "does not take what it is given"
        assert (await listener.until_lost()).reason == "connection lost"
        await used_up(listener)


async def test_a_server_that_does_not_even_answer_a_ping_is_lost() -> None:
    fake = FakeRealtime(Script())
    async with fake.running() as url, connected(url, patience=Patience(heartbeat_s=0.1)) as listener:
        fake.sessions[0].stop_reading()
        await listener.until_lost()


async def test_to_leave_a_server_that_takes_nothing_does_not_take_long() -> None:
    fake = FakeRealtime(Script())
    async with fake.running() as url, connected(url, patience=Patience(send_s=60.0, heartbeat_s=60.0)) as listener:
        fake.sessions[0].stop_reading()
        filling = asyncio.create_task(flood(listener))
        await asyncio.wait([filling], timeout=0.5)
        assert not filling.done()
        async with asyncio.timeout(20):
            await listener.session.close()
        with pytest.raises(EngineLostError):
            await filling


async def test_to_give_up_connecting_leaves_no_connection_behind() -> None:
    fake = FakeRealtime(Script())
    fake.faults.connects_silent = 1
    async with fake.running() as url:
        connecting = asyncio.create_task(engine(url).connect(SETUP, timeout_s=30))
        await asyncio.wait([connecting], timeout=0.2)
        connecting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await connecting
        async with asyncio.timeout(30):
            await fake.abandoned()
