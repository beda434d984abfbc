"""Ordering a number: searched at Twilio, its first month held, bought, and then a line: docs/decisions/0011."""

import re
from dataclasses import dataclass, replace
from uuid import UUID

from pydantic import ValidationError

from agents.parts import Channel
from agents.problems import problems_of
from agents.store import find_agent
from gateway import number_store
from gateway.errors import BadInputError, ProblemError
from gateway.group_commit import Companion
from gateway.line_file import LineTable
from gateway.line_kinds import NO_SMS_ON_LOCAL, RENTAL, LineKind
from gateway.line_store import check_addresses, list_lines
from gateway.number_purchase import CLAIMED_FOR, HELD_FOR, purchase, resume, table_of
from gateway.number_store import NumberOrder
from gateway.repeat_keys import DoneMeanwhileError, RepeatKey, find_done, remember
from gateway.services import Services
from gateway.tenants import Tenant
from gateway.twilio import numbers
from gateway.twilio.numbers import OfferedNumber
from gateway.twilio.rest import TwilioRest
from metering.connection import Connection
from metering.operations import Held, Hold, Outcome, Release

OFFERED_MAX = 100
_COUNTRY = re.compile(r"[A-Z]{2}")
_FAILURES = {
    "twilio_21422": (409, "number_not_available", "Somebody else has taken the number meanwhile; order another one."),
    "number_in_use": (409, "number_not_available", "The number is in use by another line; order another one."),
    "twilio_unreachable": (503, "twilio_unavailable", "Twilio cannot be reached; nothing was bought. Try again later."),
    "twilio_throttled": (
        503,
        "twilio_unavailable",
        "Twilio wants us to slow down; nothing was bought. Try again later.",
    ),
    "outcome_unknown": (503, "twilio_unavailable", "Twilio did not answer and has no such purchase; order again."),
    "expired": (409, "order_expired", "The order was interrupted before Twilio was asked; order again."),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedNumber:
    """What is ordered. Without a number, the first one that Twilio offers is taken."""

    country: str
    kind: LineKind
    agent: str
    channels: tuple[Channel, ...]
    number: str | None = None
    bundle_sid: str | None = None
    address_sid: str | None = None
    repeat: RepeatKey | None = None


async def search_numbers(
    services: Services, *, country: str, kind: LineKind, limit: int = OFFERED_MAX, number: str | None = None
) -> list[OfferedNumber]:
    """Return numbers that could be ordered, or the one that is asked for.

    Raises BadInputError for what is no country, ProblemError if Twilio does not say.
    """
    found = await numbers.search(
        _twilio(services), country=_country(country), kind=kind, limit=min(limit, OFFERED_MAX), number=number
    )
    if isinstance(found, list):
        return found
    raise _problem(numbers.code_of(found))


async def order_number(services: Services, tenant: Tenant, wanted: WantedNumber) -> NumberOrder:
    """Order a number and wait for Twilio; the order is done, or still `buying` if Twilio has not said.

    The same request under one key is one order. Raises BadInputError for what cannot be ordered, ProblemError: 402
    without the credits for the first month, 409 if Twilio refuses, 503 if it cannot be asked.
    """
    twilio = _twilio(services)
    async with services.db.transaction(tenant.tenant_id) as connection:
        done = await _done_before(services, connection, tenant.tenant_id, wanted.repeat)
    if done is None:
        order = await _plan(services, tenant, wanted)
        holding = _Holding(services=services, tenant=tenant, order=order, repeat=wanted.repeat)
        done = await holding.hold()
        if done is None:
            return _told(await purchase(services, twilio, tenant, order))
    return _told(await resume(services, twilio, tenant, done) if done.is_open else done)


def _told(order: NumberOrder) -> NumberOrder:
    if order.state == "failed":
        raise _problem(order.failure or "")
    return order


def _problem(failure: str) -> ProblemError:
    if failure in _FAILURES:
        return ProblemError(*_FAILURES[failure])
    code = failure.removeprefix("twilio_")
    return ProblemError(
        409,
        "order_refused",
        f"Twilio refused (error {code}); nothing was charged. https://www.twilio.com/docs/api/errors/{code} says why; "
        "some countries want an address and a bundle of documents with the order.",
    )


def _twilio(services: Services) -> TwilioRest:
    if services.twilio is None:
        raise ProblemError(
            409,
            "twilio_not_configured",
            "Numbers are ordered from Twilio; set TWILIO_ACCOUNT_SID and TWILIO_AUTH_TOKEN.",
        )
    return services.twilio


def _country(text: str) -> str:
    country = text.strip().upper()
    if not _COUNTRY.fullmatch(country):
        raise BadInputError('the country is written with two letters, like "DE"')
    return country


async def _plan(services: Services, tenant: Tenant, wanted: WantedNumber) -> NumberOrder:
    """Return the order for a number that is to be had. Raises BadInputError for what could never become a line."""
    if wanted.kind == "local" and "sms" in wanted.channels:
        raise BadInputError(f"channels: {NO_SMS_ON_LOCAL}")
    async with services.db.transaction(tenant.tenant_id) as connection:
        agent = await find_agent(connection, tenant.tenant_id, wanted.agent)
    if agent is None or agent.published_version is None:
        raise BadInputError(f'agent: there is no published agent "{wanted.agent}"')
    now = services.now()
    order = NumberOrder(
        order_id=services.new_id(),
        line_id=services.new_id(),
        number=await _offered(services, wanted),
        kind=wanted.kind,
        country=_country(wanted.country),
        agent_id=agent.agent_id,
        channels=wanted.channels,
        bundle_sid=wanted.bundle_sid,
        address_sid=wanted.address_sid,
        state="held",
        attempts=0,
        claimed_until=now + CLAIMED_FOR,
        failure=None,
        created_at=now,
    )
    async with services.db.transaction(tenant.tenant_id) as connection:
        return await _checked(connection, tenant.tenant_id, order)


async def _offered(services: Services, wanted: WantedNumber) -> str:
    """Return the number that is wanted, or the first there is of its kind."""
    offered = await search_numbers(services, country=wanted.country, kind=wanted.kind, number=wanted.number)
    if offered:
        return offered[0].number
    which = "no" if wanted.number is None else "no such"
    raise ProblemError(
        409, "number_not_available", f"Twilio has {which} {wanted.kind} number to sell in {_country(wanted.country)}."
    )


async def _checked(connection: Connection, tenant_id: UUID, order: NumberOrder) -> NumberOrder:
    """Return the order, for the line that had this number before if there was one."""
    existing = {row.number: row for row in await list_lines(connection, tenant_id)}
    before = existing.get(order.number)
    if before is not None and (before.state != "released" or before.twilio_number_sid is not None):
        raise BadInputError("number: is a line of this tenant already, or is just being given back")
    if before is not None and before.kind != order.kind:
        raise BadInputError(f'kind: this number was set up as "{before.kind}"; order another one')
    try:
        table = table_of(order)
    except ValidationError as error:
        raise BadInputError("\n".join(problems_of(error, LineTable))) from None
    await check_addresses(connection, tenant_id, [table], existing)
    return order if before is None else replace(order, line_id=before.line_id)


async def _done_before(
    services: Services, connection: Connection, tenant_id: UUID, repeat: RepeatKey | None
) -> NumberOrder | None:
    """Return the order that the same request made before. Raises ProblemError if its key belongs to another."""
    done = await find_done(connection, tenant_id, repeat.key, now=services.now()) if repeat is not None else None
    if done is None or repeat is None:
        return None
    if done.request_hash != repeat.request_hash:
        raise ProblemError(
            409, "idempotency_key_reused", "This Idempotency-Key was used for another request; take a new one."
        )
    return await number_store.read_order(connection, tenant_id, UUID(str(done.response["order_id"])))


@dataclass(slots=True, kw_only=True)
class _Holding:
    """Setting the first month aside and noting the order, in one transaction."""

    services: Services
    tenant: Tenant
    order: NumberOrder
    repeat: RepeatKey | None
    done_before: NumberOrder | None = None
    held: bool = False

    async def hold(self) -> NumberOrder | None:
        """Hold the month and note the order; return the order that the same request made meanwhile, if one did.

        Raises ProblemError if the wallet cannot pay.
        """
        services, tenant_id = self.services, self.tenant.tenant_id
        companion = Companion(check=self._check, write=self._write)
        try:
            await services.ledger.hold(tenant_id, self._hold(), companion, wait_s=services.limits.hold_wait_s)
        except DoneMeanwhileError:
            async with services.db.transaction(tenant_id) as connection:
                self.done_before = await _done_before(services, connection, tenant_id, self.repeat)
        if self.held or self.done_before is not None:
            return self.done_before
        await services.ledger.submit(tenant_id, Release(hold_key=self.order.hold_key))
        raise ProblemError(402, "insufficient_credits", "The wallet cannot pay for the first month of this number.")

    def _hold(self) -> Hold:
        """Return a hold of the whole month or of nothing: who cannot afford a number is not to be paused for it."""
        day = self.tenant.day(self.services.now())
        card = self.services.rate_cards.on(day)
        rent_millicredits = card.line(RENTAL[self.order.kind], 1).amount_millicredits
        return Hold(
            key=self.order.hold_key,
            max_millicredits=rent_millicredits,
            min_millicredits=0,
            step_millicredits=max(rent_millicredits, 1),
            may_shrink=False,
            expires_at=self.order.created_at + HELD_FOR,
            rate_card=card.version,
            day=day,
        )

    async def _check(self, connection: Connection) -> bool:
        self.held = False
        self.done_before = await _done_before(self.services, connection, self.tenant.tenant_id, self.repeat)
        return self.done_before is None

    async def _write(self, connection: Connection, outcome: Outcome) -> None:
        wanted_millicredits = self._hold().max_millicredits
        self.held = isinstance(outcome, Held) and outcome.amount_millicredits == wanted_millicredits
        if not self.held:
            return
        await number_store.insert_order(connection, self.tenant.tenant_id, self.order)
        if self.repeat is not None:
            response = {"order_id": str(self.order.order_id)}
            await remember(
                connection, self.tenant.tenant_id, self.repeat, status=201, response=response, now=self.services.now()
            )
