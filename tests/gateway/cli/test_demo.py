"""The demo's command: apart from a real installation, set up once, and clear about its ports."""

import asyncio
import contextlib
import json
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession, ClientTimeout, ClientWebSocketResponse

from gateway.cli.demo import apart
from gateway.settings import load_settings
from gateway.simulator.speech import spoken
from tests.browser.running import ROOT, environ, free_ports, own_folder, running_demo

PATIENT_S = 60
QUESTION = "Was kostet ein Haarschnitt?"
STAND_IN = ROOT / "tests" / "gateway" / "simulator" / "whisper_stand_in"
NO_DATABASE = "postgresql://nobody@127.0.0.1:1/production"


@pytest.fixture
def folder() -> Iterator[Path]:
    with own_folder() as made:
        yield made


def run(folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "gateway", *arguments]
    return subprocess.run(command, cwd=ROOT, env=environ(folder), capture_output=True, text=True, check=False)


def test_a_second_start_finds_the_salon_as_it_was_and_a_real_installation_is_left_alone(folder: Path) -> None:
    for _ in range(2):
        with running_demo(folder, TURNMETER_DATABASE_URL=NO_DATABASE):
            shown = run(folder / "demo", "credits", "balance", "Salon Lindenhof", "--json")
        assert json.loads(shown.stdout)["balance_millicredits"] == 100_000_000
    assert [one.name for one in folder.iterdir()] == ["demo"]


def test_a_demo_knows_nothing_of_a_real_twilio_account() -> None:
    real = {"TWILIO_ACCOUNT_SID": "AC-hush", "TWILIO_AUTH_TOKEN": "hush", "TWILIO_WEBHOOK_KEYS": "key=hush"}
    given = load_settings(real)
    assert given.model_dump_json().count("hush") == 3
    assert "hush" not in apart(given).model_dump_json()


@pytest.mark.parametrize("option", ["--port", "--phone-port"])
def test_a_taken_port_is_named_before_anything_starts(folder: Path, option: str) -> None:
    free, phone = free_ports()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ports = {"--port": free, "--phone-port": phone, option: port}
        ended = run(folder, "demo", *(f"{name}={value}" for name, value in ports.items()))
    assert ended.returncode == 2
    assert f"port {port} is taken" in ended.stderr
    assert option in ended.stderr
    assert list(folder.iterdir()) == []


async def test_what_is_said_into_the_microphone_is_understood_where_a_recogniser_is(folder: Path) -> None:
    whisper = folder / "whisper"
    whisper.mkdir()
    (whisper / "model.bin").write_text(json.dumps({"guess": ["de", 0.9], "words": {"de": QUESTION}}))
    (whisper / "tokenizer.json").write_text("{}")
    with running_demo(folder, f"--recogniser={whisper}", PYTHONPATH=str(STAND_IN)) as page:
        async with (
            asyncio.timeout(PATIENT_S),
            ClientSession(timeout=ClientTimeout(total=None)) as http,
            http.ws_connect(f"{page}/call", origin=page) as telephone,
        ):
            talking = asyncio.create_task(talk(telephone, spoken("Irgendetwas wird gesagt.", "de")))
            async for told in events(http, page):
                assert told["chat"]["call"]["listens"]
                said = [message["text"] for message in (told["owner"] or {}).get("messages", ())]
                if QUESTION in said and said[-1].startswith("Haarschnitt kostet 42 Euro"):
                    break
            talking.cancel()


def test_a_folder_of_no_use_is_named_before_anything_starts(folder: Path) -> None:
    ended = run(folder, "demo", f"--recogniser={folder}")
    assert ended.returncode == 2
    assert f"{folder} is no model" in ended.stderr
    assert list(folder.iterdir()) == []


def test_who_has_a_key_needs_no_recogniser(folder: Path) -> None:
    command = [sys.executable, "-m", "gateway", "demo", f"--recogniser={folder}"]
    key = environ(folder, OPENAI_API_KEY="sk-hush")
    ended = subprocess.run(command, cwd=ROOT, env=key, capture_output=True, text=True, check=False)
    assert ended.returncode == 2
    assert "leave out --recogniser" in ended.stderr
    assert "sk-hush" not in ended.stderr


async def talk(telephone: ClientWebSocketResponse, speech: bytes) -> None:
    """Say something into the microphone at the pace of speech, and then nothing for ever."""
    speech = bytes([0xFF]) * 8000 + speech
    with contextlib.suppress(ConnectionError):
        for at in range(0, sys.maxsize, 160):
            await telephone.send_bytes(speech[at : at + 160].ljust(160, b"\xff"))
            await asyncio.sleep(0.02)


async def events(http: ClientSession, page: str) -> AsyncIterator[Mapping[str, Any]]:
    async with http.get(f"{page}/events", params={"channel": "voice"}) as told:
        async for line in told.content:
            if line.startswith(b"data: "):
                yield json.loads(line.removeprefix(b"data: "))
