"""An ear for the simulated Realtime server: a Whisper model in a folder of the user's, run on this machine.

What runs it comes with the extra "listen" and is loaded only for whoever asks to be heard. Nothing is downloaded.
"""

import importlib
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import orjson

from gateway.errors import BadInputError
from gateway.simulator.realtime_session import Ear
from gateway.simulator.wav import RATE_HZ, mulaw_wav

PACKAGE: Final = "faster-whisper"
MODELS: Final = "faster-whisper-base or faster-whisper-small (docs/demo-listening.md)"
# Without its tokenizer.json the package would look for one on the Internet.
FILES: Final = ("model.bin", "tokenizer.json")
ANSWERED_LANGUAGES: Final = ("de", "en")  # what the offline model speaks, whatever the line expects
SURE: Final = 0.7  # below it a guessed language is less likely right than the line's own
# A caller waits: no second tries, and nothing said over and over.
_MANNER: Final[Mapping[str, object]] = {
    "beam_size": 1,
    "temperature": 0,
    "no_repeat_ngram_size": 3,
    "condition_on_previous_text": False,
    "without_timestamps": True,
    "vad_filter": True,
}
_TOKENS_MIN, _TOKENS_PER_S = 16, 10  # nobody speaks faster; it bounds what a noise is taken for


def load_ear(folder: Path) -> Ear:
    """Return an ear with the model in a folder.

    Raises BadInputError if the package is missing or the folder holds no model that it reads.
    """
    for name in FILES:
        if not (folder / name).is_file():
            raise _unusable(folder, f"{name} is missing")
    try:
        whisper = importlib.import_module("faster_whisper")
    except ImportError as error:
        raise BadInputError(
            f'listening needs the package {PACKAGE}, which the extra "listen" brings: {error}'
        ) from None
    try:
        orjson.loads((folder / "tokenizer.json").read_bytes())  # its reader's own error has no name
        model = whisper.WhisperModel(str(folder), device="cpu", compute_type="int8", local_files_only=True)
    except orjson.JSONDecodeError:
        raise _unusable(folder, "tokenizer.json is incomplete") from None
    except (OSError, RuntimeError, ValueError) as error:
        raise _unusable(folder, str(error)) from None

    def hear(audio: bytes, language: str) -> str:
        return _words(model, audio, language)

    return hear


def _unusable(folder: Path, problem: str) -> BadInputError:
    return BadInputError(f"{folder} is no model for {PACKAGE}: {problem}; one that works is {MODELS}")


def _words(model: Any, audio: bytes, expected: str) -> str:  # noqa: ANN401 - of a package that need not be there
    """Return what was said, "" for nothing; in the expected language unless it clearly is another that is answered."""
    wav, tokens_max = mulaw_wav(audio), _TOKENS_MIN + _TOKENS_PER_S * len(audio) // RATE_HZ

    def transcribe(language: str | None) -> tuple[Any, Any]:
        said: tuple[Any, Any] = model.transcribe(
            io.BytesIO(wav), language=language, max_new_tokens=tokens_max, **_MANNER
        )
        return said

    segments, found = transcribe(None)  # segments are made when they are read
    is_sure = found.language in ANSWERED_LANGUAGES and found.language_probability >= SURE
    if not is_sure and expected != found.language and expected in model.supported_languages:
        segments, _found = transcribe(expected)
    return "".join(segment.text for segment in segments).strip()
