import http.client
import json
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.gateway.cli.installation import Installation

START_S = 60


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def get(port: int, path: str, token: str = "") -> tuple[int, dict[str, object]]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", path, headers={"Authorization": f"Bearer {token}"})
        response = connection.getresponse()
        return response.status, json.loads(response.read())
    finally:
        connection.close()


@pytest.fixture
def private() -> Iterator[Installation]:
    """A folder with a private database of its own."""
    folder = Path(tempfile.mkdtemp(prefix="turnmeter-serve-"))
    folder.chmod(0o755)  # the server's user must get in
    yield Installation(data_dir=folder)
    shutil.rmtree(folder, ignore_errors=True)


def serve(installation: Installation, port: int, *more: str) -> "subprocess.Popen[bytes]":
    arguments = [sys.executable, "-m", "gateway", "serve", "--port", str(port), *more]
    with (installation.data_dir / f"serve-{port}.log").open("wb") as log:
        return subprocess.Popen(
            arguments, env=installation.environment(), cwd=installation.data_dir, stdout=log, stderr=log
        )


def wait_until_ready(process: "subprocess.Popen[bytes]", port: int) -> None:
    deadline = time.monotonic() + START_S
    while process.poll() is None and time.monotonic() < deadline:
        try:
            if get(port, "/readyz")[0] == 200:
                return
        except OSError:
            time.sleep(0.05)
    raise AssertionError("the server did not get ready")


def test_commands_work_beside_a_running_server_and_it_ends_in_order(private: Installation) -> None:
    port = free_port()
    process = serve(private, port)
    try:
        wait_until_ready(process, port)
        private.succeed("tenant", "create", "Beside")
        token = private.succeed("apikey", "create", "Beside", "--json").json["token"]
        assert get(port, "/api/v1/balance", token)[1]["balance_millicredits"] == 0
        private.succeed("credits", "grant", "Beside", "12.5", "--reason", "x")
        status, shown = get(port, "/api/v1/balance", token)
        assert status == 200
        assert shown == private.succeed("credits", "balance", "Beside", "--json").json
        assert shown["balance_millicredits"] == 12_500
        taken = private.run("serve", "--port", str(port))
        assert taken.code == 1
        assert "address already in use" in taken.err.lower()
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
    assert not list(private.data_dir.rglob("postmaster.pid"))


def test_a_worker_answers_for_its_health_and_takes_no_calls(installation: Installation) -> None:
    port = free_port()
    process = serve(installation, port, "--role", "worker")
    try:
        wait_until_ready(process, port)
        assert get(port, "/api/v1/balance")[0] == 404
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
