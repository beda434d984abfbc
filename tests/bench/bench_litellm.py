"""LiteLLM's proxy with a budget on the key, under the same loop and the same model server.

Needs an environment of its own with `litellm[proxy]`: `make bench-litellm` sets it up and calls this.
"""

import asyncio
import contextlib
import os
import secrets
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp

from tests.bench.carriers import World, closed_loop
from tests.bench.processes import free_port, served, wait_until_answers

HERE = Path(__file__).parent / "litellm_peer"
SYSTEM = "Du bist die Rezeption des Salons Lindenhof. " * 34  # about as long as the demo agent's instructions


@contextlib.asynccontextmanager
async def proxy(litellm: Path, model_url: str, workers: int) -> AsyncIterator[str]:
    port = free_port()
    environment = {
        **os.environ,
        "BENCH_MODEL_URL": model_url,
        "PYTHONPATH": str(HERE),
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        "LITELLM_MASTER_KEY": f"sk-{secrets.token_hex(32)}",
    }
    command = [
        str(litellm),
        "--config",
        str(HERE / "config.yaml"),
        "--port",
        str(port),
        "--num_workers",
        str(workers),
        "--telemetry",
        "False",
    ]
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=subprocess.STDOUT)
        try:
            await wait_until_answers(f"http://127.0.0.1:{port}/health/liveliness", seconds=120)
            yield f"http://127.0.0.1:{port}/v1/chat/completions"
        finally:
            process.terminate()
            process.wait(20)


async def measure(litellm: Path, *, turns: int, in_flight: int, workers: int = 1) -> float:
    """Requests per second; proves first that the budget is really enforced."""
    world = World()
    async with (
        served(world) as vendors,
        proxy(litellm, f"{vendors}/v1", workers) as url,
        aiohttp.ClientSession() as http,
    ):

        async def ask(budget: str) -> int:
            messages = [
                {"role": "system", "content": SYSTEM},
                {"role": "user", "content": "Was kostet ein Damenhaarschnitt bei euch?"},
            ]
            body = {"model": "bench", "max_tokens": 128, "messages": messages}
            async with http.post(url, json=body, headers={"Authorization": f"Bearer sk-bench-{budget}"}) as response:
                await response.read()
                return response.status

        async def one(_slot: int, _number: int) -> None:
            if await ask("1000000") != 200:
                raise RuntimeError("LiteLLM refused an affordable request")

        await closed_loop(4, 50, one)
        # Something left is enough for it to admit a request; what that cost must close the key to the next one.
        await ask("0.0000001")
        await asyncio.sleep(1)
        if await ask("0.0000001") == 200:
            raise RuntimeError("LiteLLM does not enforce the budget: this would be no comparison")
        return turns / await closed_loop(in_flight, turns, one)


if __name__ == "__main__":
    rate = asyncio.run(measure(Path(sys.argv[1]), turns=400, in_flight=16))
    print(f"LiteLLM proxy with a budget: {rate:.0f} requests/s")
