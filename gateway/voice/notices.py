"""What a caller hears without a model: spoken once by wording and voice, kept, and played from there.

So a call can be ended, held or forwarded in words when there is no engine, and no credit, left to speak them.
"""

import asyncio
import contextlib
import hashlib
import json
import weakref
from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Final, Literal
from uuid import UUID

import structlog

from agents.agent import AgentConfiguration
from agents.disclosure import opening_text
from agents.errors import ConfigurationError, ModelError
from agents.model import Speaker
from agents.store import read_agent, read_version
from agents.texts import VOICE_TEXTS
from gateway.db import transaction_is_open
from gateway.services import Services
from gateway.voice.audio import notice_audio
from gateway.voice.call import Call

NoticeKind = Literal[
    "greeting",
    "goodbye",
    "idle",
    "filler",
    "filler_again",
    "connecting",
    "not_reached",
    "credits_ended",
    "too_long",
    "technical",
    "unavailable",
    "recording_question",
    "whisper",
]

SPEAK_S: Final = 15.0
AT_ONCE_S: Final = 10.0
SPOKEN_AT_ONCE: Final = 4
SPEECH_HZ: Final = 24_000
MADE_AS: Final = "1"  # raised when the same words would come to sound otherwise: then they are made anew
USED_AGAIN_AFTER: Final = timedelta(days=1)

log = structlog.get_logger(__name__)

_SETTING: Final[Mapping[NoticeKind, str]] = {
    "goodbye": "goodbye_text",
    "idle": "idle_text",
    "connecting": "connecting_text",
    "not_reached": "not_reached_text",
    "credits_ended": "credits_end_text",
    "too_long": "too_long_text",
    "technical": "technical_text",
    "unavailable": "unavailable_text",
    "recording_question": "recording_text",
    "whisper": "whisper_text",
}
_FILLERS: Final[Mapping[NoticeKind, int]] = {"filler": 0, "filler_again": 1}
# These two are said by Twilio itself: no stream is there to play them into.
_IN_THE_STREAM: Final[tuple[NoticeKind, ...]] = tuple(
    kind for kind in ("greeting", *_FILLERS, *_SETTING) if kind not in ("unavailable", "whisper")
)


class Shelf:
    """Notices that calls of this process play right now: who has the same words shares their audio."""

    def __init__(self) -> None:
        self._sets: weakref.WeakValueDictionary[tuple[UUID, frozenset[bytes]], Notices] = weakref.WeakValueDictionary()

    def find(self, tenant_id: UUID, hashes: Iterable[bytes]) -> "Notices | None":
        return self._sets.get((tenant_id, frozenset(hashes)))

    def put(self, tenant_id: UUID, hashes: Iterable[bytes], notices: "Notices") -> None:
        self._sets[tenant_id, frozenset(hashes)] = notices


class Notices(dict[NoticeKind, bytes]):
    """Audio by kind: mu-law, 8 kHz."""


def text_of(kind: NoticeKind, configuration: AgentConfiguration) -> str:
    """Return a notice's words, the owner's or ours; empty only for a filler that the owner does not want."""
    if kind == "greeting":
        return opening_text(configuration)
    if kind in _FILLERS:
        fillers = configuration.voice.filler_texts
        return fillers[_FILLERS[kind]] if len(fillers) > _FILLERS[kind] else ""
    name = _SETTING[kind]
    own: str = getattr(configuration.voice, name)
    return own or VOICE_TEXTS[name][configuration.language]


async def prepare(services: Services, speaker: Speaker, call: Call) -> None:
    """Have the notices of a call spoken that are not there yet. What cannot be spoken now is left out."""
    await prepare_all(services, speaker, call.tenant_id, call.configuration)


async def prepare_at_once(services: Services, tenant_id: UUID, agent_id: UUID, *, within_s: float = AT_ONCE_S) -> None:
    """Prepare an agent that was just published, for some seconds at most: what is missing then its first call makes."""
    if services.settings.openai_api_key is None:
        return
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(within_s):
            await prepare_published(services, services.speaker, tenant_id, agent_id)


async def prepare_published(services: Services, speaker: Speaker, tenant_id: UUID, agent_id: UUID) -> None:
    """Have an agent's notices spoken as soon as it is published, if it answers a phone: the first call has them."""
    async with services.db.transaction(tenant_id) as connection:
        answers_phone = await connection.fetchval(
            """SELECT EXISTS (SELECT FROM line WHERE tenant_id = $1 AND agent_id = $2 AND 'voice' = ANY (channels)
                                               AND state <> 'released')""",
            tenant_id,
            agent_id,
        )
        agent = await read_agent(connection, tenant_id, agent_id)
        if not answers_phone or agent is None or agent.published_version is None:
            return
        try:
            configuration = await read_version(connection, tenant_id, agent_id, agent.published_version)
        except ConfigurationError:
            return
    await prepare_all(services, speaker, tenant_id, configuration.on_channel("voice"))


async def prepare_all(services: Services, speaker: Speaker, tenant_id: UUID, configuration: AgentConfiguration) -> None:
    """Have an agent's notices spoken that are not there yet. With Twilio's own voice there is nothing to prepare."""
    if transaction_is_open():
        raise AssertionError("no vendor is awaited inside a transaction")
    if configuration.voice.engine != "realtime":
        return
    wanted = {notice_hash(text, configuration): text for text in _texts(configuration).values()}
    async with services.db.transaction(tenant_id) as connection:
        there = await connection.fetch(
            "SELECT notice_hash FROM voice_notice WHERE tenant_id = $1 AND notice_hash = ANY ($2)",
            tenant_id,
            list(wanted),
        )
    missing = wanted.keys() - {row["notice_hash"] for row in there}
    room = asyncio.Semaphore(SPOKEN_AT_ONCE)

    async def make(digest: bytes) -> None:
        async with room:
            audio = await _spoken(speaker, wanted[digest], configuration)
        if audio is not None:
            await _keep(services, tenant_id, digest, audio)

    async with asyncio.TaskGroup() as group:
        for digest in missing:
            group.create_task(make(digest))


async def load(services: Services, call: Call, shelf: Shelf | None = None) -> Mapping[NoticeKind, bytes]:
    """Return the call's notices that are there; a kind without audio is missing. Calls share them on a shelf."""
    texts = _texts(call.configuration)
    digests = {kind: notice_hash(text, call.configuration) for kind, text in texts.items()}
    shared = None if shelf is None else shelf.find(call.tenant_id, digests.values())
    if shared is not None:
        return shared
    now = services.now()
    async with services.db.transaction(call.tenant_id, durable=False) as connection:
        rows = await connection.fetch(
            """WITH used AS (
                 UPDATE voice_notice SET last_used_at = $3
                 WHERE tenant_id = $1 AND notice_hash = ANY ($2) AND last_used_at < $4)
               SELECT notice_hash, audio FROM voice_notice WHERE tenant_id = $1 AND notice_hash = ANY ($2)""",
            call.tenant_id,
            list(set(digests.values())),
            now,
            now - USED_AGAIN_AFTER,
        )
    audio = {row["notice_hash"]: row["audio"] for row in rows}
    notices = Notices({kind: audio[digest] for kind, digest in digests.items() if digest in audio})
    if shelf is not None and len(notices) == len(digests):
        shelf.put(call.tenant_id, digests.values(), notices)
    return notices


def notice_hash(text: str, configuration: AgentConfiguration) -> bytes:
    """Return what a wording in a voice is kept under."""
    spoken = [text, configuration.voice.voice, configuration.language, MADE_AS]
    return hashlib.sha256(json.dumps(spoken).encode()).digest()


def _texts(configuration: AgentConfiguration) -> dict[NoticeKind, str]:
    """Return the words of what is played into a stream; a recording is asked for only by those who want one."""
    kinds = (kind for kind in _IN_THE_STREAM if kind != "recording_question" or configuration.voice.recording == "ask")
    return {kind: text for kind in kinds if (text := text_of(kind, configuration))}


async def _spoken(speaker: Speaker, text: str, configuration: AgentConfiguration) -> bytes | None:
    """Return a wording as telephone audio; None if it cannot be had now."""
    voice, language = configuration.voice.voice, configuration.language
    try:
        speech = await speaker.speak(text, voice=voice, language=language, timeout_s=SPEAK_S)
    except ModelError as error:
        log.warning("notice_not_spoken", reason=error.reason)
        return None
    return await asyncio.to_thread(notice_audio, speech, SPEECH_HZ)


async def _keep(services: Services, tenant_id: UUID, digest: bytes, audio: bytes) -> None:
    async with services.db.transaction(tenant_id) as connection:
        await connection.execute(
            """INSERT INTO voice_notice (tenant_id, notice_hash, audio, created_at, last_used_at)
               VALUES ($1, $2, $3, $4, $4) ON CONFLICT (tenant_id, notice_hash) DO NOTHING""",
            tenant_id,
            digest,
            audio,
            services.now(),
        )
