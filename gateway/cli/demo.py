"""`demo`: a salon, simulated vendors and the gateway between them, on ports of their own, until Ctrl-C.

The gateway is the one that `serve` runs; only the vendors' addresses and secrets differ.
"""

import asyncio
import contextlib
import logging
import os
import socket
from collections.abc import AsyncIterator
from dataclasses import replace
from importlib import resources
from pathlib import Path
from typing import Final
from uuid import UUID

from gateway.app import build_app, open_services, warm_up
from gateway.errors import BadInputError
from gateway.identity import create_api_key, list_api_keys, revoke_api_key
from gateway.limits import Limits
from gateway.line_file import parse_tenant_file
from gateway.lines import apply_file, published_agents
from gateway.logs import configure_logs
from gateway.server import Build, Parts, serve
from gateway.services import Services
from gateway.settings import Settings, load_settings
from gateway.simulator.meta import FakeMeta
from gateway.simulator.meta_wire import Business
from gateway.simulator.offline_model import think
from gateway.simulator.offline_voice import OfflineVoice
from gateway.simulator.openai_chat import FakeOpenAI
from gateway.simulator.openai_realtime import FakeRealtime
from gateway.simulator.phone.samples import transcript_of
from gateway.simulator.phone.server import Phone, Scene
from gateway.simulator.phone.sms_chat import SmsRates
from gateway.simulator.realtime_session import Ear
from gateway.simulator.recogniser import load_ear
from gateway.simulator.twilio import FakeTwilio
from gateway.tenants import NewTenant, Tenant, create_tenant, list_tenants
from gateway.voice.notices import prepare_at_once
from gateway.worker import Worker
from metering.entries import read_wallet
from metering.operations import Charge, Grant, ReceiptDraft
from metering.rates import Item

HOST: Final = "127.0.0.1"
SALON: Final = "Salon Lindenhof"
BUSINESS: Final = Business(phone_number_id="1000001", display_number="+4915100000001")
KEY_LABEL: Final = "demo"
OFFLINE_MODEL: Final = "offline"
DRAIN_S: Final = 2.0
LAG_MAX_S: Final = 0.5  # vendors, voices and page take turns with the gateway here: a call may crackle, not be declined
FOLDER: Final = "demo"
FIRST_CREDITS: Final = 160_000  # the number's first month, and 100,000 to talk with: some 35 answers by SMS
MORE_CREDITS: Final = 5_000  # enough for an answer by SMS
LEFT_BY_DRAIN_CREDITS: Final = 20


def run(*, port: int, phone_port: int, recogniser: Path | None = None) -> int:
    """Run the demo until a signal; return the exit code.

    `recogniser` is a folder with a model that hears what is said in calls. Raises BadInputError when a port is taken
    or the folder is of no use.
    """
    configure_logs(level=logging.WARNING)
    for wanted, option in ((phone_port, "--phone-port"), (port, "--port")):
        _check_free(wanted, option)
    settings = load_settings()
    build = building(settings, port=port, phone_port=phone_port, ear=_ear(settings, recogniser))
    return serve(build, host=HOST, port=port, drain_s=DRAIN_S, call_drain_s=DRAIN_S)


def building(given: Settings, *, port: int, phone_port: int, ear: Ear | None = None) -> Build:
    """Return what `gateway.server.serve` builds the demo's process from."""

    @contextlib.asynccontextmanager
    async def build(stopping: asyncio.Event) -> AsyncIterator[Parts]:
        gateway_url = f"http://{HOST}:{port}"
        secret, token = os.urandom(16).hex(), os.urandom(16).hex()
        meta = FakeMeta(
            webhook_url=f"{gateway_url}/webhooks/whatsapp", app_secret=secret, token=token, businesses=[BUSINESS]
        )
        twilio = FakeTwilio(
            account_sid=f"AC{os.urandom(16).hex()}",
            auth_token=os.urandom(16).hex(),
            public_url=gateway_url,
            numbers=[BUSINESS.display_number],
        )
        offline = FakeOpenAI(think, ear=transcript_of, name=OFFLINE_MODEL)
        async with contextlib.AsyncExitStack() as stack:
            twilio_url = await stack.enter_async_context(twilio.running(HOST))
            vendors = {
                "public_url": gateway_url,
                "whatsapp_api_url": await stack.enter_async_context(meta.running(HOST)),
                "whatsapp_app_secret": secret,
                "whatsapp_access_token": token,
                "whatsapp_verify_token": token,
                "twilio_api_url": twilio_url,
                "twilio_messaging_url": twilio_url,
                "twilio_account_sid": twilio.account_sid,
                "twilio_auth_token": twilio.auth_token,
            }
            realtime = None
            if not given.openai_api_key:
                realtime = FakeRealtime(OfflineVoice(), name=OFFLINE_MODEL, ear=ear)
                vendors |= {
                    "openai_base_url": await stack.enter_async_context(offline.running(HOST)),
                    "openai_realtime_url": await stack.enter_async_context(realtime.running(HOST)),
                    "openai_api_key": OFFLINE_MODEL,
                }
            settings = apart(given).model_copy(update=vendors)
            limits = replace(Limits(), burst_quiet_ms=settings.burst_quiet_ms, loop_lag_max_s=LAG_MAX_S)
            services = await stack.enter_async_context(open_services(settings, limits=limits))
            await warm_up(services)
            scene = await _scene(services, meta, twilio, realtime)
            page = await stack.enter_async_context(Phone(scene, stopping).running(HOST, phone_port))
            _tell(page, scene)
            app = build_app(services, stopping=stopping)
            yield Parts(
                app=app,
                worker=Worker(services),
                metrics=services.metrics,
                calls=services.live_calls,
                loop_lag=services.loop_lag,
            )

    return build


def apart(given: Settings) -> Settings:
    """Return settings that share nothing with a real installation: no database, key, folder, mail or vendor of its."""
    return given.model_copy(
        update={
            "data_dir": given.data_dir / FOLDER,
            "database_url": None,
            "database_connections": None,
            "secret_key": None,
            "plans_file": None,
            "smtp_url": None,
            "twilio_account_sid": None,
            "twilio_auth_token": None,
            "twilio_webhook_keys": {},
        }
    )


def _ear(given: Settings, recogniser: Path | None) -> Ear | None:
    if recogniser is None:
        return None
    if given.openai_api_key:
        raise BadInputError("OpenAI itself listens, because OPENAI_API_KEY is set: leave out --recogniser")
    return load_ear(recogniser)


def _check_free(port: int, option: str) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            raise BadInputError(f"port {port} is taken or not allowed: choose another one with {option}") from None


async def _scene(services: Services, meta: FakeMeta, twilio: FakeTwilio, realtime: FakeRealtime | None) -> Scene:
    """Set the salon up, once, and return what the page needs."""
    tenant = await _salon(services)
    unit_millicredits = services.rate_cards.on(tenant.day(services.now())).unit_millicredits

    async def grant() -> None:
        await _grant(services, tenant, MORE_CREDITS, reference=f"demo:{services.new_id()}")

    async def drain() -> None:
        await _drain(services, tenant)

    return Scene(
        meta=meta,
        business=BUSINESS,
        twilio=twilio,
        sms_rates=SmsRates(
            sent_millicredits=unit_millicredits[Item.SMS_SENT],
            received_millicredits=unit_millicredits[Item.SMS_RECEIVED],
        ),
        salon=SALON,
        model=services.settings.chat_model,
        offline=realtime is not None,
        realtime=realtime,
        voice_model=services.settings.voice_model,
        has_ear=realtime is None or realtime.ear is not None,
        gateway_url=services.settings.public_url,
        api_token=await _api_token(services, tenant.tenant_id),
        grant=grant,
        drain=drain,
    )


async def _salon(services: Services) -> Tenant:
    async with services.db.directory() as connection:
        known = [tenant for tenant in await list_tenants(connection) if tenant.name == SALON]
    tenant = (
        known[0]
        if known
        else await create_tenant(
            services.db, services.ledger, NewTenant(name=SALON), None, now=services.now(), new_id=services.new_id
        )
    )
    await _grant(services, tenant, FIRST_CREDITS, reference="demo:opening")
    async with services.db.transaction(tenant.tenant_id) as connection:
        names = set((await published_agents(connection, tenant.tenant_id)).values())
    text = resources.files("gateway.simulator").joinpath("lindenhof.toml").read_text(encoding="utf-8")
    await apply_file(services, tenant, parse_tenant_file(text, names))
    if services.settings.openai_api_key == OFFLINE_MODEL:  # it is here and quick; another one would be waited for
        await _prepare_notices(services, tenant)
    return tenant


async def _prepare_notices(services: Services, tenant: Tenant) -> None:
    """Have the first call find what it may have to say without a model."""
    async with services.db.transaction(tenant.tenant_id) as connection:
        agents = await published_agents(connection, tenant.tenant_id)
    for agent_id in agents:
        await prepare_at_once(services, tenant.tenant_id, agent_id)


async def _api_token(services: Services, tenant_id: UUID) -> str:
    """Make a key for the page; those of earlier starts end."""
    async with services.db.directory() as connection:
        for key in await list_api_keys(connection, tenant_id):
            if key.label == KEY_LABEL and key.revoked_at is None:
                await revoke_api_key(connection, tenant_id, key.api_key_id, now=services.now())
        made = await create_api_key(
            connection, tenant_id, api_key_id=services.new_id(), label=KEY_LABEL, now=services.now()
        )
    return made.token


async def _grant(services: Services, tenant: Tenant, amount_credits: int, *, reference: str) -> None:
    grant = Grant(
        reference=reference,
        grant_id=services.new_id(),
        kind="manual",
        amount_millicredits=amount_credits * 1000,
        reason="Demo",
    )
    await services.ledger.submit(tenant.tenant_id, grant)


async def _drain(services: Services, tenant: Tenant) -> None:
    """Spend all but a little, with a receipt as for anything else."""
    card = services.rate_cards.on(tenant.day(services.now()))
    async with services.db.transaction(tenant.tenant_id) as connection:
        wallet = await read_wallet(connection, tenant.tenant_id)
    excess_millicredits = wallet.available_millicredits - LEFT_BY_DRAIN_CREDITS * 1000
    tokens = excess_millicredits // card.unit_millicredits[Item.CHAT_INPUT]
    if tokens <= 0:
        return
    receipt = ReceiptDraft(
        receipt_id=services.new_id(),
        subject="message",
        rate_card=card.version,
        lines=(card.line(Item.CHAT_INPUT, tokens),),
        day=tenant.day(services.now()),
    )
    await services.ledger.submit(tenant.tenant_id, Charge(key=f"demo:{receipt.receipt_id}", receipt=receipt))


def _tell(page: str, scene: Scene) -> None:
    answers = "the offline model (rules, no key needed)" if scene.offline else scene.model
    print(  # one write: whoever reads the address may go there at once
        f"""
  {scene.salon} is open: {page}

  Write as a customer would, on WhatsApp or by SMS: ask for a price, book a haircut, move it, cancel it,
  in German or English. Or call: talk, interrupt, press keys, and watch the credits run.
  Beside the chat stand the balance, the last receipt and the 24-hour window, the price of an SMS, or the call's meter.

  Answers:  {answers}
  Gateway:  {scene.gateway_url}/api/openapi.json
  Stop:     Ctrl-C; what was said and charged is kept for the next start
""",
        flush=True,
    )
