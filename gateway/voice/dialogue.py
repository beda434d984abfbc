"""A phone call as a conversation (pure): what is said when, and how the call ends.

Told what happens at the engine, at the carrier, at the meter and around the call, it answers with what is to be done.
It waits for nothing and has no clock: `next_due_ms` says when to ask it again. After its last effect it wants nothing
more, unless a forwarding or a move comes back as not possible.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final, assert_never

from agents.voice_prompt import say_exactly
from gateway.voice.call_meter import Continued, CutOff, WrapUp
from gateway.voice.engines import base
from gateway.voice.media.playout import Playout
from gateway.voice.media_stream import Digit, Echoed
from gateway.voice.talk import signals
from gateway.voice.talk.course import Course
from gateway.voice.talk.history import History
from gateway.voice.talk.leaving import CREDITS_ENDED, Leaving
from gateway.voice.talk.manner import MS_PER_MINUTE, Manner
from gateway.voice.talk.reconnecting import Reconnecting
from gateway.voice.talk.signals import Effect, Forward, HangUp, Reconnect
from gateway.voice.talk.silence import Fillers, Idle
from gateway.voice.talk.tool_turns import ToolTurns
from gateway.voice.talk.turn_taking import TurnTaking

AnswerEvent = base.ResponseStarted | base.ResponseEnded | base.ToolAsked | signals.ToolDone
EngineEvent = signals.EngineReady | signals.EngineGone | base.Trouble | base.Seconds
MeterEvent = WrapUp | Continued | CutOff
Told = base.Event | signals.Told | Digit | Echoed | MeterEvent
Effects = list[Effect]

MOVE_PATIENCE_MS: Final = 20_000  # then it moves in the middle of a word
FAILURES_MAX: Final = 2  # answers in a row that the engine could not make


class Dialogue:
    """One call. `notices` is audio by kind, "ringing" among them; it may still fill up while the call runs."""

    def __init__(
        self, manner: Manner, playout: Playout, notices: Mapping[str, bytes], past: Sequence[base.PastItem] = ()
    ) -> None:
        self.history = History(past)
        self.course = Course()
        self.sessions = Reconnecting()
        self._manner = manner
        self._turns = TurnTaking(manner, playout, notices, self.history, self.course)
        self._fillers = Fillers()
        self._idle = Idle(prompt_after_ms=manner.idle_prompt_ms, end_after=manner.idle_end_after)
        self._leaving = Leaving(self._turns)
        self._tools = ToolTurns(self._turns, self._leaving, self._fillers)
        self._is_resuming = manner.greeted
        self._wrapping_up = self._warned = False
        self._moves_by_ms: int | None = None
        self._failures = 0
        self._looked_ms = 0  # when it was last told or asked anything

    @property
    def state(self) -> str:
        """What the call is doing, in a word."""
        return self._leaving.state or ("wrapping_up" if self._wrapping_up else self._turns.state)

    @property
    def greeted(self) -> bool:
        return self._turns.greeted

    def begin(self, now_ms: int) -> Effects:
        """Begin the call: an engine is wanted first."""
        self._fillers.begin("first_audio", now_ms)
        return [Reconnect(0, self.history.past)]

    def receive(self, event: Told, now_ms: int) -> Effects:
        """Return what is to be done because of what has happened."""
        if self._leaving.is_over:
            return []
        if isinstance(event, signals.CallerGone):
            return self._leaving.caller_gone(now_ms)
        if self._leaving.is_done:
            return self._come_back(event, now_ms)
        self._looked_ms = now_ms
        return [*self._turns.observe(now_ms), *self._on(event, now_ms), *self._settle(now_ms)]

    def due(self, now_ms: int) -> Effects:
        """Return what is to be done because of the time."""
        if self._leaving.is_done:
            return []
        self._looked_ms = now_ms
        effects = self._turns.observe(now_ms)
        for at_ms, act in list(self._deadlines(now_ms)):
            if at_ms is not None and at_ms <= now_ms and not self._leaving.is_done:
                effects += act(now_ms)
        return effects + self._settle(now_ms)

    def next_due_ms(self, now_ms: int) -> int | None:
        """Return when something is due, if nothing happens before; None: the call is over."""
        if self._leaving.is_done:
            return None
        acts = [at_ms for at_ms, _ in self._deadlines(now_ms) if at_ms is not None]
        looks = [at_ms for at_ms in self._looks(now_ms) if at_ms is not None and at_ms > self._looked_ms]
        return max(now_ms, min(acts + looks))

    def _deadlines(self, now_ms: int) -> Iterator[tuple[int | None, Callable[[int], Effects]]]:
        """Yield what is to be done when; doing it moves its time on."""
        turns = self._turns
        yield turns.interrupts_ms, turns.barge_in
        yield turns.keys_due_ms, turns.pass_keys_on
        if self._leaving.has_begun:
            return
        if turns.nobody_speaks(now_ms):
            yield self._fillers.due_ms(turns.quiet_since_ms), self._fill
            if self.sessions.is_ready and not turns.answers.runs_tools:
                yield self._idle.due_ms(turns.quiet_since_ms), self._prompt
        yield None if self._warned else self._manner.ends_at_ms - MS_PER_MINUTE, self._warn
        yield self._manner.ends_at_ms, self._end_too_long

    def _looks(self, now_ms: int) -> Iterator[int | None]:
        """Yield when to look whether something has come to its end."""
        yield self._turns.speech.look_again_ms(now_ms, self._looked_ms)
        yield self._turns.answers.look_again_ms
        yield self.sessions.rotate_ms
        yield self._moves_by_ms
        yield self._leaving.by_ms

    def _on(self, event: Told, now_ms: int) -> Effects:
        match event:
            case base.ResponseStarted() | base.ResponseEnded() | base.ToolAsked() | signals.ToolDone():
                return self._on_answer(event, now_ms)
            case signals.EngineReady() | signals.EngineGone() | base.Trouble() | base.Seconds():
                return self._on_engine(event, now_ms)
            case WrapUp() | Continued() | CutOff():
                return self._on_meter(event, now_ms)
            case signals.MoveAsked():
                self._moves_by_ms = now_ms + MOVE_PATIENCE_MS
            case signals.EndAsked():
                return self._leaving.with_goodbye(event.reason, now_ms)
            case signals.NotForwarded() | signals.NotMoved() | signals.CallerGone():
                pass  # mean something only where they are awaited
            case _:
                return self._turns.receive(event, now_ms)
        return []

    def _on_answer(self, event: AnswerEvent, now_ms: int) -> Effects:
        answers = self._turns.answers
        match event:
            case base.ResponseStarted():
                is_ours = answers.started(event.response_id)
                return [*answers.cut_off(by_us=True)] if self._leaving.has_begun and not is_ours else []
            case base.ResponseEnded():
                return self._answer_ended(event, now_ms)
            case base.ToolAsked():
                return self._tools.asked(event, now_ms)
            case signals.ToolDone():
                return self._tools.done(event, now_ms)
        assert_never(event)

    def _answer_ended(self, event: base.ResponseEnded, now_ms: int) -> Effects:
        answers = self._turns.answers
        answers.ended(event.response_id)
        if self._leaving.has_begun:
            self._leaving.answer_ended(now_ms)
            return []
        self._failures = self._failures + 1 if event.status == "failed" else 0
        if self._failures > FAILURES_MAX:
            return self._give_up(now_ms)
        if self._failures:
            answers.want()
        return []

    def _on_engine(self, event: EngineEvent, now_ms: int) -> Effects:
        match event:
            case signals.EngineReady():
                return self._engine_ready(event, now_ms)
            case signals.EngineGone():
                return self._engine_gone(now_ms, fatal=event.fatal)
            case base.Trouble():
                self.course.troubles[event.code] += 1
                return self._engine_gone(now_ms, fatal=True) if event.severity == "fatal" else []
            case base.Seconds():
                return []
        assert_never(event)

    def _engine_ready(self, ready: signals.EngineReady, now_ms: int) -> Effects:
        self.sessions.ready(now_ms, ready.expires_ms)
        self._fillers.end("engine")
        self._turns.quiet_since_ms = now_ms
        was_resuming, self._is_resuming = self._is_resuming, False
        if was_resuming and self._manner.why == "transfer_failed":
            self._turns.answers.want()
            return self._turns.tell("not_reached")
        if not self.history.past and not self._manner.greeted:
            self._turns.answers.want(say_exactly(self._manner.opening, self._manner.language))
        elif was_resuming and self.history.caller_waits:
            self._turns.answers.want()
        return []

    def _engine_gone(self, now_ms: int, *, fatal: bool) -> Effects:
        self._turns.forget_session(now_ms)
        after_ms = self.sessions.next_try_after_ms(now_ms, fatal=fatal)
        if self._leaving.has_begun:
            self._leaving.session_gone(now_ms)
            return []
        if after_ms is None:
            return self._give_up(now_ms)
        self._fillers.begin("engine", now_ms)
        return [Reconnect(after_ms, self.history.past)]

    def _give_up(self, now_ms: int) -> Effects:
        final = Forward("technical") if self._manner.may_forward else HangUp("technical")
        return self._leaving.at_once(final, "technical", now_ms)

    def _on_meter(self, event: MeterEvent, now_ms: int) -> Effects:
        match event:
            case WrapUp():
                self._wrapping_up = True
                return self._turns.tell("wrap_up")
            case Continued():
                self._wrapping_up = False
                return self._turns.tell("go_on")
            case CutOff():
                if self._turns.is_silenced:
                    return [signals.StopHearing()]
                forwards = self._manner.forwards_when_credits_end
                final = Forward(CREDITS_ENDED) if forwards else HangUp(CREDITS_ENDED)
                return [signals.StopHearing(), *self._leaving.at_once(final, CREDITS_ENDED, now_ms)]
        assert_never(event)

    def _warn(self, now_ms: int) -> Effects:
        """Let the agent know that the call's longest time is nearly over."""
        del now_ms
        self._warned = True
        return self._turns.tell("wrap_up")

    def _end_too_long(self, now_ms: int) -> Effects:
        return self._leaving.at_once(HangUp("too_long"), "too_long", now_ms)

    def _fill(self, now_ms: int) -> Effects:
        """Let the caller hear that we are there."""
        again = self._fillers.fill(self._turns.quiet_since_ms, now_ms)
        kinds = ("filler_again", "filler") if again else ("filler", "filler" if self._turns.greeted else "ringing")
        if any(self._turns.play(kind, now_ms, noted=False) for kind in kinds):
            self.course.fillers += 1
        return []

    def _prompt(self, now_ms: int) -> Effects:
        """Ask whether the caller is there. If it is the engine that says nothing, have another."""
        if self._turns.caller_answered:
            self._idle.is_broken()
        self._turns.caller_answered = False
        self._turns.quiet_since_ms = now_ms
        if not self._idle.prompt():
            return self._leaving.with_goodbye("idle", now_ms)
        if self._turns.answers.is_busy(now_ms):
            return self._engine_gone(now_ms, fatal=False)
        self.course.idle_prompts += 1
        self._turns.say("idle", now_ms)
        return []

    def _settle(self, now_ms: int) -> Effects:
        if self._leaving.is_done:
            return []
        turns, ready = self._turns, self.sessions.is_ready
        effects: Effects = []
        if self.course.first_audio_ms is not None:
            self._fillers.end("first_audio")
        if ready and not turns.is_silenced:
            may_answer = self._leaving.has_begun or not turns.caller_speaks
            effects += turns.answers.next_steps(now_ms, may_answer=may_answer)
        if self._leaving.is_due(now_ms, engine_is_ready=ready):
            return effects + self._leaving.finish(now_ms)
        if self._leaving.has_begun:
            return effects
        if self._moves(now_ms):
            return effects + self._leaving.move(now_ms)
        return effects + (self._at_rest(now_ms) if ready and turns.is_at_rest(now_ms) else [])

    def _moves(self, now_ms: int) -> bool:
        """Whether this is a moment to move: nobody is in the middle of a word, or that takes too long."""
        if self._moves_by_ms is None:
            return False
        late = now_ms >= self._moves_by_ms and not self._turns.answers.runs_tools
        return late or self._turns.is_at_rest(now_ms)

    def _at_rest(self, now_ms: int) -> Effects:
        """Do what waits for a moment in which nobody speaks."""
        turns, rotate_ms = self._turns, self.sessions.rotate_ms
        if turns.recording.is_to_be_asked and turns.greeted:
            return turns.ask_recording(now_ms)
        if rotate_ms is not None and now_ms >= rotate_ms:
            self.sessions.replace()
            self.course.rotations += 1
            return [Reconnect(0, self.history.past)]
        return []

    def _come_back(self, event: Told, now_ms: int) -> Effects:
        if not isinstance(event, signals.NotForwarded | signals.NotMoved):
            return []
        self._moves_by_ms = None
        return [*self._leaving.come_back(event, now_ms), *self._settle(now_ms)]
