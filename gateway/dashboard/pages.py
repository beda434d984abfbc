"""Rendering: templates, the files beside them, and the headers that every page has."""

import functools
import hashlib
from collections.abc import Mapping
from importlib import resources
from types import MappingProxyType
from typing import Final

import jinja2
from aiohttp import web

from gateway.dashboard.words import Locale

STATIC: Final = "/static"
FILES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "mark.svg": "image/svg+xml",
        "prices.css": "text/css",
        "prices.js": "text/javascript",
        "turnmeter.css": "text/css",
    }
)
FOREVER: Final = "public, max-age=31536000, immutable"
POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)


def routes() -> list[web.RouteDef]:
    """Return the routes of what pages load: styles, scripts, the mark."""
    return [web.get(f"{STATIC}/{{name}}", _show_file)]


def page(template: str, *, locale: Locale, shown: Mapping[str, object], status: int = 200) -> web.Response:
    """Render a page, or a part of one, in a language."""
    text = _templates().get_template(template).render(locale=locale, asset=_asset, **shown)
    response = web.Response(text=text, status=status, content_type="text/html")
    response.headers["Content-Security-Policy"] = POLICY
    response.headers["Content-Language"] = locale
    response.headers["Vary"] = "Accept, Accept-Language"
    response.headers["Cache-Control"] = "no-cache"
    response.enable_compression()
    return response


@functools.cache
def _templates() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.PackageLoader("gateway.dashboard"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


@functools.cache
def _content(name: str) -> bytes:
    return resources.files("gateway.dashboard").joinpath("static", name).read_bytes()


@functools.cache
def _asset(name: str) -> str:
    """Return a file's address; it changes with its content, so that it may be kept forever."""
    return f"{STATIC}/{name}?v={hashlib.sha256(_content(name)).hexdigest()[:12]}"


async def _show_file(request: web.Request) -> web.Response:
    name = request.match_info["name"]
    if name not in FILES:
        raise web.HTTPNotFound
    response = web.Response(body=_content(name), content_type=FILES[name], charset="utf-8")
    response.headers["Cache-Control"] = FOREVER if request.query_string else "no-cache"
    response.enable_compression()
    return response
