"""Buying a number on order: asked once, looked up when nobody knows, paid with the row of its line.

Every step is written down before it is taken, and one process at a time works on an order, so that whoever takes it
up after a crash ends it: with one number and one charge, or with neither.
"""

from dataclasses import dataclass
from datetime import timedelta

import structlog

from gateway import number_store, rental_payment
from gateway.alerts import raise_alert
from gateway.errors import BadInputError
from gateway.group_commit import Companion
from gateway.line_file import LineTable
from gateway.line_store import insert_line, list_lines, take_again, update_line
from gateway.number_store import NumberOrder
from gateway.rental_days import Rental
from gateway.services import Services
from gateway.tenants import Tenant
from gateway.twilio import numbers
from gateway.twilio.numbers import BoughtNumber, Purchase
from gateway.twilio.rest import Failure, OutcomeUnknown, Refused, TwilioRest
from metering.connection import Connection
from metering.operations import Applied, Capture, Outcome, Release

HELD_FOR = timedelta(hours=1)
CLAIMED_FOR = timedelta(minutes=2)  # more than the three questions that Twilio is asked meanwhile can take
LOOKED_UP_AFTER = timedelta(minutes=1)  # by then Twilio has done what it was asked, or never will
ATTEMPTS_MAX = 5
MESSAGES_PATH = "/webhooks/twilio/messages"
VOICE_PATH = "/webhooks/twilio/voice"
VOICE_STATUS_PATH = "/webhooks/twilio/voice/status"

log = structlog.get_logger(__name__)


async def resume_orders(services: Services, tenant: Tenant) -> None:
    """Take up the tenant's orders that nobody is working on any more, and end them; the owner hears of failures."""
    if services.twilio is None:
        return
    async with services.db.transaction(tenant.tenant_id) as connection:
        orders = await number_store.list_open(connection, tenant.tenant_id)
    for order in orders:
        await resume(services, services.twilio, tenant, order)


async def resume(services: Services, twilio: TwilioRest, tenant: Tenant, order: NumberOrder) -> NumberOrder:
    """Take up one order unless somebody else is working on it; return how it stands."""
    now = services.now()
    async with services.db.transaction(tenant.tenant_id) as connection:
        claimed = await number_store.claim(
            connection, tenant.tenant_id, order.order_id, now=now, until=now + CLAIMED_FOR
        )
    if claimed is None:
        return await _standing(services, tenant, order)
    buying = _Buying(services=services, twilio=twilio, tenant=tenant, order=claimed, watched=False)
    if claimed.state == "held" and now >= claimed.created_at + HELD_FOR:  # its credits are free again
        return await buying.fail("expired")
    return await buying.go_on()


async def purchase(services: Services, twilio: TwilioRest, tenant: Tenant, order: NumberOrder) -> NumberOrder:
    """Buy what has just been ordered, while whoever ordered it waits; return how the order stands then."""
    return await _Buying(services=services, twilio=twilio, tenant=tenant, order=order, watched=True).go_on()


def table_of(order: NumberOrder) -> LineTable:
    """Return an ordered line as a file would say it; a new number speaks WhatsApp through Twilio, if at all."""
    return LineTable(
        number=order.number,
        kind=order.kind,
        agent=str(order.agent_id),
        channels=order.channels,
        whatsapp_provider="twilio" if "whatsapp" in order.channels else None,
    )


async def _standing(services: Services, tenant: Tenant, order: NumberOrder) -> NumberOrder:
    async with services.db.transaction(tenant.tenant_id) as connection:
        return await number_store.read_order(connection, tenant.tenant_id, order.order_id) or order


@dataclass(slots=True, kw_only=True)
class _Buying:
    """An order that this process is working on. `watched`: somebody waits for the outcome and will be told."""

    services: Services
    twilio: TwilioRest
    tenant: Tenant
    order: NumberOrder
    watched: bool

    async def go_on(self) -> NumberOrder:
        """Look up what an earlier attempt came to, and ask Twilio for the number if it came to nothing."""
        if self.order.attempts:
            found = await numbers.find(self.twilio, self.order.name)
            if found is not None:
                return await self._found(found)
            if self.order.attempts >= ATTEMPTS_MAX:
                return await self.fail("outcome_unknown")
        async with self.services.db.transaction(self.tenant.tenant_id) as connection:
            started = await number_store.start_attempt(connection, self.tenant.tenant_id, self.order)
        if started is None:
            return await _standing(self.services, self.tenant, self.order)
        self.order = started
        answer = await numbers.buy(self.twilio, self._purchase())
        if isinstance(answer, Refused) or (started.attempts == 1 and not isinstance(answer, OutcomeUnknown)):
            return await self._answered(answer)
        return await self._found(answer)

    async def fail(self, failure: str) -> NumberOrder:
        """End the order with nothing bought and nothing charged."""

        async def write(connection: Connection, _outcome: Outcome) -> None:
            await number_store.end_order(
                connection, self.tenant.tenant_id, self.order.order_id, failure=failure, now=self.services.now()
            )
            if not self.watched:
                await self._alert(connection, failure)

        release = Release(hold_key=self.order.hold_key)
        companion = Companion(check=self._is_open, write=write)
        await self.services.ledger.submit(self.tenant.tenant_id, release, companion)
        return await _standing(self.services, self.tenant, self.order)

    async def _answered(self, answer: BoughtNumber | Failure) -> NumberOrder:
        """Settle on Twilio's word; a number it does not have any more may be the one that an earlier attempt bought."""
        if isinstance(answer, BoughtNumber):
            return await self._complete(answer)
        if self.order.attempts > 1:
            found = await numbers.find(self.twilio, self.order.name)
            if found is not None:
                return await self._found(found)
        return await self.fail(numbers.code_of(answer))

    async def _found(self, found: BoughtNumber | Failure) -> NumberOrder:
        if isinstance(found, BoughtNumber):
            return await self._complete(found)
        log.warning("number_order_waits", order_id=str(self.order.order_id), failure=numbers.code_of(found))
        until = self.services.now() + LOOKED_UP_AFTER
        async with self.services.db.transaction(self.tenant.tenant_id) as connection:
            await number_store.let_go(connection, self.tenant.tenant_id, self.order, until=until)
        return await _standing(self.services, self.tenant, self.order)

    async def _complete(self, bought: BoughtNumber) -> NumberOrder:
        """Charge the first month and make the line, in one transaction; what cannot be paid any more is suspended."""
        services, tenant_id, order = self.services, self.tenant.tenant_id, self.order
        day = self.tenant.day(services.now())
        rental = Rental(line_id=order.line_id, kind=order.kind, state="suspended", provisioned_on=day, due_on=day)
        receipt = rental_payment.rental_receipt(
            services, line_id=order.line_id, kind=order.kind, month=rental.month, day=day
        )
        key = rental_payment.rental_key(order.line_id, rental.month)

        async def write(connection: Connection, outcome: Outcome) -> None:
            await self._make_line(connection, bought, rental)
            if rental_payment.is_paid(outcome):
                until = rental.month.ends_on
                await rental_payment.note_paid(services, connection, tenant_id, rental, until=until, day=day)
            else:
                await rental_payment.note_unpaid(services, connection, tenant_id, rental, day)
            await number_store.end_order(connection, tenant_id, order.order_id, failure=None, now=services.now())

        capture = Capture(hold_key=order.hold_key, key=key, receipt=receipt)
        try:
            outcome = await services.ledger.submit(tenant_id, capture, Companion(check=self._is_open, write=write))
        except BadInputError:  # somebody has entered this very number for a line of theirs since it was ordered
            await numbers.give_back(self.twilio, bought.sid)
            return await self.fail("number_in_use")
        if not isinstance(outcome, Applied):
            await services.ledger.submit(tenant_id, Release(hold_key=order.hold_key))
        return await _standing(services, self.tenant, order)

    async def _make_line(self, connection: Connection, bought: BoughtNumber, rental: Rental) -> None:
        services, tenant_id, order = self.services, self.tenant.tenant_id, self.order
        table = table_of(order)
        rows = [row for row in await list_lines(connection, tenant_id) if row.line_id == order.line_id]
        if rows:  # the tenant had this number before and gave it up
            await take_again(
                connection, tenant_id, order.line_id, table, day=rental.provisioned_on, twilio_number_sid=bought.sid
            )
            await update_line(
                connection, tenant_id, rows[0], table, agent_id=order.agent_id, secret_box=services.secret_box
            )
            return
        await insert_line(
            connection,
            tenant_id,
            table,
            line_id=order.line_id,
            agent_id=order.agent_id,
            secret_box=services.secret_box,
            day=rental.provisioned_on,
            now=services.now(),
            twilio_number_sid=bought.sid,
        )

    def _purchase(self) -> Purchase:
        public_url = self.services.settings.public_url
        return Purchase(
            number=self.order.number,
            name=self.order.name,
            sms_url=public_url + MESSAGES_PATH,
            voice_url=public_url + VOICE_PATH,
            voice_status_url=public_url + VOICE_STATUS_PATH,
            bundle_sid=self.order.bundle_sid,
            address_sid=self.order.address_sid,
        )

    async def _is_open(self, connection: Connection) -> bool:
        return await number_store.lock_open(connection, self.tenant.tenant_id, self.order.order_id) is not None

    async def _alert(self, connection: Connection, failure: str) -> None:
        await raise_alert(
            connection,
            self.tenant.tenant_id,
            kind="number_order_failed",
            dedupe_key=f"number_order_failed:{self.order.order_id}",
            detail={"order_id": str(self.order.order_id), "failure": failure},
            now=self.services.now(),
            new_id=self.services.new_id,
        )
