"""Everything wired on a test's database and clock; vendors are addresses where nobody listens."""

import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from uuid import UUID

import aiohttp

from agents.openai_model import OpenAIModel
from gateway.app import build_services
from gateway.db import Database
from gateway.services import Services
from gateway.settings import load_settings
from tests.conftest import Clock

NOBODY = "http://127.0.0.1:9"


@contextlib.asynccontextmanager
async def wired(db: Database, clock: Clock, new_id: Callable[[], UUID], folder: Path) -> AsyncIterator[Services]:
    settings = load_settings({"TURNMETER_DATA_DIR": str(folder), "WHATSAPP_API_URL": NOBODY, "OPENAI_BASE_URL": NOBODY})
    async with aiohttp.ClientSession() as http:
        model = OpenAIModel("", NOBODY)
        services = build_services(settings, db=db, http=http, model=model, now=clock.now, new_id=new_id)
        try:
            yield services
        finally:
            await services.ledger.close()
            await model.close()
