"""Notices are spoken once, kept, and played from there."""

import asyncio
import dataclasses
import gc
from dataclasses import dataclass, field
from datetime import timedelta

import pytest

from agents.agent import parse_agent
from agents.errors import ModelUnavailableError
from agents.texts import VOICE_TEXTS
from gateway.sweeps import housekeep
from gateway.voice.audio import SILENCE
from gateway.voice.notices import NoticeKind, Shelf, load, prepare, prepare_at_once, prepare_published, text_of
from tests.conftest import Clock
from tests.gateway.voice.a_call import SALON, Salon

IN_THE_STREAM = {
    "greeting",
    "filler",
    "filler_again",
    "goodbye",
    "idle",
    "connecting",
    "not_reached",
    "credits_ended",
    "too_long",
    "technical",
}


@dataclass
class Voice:
    """Speaks 100 ms for every text, but for those it cannot."""

    dumb: tuple[str, ...] = ()
    spoken: list[str] = field(default_factory=list)
    at_once: int = 0
    most_at_once: int = 0

    async def speak(self, text: str, *, voice: str, language: str, timeout_s: float) -> bytes:
        assert (voice, language) == ("marin", "de")
        assert timeout_s > 0
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        await asyncio.sleep(0.001)
        self.at_once -= 1
        if text in self.dumb:
            raise ModelUnavailableError("timeout")
        self.spoken.append(text)
        return b"\x00\x00" * 2400


class Hanging:
    """Never says anything."""

    async def speak(self, text: str, *, voice: str, language: str, timeout_s: float) -> bytes:
        del text, voice, language, timeout_s
        await asyncio.Event().wait()
        raise AssertionError


async def test_a_call_finds_what_was_spoken_for_one_before(salon: Salon) -> None:
    voice, call = Voice(), await salon.rings()
    assert await load(salon.services, call) == {}
    await prepare(salon.services, voice, call)
    notices = await load(salon.services, await salon.rings())
    assert set(notices) == IN_THE_STREAM
    assert set(notices.values()) == {bytes([SILENCE]) * 800}
    assert "Guten Tag, hier ist die KI vom Salon." in voice.spoken
    assert voice.most_at_once == 4
    await prepare(salon.services, voice, call)
    assert len(voice.spoken) == len(IN_THE_STREAM)


async def test_other_words_another_voice_or_another_language_are_spoken_anew(salon: Salon) -> None:
    voice = Voice()
    await prepare(salon.services, voice, await salon.rings())
    await salon.publish(voice={"goodbye_text": "Tschüss!"})
    before, call = len(voice.spoken), await salon.rings()
    assert "goodbye" not in await load(salon.services, call)
    await prepare(salon.services, voice, call)
    assert voice.spoken[before:] == ["Tschüss!"]
    await salon.publish(voice={"voice": "cedar"})
    assert await load(salon.services, await salon.rings()) == {}


async def test_what_cannot_be_spoken_now_is_left_out_and_tried_again_later(salon: Salon) -> None:
    call = await salon.rings()
    goodbye = text_of("goodbye", call.configuration)
    await prepare(salon.services, Voice(dumb=(goodbye,)), call)
    assert set(await load(salon.services, call)) == IN_THE_STREAM - {"goodbye"}
    voice = Voice()
    await prepare(salon.services, voice, call)
    assert voice.spoken == [goodbye]


async def test_the_question_about_a_recording_is_spoken_only_if_it_will_be_asked(salon: Salon) -> None:
    await salon.publish(voice={"recording": "ask", "filler_texts": ["Moment."]})
    call = await salon.rings()
    await prepare(salon.services, Voice(), call)
    assert set(await load(salon.services, call)) == IN_THE_STREAM - {"filler_again"} | {"recording_question"}


async def test_calls_at_the_same_time_share_the_audio_and_it_goes_with_the_last(salon: Salon) -> None:
    shelf, call = Shelf(), await salon.rings()
    await prepare(salon.services, Voice(), call)
    first = await load(salon.services, call, shelf)
    assert await load(salon.services, await salon.rings(), shelf) is first
    await salon.publish(voice={"voice": "cedar"})
    other = await salon.rings()
    assert await load(salon.services, other, shelf) == {}
    await salon.do("DELETE FROM voice_notice")
    assert await load(salon.services, call, shelf) is first
    del first
    gc.collect()
    assert await load(salon.services, call, shelf) == {}


async def test_a_published_agent_that_answers_a_phone_is_prepared_for_its_first_call(salon: Salon) -> None:
    voice = Voice()
    await prepare_published(salon.services, voice, salon.tenant_id, salon.agent_id)
    assert set(await load(salon.services, await salon.rings())) == IN_THE_STREAM


async def test_nothing_is_spoken_for_an_agent_that_answers_no_phone_or_speaks_with_twilios_voice(salon: Salon) -> None:
    voice = Voice()
    await salon.publish(voice={"engine": "conversation_relay"})
    await prepare_published(salon.services, voice, salon.tenant_id, salon.agent_id)
    await salon.publish()
    await salon.do("UPDATE line SET channels = '{whatsapp}'")
    await prepare_published(salon.services, voice, salon.tenant_id, salon.agent_id)
    await prepare_published(salon.services, voice, salon.tenant_id, salon.services.new_id())
    assert voice.spoken == []


async def test_nothing_is_spoken_inside_a_transaction(salon: Salon) -> None:
    call = await salon.rings()
    async with salon.services.db.transaction(salon.tenant_id):
        with pytest.raises(AssertionError, match="no vendor"):
            await prepare(salon.services, Voice(), call)


async def test_what_was_not_used_for_ninety_days_goes_and_what_is_used_stays(salon: Salon, clock: Clock) -> None:
    call = await salon.rings()
    await prepare(salon.services, Voice(), call)
    begun = clock.now()
    clock.advance(seconds=3600)
    await load(salon.services, call)
    assert (await salon.row("SELECT max(last_used_at) AS at FROM voice_notice"))["at"] == begun  # not more than daily
    clock.advance(seconds=60 * 86_400)
    await load(salon.services, call)
    clock.advance(seconds=60 * 86_400)
    await housekeep(salon.services)
    assert set(await load(salon.services, call)) == IN_THE_STREAM
    clock.at += timedelta(days=91)
    await housekeep(salon.services)
    assert await salon.rows("SELECT FROM voice_notice") == []


@pytest.mark.parametrize("language", ["de", "en"])
def test_every_notice_has_words_in_every_language_and_the_owners_come_first(language: str) -> None:
    agent = parse_agent({**SALON, "language": language})
    kinds: list[NoticeKind] = [
        "greeting", "filler", "filler_again", "goodbye", "idle", "connecting", "not_reached", "credits_ended",
        "too_long", "technical", "unavailable", "recording_question", "whisper",
    ]  # fmt: skip
    words = [text_of(kind, agent) for kind in kinds]
    assert all(words)
    assert len(set(words)) == len(kinds)
    assert text_of("whisper", agent) == VOICE_TEXTS["whisper_text"]["de" if language == "de" else "en"]
    assert text_of("idle", parse_agent({**SALON, "voice": {"idle_text": "Hallo?"}})) == "Hallo?"


def test_no_notice_speaks_of_credits() -> None:
    for texts in VOICE_TEXTS.values():
        assert not any(word in text.casefold() for text in texts.values() for word in ("credit", "guthaben", "kosten"))


async def test_publishing_prepares_at_once_where_there_is_a_key_and_is_not_kept_waiting_by_a_vendor(
    salon: Salon,
) -> None:
    voice = Voice()
    services = dataclasses.replace(salon.services, speaker=voice)
    await prepare_at_once(services, salon.tenant_id, salon.agent_id)
    assert voice.spoken == [], "without a key nobody is asked"
    keyed = services.settings.model_copy(update={"openai_api_key": "sk-test"})
    await prepare_at_once(dataclasses.replace(services, settings=keyed), salon.tenant_id, salon.agent_id)
    assert set(await load(services, await salon.rings())) == IN_THE_STREAM
    hanging = dataclasses.replace(services, settings=keyed, speaker=Hanging())
    await salon.publish(voice={"voice": "cedar"})
    await prepare_at_once(hanging, salon.tenant_id, salon.agent_id, within_s=0.05)
