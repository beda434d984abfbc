"""One call by text in this process: pumps words between Twilio, the agent and the ledger.

Everything that happens comes in at one place, one after the other; the dialogue says what is done about it. Whatever
takes time runs beside it. However the call ends, what it used is settled, and nothing of it is left in the process.
"""

import asyncio
from dataclasses import replace
from functools import partial
from typing import Final
from uuid import UUID

import structlog

from agents.disclosure import opening_text
from gateway.errors import MinuteUnpaidError, StaleLeaseError
from gateway.live_calls import CallFigures
from gateway.voice import departures, recording
from gateway.voice.answering import Voice
from gateway.voice.call import Call, MinuteRefused, Progress, past_of
from gateway.voice.chores import Chores
from gateway.voice.credit.meter_effects import CutOff
from gateway.voice.credit.metered_minutes import MINUTE_MS
from gateway.voice.credit.opening_meter import Paid, paid_so_far
from gateway.voice.credit.resumed_meter import ResumedMeter
from gateway.voice.legs.forwarding import forward
from gateway.voice.relay.agent import RelayAgent
from gateway.voice.relay.course import note
from gateway.voice.relay.dialogue import RelayDialogue
from gateway.voice.relay.drafting import Drafting
from gateway.voice.relay.inbox import Inbox
from gateway.voice.relay.line import LineLostError, RelayLine
from gateway.voice.relay.money import RelayMoney
from gateway.voice.relay.signals import Abandon, Draft, RelayEffect, RelayTold, Say
from gateway.voice.relay.speech import Heard
from gateway.voice.relay.transcript import RelayTranscript, note_recording
from gateway.voice.talk.course import Course
from gateway.voice.talk.signals import (
    CallerGone,
    EndAsked,
    Forward,
    HangUp,
    Move,
    MoveAsked,
    NoteCaller,
    NotForwarded,
    NotMoved,
    RecordCall,
)

UNPAID_MS: Final = 5_000  # to say goodbye in, where a minute has begun that nothing pays
TRANSFER_FAILED: Final = "transfer_failed"

log = structlog.get_logger(__name__)


class RelayCall:
    """A `LiveCall`. `call` has the epoch of this stream, `paid` is what it begins with."""

    def __init__(self, voice: Voice, call: Call, line: RelayLine, paid: Paid) -> None:
        services = voice.services
        self._voice, self._services, self._call, self._line = voice, services, call, line
        self._loop = asyncio.get_running_loop()
        self._began_at = self._loop.time()
        self._elapsed_ms = paid.elapsed_ms  # before this stream
        self._inbox = Inbox()
        self._agent = RelayAgent(services, call)
        self._money = self._open(paid)
        self._drafting = Drafting(self._agent, self._inbox.put)
        self._chores = Chores(call.call_id)
        self._transcript = RelayTranscript(services, call, self._chores)
        self._course = Course()
        progress = call.progress or Progress()
        self._dialogue = RelayDialogue(
            call.configuration,
            count_tokens=services.count_tokens,
            room_tokens=self._room_tokens,
            ends_ms=call.configuration.voice.max_minutes * MINUTE_MS - paid.elapsed_ms,
            past=progress.past_items,
            asks_recording=recording.wanted(call) and not progress.greeted,
        )
        self._end_reason: str | None = "interrupted"  # None: the call goes on without us
        self._over = asyncio.Event()

    @property
    def tenant_id(self) -> UUID:
        return self._call.tenant_id

    @property
    def call_id(self) -> UUID:
        return self._call.call_id

    def figures(self) -> CallFigures:
        return self._money.figures((self._elapsed_ms + self._now_ms()) / 1000, self._dialogue.state)

    def move(self) -> None:
        self._inbox.put(MoveAsked())

    def end(self, reason: str) -> None:
        self._inbox.put(EndAsked(reason))

    async def run(self) -> None:
        """Pump the call to its end, or until another stream or a person has it."""
        beside = [asyncio.create_task(work) for work in (self._read(), self._keep_lease(), self._chores.run())]
        try:
            await self._converse()
        except MinuteUnpaidError:
            self._end_reason = "credits_ended"
            await departures.hang_up(self._services, self._call)
        finally:
            await self._drafting.close()
            self._count_rest()
            await self._settle()
            await self._chores.drain()
            for task in beside:
                task.cancel()
            await asyncio.gather(*beside, return_exceptions=True)

    async def _converse(self) -> None:
        progress = self._call.progress or Progress()
        opening = "" if progress.greeted else opening_text(self._call.configuration)
        self._limit(self._money.meter.minute + 1)
        words = self._money.due(self._now_ms())  # the minute begins: now words are paid
        await self._perform(self._dialogue.begin(opening, self._now_ms()))
        for word in words:
            await self._tell(word)
        if progress.why == TRANSFER_FAILED:
            await self._tell(NotForwarded())
        while not self._over.is_set():
            for word in self._money.due(self._now_ms()):
                await self._tell(word)
            await self._perform(self._dialogue.due(self._now_ms()))
            told = None if self._over.is_set() else await self._next()
            if told is not None:
                await self._tell(told)

    async def _next(self) -> RelayTold | None:
        now_ms = self._now_ms()
        talks_ms, pays_ms = self._dialogue.next_due_ms(now_ms), self._money.next_due_ms(now_ms)
        return await self._inbox.next((pays_ms if talks_ms is None else min(pays_ms, talks_ms)) - now_ms)

    async def _tell(self, told: RelayTold) -> None:
        now_ms = self._now_ms()
        note(self._course, told, now_ms, call_id=str(self.call_id))
        await self._perform(self._dialogue.receive(told, now_ms))
        if isinstance(told, CutOff):
            self._money.stop(now_ms)

    async def _perform(self, effects: list[RelayEffect]) -> None:
        for effect in effects:
            match effect:
                case Say():
                    await self._say(effect)
                case Draft():
                    self._drafting.begin(effect)
                case Abandon():
                    self._drafting.abandon()
                case Heard() | NoteCaller():
                    self._count(effect)
                case RecordCall(agreed=agreed):
                    self._chores.add(partial(note_recording, self._services, self._call, agreed))
                case HangUp() | Forward() | Move():
                    await self._leave(effect)

    async def _say(self, say: Say) -> None:
        self._course.agent_spoke(self._now_ms())
        try:
            await self._line.say(say)
        except LineLostError:
            self._inbox.put(CallerGone("connection_lost"))

    def _count(self, words: Heard | NoteCaller) -> None:
        """Count words and write them down."""
        if isinstance(words, NoteCaller):
            self._money.read(words.text)
            self._transcript.caller(words.text)
            return
        if words.billable and words.heard:
            self._money.spoke(words.heard)
        self._transcript.agent(words, self._now_ms())

    def _count_rest(self) -> None:
        """Count what was heard of a call that was broken off here."""
        if not self._over.is_set():
            for effect in self._dialogue.receive(CallerGone("interrupted"), self._now_ms()):
                if isinstance(effect, Heard):
                    self._count(effect)

    async def _leave(self, outcome: HangUp | Forward | Move) -> None:
        match outcome:
            case HangUp(reason):
                self._end(reason)
                if self._line.is_open:
                    await departures.hang_up(self._services, self._call)
            case Forward(reason):
                await self._forward(reason)
            case Move():
                await self._move()

    async def _forward(self, reason: str) -> None:
        call = replace(self._call, progress=self._progress(reason, await self._money.settle(self._now_ms())))
        if await forward(self._voice, call, reason=reason):
            self._end(None)
        else:
            await self._go_on(call, NotForwarded())

    async def _move(self) -> None:
        now_ms = self._now_ms()
        progress = self._progress("move", await self._money.pause(now_ms), elapsed_ms=now_ms)
        if await departures.move(self._voice, self._call, progress):
            self._end(None)
            return
        again = await departures.take(self._services, self._call)
        if again is None:
            raise StaleLeaseError
        self._call = self._agent.call = again
        await self._go_on(replace(again, progress=progress), NotMoved())

    async def _go_on(self, call: Call, told: NotForwarded | NotMoved) -> None:
        """Go on after all, with a meter that begins where the last one has stopped."""
        paid = await paid_so_far(self._services, call)
        if isinstance(paid, MinuteRefused):
            self._end("credits_ended")
            await departures.hang_up(self._services, self._call)
            return
        self._money = self._open(paid)
        await self._tell(told)

    def _open(self, paid: Paid) -> RelayMoney:
        return RelayMoney(
            self._services,
            self._call,
            paid,
            zero_ms=self._now_ms(),
            now_ms=self._now_ms,
            take_usage=self._agent.take_usage,
            answered=self._inbox.wake,
            minute_held=self._limit,
            failed=self._unpaid,
        )

    def _unpaid(self, error: BaseException) -> None:
        """Take note that nothing more can be paid: another stream has the call, or a minute has no credits."""
        if isinstance(error, StaleLeaseError):
            self._lose()
        else:
            log.warning("call_unpaid", call_id=str(self.call_id), error=type(error).__name__)
            self._inbox.put(CutOff(self._now_ms() + UNPAID_MS))

    async def _keep_lease(self) -> None:
        await departures.keep(self._services, lambda: self._call, self._lose)

    def _lose(self) -> None:
        """Leave the call to the stream that has it by now."""
        self._end(None)
        self._inbox.wake()

    def _end(self, reason: str | None) -> None:
        self._end_reason = reason
        self._over.set()

    async def _settle(self) -> None:
        if self._end_reason is None:
            await departures.leave(self._services, self._call, self._course.to_json(), self._agent.totals)
            return
        try:
            await self._money.settle(self._now_ms())
        except StaleLeaseError:
            return
        except MinuteUnpaidError:
            pass  # told already
        await departures.close(self._services, self._call, self._end_reason, self._course.to_json(), self._agent.totals)

    def _progress(self, why: str, meter: ResumedMeter, *, elapsed_ms: int | None = None) -> Progress:
        return Progress(
            elapsed_ms=self._elapsed_ms + (self._now_ms() if elapsed_ms is None else elapsed_ms),
            meter=meter.to_json(),
            past=past_of(self._dialogue.past),
            greeted=True,
            why=why,
        )

    def _limit(self, minute: int) -> None:
        self._chores.add(lambda: departures.limit(self._services, self._call, minute))

    async def _read(self) -> None:
        try:
            await self._line.read(self._inbox.put, self._inbox.__len__)
        finally:
            self._inbox.put(CallerGone("caller_hung_up"))

    def _room_tokens(self) -> int:
        return self._money.room_tokens()

    def _now_ms(self) -> int:
        return round((self._loop.time() - self._began_at) * 1000)
