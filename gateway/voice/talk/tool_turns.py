"""What a call does with the tools that its engine asks for (pure): two end the call, all others are run."""

from typing import Final

from agents.tools.phone import END_CALL, TRANSFER
from gateway.voice.engines.base import ToolAsked
from gateway.voice.talk.leaving import Leaving
from gateway.voice.talk.signals import Effect, Forward, HangUp, ToolDone
from gateway.voice.talk.silence import Fillers
from gateway.voice.talk.turn_taking import TurnTaking

DONE: Final = "Done."


class ToolTurns:
    """The tools of one call. However often a call is to be ended, it ends once."""

    def __init__(self, turns: TurnTaking, leaving: Leaving, fillers: Fillers) -> None:
        self._turns = turns
        self._leaving = leaving
        self._fillers = fillers

    def asked(self, asked: ToolAsked, now_ms: int) -> list[Effect]:
        run = self._turns.answers.tool_asked(asked)
        if asked.name not in (END_CALL.name, TRANSFER.name):
            if run:
                self._fillers.begin("tool", now_ms)
            return [*run]
        if run:
            self._turns.answers.tool_done(asked.tool_call_id, DONE, answer=False)
        if self._leaving.has_begun:
            return []
        if asked.name == END_CALL.name:
            self._leaving.after_answer(HangUp("agent_hung_up"), "goodbye", now_ms)
        else:
            self._leaving.after_answer(Forward("transfer"), "connecting", now_ms)
        return []

    def done(self, done: ToolDone, now_ms: int) -> list[Effect]:
        answers = self._turns.answers
        asked, told = answers.tool_done(done.tool_call_id, done.result, answer=not self._leaving.has_begun)
        if asked is not None:
            self._turns.history.tool_done(asked, done.result)
        if not answers.runs_tools:
            self._fillers.end("tool")
        self._turns.quiet_since_ms = now_ms
        return [*told]
