"""A salon with as many credits as a test wants, and calls that pay from them; rows are looked at afterwards."""

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import UUID

from gateway.services import Services
from gateway.sweeps import free_holds
from gateway.voice import call_store
from gateway.voice.arrival import callers
from gateway.voice.call import CallAccount, MinuteHeld, MinuteRefused, account_of
from gateway.voice.call_store import NewCall
from gateway.voice.credit.audit import audit_calls
from gateway.voice.credit.metered_minutes import MinuteUsage
from gateway.voice.credit.minutes import hold_first, hold_minute
from gateway.voice.credit.sweeps import end_orphaned_calls
from metering.audit import audit
from metering.operations import ExpireHold, Grant
from tests.cast import Cast
from tests.conftest import Clock
from tests.gateway.voice.a_call import Salon, open_salon

CREDIT = 1_000  # millicredits
FEE = 95 * CREDIT
AUDIO = 885 * CREDIT  # of a whole minute, at worst
STEP = 295 + 2 * 590  # a tenth of a second, at worst
LEAST_AUDIO = 150 * STEP
ANNA = "+491700000101"


def used(minute: int, input_tokens: int = 100, output_tokens: int = 200) -> MinuteUsage:
    return MinuteUsage(minute, input_tokens, output_tokens)


def cost(usage: MinuteUsage) -> int:
    return 295 * usage.input_tokens + 590 * usage.output_tokens


@dataclass
class Till:
    """A salon's calls and its wallet."""

    services: Services
    clock: Clock
    salon: Salon
    numbers: dict[str, int] = field(default_factory=dict)

    @property
    def tenant_id(self) -> UUID:
        return self.salon.tenant_id

    async def grant(self, millicredits: int) -> None:
        grant_id = self.services.new_id()
        granted = Grant(
            reference=str(grant_id),
            grant_id=grant_id,
            kind="manual",
            amount_millicredits=millicredits,
            reason="for the test",
        )
        await self.services.ledger.submit(self.tenant_id, granted)

    async def rings(self, caller: str | None = ANNA, *, call_sid: str | None = None) -> CallAccount:
        """Let somebody call; nothing is held yet."""
        services, now = self.services, self.services.now()
        call_id = services.new_id()
        async with services.db.transaction(self.tenant_id) as connection:
            contact_id, place = await callers.enter(
                connection,
                self.tenant_id,
                line_id=self.salon.line_id,
                caller=caller,
                now=now,
                new_id=services.new_id,
            )
            account = account_of(
                self.salon.configuration.on_channel("voice"),
                tenant_id=self.tenant_id,
                call_id=call_id,
                conversation_id=place.conversation_id,
                contact_id=contact_id,
                line_id=self.salon.line_id,
                agent_id=place.agent_id,
                agent_version=place.agent_version,
                rate_card=services.rate_cards.on(now.date()).version,
                timezone="Europe/Berlin",
            )
            new = NewCall(account=account, call_sid=call_sid or f"CA{call_id.hex}", caller=caller, engine="realtime")
            until = now + timedelta(seconds=services.limits.stream_begins_s)
            assert await call_store.insert_call(connection, new, now=now, lease_until=until)
        return account

    async def streams(self, account: CallAccount) -> CallAccount:
        """Begin a stream for a call; return what it acts with."""
        services = self.services
        async with services.db.transaction(self.tenant_id) as connection:
            epoch = await call_store.begin_stream(
                connection,
                account,
                now=services.now(),
                lease_until=services.after(services.limits.call_lease_s),
            )
        assert epoch is not None
        return account.at(epoch)

    async def answered(self, caller: str | None = ANNA) -> tuple[CallAccount, MinuteHeld]:
        """Let somebody call who can pay, and begin their stream."""
        account = await self.rings(caller)
        held = a_minute(await hold_first(self.services, account))
        return await self.streams(account), held

    async def renews(self, account: CallAccount) -> bool:
        services = self.services
        async with services.db.transaction(self.tenant_id) as connection:
            return await call_store.renew_lease(
                connection, account, lease_until=services.after(services.limits.call_lease_s)
            )

    async def holds(self, account: CallAccount, minute: int) -> MinuteHeld:
        return a_minute(await hold_minute(self.services, account, minute))

    async def sweep(self) -> None:
        await end_orphaned_calls(self.services)
        await free_holds(self.services)

    async def row(self, query: str, *arguments: object) -> dict[str, Any]:
        return await self.salon.row(query, *arguments)

    async def rows(self, query: str, *arguments: object) -> list[dict[str, Any]]:
        return await self.salon.rows(query, *arguments)

    async def wallet(self) -> tuple[int, int]:
        """Return balance and held, in millicredits, of books that agree."""
        async with self.services.db.transaction(self.tenant_id) as connection:
            assert await audit(connection, self.tenant_id, self.services.rate_cards) == ()
            assert await audit_calls(connection, self.tenant_id) == ()
            row = await connection.fetchrow("SELECT balance_millicredits, held_millicredits FROM wallet")
        assert row is not None
        return row["balance_millicredits"], row["held_millicredits"]

    async def paused(self) -> bool:
        return bool((await self.row("SELECT state FROM wallet"))["state"] == "paused")

    async def entries(self) -> dict[str, int]:
        """Return what was charged and given back, by key, in millicredits."""
        rows = await self.rows(
            """SELECT key, amount_millicredits AS amount FROM ledger_entry WHERE kind <> 'grant' ORDER BY sequence"""
        )
        return {row["key"]: row["amount"] for row in rows}

    async def open_holds(self) -> dict[str, int]:
        rows = await self.rows("SELECT key, amount_millicredits AS amount FROM hold WHERE state = 'open'")
        return {row["key"]: row["amount"] for row in rows}

    async def alerts(self) -> list[str]:
        return [row["kind"] for row in await self.rows("SELECT kind FROM alert ORDER BY created_at, kind")]

    async def call(self, account: CallAccount) -> dict[str, Any]:
        return await self.row("SELECT * FROM call WHERE call_id = $1", account.call_id)


def a_minute(held: MinuteHeld | MinuteRefused) -> MinuteHeld:
    assert isinstance(held, MinuteHeld), held
    return held


async def open_till(services: Services, cast: Cast, clock: Clock) -> Till:
    """A salon whose wallet is empty."""
    empty = Cast(acme=cast.broke, broke=cast.acme, mallory=cast.mallory)
    return Till(services, clock, await open_salon(services, empty))


async def dial(till: Till, account: CallAccount, leg: int) -> None:
    """Let a person be dialled."""
    await till.salon.do(
        "INSERT INTO call_leg (tenant_id, call_id, leg, time_limit_s, dialled_at) VALUES ($1, $2, $3, 600, now())",
        account.tenant_id,
        account.call_id,
        leg,
    )


def expiry(hold_key: str) -> ExpireHold:
    return ExpireHold(hold_key=hold_key)
