"""The months' work at a given time, to be killed: `python -m tests.crash.biller URL FOLDER TIME`."""

import asyncio
import os
import sys
from datetime import datetime

from gateway.app import open_services
from gateway.recurring import bill_months
from gateway.settings import load_settings


async def main(url: str, folder: str, now: datetime) -> None:
    settings = load_settings({"TURNMETER_DATABASE_URL": url, "TURNMETER_DATA_DIR": folder})
    async with open_services(settings, now=lambda: now) as services:
        os.write(1, b"ready\n")
        await bill_months(services)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], datetime.fromisoformat(sys.argv[3])))
