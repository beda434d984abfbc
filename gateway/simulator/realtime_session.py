"""One session of the simulated Realtime server: it hears when somebody speaks, and answers one thing at a time."""

import asyncio
import binascii
import contextlib
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Literal, cast

import orjson
from aiohttp import WSMsgType, web

from gateway.simulator import openai_realtime_wire as wire
from gateway.simulator.faults import RealtimeFaults
from gateway.simulator.openai_realtime_wire import Document, Problem, at, text_at
from gateway.simulator.realtime_answer import Answer, LineDiedError
from gateway.simulator.realtime_memory import Item, Memory
from gateway.simulator.realtime_mind import Asked, MindEvent, RealtimeMind, SessionView, Spoken
from gateway.simulator.speech_detection import SpeechDetector, Started, Stopped
from gateway.voice.audio import BYTES_PER_MS

Ear = Callable[[bytes, str], str]  # mu-law audio and a language to words; runs in a thread
Handler = Callable[[Document], Awaitable[None]]


class RealtimeSession:
    """What a client has said and was told. Everything may be looked at; the last methods are for whoever plays fate."""

    def __init__(
        self,
        socket: web.WebSocketResponse,
        transport: asyncio.Transport | None,
        mind: RealtimeMind,
        faults: RealtimeFaults,
        *,
        model: str,
        speed: float,
        ear: Ear | None = None,
        keeps_audio: bool = False,
    ) -> None:
        self.mind = mind
        self.faults = faults
        self.model = model
        self.speed = speed
        self.ear = ear
        self.memory = Memory()
        self.configuration: Document = {}  # as the updates have made it
        self.updates: list[Document] = []  # each `session` that was taken
        self.answers: list[Answer] = []
        self.asked: list[str] = []  # the instructions of each `response.create`; "" for none
        self.errors: list[Problem] = []  # what the client was told is wrong
        self.appended = bytearray()  # if it is kept
        self.appended_bytes = 0
        self.cancels = 0
        self.is_open = True
        self.words: deque[str] = deque()  # what the caller says, utterance by utterance
        self._socket = socket
        self._transport = transport
        self._keeps_audio = keeps_audio
        self._detector = SpeechDetector()
        self._utterance_id = ""  # the item of what is being said
        self._answering: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._handlers: Mapping[str, Handler] = {
            "session.update": self._update,
            "input_audio_buffer.append": self._append,
            "conversation.item.create": self._create_item,
            "conversation.item.delete": self._delete_item,
            "conversation.item.truncate": self._truncate,
            "response.create": self._respond,
            "response.cancel": self._cancel_asked,
        }

    @property
    def appended_ms(self) -> float:
        return self.appended_bytes / BYTES_PER_MS

    @property
    def answer(self) -> Answer | None:
        """The answer that is being given."""
        is_busy = self._answering is not None and not self._answering.done()
        return self.answers[-1] if is_busy else None

    def view(self) -> SessionView:
        """Return what a mind knows."""
        tools = self.configuration.get("tools")
        return SessionView(
            instructions=text_at(self.configuration, "instructions"),
            language=self._language,
            tools=tuple(tools) if isinstance(tools, list) else (),
            items=self.memory.view(),
        )

    async def run(self) -> None:
        """Serve until the client leaves or fate ends it."""
        try:
            async for message in self._socket:
                if message.type is WSMsgType.TEXT:
                    await self._take(message.data)
                else:
                    await self._object(Problem(code="invalid_value", message="Only text messages are taken."))
        finally:
            self.is_open = False
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def send(self, document: Document) -> None:
        """Tell the client something; a client that has gone is told nothing."""
        with contextlib.suppress(ConnectionError):
            await self._socket.send_str(orjson.dumps(document).decode())

    async def object_to(self, code: str) -> None:
        """Tell the client of an error."""
        await self._object(Problem(code=code, message="The server had an error."))

    async def end(self, *, code: int = 1001, reason: str = "") -> None:
        """Close properly."""
        self.is_open = False
        await self._socket.close(code=code, message=reason.encode())

    def drop(self) -> None:
        """Let the connection die without a word."""
        self.is_open = False
        if self._transport is not None:
            self._transport.abort()

    def stop_reading(self) -> None:
        """Leave the connection open and take nothing more from it, not even a ping."""
        if self._transport is not None:
            self._transport.pause_reading()

    @property
    def _language(self) -> str:
        return text_at(self.configuration, "audio", "input", "transcription", "language")

    async def _take(self, text: str) -> None:
        try:
            document = orjson.loads(text)
        except orjson.JSONDecodeError:
            document = {}
        kind = text_at(document, "type")
        handler = self._handlers.get(kind)
        if handler is not None:
            await handler(document)
            return
        supported = ", ".join(f"'{name}'" for name in self._handlers)
        message = f"Invalid value: '{kind}'. Supported values are: {supported}."
        await self._object(Problem(code="invalid_value", message=message, param="type"), document)

    async def _object(self, problem: Problem, document: Document | None = None) -> None:
        self.errors.append(problem)
        await self.send(wire.error(problem, event_id=at(document, "event_id")))

    async def _update(self, document: Document) -> None:
        if self.faults.session_errors:
            await self.object_to(self.faults.session_errors.pop(0))
            return
        given = document.get("session")
        spoken_as = text_at(self.configuration, "audio", "output", "voice") if self.answers else None
        problem = wire.session_problem(given, model=self.model, voice_in_use=spoken_as)
        if problem is not None or not isinstance(given, Mapping):
            await self._object(problem or Problem(code="invalid_type", message="No session."), document)
            return
        self.updates.append(given)
        self.configuration = wire.merged(self.configuration, given)
        silence_ms = at(self.configuration, "audio", "input", "turn_detection", "silence_duration_ms")
        self._detector.silence_ms = silence_ms if isinstance(silence_ms, int) else 500
        self._detector.keep = self.ear is not None
        await self.send({"type": "session.updated", "session": self.configuration})

    async def _append(self, document: Document) -> None:
        try:
            audio = binascii.a2b_base64(text_at(document, "audio"), strict_mode=True)
        except ValueError:
            message = "Invalid 'audio'. Expected base64-encoded audio bytes."
            await self._object(Problem(code="invalid_value", message=message, param="audio"), document)
            return
        self.appended_bytes += len(audio)
        if self._keeps_audio:
            self.appended += audio
        for event in self._detector.hear(audio):
            match event:
                case Started():
                    await self._speech_started(event)
                case Stopped():
                    await self._speech_stopped(event)

    async def _speech_started(self, event: Started) -> None:
        self._utterance_id = self.memory.new_id()
        told = {"audio_start_ms": event.at_ms, "item_id": self._utterance_id}
        await self.send({"type": "input_audio_buffer.speech_started", **told})
        if at(self.configuration, "audio", "input", "turn_detection", "interrupt_response") is not False:
            await self._cancel("turn_detected")

    async def _speech_stopped(self, event: Stopped) -> None:
        item = self.memory.add(Item(item_id=self._utterance_id, kind="customer", text=""))
        told = {"audio_end_ms": event.at_ms, "item_id": item.item_id}
        await self.send({"type": "input_audio_buffer.speech_stopped", **told})
        await self.send({"type": "input_audio_buffer.committed", "item_id": item.item_id, "previous_item_id": None})
        described = {"id": item.item_id, "type": "message", "role": "user", "content": [{"type": "input_audio"}]}
        await self.send({"type": "conversation.item.added", "item": described})
        words = self._start(self._understand(item, event))
        if at(self.configuration, "audio", "input", "turn_detection", "create_response") is not False:
            await self._answer_to(lambda: Spoken(text=item.text), after=words)

    async def _understand(self, item: Item, event: Stopped) -> None:
        if self.words:
            item.text = self.words.popleft()
        elif self.ear is not None:
            item.text = await asyncio.to_thread(self.ear, event.audio, self._language)
        await self.send(wire.transcribed(item.item_id, item.text))

    async def _create_item(self, document: Document) -> None:
        item = self.memory.take(document.get("item"))
        if item is None:
            message = "Invalid value for 'item'."
            await self._object(Problem(code="invalid_value", message=message, param="item"), document)
            return
        described = {**cast("Mapping[str, object]", document["item"]), "id": item.item_id}
        await self.send({"type": "conversation.item.added", "item": described})
        await self.send({"type": "conversation.item.done", "item": described})

    async def _delete_item(self, document: Document) -> None:
        item_id = text_at(document, "item_id")
        if self.memory.items.pop(item_id, None) is None:
            message = f"Error deleting item: the item with id '{item_id}' does not exist."
            await self._object(Problem(code="item_delete_invalid_item_id", message=message), document)
            return
        await self.send({"type": "conversation.item.deleted", "item_id": item_id})

    async def _truncate(self, document: Document) -> None:
        item_id = text_at(document, "item_id")
        place = {"content_index": document.get("content_index"), "audio_end_ms": document.get("audio_end_ms")}
        problem = self.memory.truncate(item_id, **place)
        if problem is not None:
            await self._object(problem, document)
            return
        await self.send({"type": "conversation.item.truncated", "item_id": item_id, **place})

    async def _respond(self, document: Document) -> None:
        given = text_at(document, "response", "instructions")
        beyond = given.removeprefix(text_at(self.configuration, "instructions")).strip()
        self.asked.append(beyond)
        await self._answer_to(lambda: Asked(instructions=beyond), instructions=given, document=document)

    async def _cancel_asked(self, document: Document) -> None:
        self.cancels += 1
        if not await self._cancel("client_cancelled"):
            message = "Cancellation failed: no active response found"
            await self._object(Problem(code="response_cancel_not_active", message=message), document)

    async def _cancel(self, reason: Literal["turn_detected", "client_cancelled"]) -> bool:
        answer, task = self.answer, self._answering
        if answer is None or task is None:
            return False
        task.cancel()
        await asyncio.wait([task])
        if answer.status == "in_progress":
            await answer.stop(reason)
        return True

    async def _answer_to(
        self,
        event: Callable[[], MindEvent],
        *,
        after: "asyncio.Task[None] | None" = None,
        instructions: str = "",
        document: Document | None = None,
    ) -> None:
        if self.answer is not None:
            message = f"Conversation already has an active response in progress: {self.answer.response_id}."
            await self._object(Problem(code="conversation_already_has_active_response", message=message), document)
            return
        answer = Answer(
            self.memory,
            self.send,
            self.faults,
            instructions=instructions or text_at(self.configuration, "instructions"),
            language=self._language,
            speed=self.speed,
        )
        self.answers.append(answer)
        self._answering = self._start(self._give(answer, event, after))

    async def _give(self, answer: Answer, event: Callable[[], MindEvent], after: "asyncio.Task[None] | None") -> None:
        await answer.begin()
        if after is not None:
            await asyncio.wait([after])
        actions = await self.mind.hear(self.view(), event())
        try:
            await answer.give(actions)
        except LineDiedError:
            self.drop()

    def _start(self, work: Coroutine[object, object, None]) -> "asyncio.Task[None]":
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task
