"""The gateway of a story: told where its simulated vendors are, served on a real socket, its worker beside it."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

from aiohttp import web

from gateway.app import build_app
from gateway.services import Services
from gateway.settings import Settings, load_settings
from gateway.worker import Worker

APP_SECRET = "story-app-secret"
ACCESS_TOKEN = "story-access-token"
ACCOUNT_SID = "AC" + "5" * 32
AUTH_TOKEN = "story-auth-token"
PUBLIC_URL = "https://gateway.example"  # what Twilio was told to call, and signs


def settings_for(
    database_url: str,
    folder: Path,
    *,
    meta_url: str,
    twilio_url: str,
    model_url: str,
    realtime_url: str = "ws://127.0.0.1:9",  # where nobody listens
) -> Settings:
    return load_settings(
        {
            "TURNMETER_DATABASE_URL": database_url,
            "TURNMETER_DATA_DIR": str(folder),
            "TURNMETER_CHAT_MODEL": "gpt-4o-mini",
            "TURNMETER_FALLBACK_MODEL": "gpt-4o",
            "OPENAI_API_KEY": "story",
            "OPENAI_BASE_URL": model_url,
            "OPENAI_REALTIME_URL": realtime_url,
            "WHATSAPP_API_URL": meta_url,
            "WHATSAPP_APP_SECRET": APP_SECRET,
            "WHATSAPP_VERIFY_TOKEN": "story-verify",
            "WHATSAPP_ACCESS_TOKEN": ACCESS_TOKEN,
            "TURNMETER_PUBLIC_URL": PUBLIC_URL,
            "TWILIO_ACCOUNT_SID": ACCOUNT_SID,
            "TWILIO_AUTH_TOKEN": AUTH_TOKEN,
            "TWILIO_API_URL": twilio_url,
            "TWILIO_MESSAGING_URL": twilio_url,
        }
    )


@contextlib.asynccontextmanager
async def served(services: Services) -> AsyncIterator[str]:
    """Run the gateway: its HTTP server and its worker; yields its address."""
    stopping = asyncio.Event()
    runner = web.AppRunner(build_app(services, stopping=stopping), access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    worker = Worker(services)
    running = asyncio.create_task(worker.run(stopping))
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        stopping.set()
        await running
        await worker.drain(services.limits.drain_s)
        await runner.cleanup()
