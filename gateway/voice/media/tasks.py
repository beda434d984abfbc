"""What a call by audio has done beside the conversation: tools, the transcript, the recording, the vendor's counts."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Final

from gateway.services import Services
from gateway.voice import recording
from gateway.voice.call import Call
from gateway.voice.call_tools import CallTools
from gateway.voice.chores import Chores
from gateway.voice.dialogue import Told
from gateway.voice.engines.base import HeardText, ResponseEnded, Seconds
from gateway.voice.media.provider_usage import ProviderUsage
from gateway.voice.talk.signals import NoteAgent, NoteCaller, RecordCall, RunTool, ToolDone
from gateway.voice.transcripts import note_agent, note_caller

TOOLS_END_S: Final = 5.0  # for a tool that still runs when the call is over; then what it writes is rolled back


class MediaTasks:
    """One call's. A tool's result is told as it comes; everything else is one chore after the other."""

    def __init__(self, services: Services, call: Call, tell: Callable[[ToolDone], None]) -> None:
        self.usage = ProviderUsage()
        self.chores = Chores(call.call_id)
        self._services = services
        self._call = call
        self._tell = tell
        self._tools = CallTools(services, call)
        self._running: set[asyncio.Task[None]] = set()
        self._doing_chores = asyncio.create_task(self.chores.run())

    def begin(self, effect: RunTool | NoteCaller | NoteAgent | RecordCall) -> None:
        """Begin to do something, or queue it."""
        match effect:
            case RunTool():
                task = asyncio.create_task(self._run(effect))
                self._running.add(task)
                task.add_done_callback(self._running.discard)
            case NoteCaller():
                at = self._services.now() - timedelta(milliseconds=effect.ago_ms)
                self.chores.add(partial(note_caller, self._services, self._call, effect.text, at))
            case NoteAgent():
                self._note(effect)
            case RecordCall():
                self.chores.add(partial(self._record, effect.agreed))

    def count_usage(self, told: Told) -> None:
        """Keep what the engine's vendor says that it has used."""
        match told:
            case ResponseEnded():
                self.usage.add("responses", told.usage)
            case HeardText():
                self.usage.add("transcripts", told.usage)
            case Seconds():
                self.usage.add("sessions", {"seconds": told.seconds})
            case _:
                pass

    def go_on(self, call: Call) -> None:
        """Act for the call as its stream has it by now."""
        self._call = call
        self._tools = CallTools(self._services, call)

    async def close(self) -> None:
        """Wait until everything is done, but not for ever."""
        if self._running:
            _, late = await asyncio.wait(self._running, timeout=TOOLS_END_S)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        await self.chores.drain()
        self._doing_chores.cancel()
        await asyncio.gather(self._doing_chores, return_exceptions=True)

    async def _run(self, wanted: RunTool) -> None:
        result = await self._tools.run(wanted.asked)
        self._tell(ToolDone(wanted.asked.tool_call_id, result))

    def _note(self, words: NoteAgent) -> None:
        at = self._services.now() - timedelta(milliseconds=words.heard_ms)
        self.chores.add(
            partial(
                note_agent,
                self._services,
                self._call,
                words.text_spoken,
                words.text_heard,
                at,
                words.heard_ms,
                words.interrupted,
            )
        )

    async def _record(self, agreed: bool | None) -> None:
        if agreed is None:
            await recording.asked(self._services, self._call)
        else:
            await recording.answer(self._services, self._call, agreed=agreed)
