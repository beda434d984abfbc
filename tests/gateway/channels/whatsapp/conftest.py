"""A Meta to talk to."""

from collections.abc import AsyncIterator

import aiohttp
import pytest

from tests.gateway.channels.whatsapp.meta_server import MetaServer, running


@pytest.fixture
async def meta() -> AsyncIterator[MetaServer]:
    async with running() as server:
        yield server


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session
