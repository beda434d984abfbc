"""A demo in a process of its own, and a browser to look at it."""

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import wave
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

from playwright.async_api import Browser, async_playwright

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
MICROPHONE_HZ = 48_000
ROOT = Path(__file__).parents[2]


def free_ports() -> tuple[int, int]:
    with socket.socket() as first, socket.socket() as second:
        first.bind(("127.0.0.1", 0))
        second.bind(("127.0.0.1", 0))
        return first.getsockname()[1], second.getsockname()[1]


@contextlib.contextmanager
def own_folder() -> Iterator[Path]:
    """A folder that the private database's own user may enter."""
    with tempfile.TemporaryDirectory(prefix="turnmeter-demo-", ignore_cleanup_errors=True) as name:
        Path(name).chmod(0o755)
        yield Path(name)


def environ(folder: Path, **more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("TURNMETER_", "OPENAI_"))}
    return {**kept, "TURNMETER_DATA_DIR": str(folder), **more}


@contextlib.contextmanager
def running_demo(folder: Path, *options: str, **more: str) -> Iterator[str]:
    """The address of a demo that runs as its own process, stopped as by Ctrl-C; `more` joins its environment."""
    port, phone_port = free_ports()
    command = [sys.executable, "-m", "gateway", "demo", f"--port={port}", f"--phone-port={phone_port}", *options]
    with subprocess.Popen(command, cwd=ROOT, env=environ(folder, **more), stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        found = next((url for line in process.stdout if (url := re.search(r"http://\S+", line))), None)
        assert found is not None, "the demo did not start"
        try:
            yield found[0]
        finally:
            process.send_signal(signal.SIGINT)
            process.stdout.read()
    assert process.returncode == 0


@contextlib.asynccontextmanager
async def chromium(*more_flags: str) -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=str(CHROMIUM), args=[*FLAGS, *more_flags])
        yield browser
        await browser.close()


def microphone(recording: Path, samples: bytes) -> list[str]:
    """Flags for a browser whose microphone hears a recording over and over: 16 bit, mono, at MICROPHONE_HZ.

    Chromium's own pretended microphone beeps, and so interrupts whoever speaks.
    """
    with wave.open(str(recording), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(MICROPHONE_HZ)
        file.writeframes(samples)
    return [
        "--use-fake-ui-for-media-stream",
        "--use-fake-device-for-media-stream",
        f"--use-file-for-fake-audio-capture={recording}",
        "--autoplay-policy=no-user-gesture-required",
    ]
