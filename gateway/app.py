"""The composition root: everything a process shares is wired here, once; it owns the clock and the ids."""

import asyncio
import contextlib
import functools
import os
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

import aiohttp
from aiohttp import web

from agents.openai_model import OpenAIModel
from gateway import health, postgres
from gateway.api.routes import routes as api_routes
from gateway.arrivals import Arrivals
from gateway.channels.sms.client import TwilioSmsChannel
from gateway.channels.twilio_routes import routes as twilio_routes
from gateway.channels.whatsapp.client import MetaChannel
from gateway.channels.whatsapp.routes import routes as whatsapp_routes
from gateway.channels.whatsapp.twilio_client import TwilioWhatsAppChannel
from gateway.dashboard import pages, prices
from gateway.db import Database
from gateway.group_commit import Ledger
from gateway.ids import uuid7
from gateway.inbox import accepting
from gateway.limits import Limits
from gateway.live_calls import LiveCalls
from gateway.loop_lag import LoopLag
from gateway.low_balance import telling_of_low_balance
from gateway.metrics import Metrics
from gateway.migrate import upgrade
from gateway.payments import ByHand
from gateway.resume import wake_waiting
from gateway.secret_box import SecretBox
from gateway.secret_key import kept_secret_key
from gateway.services import Services
from gateway.settings import Settings
from gateway.throttle import Throttle
from gateway.twilio.rest import TwilioRest
from gateway.voice.answering import Voice, build_voice
from gateway.voice.engines.realtime import RealtimeEngine
from gateway.voice.legs.adoption import adopt_until
from gateway.voice.routes import routes as voice_routes
from gateway.web import application
from metering.plans import SHIPPED, load_plans
from metering.rates import load_rate_cards
from metering.tokens import CountTokens, load_counter

Now = Callable[[], datetime]
NewId = Callable[[], UUID]

VENDOR_CONNECTIONS = 256


def system_now() -> datetime:
    return datetime.now(UTC)


def system_id() -> UUID:
    return uuid7(unix_ms=time.time_ns() // 1_000_000, random_bits=os.urandom(10))


def build_services(
    settings: Settings,
    *,
    db: Database,
    http: aiohttp.ClientSession,
    model: OpenAIModel,
    now: Now,
    new_id: NewId,
    limits: Limits | None = None,
) -> Services:
    """Wire what the server, the worker, the commands, the demo and the tests share."""
    limits = limits or replace(Limits(), burst_quiet_ms=settings.burst_quiet_ms)
    twilio = _twilio(settings, http)
    return Services(
        settings=settings,
        limits=limits,
        db=db,
        ledger=Ledger(db, now=now, on_resumed=wake_waiting, on_low=telling_of_low_balance(new_id)),
        rate_cards=load_rate_cards(),
        plans=load_plans(settings.plans_file),
        payments=ByHand(),
        count_tokens=_counter(settings),
        secret_box=SecretBox(settings.secret_key or kept_secret_key(settings.data_dir)),
        arrivals=Arrivals(now),
        versions={},
        chat_model=model,
        transcriber=model,
        speaker=model,
        channels={
            "meta": MetaChannel(http, settings.whatsapp_api_url, settings.whatsapp_access_token),
            "twilio": TwilioWhatsAppChannel(twilio, settings.public_url),
            "twilio_sms": TwilioSmsChannel(twilio, settings.public_url),
        },
        twilio=twilio,
        live_calls=LiveCalls(),
        loop_lag=LoopLag(),
        throttle=Throttle(time.monotonic),
        metrics=Metrics(),
        now=now,
        new_id=new_id,
    )


@contextlib.asynccontextmanager
async def open_services(
    settings: Settings, *, now: Now = system_now, new_id: NewId = system_id, limits: Limits | None = None
) -> AsyncIterator[Services]:
    """Open or join the database, bring its schema up to date, wire everything; close it all at the end."""
    async with contextlib.AsyncExitStack() as stack:
        url = settings.database_url
        if url is None:
            server = await asyncio.to_thread(postgres.join, settings.data_dir)
            stack.push_async_callback(asyncio.to_thread, server.close)
            url = server.url
        await upgrade(url)
        db = await Database.connect(url, connections=settings.database_connections)
        stack.push_async_callback(db.close)
        http = await stack.enter_async_context(
            aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=VENDOR_CONNECTIONS), auto_decompress=True)
        )
        model = OpenAIModel(settings.openai_api_key or "", settings.openai_base_url)
        stack.push_async_callback(model.close)
        services = build_services(settings, db=db, http=http, model=model, now=now, new_id=new_id, limits=limits)
        stack.push_async_callback(services.ledger.close)
        yield services


async def warm_up(services: Services) -> None:
    """Load what the first customer would else wait for: the vocabulary and the model's SDK."""
    await asyncio.to_thread(services.count_tokens, "")
    if isinstance(services.chat_model, OpenAIModel):
        await services.chat_model.warm_up()


def build_app(services: Services, *, stopping: asyncio.Event, public: bool = True) -> web.Application:
    """Return the HTTP application; without `public`, only what says how the process is."""
    settings = services.settings
    routes = health.routes(
        services.db,
        services.metrics,
        calls=services.live_calls,
        loop_lag=services.loop_lag,
        stopping=stopping.is_set,
        metrics_token=settings.metrics_token,
    )
    voice = build_voice(services, {engine.name: engine for engine in _engines(services)})
    if public:
        routes += _webhooks(services)
        routes += voice_routes(services, voice, stopping=stopping.is_set)
        routes += api_routes(services)
        routes += pages.routes()
        routes += prices.routes(
            rate_cards=services.rate_cards,
            plans=services.plans,
            plans_are_examples=settings.plans_file is None or settings.plans_file.resolve() == SHIPPED.resolve(),
            now=services.now,
        )
    app = application(
        routes,
        body_bytes_max=services.limits.webhook_bytes,
        https=settings.public_url.startswith("https://"),
        stopping=stopping.is_set,
    )

    app.cleanup_ctx.append(functools.partial(_keeping_calls, voice, stopping if public else None))
    return app


async def _keeping_calls(voice: Voice, stopping: asyncio.Event | None, _app: web.Application) -> AsyncIterator[None]:
    """Take over forwarded calls of processes that are gone, until we are; then leave ours to others."""
    adopting = None if stopping is None else asyncio.create_task(adopt_until(voice, stopping))
    yield
    if adopting is not None:
        adopting.cancel()
        await asyncio.gather(adopting, return_exceptions=True)
    await voice.close()


def _webhooks(services: Services) -> list[web.RouteDef]:
    """Return the addresses that messages come in by."""
    settings, accept = services.settings, accepting(services)

    def count(provider: str, outcome: str) -> None:
        services.metrics.webhooks.labels(provider, outcome).inc()

    whatsapp = whatsapp_routes(
        accept=accept,
        app_secret=settings.whatsapp_app_secret,
        verify_token=settings.whatsapp_verify_token,
        body_max=services.limits.webhook_bytes,
        count=count,
    )
    twilio = twilio_routes(
        accept=accept,
        account_sid=settings.twilio_account_sid,
        auth_token=settings.twilio_auth_token,
        shared_keys=settings.twilio_webhook_keys,
        public_url=settings.public_url,
        body_max=services.limits.webhook_bytes,
        count=count,
    )
    return [*whatsapp, *twilio]


def _engines(services: Services) -> list[RealtimeEngine]:
    """Return what listens and speaks in calls; without a key to OpenAI only Twilio's own speech is left."""
    settings = services.settings
    if not settings.openai_api_key:
        return []
    return [
        RealtimeEngine(settings.openai_realtime_url, settings.openai_api_key, settings.voice_model, now=services.now)
    ]


def _twilio(settings: Settings, http: aiohttp.ClientSession) -> TwilioRest | None:
    """Return the account at Twilio, if there is one."""
    sid, token = settings.twilio_account_sid, settings.twilio_auth_token
    if sid is None or token is None:
        return None
    return TwilioRest(http, settings.twilio_api_url, sid, token, settings.twilio_messaging_url)


def _counter(settings: Settings) -> CountTokens:
    """Return the counter of the published model's tokens; the vocabulary is read at its first use."""

    @functools.cache
    def load() -> CountTokens:
        return load_counter(settings.chat_model, settings.data_dir / "vocabulary")

    def count_tokens(text: str) -> int:
        return load()(text)

    return count_tokens
