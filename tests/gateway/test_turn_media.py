"""Pictures and voice notes are had once; what cannot be had is said, and not tried or paid for again."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from uuid import UUID

import aiohttp
import pytest

from agents.openai_model import OpenAIModel
from gateway import work_queue
from gateway.channels.whatsapp.client import MetaChannel
from gateway.simulator.meta import FakeMeta, Media
from gateway.simulator.meta_wire import Business
from gateway.simulator.openai_chat import FakeOpenAI, Said
from gateway.turn_begin import RunningTurn, begin, channel_of
from gateway.turn_media import Medium, images_of, media_of, text_with_media
from tests.gateway.mailroom import OF_ACME, Mailroom
from tests.stories.test_media import opus

TOKEN = "studio-token"
JPEG = b"\xff\xd8\xff\xe0 a picture"
PICTURE = {"id": "1", "mime_type": "image/jpeg"}
NOTE = {"id": "2", "mime_type": "audio/ogg; codecs=opus", "voice": True}


@dataclass
class Studio:
    """Acme's inbox, a Meta that has files, and a model that listens."""

    room: Mailroom
    meta: FakeMeta
    model: FakeOpenAI

    def upload(self, reference: Mapping[str, object], content: bytes) -> dict[str, object]:
        media = self.meta.media[str(reference["id"])] = Media(mime_type=str(reference["mime_type"]), content=content)
        return {**reference, "sha256": media.sha256}

    async def send_note(self, content: bytes) -> None:
        await self.room.receive(self.room.message(1, "audio", audio=self.upload(NOTE, content)))

    async def send_picture(self, content: bytes = JPEG, *, caption: str = "") -> None:
        image = {**self.upload(PICTURE, content), "caption": caption}
        await self.room.receive(self.room.message(2, "image", image=image))

    async def begun(self) -> RunningTurn:
        self.room.clock.advance(seconds=60)
        now = self.room.clock.now()
        async with self.room.services.db.queue() as connection:
            [lease] = await work_queue.claim_conversations(
                connection, now=now, lease_until=now + timedelta(seconds=30), limit=1
            )
        turn = await begin(self.room.services, lease)
        assert turn is not None
        return turn

    async def media(self, turn: RunningTurn) -> Mapping[UUID, Sequence[Medium]]:
        channel, line = channel_of(self.room.services, turn.scene)
        return await media_of(self.room.services, turn.tenant_id, channel, line, turn.messages, language="de")

    async def read(self) -> str:
        """Return what the agent reads of the one message, as one attempt after the other sees it."""
        turn = await self.begun()
        media = await self.media(turn)
        [message] = turn.messages
        return text_with_media(message, media.get(message.message_id, ()), "de")


@pytest.fixture
async def studio(mailroom: Mailroom) -> AsyncIterator[Studio]:
    business = Business(phone_number_id=OF_ACME, display_number="+49151")
    meta = FakeMeta(webhook_url="", app_secret="", token=TOKEN, businesses=[business])
    model = FakeOpenAI(lambda _request: Said(text="Ja."), ear=lambda _content: "Was kostet das?")
    async with meta.running() as meta_url, model.running() as model_url, aiohttp.ClientSession() as http:
        transcriber = OpenAIModel("t", model_url)
        mailroom.services = replace(
            mailroom.services, transcriber=transcriber, channels={"meta": MetaChannel(http, meta_url, TOKEN)}
        )
        yield Studio(room=mailroom, meta=meta, model=model)
        await transcriber.close()


async def test_a_voice_note_is_listened_to_once_however_often_its_turn_is_begun(studio: Studio) -> None:
    await studio.send_note(opus(4))
    assert [await studio.read(), await studio.read()] == ["Was kostet das?"] * 2
    assert studio.model.transcribed == 1


async def test_a_voice_note_that_nobody_understood_is_not_paid_for_again(studio: Studio) -> None:
    studio.model.ear = lambda _content: "  "
    await studio.send_note(opus(4))
    lost = "[Sprachnachricht, konnte nicht abgehört werden]"
    assert [await studio.read(), await studio.read()] == [lost, lost]
    assert studio.model.transcribed == 1


async def test_a_voice_note_is_told_as_lost_when_no_model_listens(studio: Studio) -> None:
    studio.model.faults.down = True
    await studio.send_note(opus(4))
    assert await studio.read() == "[Sprachnachricht, konnte nicht abgehört werden]"
    [row] = await studio.room.rows("SELECT state, failure FROM message_media")
    assert row == {"state": "failed", "failure": "not_transcribed"}


async def test_a_voice_note_that_is_too_long_is_not_listened_to(studio: Studio) -> None:
    await studio.send_note(opus(301))
    assert await studio.read() == "[Sprachnachricht, zu lang: höchstens 5 Minuten]"
    assert studio.model.transcribed == 0


async def test_a_new_picture_is_shown_with_its_caption(studio: Studio) -> None:
    await studio.send_picture(caption="So ein Schnitt?")
    turn = await studio.begun()
    [message] = turn.messages
    own = (await studio.media(turn))[message.message_id]
    assert [(image.mime_type, image.content) for image in images_of(own)] == [("image/jpeg", JPEG)]
    assert text_with_media(message, own, "de") == "[image] So ein Schnitt?"


@pytest.mark.parametrize("fault", ["missing", "too_large", "another_file"])
async def test_a_picture_that_cannot_be_had_is_told_beside_its_caption(studio: Studio, fault: str) -> None:
    content = b"\xff\xd8\xff\xe0" + bytes(5 * 1024 * 1024) if fault == "too_large" else JPEG
    await studio.send_picture(content, caption="So ein Schnitt?")
    if fault == "missing":
        studio.meta.faults.media_missing = True
    elif fault == "another_file":
        studio.meta.media["1"] = Media(mime_type="image/jpeg", content=b"\xff\xd8\xff\xe0 not what was sent")
    assert await studio.read() == "[image] So ein Schnitt?\n[Bild, konnte nicht geladen werden]"


async def test_a_picture_of_an_answered_message_is_fetched_no_more(studio: Studio) -> None:
    await studio.send_picture()
    await studio.room.rows("UPDATE message SET turn_id = $1", studio.room.services.new_id())
    await studio.room.receive(studio.room.text(3))
    turn = await studio.begun()
    assert await studio.media(turn) == {}
