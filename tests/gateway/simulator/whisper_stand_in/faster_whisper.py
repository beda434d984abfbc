"""The recogniser's package as far as an ear uses it; its models are JSON that says what they hear.

A model is `{"guess": [language, probability], "words": {language: words}}`.
"""

import json
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

MULAW_MONO_8_KHZ = (7, 1, 8000, 8000, 1, 8)


@dataclass(frozen=True)
class Segment:
    text: str


@dataclass(frozen=True)
class TranscriptionInfo:
    language: str
    language_probability: float


class WhisperModel:
    """Hears the words of its model in anything that is not silent."""

    def __init__(self, folder: str, *, device: str, compute_type: str, local_files_only: bool) -> None:
        assert (device, compute_type, local_files_only) == ("cpu", "int8", True)
        try:
            told = json.loads((Path(folder) / "model.bin").read_bytes())
        except ValueError:
            raise RuntimeError("File model.bin is incomplete") from None
        self._guess: tuple[str, float] = tuple(told["guess"])
        self._words: dict[str, str] = told["words"]

    @property
    def supported_languages(self) -> list[str]:
        return list(self._words)

    def transcribe(
        self, audio: BinaryIO, *, language: str | None, max_new_tokens: int, **_manner: object
    ) -> tuple[Iterator[Segment], TranscriptionInfo]:
        heard = _samples(audio.read()).strip(b"\xff")
        guess, probability = self._guess if language is None else (language, 1.0)
        words = self._words[guess].split()[:max_new_tokens] if heard else []
        return (Segment(f" {word}") for word in words), TranscriptionInfo(guess, probability)


def _samples(wav: bytes) -> bytes:
    riff, size, kind, _format, length = struct.unpack_from("<4sI4s4sI", wav)
    assert (riff, size, kind) == (b"RIFF", len(wav) - 8, b"WAVE")
    assert struct.unpack_from("<HHIIHH", wav, 20) == MULAW_MONO_8_KHZ
    data, samples = struct.unpack_from("<4sI", wav, 20 + length)
    assert (data, samples) == (b"data", len(wav) - 28 - length)
    return wav[28 + length :]
