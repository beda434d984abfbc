import contextlib
import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from pathlib import Path
from typing import IO

import pytest

ROOT = Path(__file__).parents[2]
# A process with a slow page and a worker with one piece of work of so many seconds; it says what happens to it.
PROGRAM = """
import asyncio, contextlib, sys
from aiohttp import web
from gateway.live_calls import LiveCalls
from gateway.logs import configure_logs
from gateway.loop_lag import LoopLag
from gateway.metrics import Metrics
from gateway.server import Parts, serve
from gateway.web import application

def say(word):
    print(word, flush=True)

class Worker:
    def __init__(self, seconds):
        self.seconds = seconds
        self.work = None
    async def run(self, stop):
        if self.seconds < 0:
            raise RuntimeError("the worker broke")
        self.work = asyncio.create_task(asyncio.sleep(self.seconds))
        await stop.wait()
        say("told to stop")
    async def drain(self, timeout_s):
        if self.work is None:
            return
        done, _ = await asyncio.wait([self.work], timeout=timeout_s)
        say("finished" if done else "given back")

# A phone call of so many seconds from the moment the process begins.
class Call:
    tenant_id = call_id = "call"

    def __init__(self, seconds):
        self.seconds = seconds

    def begin(self):
        asyncio.get_running_loop().call_later(self.seconds, self._hang_up)

    def _hang_up(self):
        say("call ended")
        CALLS.discard(self)

    def move(self):
        say("call moved")
        CALLS.discard(self)

@contextlib.asynccontextmanager
async def build(stopping):
    for call in CALLS.calls.values():
        call.begin()

    async def slow(request):
        say("asked")
        await asyncio.sleep(1)
        return web.Response(text="slow")

    async def readyz(request):
        return web.Response(status=503 if stopping.is_set() else 200)

    routes = [web.get("/slow", slow), web.get("/readyz", readyz)]
    app = application(routes, body_bytes_max=1000, https=False, stopping=stopping.is_set)
    worker = None if sys.argv[1] == "none" else Worker(float(sys.argv[1]))
    try:
        yield Parts(app=app, worker=worker, metrics=Metrics(), calls=CALLS, loop_lag=LoopLag())
    finally:
        say("closed")

configure_logs()
call_s, call_drain_s = map(float, (sys.argv[4:] + ["0", "0"])[:2])
CALLS = LiveCalls()
if call_s:
    CALLS.add(Call(call_s))
sys.exit(serve(build, host="127.0.0.1", port=int(sys.argv[3]), drain_s=float(sys.argv[2]), call_drain_s=call_drain_s))
"""


class Running:
    """A server process that has said where it listens."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        assert process.stderr
        serving = next(line for line in process.stderr if '"serving"' in line)
        self.port = int(json.loads(serving)["listens"][0].rsplit(":", 1)[1])

    def connect(self) -> contextlib.closing[HTTPConnection]:
        return contextlib.closing(HTTPConnection("127.0.0.1", self.port, timeout=10))

    def ask(self, path: str) -> int:
        with self.connect() as connection:
            return status_of(connection, path)

    def end(self, how: signal.Signals = signal.SIGTERM) -> tuple[int, list[str]]:
        """Signal it and return its exit code and what it said."""
        self.process.send_signal(how)
        said, _ = self.process.communicate(timeout=20)
        return self.process.returncode, said.splitlines()


@contextlib.contextmanager
def served(
    *, work_s: float | None, drain_s: float = 10, port: int = 0, call_s: float = 0, call_drain_s: float = 0
) -> Iterator[Running]:
    seconds = [drain_s, port, call_s, call_drain_s]
    arguments = ["none" if work_s is None else str(work_s), *map(str, seconds)]
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM, *arguments],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield Running(process)
        finally:
            process.kill()


def status_of(connection: HTTPConnection, path: str) -> int:
    connection.request("GET", path)
    response = connection.getresponse()
    response.read()
    return response.status


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_work_in_flight_is_finished_before_the_end(how: signal.Signals) -> None:
    with served(work_s=1) as server:
        assert server.ask("/readyz") == 200
        assert server.end(how) == (0, ["told to stop", "finished", "closed"])


def test_what_takes_too_long_is_given_back() -> None:
    with served(work_s=60, drain_s=0.2) as server:
        assert server.end() == (0, ["told to stop", "given back", "closed"])


def test_while_it_drains_it_is_not_ready_and_takes_no_connections() -> None:
    with served(work_s=60, drain_s=60) as server, server.connect() as kept:
        assert status_of(kept, "/readyz") == 200
        server.process.send_signal(signal.SIGTERM)
        assert server.process.stdout
        assert server.process.stdout.readline() == "told to stop\n"
        assert status_of(kept, "/readyz") == 503
        with server.connect() as new, pytest.raises(ConnectionRefusedError):
            new.connect()


def test_a_request_in_flight_is_answered() -> None:
    with served(work_s=None) as server, ThreadPoolExecutor(1) as pool:
        answer = pool.submit(server.ask, "/slow")
        assert server.process.stdout
        assert server.process.stdout.readline() == "asked\n"
        code, said = server.end()
        assert (answer.result(), code, said) == (200, 0, ["closed"])


def test_a_second_signal_ends_it_at_once() -> None:
    with served(work_s=60, drain_s=60) as server:
        server.process.send_signal(signal.SIGTERM)
        assert server.process.stdout
        assert server.process.stdout.readline() == "told to stop\n"
        began = time.monotonic()
        code, said = server.end()
        assert (code, said) == (128 + signal.SIGTERM, [])
        assert time.monotonic() - began < 30


def rest_of(stream: IO[str] | None) -> str:
    assert stream is not None
    return stream.read()


def test_a_phone_call_is_left_to_its_end() -> None:
    with served(work_s=0, call_s=1.5, call_drain_s=60) as server:
        assert server.end() == (0, ["told to stop", "finished", "call ended", "closed"])


def test_a_phone_call_that_outlasts_the_drain_is_moved() -> None:
    with served(work_s=0, call_s=60, call_drain_s=0.2) as server:
        assert server.end() == (0, ["told to stop", "finished", "call moved", "closed"])


def test_a_worker_that_breaks_ends_the_process_with_a_failure() -> None:
    with served(work_s=-1) as server:
        # Through the buffers that `served` has read a line from: what follows it may be in them already.
        log, said = rest_of(server.process.stderr), rest_of(server.process.stdout)
        server.process.wait(20)
    assert server.process.returncode == 1
    assert said.splitlines() == ["closed"]
    assert "the worker broke" in log


def test_a_port_that_is_taken_closes_what_was_opened() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM, "0", "0", str(taken.getsockname()[1])],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 1
    assert done.stdout.splitlines() == ["closed"]
    assert "address already in use" in done.stderr
