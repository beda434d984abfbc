"""The simulated model server, as far as it speaks."""

import pytest

from agents.errors import ModelRefusedError, ModelUnavailableError
from agents.openai_model import OpenAIModel
from gateway.simulator.openai_chat import FakeOpenAI, Said
from gateway.simulator.speech import spoken
from gateway.simulator.speech_detection import loudness
from gateway.voice.audio import notice_audio

NOTICE = "Ihr Guthaben ist aufgebraucht. Auf Wiederhören."


@pytest.mark.parametrize("language", ["de", "en-GB"])
async def test_a_notice_is_spoken_in_its_language_and_lasts_as_long_as_on_the_phone(language: str) -> None:
    fake = FakeOpenAI(lambda _request: Said())
    async with fake.running() as url:
        model = OpenAIModel("sk-1", url)
        samples = await model.speak(NOTICE, voice="marin", language=language, timeout_s=30)
        await model.close()
    audio = notice_audio(samples, 24_000)
    assert fake.spoken == [NOTICE]
    assert 30 < loudness(audio) < 90
    assert len(audio) >= len(spoken(NOTICE, language))  # its pauses are whole
    assert len(audio) < 2 * len(spoken(NOTICE, language))


async def test_a_server_that_is_down_speaks_no_more_than_it_writes() -> None:
    fake = FakeOpenAI(lambda _request: Said())
    fake.faults.down = True
    async with fake.running() as url:
        model = OpenAIModel("sk-1", url)
        with pytest.raises(ModelUnavailableError):
            await model.speak(NOTICE, voice="marin", language="de", timeout_s=30)
        await model.close()


async def test_a_voice_is_needed() -> None:
    fake = FakeOpenAI(lambda _request: Said())
    async with fake.running() as url:
        model = OpenAIModel("sk-1", url)
        with pytest.raises(ModelRefusedError):
            await model.speak(NOTICE, voice="", language="de", timeout_s=30)
        await model.close()
