"""One answer of the simulated Realtime server: audio in pieces, faster than it is heard, and the tools it asks for."""

import asyncio
import base64
import itertools
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal
from uuid import uuid4

import orjson

from gateway.simulator.faults import RealtimeFaults
from gateway.simulator.openai_realtime_wire import Document, usage
from gateway.simulator.realtime_memory import Item, Memory
from gateway.simulator.realtime_mind import Action, UseTool, Utter
from gateway.simulator.speech import spoken
from gateway.simulator.understanding import language_of
from gateway.voice.audio import BYTES_PER_MS

Send = Callable[[Document], Awaitable[None]]
Status = Literal["in_progress", "completed", "cancelled", "failed"]

# Around 200 ms, and no whole frames: what is left of one belongs to the next.
_PIECES = (1597, 1603, 1439, 1657, 1700)


class LineDiedError(Exception):
    """The connection is to be dropped in the middle of an answer."""


@dataclass(slots=True)
class _Spoken:
    """An item that is being said: what of it has been sent."""

    item: Item
    output_index: int
    audio: bytes
    words: list[str]
    sent: int = 0
    words_sent: int = 0
    pieces: "itertools.cycle[int]" = field(default_factory=lambda: itertools.cycle(_PIECES))


class Answer:
    """One response."""

    def __init__(
        self, memory: Memory, send: Send, faults: RealtimeFaults, *, instructions: str, language: str, speed: float
    ) -> None:
        self.response_id = memory.new_id("resp")
        self.instructions = instructions  # the session's, or those that stood in for them
        self.status: Status = "in_progress"
        self.reason = ""
        self.audio_ms = 0.0
        self._memory = memory
        self._send_out = send
        self._faults = faults
        self._language = language
        self._speed = speed
        self._speaking: _Spoken | None = None
        self._outputs: list[Document] = []
        self._output_text = 0
        self._input = _input_tokens(memory)
        self._dies_after_ms = faults.dropped_after_ms.pop(0) if faults.dropped_after_ms else None

    async def begin(self) -> None:
        await self._send("response.created", response=self._described())

    async def give(self, actions: Sequence[Action]) -> None:
        """Say and ask everything, in order, and end. May be cancelled in the middle; then `stop` ends it."""
        await asyncio.sleep(self._faults.thinking_s)
        if self._faults.failed_codes:
            await self.fail(self._faults.failed_codes.pop(0))
            return
        for action in actions:
            match action:
                case Utter():
                    await self._say(action.text)
                case UseTool():
                    await self._ask(action)
        await self._end("completed")

    async def stop(self, reason: Literal["turn_detected", "client_cancelled"]) -> None:
        """End it before its end: what is on its way still comes."""
        if self._speaking is not None:
            for _ in range(self._faults.late_deltas):
                await self._piece(self._speaking)
            await self._item_ends(self._speaking, "incomplete")
        await self._end("cancelled", reason)

    async def fail(self, code: str) -> None:
        details = {"type": "failed", "error": {"type": code, "code": code, "message": "The answer failed."}}
        await self._end("failed", details=details)

    async def _say(self, text: str) -> None:
        audio = await asyncio.to_thread(spoken, text, _tongue(text, self._language))
        item = self._memory.add(Item(item_id=self._memory.new_id(), kind="agent", text=text))
        speaking = self._speaking = _Spoken(item, len(self._outputs), audio, text.split(" "))
        described = _message(speaking, "in_progress")
        await self._send("response.output_item.added", output_index=speaking.output_index, item=described)
        await self._send_out({"type": "conversation.item.added", "item": described})
        await self._part(speaking, "response.content_part.added", part={"type": "audio", "transcript": ""})
        loop = asyncio.get_running_loop()
        due = loop.time()
        while speaking.sent < len(audio):
            size = await self._piece(speaking)
            due += size / BYTES_PER_MS / 1000 / self._speed
            await asyncio.sleep(due - loop.time())
        self._speaking = None
        await self._item_ends(speaking, "completed")

    async def _piece(self, speaking: _Spoken) -> int:
        piece = speaking.audio[speaking.sent : speaking.sent + next(speaking.pieces)]
        if not piece:
            return 0
        speaking.sent += len(piece)
        speaking.item.audio_bytes = speaking.sent
        self.audio_ms += len(piece) / BYTES_PER_MS
        words = speaking.words[speaking.words_sent : -(-len(speaking.words) * speaking.sent // len(speaking.audio))]
        if words:
            delta = " ".join(words) if speaking.words_sent == 0 else f" {' '.join(words)}"
            speaking.words_sent += len(words)
            await self._part(speaking, "response.output_audio_transcript.delta", delta=delta)
        await self._part(speaking, "response.output_audio.delta", delta=base64.b64encode(piece).decode())
        if self._dies_after_ms is not None and self.audio_ms >= self._dies_after_ms:
            raise LineDiedError
        return len(piece)

    async def _item_ends(self, speaking: _Spoken, status: str) -> None:
        text = " ".join(speaking.words[: speaking.words_sent])
        speaking.item.text = text
        self._output_text += len(text) // 4
        await self._part(speaking, "response.output_audio.done")
        await self._part(speaking, "response.output_audio_transcript.done", transcript=text)
        await self._part(speaking, "response.content_part.done", part={"type": "audio", "transcript": text})
        await self._item_done(speaking.output_index, _message(speaking, status, text))

    async def _ask(self, tool: UseTool) -> None:
        arguments = orjson.dumps(dict(tool.arguments)).decode()
        call = Item(item_id=self._memory.new_id(), kind="tool_call", text=arguments)
        call.name, call.call_id = tool.name, f"call_{uuid4().hex[:16]}"
        self._memory.add(call)
        self._output_text += len(arguments) // 4
        item = {"id": call.item_id, "type": "function_call", "name": call.name, "call_id": call.call_id}
        index = len(self._outputs)
        added = {**item, "status": "in_progress", "arguments": ""}
        await self._send("response.output_item.added", output_index=index, item=added)
        await self._send_out({"type": "conversation.item.added", "item": added})
        place = {"item_id": call.item_id, "output_index": index, "call_id": call.call_id}
        await self._send("response.function_call_arguments.delta", **place, delta=arguments)
        await self._send("response.function_call_arguments.done", **place, name=call.name, arguments=arguments)
        await self._item_done(index, {**item, "status": "completed", "arguments": arguments})

    async def _item_done(self, output_index: int, item: Document) -> None:
        self._outputs.append(item)
        await self._send_out({"type": "conversation.item.done", "item": item})
        await self._send("response.output_item.done", output_index=output_index, item=item)

    async def _end(self, status: Status, reason: str = "", *, details: Document | None = None) -> None:
        self.status, self.reason = status, reason
        self._speaking = None
        details = details or {"type": status, **({"reason": reason} if reason else {})}
        counted = usage(**self._input, output_text=self._output_text, output_audio=round(self.audio_ms / 50))
        await self._send("response.done", response={**self._described(), "status_details": details, "usage": counted})

    async def _part(self, speaking: _Spoken, kind: str, **fields: object) -> None:
        place = {"item_id": speaking.item.item_id, "output_index": speaking.output_index, "content_index": 0}
        await self._send(kind, **place, **fields)

    async def _send(self, kind: str, **fields: object) -> None:
        place = {} if "response" in fields else {"response_id": self.response_id}
        await self._send_out({"type": kind, **place, **fields})

    def _described(self) -> Mapping[str, object]:
        return {
            "object": "realtime.response",
            "id": self.response_id,
            "status": self.status,
            "output": list(self._outputs),
            "output_modalities": ["audio"],
        }


def _tongue(text: str, language: str) -> str:
    """Return the language that a text is said in: who speaks German here speaks English too, and the other way."""
    match language:
        case "de":
            return language_of([text], "de")
        case "en":
            return language_of([text], "en")
        case _:
            return language


def _message(speaking: _Spoken, status: str, transcript: str = "") -> Document:
    content = [{"type": "output_audio", "transcript": transcript}] if transcript else []
    message = {"id": speaking.item.item_id, "type": "message", "role": "assistant"}
    return {**message, "status": status, "content": content}


def _input_tokens(memory: Memory) -> dict[str, int]:
    """Return what the vendor counts as input: the whole conversation, with every answer anew."""
    text = sum(len(item.text) for item in memory.items.values()) // 4 + 400
    audio = sum(round(item.audio_ms / 50) for item in memory.items.values())
    return {"input_text": text, "input_audio": audio, "cached": (text + audio) // 2}
