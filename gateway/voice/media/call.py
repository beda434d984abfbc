"""One call by audio in this process: joins two sockets, the ledger and the conversation.

Everything that happens is told to the dialogue at once, and what it wants is done at once or begun beside it: nothing
that takes time holds the audio up. However the call ends, what it used is settled and nothing of it is left.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final
from uuid import UUID

import structlog

from gateway.errors import MinuteUnpaidError, StaleLeaseError
from gateway.live_calls import CallFigures
from gateway.voice import departures
from gateway.voice.answering import Voice
from gateway.voice.call import Call, MinuteRefused, Progress, past_of
from gateway.voice.credit.opening_meter import Paid, paid_so_far
from gateway.voice.credit.paying import AWAY
from gateway.voice.credit.resumed_meter import ResumedMeter
from gateway.voice.dialogue import Dialogue, Told
from gateway.voice.engines.base import EngineSession
from gateway.voice.legs.forwarding import forward
from gateway.voice.media.alarm import Alarm
from gateway.voice.media.carrier_leg import CarrierLeg, CarrierLostError
from gateway.voice.media.conducting import manner_of
from gateway.voice.media.engine_leg import EngineLeg
from gateway.voice.media.money import MediaMoney
from gateway.voice.media.opening_session import open_session
from gateway.voice.media.parting import part
from gateway.voice.media.tasks import MediaTasks
from gateway.voice.talk import signals
from gateway.voice.talk.leaving import CONNECTING, CREDITS_ENDED
from gateway.voice.talk.signals import CallerGone, Effect, Forward, HangUp, Move

SILENT_S: Final = 10.0  # Twilio streams silence too: after so long without a frame nobody is there
WATCH_S: Final = 1.0
CALLER_HUNG_UP: Final = "caller_hung_up"
CONNECTION_LOST: Final = "connection_lost"
LAST_NOTICES: Final = (CREDITS_ENDED, CONNECTING)  # of which one must fit into what is held

log = structlog.get_logger(__name__)


class MediaCall:
    """A `LiveCall`. `call` has the epoch of this stream, `paid` is what it begins with, `notices` what it can play."""

    def __init__(self, voice: Voice, call: Call, carrier: CarrierLeg, paid: Paid, notices: Mapping[str, bytes]) -> None:
        services = voice.services
        self._voice, self._services, self._call, self._carrier = voice, services, call, carrier
        self._loop = asyncio.get_running_loop()
        self._leg = EngineLeg(
            lambda past: open_session(voice, self._call, past), self._tell, self._heard, self._expires_ms
        )
        self._tasks = MediaTasks(services, call, self._tell)
        manner = manner_of(services, call, voice.engines[call.engine].traits, elapsed_ms=paid.elapsed_ms)
        past = (call.progress or Progress()).past_items
        self._dialogue = Dialogue(manner, carrier.playout, notices, past)
        self._alarm = Alarm()
        self._money = MediaMoney(
            services,
            call,
            paid,
            carrier.playout,
            notice_ms=max(len(notices.get(kind, b"")) for kind in LAST_NOTICES) // 8,
            now_ms=carrier.now_ms,
            take_usage=self._tasks.usage.take,
            answered=self._alarm.ring,
            minute_held=self._limit,
            lost=self._lose,
            unpaid=self._tell,
        )
        self._group = asyncio.TaskGroup()
        self._departing: asyncio.Task[None] | None = None
        self._gone: str | None = None  # why the caller is
        self._over = asyncio.Event()
        self._ended_ms: int | None = None
        self._end_reason: str | None = "interrupted"  # None: the call goes on without us

    @property
    def tenant_id(self) -> UUID:
        return self._call.tenant_id

    @property
    def call_id(self) -> UUID:
        return self._call.call_id

    def figures(self) -> CallFigures:
        return self._money.figures(self._dialogue.state)

    def move(self) -> None:
        self._tell(signals.MoveAsked())

    def end(self, reason: str) -> None:
        self._tell(signals.EndAsked(reason))

    async def run(self) -> None:
        """Pump the call to its end, or until another stream or a person has it."""
        try:
            async with self._group as group:
                work = (
                    self._read(),
                    self._write(),
                    self._leg.run(),
                    self._keep_time(),
                    departures.keep(self._services, lambda: self._call, self._lose),
                )
                pumps = [group.create_task(pump) for pump in work]
                self._perform(self._dialogue.begin(self._carrier.now_ms()))
                await self._over.wait()
                for pump in pumps:
                    pump.cancel()
        finally:
            await self._close()

    # The pumps.

    async def _read(self) -> None:
        was_told = await self._carrier.read(self._leg.hear, self._tell)
        self._tell(CallerGone(CALLER_HUNG_UP if was_told else CONNECTION_LOST))

    async def _write(self) -> None:
        try:
            await self._carrier.write()
        except CarrierLostError:
            self._tell(CallerGone(CONNECTION_LOST))

    async def _keep_time(self) -> None:
        """Ask the meter and the dialogue when something is due, and see whether Twilio is there at all."""
        frames, heard_at = -1, self._loop.time()
        while True:
            now_ms = self._carrier.now_ms()
            for word in self._money.due(now_ms):
                self._tell(word)
            due_ms = self._dialogue.next_due_ms(now_ms)
            if due_ms is not None and due_ms <= now_ms:
                self._perform(self._dialogue.due(now_ms))
            if self._carrier.frames != frames:
                frames, heard_at = self._carrier.frames, self._loop.time()
            elif self._loop.time() - heard_at > SILENT_S:
                self._tell(CallerGone(CONNECTION_LOST))
                return
            await self._alarm.wait(self._pause_s())

    def _pause_s(self) -> float:
        now_ms = self._carrier.now_ms()
        due_ms = self._money.next_due_ms(now_ms)
        dialogue_ms = self._dialogue.next_due_ms(now_ms)
        due_ms = due_ms if dialogue_ms is None else min(due_ms, dialogue_ms)
        return min(max(due_ms - now_ms, 1) / 1000, WATCH_S)

    # What happens, and what follows.

    def _tell(self, told: Told) -> None:
        if self._over.is_set():
            return
        self._tasks.count_usage(told)
        self._perform(self._dialogue.receive(told, self._carrier.now_ms()))
        if isinstance(told, CallerGone):
            self._gone = self._gone or told.reason
            if self._departing is None:
                self._finish(self._gone)

    def _perform(self, effects: Sequence[Effect]) -> None:
        for effect in effects:
            match effect:
                case signals.Clear():
                    self._carrier.clear()
                case signals.Reconnect():
                    self._leg.reconnect(effect)
                case signals.StopHearing():
                    self._leg.stop_hearing()
                    self._money.stop(self._carrier.now_ms())
                case signals.RunTool() | signals.NoteCaller() | signals.NoteAgent() | signals.RecordCall():
                    self._tasks.begin(effect)
                case HangUp() | Forward() | Move():
                    self._departing = self._group.create_task(self._depart(effect))
                case _:
                    self._leg.command(effect)
        self._carrier.look()
        self._alarm.ring()

    def _heard(self, ms: int) -> None:
        self._money.heard_caller(ms)

    def _expires_ms(self, session: EngineSession) -> int | None:
        if session.expires_at is None:
            return None
        left_s = (session.expires_at - self._services.now()).total_seconds()
        return self._carrier.now_ms() + round(left_s * 1000)

    # How it ends.

    async def _depart(self, final: HangUp | Forward | Move) -> None:
        try:
            await self._leave(final)
        except StaleLeaseError:
            self._lose()
        except (MinuteUnpaidError, *AWAY) as error:
            log.warning("call_not_left", call_id=str(self.call_id), error=type(error).__name__)
            await part(self._services, self._call)
            self._finish("failed")

    async def _leave(self, final: HangUp | Forward | Move) -> None:
        match final:
            case HangUp():
                await part(self._services, self._call, final.say)
                self._finish(final.reason)
            case Forward():
                meter = await self._money.settle(self._carrier.now_ms())
                call = replace(self._call, progress=self._progress(final.reason, meter))
                if await forward(self._voice, call, reason=final.reason):
                    self._finish(None)
                else:
                    await self._go_on(call, signals.NotForwarded())
            case Move():
                meter = await self._money.pause(self._carrier.now_ms())
                progress = self._progress("move", meter)
                if await departures.move(self._voice, self._call, progress):
                    self._finish(None)
                else:
                    await self._take_again(progress)

    async def _take_again(self, progress: Progress) -> None:
        """Take the call back that nobody could be given."""
        again = await departures.take(self._services, self._call)
        if again is None:
            raise StaleLeaseError
        self._call = again
        self._tasks.go_on(again)
        await self._go_on(replace(again, progress=progress), signals.NotMoved())

    async def _go_on(self, call: Call, told: signals.NotForwarded | signals.NotMoved) -> None:
        """Go on after all, with a meter that begins where the last one has stopped."""
        if self._gone is not None:
            self._finish(self._gone)
            return
        paid = await paid_so_far(self._services, call)
        if isinstance(paid, MinuteRefused):
            raise MinuteUnpaidError
        self._money.begin(call, paid)
        self._departing = None
        self._tell(told)

    def _progress(self, why: str, meter: ResumedMeter) -> Progress:
        return Progress(
            elapsed_ms=self._money.elapsed_ms,
            meter=meter.to_json(),
            past=past_of(self._dialogue.history.past),
            greeted=self._dialogue.greeted,
            why=why,
        )

    def _limit(self, minute: int) -> None:
        """Let Twilio end the call after what is paid, should nobody here be able to."""
        self._tasks.chores.add(lambda: departures.limit(self._services, self._call, minute))

    def _lose(self) -> None:
        """Leave the call to the stream that has it by now."""
        log.info("call_taken_over", call_id=str(self.call_id))
        self._finish(None)

    def _finish(self, reason: str | None) -> None:
        if not self._over.is_set():
            self._end_reason, self._ended_ms = reason, self._carrier.now_ms()
            self._over.set()

    async def _close(self) -> None:
        """Settle what was used, let what still runs come to its end, and write down how it went."""
        await self._settle()
        if self._end_reason == CONNECTION_LOST:
            self._tasks.chores.add(lambda: part(self._services, self._call))
        await self._tasks.close()
        course, usage = self._course(), self._tasks.usage.total
        if self._end_reason is None:
            await departures.leave(self._services, self._call, course, usage)
        else:
            await departures.close(self._services, self._call, self._end_reason, course, usage)

    async def _settle(self) -> None:
        if self._end_reason is None:
            await self._money.abandon()
            return
        try:
            await self._money.settle(self._carrier.now_ms() if self._ended_ms is None else self._ended_ms)
        except StaleLeaseError:
            self._end_reason = None
        except MinuteUnpaidError:
            log.warning("call_unpaid", call_id=str(self.call_id), error="MinuteUnpaidError")

    def _course(self) -> dict[str, object]:
        dialogue = self._dialogue
        own = {"dropped_frames": self._leg.dropped, "reconnects": dialogue.sessions.count}
        return dialogue.course.to_json() | self._carrier.figures() | own
