"""Where nothing is recorded, nothing is: no sound of a call gets to the disk, by a file or by a row."""

import base64
import contextlib
import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from gateway.logs import configure_logs
from gateway.simulator.speech import spoken
from tests.stories.speech import GREETING, SPEAKS, opened_telephone
from tests.stories.world import World

ANSWER = "Um neun Uhr öffnet der Salon."
PIECE = 48  # bytes, a multiple of three: enough to be nothing else
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT


class Opened:
    """The files that this process opens for writing; a hook can be set but never be taken away, so it is shared."""

    watching = False
    paths: list[str] = []  # noqa: RUF012 - shared on purpose

    @classmethod
    def hook(cls, event: str, arguments: tuple[object, ...]) -> None:
        if cls.watching and event == "open":
            path, mode, flags = arguments
            if (isinstance(mode, str) and set(mode) & set("wax+")) or (isinstance(flags, int) and flags & WRITES):
                cls.paths.append(str(path))


sys.addaudithook(Opened.hook)


@contextlib.contextmanager
def watched_files() -> Iterator[list[str]]:
    Opened.paths, Opened.watching = [], True
    try:
        yield Opened.paths
    finally:
        Opened.watching = False


def pieces(mulaw: bytes) -> list[bytes]:
    """Return pieces of audio that are like nothing else."""
    cut = [mulaw[at : at + PIECE] for at in range(0, len(mulaw) - PIECE, PIECE)]
    return [piece for piece in cut if len(set(piece)) > PIECE // 4][:200]


async def rows_of_everything(world: World) -> Mapping[str, str]:
    """Return every row that there is, as text, by its table."""
    tables = await world.rows(
        "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public' AND table_type = 'BASE TABLE'"
        " AND has_table_privilege(quote_ident(table_name), 'SELECT')"
    )
    found = {}
    for table in tables:
        name = str(table["table_name"])
        rows = await world.rows(f'SELECT kept::text AS kept FROM "{name}" AS kept')
        found[name] = "\n".join(str(row["kept"]) for row in rows)
    return found


def holding(kept: Mapping[str, str], mulaw: bytes) -> set[str]:
    """Return the tables that hold some of the audio, as bytes or in base64."""
    looks = [form for piece in pieces(mulaw) for form in (piece.hex(), base64.b64encode(piece).decode())]
    assert looks
    return {name for name, text in kept.items() if any(look in text for look in looks)}


def files_holding(folder: Path, mulaw: bytes) -> list[Path]:
    contents = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    return [path for path, content in contents.items() if any(piece in content for piece in pieces(mulaw))]


@pytest.mark.parametrize(
    "voice", [(), ('recording = "ask"', 'recording_text = "Aufzeichnen?"')], ids=["none", "asked, and no yes"]
)
async def test_no_sound_of_a_call_that_is_not_recorded_gets_to_the_disk(
    database_url: str, tmp_path: Path, voice: tuple[str, ...]
) -> None:
    configure_logs()
    async with opened_telephone(database_url, tmp_path, ANSWER, ANSWER, voice=voice) as telephone:
        world = telephone.world
        with watched_files() as written:
            call = await telephone.ring()
            await telephone.say(call, "Nein, wann öffnen Sie?")
            await telephone.listening(answers=2)
            await call.hang_up()
            row = await telephone.over(call)
        assert written == []
        kept = await rows_of_everything(world)
        assert {"call", "message", "voice_notice"} <= kept.keys()
        assert ANSWER in kept["message"]
        assert holding(kept, spoken(GREETING, "de")) <= {"voice_notice"}
        assert holding(kept, spoken(ANSWER, "de")) == set()
        assert holding(kept, call.heard_audio[-8_000:]) == set()
        assert holding(kept, SPEAKS) == set()
        assert files_holding(tmp_path, SPEAKS) == files_holding(tmp_path, spoken(ANSWER, "de")) == []
        assert row["recording"] == ("none" if not voice else "refused")
        assert row["recording_consent_at"] is None
        assert not row["recording_sid"]


def test_what_looks_for_sound_finds_it(tmp_path: Path) -> None:
    (tmp_path / "kept").write_bytes(b"head" + SPEAKS)
    assert files_holding(tmp_path, SPEAKS) == [tmp_path / "kept"]
    assert holding({"a": "\\x00" + SPEAKS.hex(), "b": base64.b64encode(SPEAKS).decode(), "c": "none"}, SPEAKS) == {
        "a",
        "b",
    }
    with watched_files() as written:
        (tmp_path / "new").write_bytes(b"")
        (tmp_path / "new").read_bytes()
    assert written == [str(tmp_path / "new")]
