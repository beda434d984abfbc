"""Starting what is measured: the vendors in this process, the gateway in its own."""

import asyncio
import contextlib
import json
import os
import secrets
import socket
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Collection, Iterator
from pathlib import Path

import aiohttp
from aiohttp import web

from tests.bench import meta_wire, twilio_wire
from tests.bench.carriers import World, vendor_app
from tests.bench.wire import LINES

AGENT_FILE = f"""
[[agent]]
name = "Rezeption"
instructions = "{"Du bist die Rezeption des Salons Lindenhof. " * 34}"
greeting = "Hallo, hier ist die digitale Assistentin (KI) vom Salon Lindenhof."
language = "de"

[agent.budgets]
contact = 100_000  # five turns by SMS hold more than a contact has by default
"""
LINE = """
[[line]]
number = "+491510000000{line}"
kind = "mobile"
agent = "Rezeption"
"""
WHATSAPP_LINE = f"""{LINE}channels = ["whatsapp"]
whatsapp_provider = "meta"
whatsapp_phone_number_id = "100000{{line}}"
"""
SMS_LINE = f"""{LINE}channels = ["sms"]
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


async def wait_until_answers(url: str, *, seconds: float) -> None:
    deadline = asyncio.get_running_loop().time() + seconds
    async with aiohttp.ClientSession() as http:
        while True:
            with contextlib.suppress(aiohttp.ClientError, TimeoutError):
                async with http.get(url, timeout=aiohttp.ClientTimeout(2)) as response:
                    if response.status == 200:
                        return
            if asyncio.get_running_loop().time() > deadline:
                raise TimeoutError(url)
            await asyncio.sleep(0.1)


@contextlib.asynccontextmanager
async def served(world: World) -> AsyncIterator[str]:
    runner = web.AppRunner(vendor_app(world), access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


def gateway_environment(vendors: str, folder: str) -> dict[str, str]:
    return {
        **os.environ,
        "TURNMETER_DATA_DIR": folder,
        "TURNMETER_SECRET_KEY": secrets.token_hex(32),
        "TURNMETER_BURST_QUIET_MS": "0",
        "TURNMETER_PUBLIC_URL": twilio_wire.PUBLIC_URL,
        "OPENAI_API_KEY": "bench",
        "OPENAI_BASE_URL": f"{vendors}/v1",
        "WHATSAPP_API_URL": f"{vendors}/v23.0",
        "WHATSAPP_APP_SECRET": meta_wire.APP_SECRET,
        "WHATSAPP_VERIFY_TOKEN": "bench-verify",
        "WHATSAPP_ACCESS_TOKEN": "bench-token",
        "TWILIO_ACCOUNT_SID": twilio_wire.ACCOUNT_SID,
        "TWILIO_AUTH_TOKEN": twilio_wire.AUTH_TOKEN,
        "TWILIO_API_URL": vendors,
        "TWILIO_MESSAGING_URL": vendors,
    }


def command(environment: dict[str, str], *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "gateway", *arguments], env=environment, check=True, capture_output=True, text=True
    )
    return done.stdout


@contextlib.contextmanager
def gateway_process(environment: dict[str, str], port: int, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    arguments = [sys.executable, "-m", "gateway", "serve", "--host", "127.0.0.1", "--port", str(port)]
    with log.open("wb") as sink:
        process = subprocess.Popen(arguments, env=environment, stdout=sink, stderr=subprocess.STDOUT)
        try:
            yield process
        finally:
            process.terminate()
            process.wait(60)


@contextlib.asynccontextmanager
async def gateways(
    vendors: str, *, count: int, line: str
) -> AsyncIterator[tuple[list[str], dict[str, str], list[subprocess.Popen[bytes]]]]:
    """So many gateway processes on one private PostgreSQL (fsync on), one tenant with credits and its lines.

    `line` is a `[[line]]` of its file, with a place for the line's digit.
    """
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder, contextlib.ExitStack() as stack:
        Path(folder).chmod(0o755)
        environment = gateway_environment(vendors, f"{folder}/data")
        urls, processes = [], []
        for number in range(count):
            port = free_port()
            processes.append(
                stack.enter_context(gateway_process(environment, port, Path(folder) / f"gateway{number}.log"))
            )
            urls.append(f"http://127.0.0.1:{port}")
            await wait_until_answers(urls[-1] + "/readyz", seconds=30)
            if number == 0:
                await asyncio.to_thread(set_up_tenant, environment, Path(folder) / "salon.toml", line)
        yield urls, environment, processes


def set_up_tenant(environment: dict[str, str], file: Path, line: str) -> None:
    file.write_text(AGENT_FILE + "".join(line.format(line=digit) for digit in range(LINES)))
    command(environment, "tenant", "create", "Bench")
    command(environment, "credits", "grant", "Bench", "100000000", "--reason", "bench")
    command(environment, "apply", "Bench", str(file))


def charged(environment: dict[str, str], items: Collection[str]) -> int:
    """How often the ledger has charged the rarest of these items."""
    usage = json.loads(command(environment, "usage", "Bench", "--json"))["items"]
    return min(sum(int(row["quantity"]) for row in usage if row["item"] == item) for item in items)
