"""The demo's command: apart from a real installation, set up once, and clear about its ports."""

import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.cli.demo import apart
from gateway.settings import load_settings
from tests.browser.running import ROOT, environ, free_ports, own_folder, running_demo

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
