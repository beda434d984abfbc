"""Calls that come, go on, move, crash and end in any order, on real PostgreSQL, against a model in plain Python."""

import asyncio
import contextlib
from collections.abc import Coroutine
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test
from typing_extensions import override

from gateway.db import Database
from gateway.errors import MinuteUnpaidError, StaleLeaseError
from gateway.services import Services
from gateway.voice.call import CallAccount, MinuteHeld, MinuteRefused
from gateway.voice.credit import minutes
from gateway.voice.credit.keys import audio_key
from gateway.voice.credit.metered_minutes import MinuteUsage
from gateway.voice.credit.settling import end_call, note_duration
from tests.cast import Cast, create_tenant
from tests.conftest import Clock
from tests.gateway.voice.paying import AUDIO, CREDIT, FEE, LEAST_AUDIO, Till, cost, open_till
from tests.gateway.wiring import wired
from tests.metering.spending import some_id
from tests.properties.calls_model import Answer, Model, ModelCall

T = TypeVar("T")
SOME = st.integers(0, 10**6)
GRANTS = st.sampled_from([CREDIT, FEE, FEE + LEAST_AUDIO - 1, FEE + LEAST_AUDIO, FEE + AUDIO, 3 * (FEE + AUDIO)])
TOKENS = st.sampled_from([(0, 0), (10, 0), (150, 300), (600, 1_200)])


@dataclass
class Stream:
    """A stream of a call, which may have been overtaken, and what it was told is held by minute."""

    account: CallAccount
    call: ModelCall
    held: dict[int, MinuteHeld]

    @property
    def acts(self) -> bool:
        return not self.call.ended and self.call.epoch == self.account.epoch


class CallsMachine(RuleBasedStateMachine):
    """Every rule asks the gateway and the model the same, and compares answers, balances and what is held."""

    runner: asyncio.Runner
    services: Services
    clock: Clock

    def __init__(self) -> None:
        super().__init__()
        self.model = Model(self.clock.at)
        self.till = self.run(self.open())
        self.ringing: list[tuple[CallAccount, ModelCall, MinuteHeld | None]] = []
        self.streams: list[Stream] = []

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(work)

    async def open(self) -> Till:
        nobody = await create_tenant(self.services.db, str(some_id()), now=self.clock.at, new_id=self.services.new_id)
        return await open_till(self.services, Cast(acme=nobody, broke=nobody, mallory=nobody), self.clock)

    def stream(self, which: int) -> Stream:
        """One of the streams, the later ones more often."""
        return self.streams[-1 - which % min(len(self.streams), 4)]

    def compare(self) -> None:
        balance, held = self.run(self.till.wallet())
        assert (balance, held) == (self.model.balance, self.model.held)
        assert self.run(self.till.paused()) == self.model.paused

    @initialize(amount=GRANTS)
    def begin_with_a_call(self, amount: int) -> None:
        self.top_up(amount)
        self.ring()
        self.begin_stream(0)

    @rule(amount=GRANTS)
    def top_up(self, amount: int) -> None:
        self.run(self.till.grant(amount))
        self.model.grant(amount)

    @rule()
    def ring(self) -> None:
        account = self.run(self.till.rings(None))
        call = self.model.ring()
        held = self.run(minutes.hold_first(self.services, account))
        assert answer_of(held) == self.model.hold(call, 1, call.lease_until)
        self.ringing.append((account, call, held if isinstance(held, MinuteHeld) else None))
        self.compare()

    @precondition(lambda self: any(not call.ended for _, call, _ in self.ringing))
    @rule(which=SOME)
    def begin_stream(self, which: int) -> None:
        """The first stream of a call, or one that takes it from another."""
        open_calls = [each for each in self.ringing if not each[1].ended]  # none is late: time passes with a sweep
        account, call, held = open_calls[which % len(open_calls)]
        earlier = [stream for stream in self.streams if stream.call is call]
        call.epoch += 1
        call.is_live = True
        acting = self.run(self.till.streams(account))
        assert acting.epoch == call.epoch
        self.model.keep(call)
        known = dict(earlier[-1].held) if earlier else {} if held is None else {1: held}
        self.streams.append(Stream(acting, call, known))
        self.compare()

    @precondition(lambda self: self.streams)
    @rule(which=SOME, ahead=st.booleans())
    def hold(self, which: int, *, ahead: bool) -> None:
        stream = self.stream(which)
        minute = max(1, stream.call.charged + ahead)
        try:
            held = self.run(minutes.hold_minute(self.services, stream.account, minute))
        except StaleLeaseError:
            assert not stream.acts
            return
        assert stream.acts
        assert answer_of(held) == self.model.hold(stream.call, minute, self.model.now + timedelta(seconds=30))
        if isinstance(held, MinuteHeld):
            stream.held[minute] = held
        self.compare()

    @precondition(lambda self: self.streams)
    @rule(which=SOME, tokens=TOKENS)
    def go_on(self, which: int, tokens: tuple[int, int]) -> None:
        """A minute as most are: the next one is held, it begins, it is settled."""
        self.hold(which, ahead=True)
        if any(stream.held for stream in self.streams):
            self.begin_minute(which)
            self.settle(which, tokens)

    @precondition(lambda self: any(stream.held for stream in self.streams))
    @rule(which=SOME)
    def enlarge(self, which: int) -> None:
        stream, minute = self.stream_and_minute(which)
        try:
            grown = self.run(minutes.enlarge(self.services, stream.account, stream.held[minute]))
        except StaleLeaseError:
            assert not stream.acts
            return
        row = stream.call.minutes[minute]
        known = stream.held[minute].audio_millicredits
        answer = self.model.enlarge(row)
        bigger = row.audio is not None and row.audio > known
        assert ("nothing" if grown is None else grown.audio_millicredits) == (row.audio if bigger else "nothing"), (
            answer
        )
        stream.held[minute] = grown or stream.held[minute]
        self.compare()

    @precondition(lambda self: any(stream.held for stream in self.streams))
    @rule(which=SOME)
    def begin_minute(self, which: int) -> None:
        stream, minute = self.stream_and_minute(which)
        minute = min(minute, stream.call.charged + 1)
        if minute not in stream.held:
            return
        row = stream.call.minutes[minute]
        try:
            charged: Answer = self.run(minutes.begin_minute(self.services, stream.account, stream.held[minute]))
        except StaleLeaseError:
            assert not stream.acts
            assert not row.begun
            return
        except MinuteUnpaidError:
            charged = "unpaid"
        assert charged == self.model.begin(row)
        self.compare()

    @precondition(lambda self: any(stream.held for stream in self.streams))
    @rule(which=SOME, tokens=TOKENS)
    def settle(self, which: int, tokens: tuple[int, int]) -> None:
        stream, minute = self.stream_and_minute(which)
        usage = MinuteUsage(minute, *tokens)
        work = minutes.settle_minute(self.services, stream.account, stream.held[minute], usage, provider_usage={})
        row = stream.call.minutes[minute]
        before = self.run(self.till.entries()).get(audio_key(stream.held[minute].audio_key))
        try:
            charged = self.run(work)
        except StaleLeaseError:
            assert not stream.acts
            assert before is None
            return
        assert charged == (-before if before is not None else self.model.settle(row, cost(usage)))
        self.compare()

    @precondition(lambda self: any(stream.held for stream in self.streams))
    @rule(which=SOME)
    def release(self, which: int) -> None:
        stream, minute = self.stream_and_minute(which)
        self.run(minutes.release_minute(self.services, stream.account, stream.held[minute]))
        if stream.acts:
            row = stream.call.minutes[minute]
            row.fee = row.audio = None
        self.compare()

    @precondition(lambda self: self.streams)
    @rule(which=SOME)
    def end(self, which: int) -> None:
        stream = self.stream(which)
        self.run(end_call(self.services, stream.account, reason="goodbye", figures={}, provider_usage={}))
        if stream.acts:
            self.model.end(stream.call)
        self.compare()

    @precondition(lambda self: self.ringing)
    @rule(which=SOME, duration_s=st.sampled_from([0, 30, 60, 61, 150, 600]))
    def tell_duration(self, which: int, duration_s: int) -> None:
        account, call, _ = self.ringing[which % len(self.ringing)]
        self.run(note_duration(self.services, self.till.tenant_id, f"CA{account.call_id.hex}", duration_s))
        self.model.tell_duration(call, duration_s)
        self.compare()

    @rule(seconds=st.sampled_from([1, 10, 16, 31]))
    def wait(self, seconds: int) -> None:
        """Time passes; calls that are kept in time go on, the others are swept up."""
        self.clock.advance(seconds=seconds)
        self.model.now = self.clock.at
        self.run(self.till.sweep())
        self.model.sweep()
        for stream in self.streams:
            kept = self.run(self.till.renews(stream.account))
            assert kept == stream.acts
            if kept:
                self.model.keep(stream.call)
        self.compare()

    def stream_and_minute(self, which: int) -> tuple[Stream, int]:
        able = [stream for stream in self.streams if stream.held]
        stream = able[-1 - which % min(len(able), 4)]
        minutes = sorted(stream.held)
        return stream, minutes[-1 - which % min(len(minutes), 2)]

    @override
    def teardown(self) -> None:
        """Whatever happened: once nobody answers for any call, nothing is held and the books agree."""
        self.clock.advance(seconds=3_600)
        self.run(self.till.sweep())
        assert self.run(self.till.wallet())[1] == 0


def answer_of(held: MinuteHeld | MinuteRefused) -> Answer:
    return held.audio_millicredits if isinstance(held, MinuteHeld) else held.reason


def test_any_calls_in_any_order_leave_what_the_model_says(database_url: str, tmp_path: Path) -> None:
    thorough = settings.get_current_profile_name() == "thorough"
    chosen = settings() if thorough else settings(max_examples=50, stateful_step_count=40)
    unhurried = settings(
        chosen, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much]
    )
    with asyncio.Runner() as runner:
        stack = contextlib.AsyncExitStack()
        CallsMachine.runner, CallsMachine.clock = runner, Clock()
        db = runner.run(Database.connect(database_url, connections=4))
        wiring = wired(db, CallsMachine.clock, some_id, tmp_path)
        CallsMachine.services = runner.run(stack.enter_async_context(wiring))
        try:
            run_state_machine_as_test(CallsMachine, settings=unhurried)
        finally:
            runner.run(stack.aclose())
            runner.run(db.close())
