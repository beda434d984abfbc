"""What is written down of a call by text: each utterance as it was heard, and whether it may be recorded."""

from datetime import timedelta

from gateway.services import Services
from gateway.voice import recording
from gateway.voice.call import Call
from gateway.voice.chores import Chores
from gateway.voice.relay.speech import Heard
from gateway.voice.transcripts import note_agent, note_caller


class RelayTranscript:
    """Writes beside the conversation."""

    def __init__(self, services: Services, call: Call, chores: Chores) -> None:
        self._services = services
        self._call = call
        self._chores = chores

    def caller(self, text: str) -> None:
        at = self._services.now()
        self._chores.add(lambda: note_caller(self._services, self._call, text, at))

    def agent(self, heard: Heard, now_ms: int) -> None:
        if not heard.heard:
            return
        at = self._services.now() - timedelta(milliseconds=now_ms - heard.began_ms)
        self._chores.add(
            lambda: note_agent(
                self._services, self._call, heard.text, heard.heard, at, heard.heard_ms, heard.interrupted
            )
        )


async def note_recording(services: Services, call: Call, agreed: bool | None) -> None:
    """Note that the caller is asked whether the call may be recorded, or what they have answered."""
    if agreed is None:
        await recording.asked(services, call)
    else:
        await recording.answer(services, call, agreed=agreed)
