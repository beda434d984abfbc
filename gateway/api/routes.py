"""All routes of the owner's API, and their description."""

import json

from aiohttp import web

from gateway.api import (
    agent_versions,
    agents,
    alerts,
    calls,
    conversations,
    lines,
    messages,
    money,
    numbers,
    plans,
    statements,
    webhooks,
)
from gateway.api.call import AnyRoute, route_def
from gateway.api.openapi import describe
from gateway.services import Services

DESCRIPTION_PATH = "/api/openapi.json"

ROUTES: tuple[AnyRoute, ...] = (
    *money.ROUTES,
    *plans.ROUTES,
    *statements.ROUTES,
    *conversations.ROUTES,
    *messages.ROUTES,
    *calls.ROUTES,
    *agents.ROUTES,
    *agent_versions.ROUTES,
    *lines.ROUTES,
    *numbers.ROUTES,
    *alerts.ROUTES,
    *webhooks.ROUTES,
)


def routes(services: Services) -> list[web.RouteDef]:
    """Return every route, and the one that describes them and needs no key."""
    description = json.dumps(describe(ROUTES, server=services.settings.public_url)).encode()

    async def show_description(_request: web.Request) -> web.Response:
        return web.Response(body=description, content_type="application/json")

    return [*(route_def(services, route) for route in ROUTES), web.get(DESCRIPTION_PATH, show_description)]
