"""The offline model's ear: what it takes speech for, and what it says of folders that it cannot use.

Its package is no part of the tests' environment: a module that has the same interface stands in for it. Where the
package is installed and TURNMETER_TEST_WHISPER names a folder with a model, real speech is listened to as well.
"""

import os
import re
import sys
import wave
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest

from gateway.errors import BadInputError
from gateway.simulator.recogniser import load_ear
from gateway.simulator.speech import spoken
from gateway.voice.audio import encode_mulaw

STAND_IN = Path(__file__).parent / "whisper_stand_in"
RECORDED = Path(__file__).parents[4] / "shared" / "data" / "audio"
SPEECH = spoken("Haben Sie morgen noch etwas frei?", "de")
SILENCE = bytes([0xFF]) * 8000
WORDS = {"de": "Haben Sie morgen frei?", "en": "Have you any time tomorrow?", "pl": "Czy jest wolny termin?"}

SAID = {
    "en_jfk": ["my fellow america", "your country"],
    "en_synth_05": ["hello", "table", "saturday evening"],
    "en_synth_06": ["move my appointment", "tuesday morning"],
}


def installed(path: Path) -> Iterator[None]:
    """Have a module of the package's name found here, for a while."""
    known = {name: module for name, module in sys.modules.items() if name.partition(".")[0] == "faster_whisper"}
    for name in known:
        del sys.modules[name]
    sys.path.insert(0, str(path))
    try:
        yield
    finally:
        sys.path.remove(str(path))
        sys.modules.pop("faster_whisper", None)
        sys.modules.update(known)


@pytest.fixture
def stand_in() -> Iterator[None]:
    yield from installed(STAND_IN)


@pytest.fixture
def broken_package(tmp_path: Path) -> Iterator[None]:
    (tmp_path / "faster_whisper.py").write_text("import ctranslate2_is_not_here\n")
    yield from installed(tmp_path)


def model(folder: Path, guess: str, probability: float, **words: str) -> Path:
    (folder / "model.bin").write_bytes(orjson.dumps({"guess": [guess, probability], "words": words or WORDS}))
    (folder / "tokenizer.json").write_text("{}")
    return folder


@pytest.mark.parametrize(
    ("guess", "probability", "expected", "heard"),
    [
        ("de", 0.99, "de", "de"),
        ("en", 0.95, "de", "en"),  # a caller may speak the other language that the offline model answers in
        ("de", 0.95, "en", "de"),
        ("en", 0.62, "de", "de"),  # "Ja." could be anything
        ("pl", 0.95, "de", "de"),  # nobody would answer it
        ("pl", 0.95, "pl", "pl"),  # unless that is the line's language
        ("pl", 0.95, "fr", "pl"),  # of a language that it does not know the model keeps its guess
        ("de", 0.40, "", "de"),  # nothing was expected
    ],
)
@pytest.mark.usefixtures("stand_in")
def test_speech_is_taken_for_the_lines_language_or_clearly_another(
    tmp_path: Path, guess: str, probability: float, expected: str, heard: str
) -> None:
    ear = load_ear(model(tmp_path, guess, probability))
    assert ear(SPEECH, expected) == WORDS[heard]


@pytest.mark.usefixtures("stand_in")
def test_where_nobody_spoke_nothing_is_heard(tmp_path: Path) -> None:
    ear = load_ear(model(tmp_path, "de", 0.9))
    assert ear(SILENCE, "de") == ear(b"", "de") == ""


@pytest.mark.usefixtures("stand_in")
def test_a_noise_is_not_taken_for_a_speech(tmp_path: Path) -> None:
    ear = load_ear(model(tmp_path, "de", 0.9, de="äh " * 400))
    assert len(ear(SPEECH, "de").split()) < 60


@pytest.mark.parametrize("missing", ["model.bin", "tokenizer.json"])
@pytest.mark.usefixtures("stand_in")
def test_a_folder_without_a_file_that_would_be_looked_for_elsewhere_is_refused(tmp_path: Path, missing: str) -> None:
    (model(tmp_path, "de", 0.9) / missing).unlink()
    with pytest.raises(BadInputError, match=f"{re.escape(str(tmp_path))}.*{missing} is missing.*faster-whisper-base"):
        load_ear(tmp_path)


@pytest.mark.parametrize("name", ["model.bin", "tokenizer.json"])
@pytest.mark.usefixtures("stand_in")
def test_a_file_that_was_cut_short_is_refused(tmp_path: Path, name: str) -> None:
    (model(tmp_path, "de", 0.9) / name).write_text('{"a":')
    with pytest.raises(BadInputError, match=f"{name} is incomplete"):
        load_ear(tmp_path)


@pytest.mark.usefixtures("broken_package")
def test_without_the_package_it_is_said_what_brings_it(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match=r'needs the package faster-whisper.*extra "listen"'):
        load_ear(model(tmp_path, "de", 0.9))


@pytest.mark.filterwarnings("default")
def test_real_speech_is_understood_over_the_telephone() -> None:
    folder = os.environ.get("TURNMETER_TEST_WHISPER")
    if folder is None or not RECORDED.exists():
        pytest.skip("no model was named, or the recordings are not here")
    ear = load_ear(Path(folder))
    for recording, words in SAID.items():
        with wave.open(str(RECORDED / f"{recording}.wav")) as file:
            audio = encode_mulaw(file.readframes(file.getnframes()))
        heard = ear(audio, "de").lower()
        assert [word for word in words if word not in heard] == []
