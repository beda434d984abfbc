"""A whole world for a story: Meta, Twilio, a model, a salon with credits, and the gateway between, on real sockets.

Times are short, so that a story takes a second; the clock can be put forward, so that a day can pass.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from uuid import UUID

import aiohttp

from gateway.app import open_services, system_id, system_now
from gateway.identity import create_api_key
from gateway.limits import Limits
from gateway.line_file import parse_tenant_file
from gateway.lines import apply_file
from gateway.services import Services
from gateway.simulator.caller import Caller
from gateway.simulator.customer import Customer
from gateway.simulator.meta import FakeMeta
from gateway.simulator.meta_wire import Business, Person
from gateway.simulator.openai_chat import Brain, FakeOpenAI, Said
from gateway.simulator.twilio import FakeTwilio
from gateway.simulator.twilio_customer import TwilioCustomer
from gateway.tenants import NewTenant, Tenant, create_tenant
from metering.audit import audit
from metering.operations import Grant
from metering.receipts import Receipt, list_receipts
from tests.stories.serving import ACCESS_TOKEN, ACCOUNT_SID, APP_SECRET, AUTH_TOKEN, PUBLIC_URL, served, settings_for

QUICK = Limits(
    burst_quiet_ms=60,
    burst_media_quiet_ms=80,
    burst_cap_ms=400,
    poll_s=0.05,
    sweep_s=0.2,
    lease_s=2.0,
    hold_wait_s=5.0,
    drain_s=5.0,
)
SALON = """
[[agent]]
name = "Rezeption"
instructions = "Du bist die Rezeption des Salons Lindenhof."
greeting = "Hallo, hier ist die digitale Assistentin (KI) vom Salon Lindenhof."
language = "de"
tools = ["appointments", "opening_hours", "handover"]
answer_max_tokens = 400
away_text = "Wir melden uns, sobald es geht."
[agent.hours]
monday = ["09:00-18:00"]
tuesday = ["09:00-13:00", "14:00-18:00"]
wednesday = ["09:00-18:00"]
thursday = ["09:00-18:00"]
friday = ["09:00-18:00"]
[[agent.service]]
name = "Haarschnitt"
minutes = 45
price = "42 Euro"
[[line]]
number = "{number}"
kind = "mobile"
agent = "Rezeption"
channels = ["whatsapp", "sms", "voice"]
whatsapp_provider = "meta"
whatsapp_phone_number_id = "{phone_number_id}"
"""


def answer(_request: object) -> Said:
    return Said(text="Ein Haarschnitt kostet 42 Euro.")


@dataclass
class Salon:
    """One tenant of the story."""

    tenant: Tenant
    business: Business
    api_key: str

    @property
    def tenant_id(self) -> UUID:
        return self.tenant.tenant_id


@dataclass
class World:
    """Everything a story touches."""

    meta: FakeMeta
    twilio: FakeTwilio
    model: FakeOpenAI
    services: Services
    url: str
    http: aiohttp.ClientSession
    clock: "Offset"
    salons: list[Salon] = field(default_factory=list)

    @property
    def salon(self) -> Salon:
        return self.salons[0]

    def customer(self, number: int = 1, *, salon: Salon | None = None, name: str = "Anna") -> Customer:
        person = Person(name=name, wa_id=f"4917{number:08d}")
        return Customer(self.meta, (salon or self.salon).business, person)

    def sms_customer(self, number: int = 1, *, salon: Salon | None = None) -> TwilioCustomer:
        """Return a customer with the same number as `customer(number)`, who writes SMS."""
        business = (salon or self.salon).business.display_number
        return TwilioCustomer(self.twilio, business=business, number=f"+4917{number:08d}")

    def twilio_customer(self, number: int = 1, *, salon: Salon | None = None, name: str = "Anna") -> TwilioCustomer:
        """Return a customer who writes on WhatsApp to a line that has it from Twilio."""
        business = (salon or self.salon).business.display_number
        return TwilioCustomer(
            self.twilio, business=business, number=f"+4917{number:08d}", channel="whatsapp", name=name
        )

    def caller(self, number: int = 1, *, salon: Salon | None = None) -> Caller:
        """Return somebody with the same number as `customer(number)`, who calls."""
        business = (salon or self.salon).business.display_number
        return Caller(self.twilio, business=business, number=f"+4917{number:08d}")

    async def add_salon(self, name: str, *, amount_credits: int, file: str = SALON) -> Salon:
        number = len(self.salons) + 1
        business = Business(phone_number_id=f"100000{number}", display_number=f"+491510000000{number}")
        self.meta.businesses[business.phone_number_id] = business
        self.twilio.numbers.add(
            business.display_number,
            "mobile",
            sms_url=self.twilio.messages_url,
            voice_url=self.twilio.voice_url,
            status_callback=self.twilio.voice_status_url,
        )
        self.twilio.whatsapp_senders.add(business.display_number)
        services = self.services
        tenant = await create_tenant(
            services.db, services.ledger, NewTenant(name=name), None, now=services.now(), new_id=services.new_id
        )
        # A line's first month is paid at once, so that first.
        await self.grant(tenant.tenant_id, 60_000)
        text = file.format(number=business.display_number, phone_number_id=business.phone_number_id)
        await apply_file(services, tenant, parse_tenant_file(text, ()))
        if amount_credits:
            await self.grant(tenant.tenant_id, amount_credits)
        async with services.db.transaction(tenant.tenant_id) as connection:
            key = await create_api_key(
                connection, tenant.tenant_id, api_key_id=services.new_id(), label="story", now=services.now()
            )
        salon = Salon(tenant=tenant, business=business, api_key=key.token)
        self.salons.append(salon)
        return salon

    async def grant(self, tenant_id: UUID, amount_credits: int) -> None:
        grant_id = self.services.new_id()
        await self.services.ledger.submit(
            tenant_id,
            Grant(
                reference=str(grant_id),
                grant_id=grant_id,
                kind="manual",
                amount_millicredits=amount_credits * 1000,
                reason="story",
            ),
        )

    async def wallet(self, salon: Salon | None = None) -> tuple[int, int, str]:
        """Return balance, held (both in millicredits) and state."""
        tenant_id = (salon or self.salon).tenant_id
        async with self.services.db.transaction(tenant_id) as connection:
            row = await connection.fetchrow(
                "SELECT balance_millicredits, held_millicredits, state FROM wallet WHERE tenant_id = $1", tenant_id
            )
        assert row is not None
        return row["balance_millicredits"], row["held_millicredits"], row["state"]

    async def receipts(self, salon: Salon | None = None) -> list[Receipt]:
        """Return the receipts of turns, oldest first."""
        tenant_id = (salon or self.salon).tenant_id
        found: list[Receipt] = []
        async with self.services.db.transaction(tenant_id) as connection:
            while page := await list_receipts(
                connection, tenant_id, limit=200, before=found[-1].sequence if found else None
            ):
                found.extend(page)
        return [receipt for receipt in reversed(found) if receipt.subject == "turn"]

    async def rows(self, query: str, *arguments: object, salon: Salon | None = None) -> list[dict[str, object]]:
        tenant_id = (salon or self.salon).tenant_id
        async with self.services.db.transaction(tenant_id) as connection:
            return [dict(row) for row in await connection.fetch(query, *arguments)]

    async def api(self, method: str, path: str, *, salon: Salon | None = None, json: object = None) -> tuple[int, dict]:  # type: ignore[type-arg]  # any JSON
        headers = {"Authorization": f"Bearer {(salon or self.salon).api_key}"}
        async with self.http.request(method, self.url + path, headers=headers, json=json) as response:
            return response.status, await response.json(content_type=None)

    async def quiet(self, *, timeout_s: float = 20.0) -> None:
        """Wait until nothing is due, held, on its way or unreported."""
        await self._carriers_settled()
        await until(self._is_quiet, timeout_s=timeout_s)

    async def audit(self) -> None:
        """Recompute every tenant's ledger; raises on a difference."""
        for salon in self.salons:
            async with self.services.db.transaction(salon.tenant_id) as connection:
                found = await audit(connection, salon.tenant_id, self.services.rate_cards)
            assert not found, found

    async def _is_quiet(self) -> bool:
        busy = await self._count("SELECT count(*) FROM conversation WHERE due_at IS NOT NULL")
        busy += await self._count(
            "SELECT count(*) FROM outbox WHERE state IN ('pending', 'sending') OR state = 'unknown' AND due_at <= now()"
        )
        busy += await self._count("SELECT count(*) FROM hold WHERE state = 'open'")
        if busy:
            return False
        await self._carriers_settled()
        return True

    async def _carriers_settled(self) -> None:
        await self.meta.settled()
        await self.twilio.settled()

    async def _count(self, query: str) -> int:
        total = 0
        for salon in self.salons:
            rows = await self.rows(query, salon=salon)
            total += int(str(rows[0]["count"]))
        return total


class Offset:
    """The system's clock, put forward."""

    def __init__(self) -> None:
        self.by = timedelta()

    def now(self) -> datetime:
        return system_now() + self.by


async def until(holds: Callable[[], Awaitable[bool]], *, timeout_s: float = 15.0) -> None:
    """Wait until something holds. Raises TimeoutError."""
    async with asyncio.timeout(timeout_s):
        while not await holds():  # noqa: ASYNC110 - another process may be what changes it
            await asyncio.sleep(0.02)


@contextlib.asynccontextmanager
async def opened(
    database_url: str,
    folder: Path,
    *,
    brain: Brain = answer,
    limits: Limits = QUICK,
    serve: bool = True,
    **addresses: str,
) -> AsyncIterator[World]:
    """Open a world without a salon yet; without `serve`, without a gateway too. `addresses`: as `settings_for`."""
    clock = Offset()
    async with contextlib.AsyncExitStack() as stack:
        meta = FakeMeta(webhook_url="", app_secret=APP_SECRET, token=ACCESS_TOKEN, businesses=[])
        twilio = FakeTwilio(
            account_sid=ACCOUNT_SID, auth_token=AUTH_TOKEN, public_url=PUBLIC_URL, gateway_url=lambda: world.url
        )
        twilio.calls.say_char_ms = 2.0  # its voice is quick, so that a story is
        model = FakeOpenAI(brain)
        meta_url = await stack.enter_async_context(meta.running())
        twilio_url = await stack.enter_async_context(twilio.running())
        model_url = await stack.enter_async_context(model.running())
        settings = settings_for(
            database_url, folder, meta_url=meta_url, twilio_url=twilio_url, model_url=model_url, **addresses
        )
        services = await stack.enter_async_context(
            open_services(settings, now=clock.now, new_id=system_id, limits=limits)
        )
        url = await stack.enter_async_context(served(services)) if serve else ""
        meta.webhook_url = f"{url}/webhooks/whatsapp"
        http = await stack.enter_async_context(aiohttp.ClientSession())
        world = World(meta=meta, twilio=twilio, model=model, services=services, url=url, http=http, clock=clock)
        yield world
