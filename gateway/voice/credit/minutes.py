"""What a call sets aside and pays while it goes on: each minute's fee and audio, and the minutes of people's legs.

Everything happens once, by its key. Whoever is not the call's stream any more changes nothing: StaleLeaseError.
Nothing waits for holds in flight: a call is answered at once or not at all, and one that goes on asks again. A ledger
that cannot be reached raises DatabaseUnavailableError; the call goes on within what is held. Amounts are millicredits.
"""

import functools
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import structlog

from gateway.errors import MinuteUnpaidError, StaleLeaseError
from gateway.group_commit import Companion
from gateway.services import Services
from gateway.voice.call import CallAccount, CountedBy, MinuteHeld, MinuteRefused
from gateway.voice.credit import charges
from gateway.voice.credit.keys import CALLERS_LEG, audio_key, minute_key
from gateway.voice.credit.metered_minutes import MinuteUsage, VoiceRates
from metering.connection import Connection
from metering.operations import Applied, Capture, Held, Hold, MustWait, Operation, Outcome, Refused, Release
from metering.rates import Item

log = structlog.get_logger(__name__)


def rates_for(services: Services, account: CallAccount) -> VoiceRates:
    """Return what this call costs: by the rate card that was valid when it came in."""
    return charges.rates_of(services.rate_cards.version(account.rate_card))


async def hold_first(services: Services, account: CallAccount) -> MinuteHeld | MinuteRefused:
    """Set the first minute aside before the call is answered, in full or for some seconds of audio at least.

    It is let go if no stream begins in time.
    """
    expires_at = services.after(services.limits.stream_begins_s)
    draw = functools.partial(charges.draw_minute, services, account, 1, expires_at=expires_at)
    return await _hold(services, account, 1, draw, bound=False)


async def hold_minute(services: Services, account: CallAccount, minute: int) -> MinuteHeld | MinuteRefused:
    """Set a minute aside before it begins, or what is left of one that another stream had begun; as `hold_first`."""
    expires_at = services.after(services.limits.call_lease_s)
    draw = functools.partial(charges.draw_minute, services, account, minute, expires_at=expires_at)
    return await _hold(services, account, minute, draw)


async def enlarge(services: Services, account: CallAccount, held: MinuteHeld) -> MinuteHeld | None:
    """Set aside more of a minute's audio than could be before, as far as can be; None if there is no more."""
    acting = False

    async def draw(connection: Connection) -> Hold | None:
        nonlocal acting
        acting = await charges.acts(connection, account)
        return await charges.draw_growth(services, account, held.audio_key, connection) if acting else None

    outcome = await services.ledger.submit(account.tenant_id, draw)
    if not acting:
        raise StaleLeaseError
    if not isinstance(outcome, Held) or outcome.amount_millicredits <= held.audio_millicredits:
        return None
    amount = outcome.amount_millicredits
    return replace(held, audio_millicredits=amount, full=amount >= rates_for(services, account).audio_max)


async def begin_minute(services: Services, account: CallAccount, held: MinuteHeld) -> int:
    """Charge a minute's fee as it begins, once; return it. Raises MinuteUnpaidError."""

    async def fee_key(_connection: Connection) -> str:
        return held.fee_key

    return await _begin(services, account, CALLERS_LEG, held.minute, fee_key)


@dataclass(slots=True, kw_only=True)
class _Settling:
    """One minute's audio on its way into the ledger; afterwards it knows what came of it. A batch may try it twice."""

    services: Services
    account: CallAccount
    held: MinuteHeld
    usage: MinuteUsage
    counted_by: CountedBy
    provider_usage: Mapping[str, object]
    acting: bool = False
    before: int | None = None  # what it was settled for earlier

    async def draw(self, connection: Connection) -> Operation | None:
        account, usage = self.account, self.usage
        key = audio_key(self.held.audio_key)
        self.acting = await charges.acts(connection, account)
        self.before = await charges.charged_amount(connection, account.tenant_id, key)
        if not self.acting or self.before is not None:
            return None
        if not usage.input_tokens and not usage.output_tokens:
            return Release(hold_key=self.held.audio_key)
        card = self.services.rate_cards.version(account.rate_card)
        lines = (card.line(Item.VOICE_INPUT, usage.input_tokens), card.line(Item.VOICE_OUTPUT, usage.output_tokens))
        counted = {**self.provider_usage, "counted_by": self.counted_by}
        draft = charges.receipt(self.services, account, lines, counted)
        return Capture(hold_key=self.held.audio_key, key=key, receipt=draft)

    async def write(self, connection: Connection, outcome: Outcome) -> None:
        if isinstance(outcome, Applied):
            await connection.execute(
                """UPDATE call SET input_tokens = input_tokens + $3, output_tokens = output_tokens + $4
                   WHERE tenant_id = $1 AND call_id = $2""",
                self.account.tenant_id,
                self.account.call_id,
                self.usage.input_tokens,
                self.usage.output_tokens,
            )


async def settle_minute(
    services: Services,
    account: CallAccount,
    held: MinuteHeld,
    usage: MinuteUsage,
    *,
    counted_by: CountedBy = "audio",
    provider_usage: Mapping[str, object],
) -> int:
    """Charge a minute's audio once, and let go of the rest of its hold; return what was charged.

    Audio whose hold ran out meanwhile, and that the wallet cannot pay any more, is borne by the operator.
    """
    settling = _Settling(
        services=services,
        account=account,
        held=held,
        usage=usage,
        counted_by=counted_by,
        provider_usage=provider_usage,
    )
    outcome = await services.ledger.submit(account.tenant_id, settling.draw, Companion(write=settling.write))
    if settling.before is not None:
        return settling.before
    if not settling.acting:
        raise StaleLeaseError
    metrics = services.metrics
    match outcome:
        case Applied():
            metrics.charged_millicredits.inc(-outcome.amount_millicredits)
            metrics.absorbed_millicredits.inc(outcome.absorbed_millicredits)
            metrics.voice_tokens.labels("input").inc(usage.input_tokens)
            metrics.voice_tokens.labels("output").inc(usage.output_tokens)
            return -outcome.amount_millicredits
        case Refused():
            metrics.absorbed_millicredits.inc(outcome.needed_millicredits)
            log.warning("audio_absorbed", call_id=str(account.call_id), minute=held.minute, reason=outcome.reason)
        case _:  # nothing was used
            pass
    return 0


async def release_minute(services: Services, account: CallAccount, held: MinuteHeld) -> None:
    """Let go of what is held for a minute that will not begin."""
    await _release(services, account, held.fee_key, held.audio_key)


async def hold_leg_minute(
    services: Services, account: CallAccount, leg: int, minute: int
) -> MinuteHeld | MinuteRefused:
    """Set aside a minute on a leg of a forwarded call: a person's from 1 on, or the caller's own, which is 0.

    It has no audio. The caller's own minutes are numbered on from those with the agent.
    """
    begun = False

    async def draw(connection: Connection) -> tuple[str, Hold] | None:
        nonlocal begun
        charged = minute_key(account.call_id, minute, leg)
        begun = await charges.charged_amount(connection, account.tenant_id, charged) is not None
        expires_at = services.after(services.limits.call_lease_s)
        if begun:
            return None
        return await charges.draw_leg_minute(services, account, minute, leg, connection, expires_at=expires_at)

    held = await _hold(services, account, minute, draw)
    if begun or isinstance(held, MinuteHeld):
        key = held.fee_key if isinstance(held, MinuteHeld) else ""
        return MinuteHeld(minute=minute, fee_key=key, audio_key="", audio_millicredits=0, full=True)
    return held


async def begin_leg_minute(services: Services, account: CallAccount, leg: int, minute: int) -> int:
    """Charge a leg's minute as it begins, once; return its fee. Raises MinuteUnpaidError."""

    async def fee_key(connection: Connection) -> str:
        return await charges.open_fee_hold(connection, account, minute, leg)

    return await _begin(services, account, leg, minute, fee_key)


async def release_leg_minute(services: Services, account: CallAccount, leg: int, minute: int) -> None:
    """Let go of a leg's minute that will not begin."""
    async with services.db.transaction(account.tenant_id) as connection:
        key = await charges.open_fee_hold(connection, account, minute, leg)
    await _release(services, account, key)


async def affordable_forward_minutes(services: Services, account: CallAccount, legs: int = 2) -> int:
    """Return for how many minutes so many legs can be paid, by what is available and by the daily limits."""
    async with services.db.transaction(account.tenant_id) as connection:
        left = await charges.left_millicredits(connection, account, day=account.day(services.now()))
    return left // (legs * rates_for(services, account).minute or 1)


async def _hold(
    services: Services,
    account: CallAccount,
    minute: int,
    draw_keyed: Callable[[Connection], Awaitable[tuple[str, Hold] | None]],
    *,
    bound: bool = True,
) -> MinuteHeld | MinuteRefused:
    """Open what is drawn up as (its fee's key, hold); `bound`: only for the call's own stream."""
    acting, keyed = not bound, None

    async def draw(connection: Connection) -> Hold | None:
        nonlocal acting, keyed
        acting = not bound or await charges.acts(connection, account)
        keyed = await draw_keyed(connection) if acting else None
        return None if keyed is None else keyed[1]

    async def write(connection: Connection, outcome: Outcome) -> None:
        if isinstance(outcome, Refused) and outcome.reason == "over_budget":
            now, new_id = services.now(), services.new_id
            await charges.tell_of_limit(connection, account, outcome, now=now, new_id=new_id)

    outcome = await services.ledger.submit(account.tenant_id, draw, Companion(write=write))
    if not acting:
        raise StaleLeaseError
    if isinstance(outcome, Held) and keyed is not None:
        fee_key, hold = keyed
        amount = outcome.amount_millicredits
        return MinuteHeld(
            minute=minute,
            fee_key=fee_key,
            audio_key=hold.key,
            audio_millicredits=amount,
            full=amount == hold.max_millicredits,
        )
    if isinstance(outcome, Refused):
        return MinuteRefused(reason=outcome.reason, scope=outcome.scope)
    return MinuteRefused(reason="credits_in_flight" if isinstance(outcome, MustWait) else "hold_ended")


async def _begin(
    services: Services, account: CallAccount, leg: int, minute: int, fee_key: Callable[[Connection], Awaitable[str]]
) -> int:
    key, acting, before = minute_key(account.call_id, minute, leg), False, None

    async def draw(connection: Connection) -> Operation | None:
        nonlocal acting, before
        acting = await charges.acts(connection, account)
        before = await charges.charged_amount(connection, account.tenant_id, key)
        if not acting or before is not None:
            return None
        acting = await charges.count_minute(connection, account, leg, minute)
        if not acting:
            return None
        line = services.rate_cards.version(account.rate_card).line(Item.CALL_MINUTE, 1)
        draft = charges.receipt(services, account, [line], {})
        return Capture(hold_key=await fee_key(connection), key=key, receipt=draft)

    async def write(_connection: Connection, outcome: Outcome) -> None:
        if isinstance(outcome, Refused):
            raise MinuteUnpaidError

    outcome = await services.ledger.submit(account.tenant_id, draw, Companion(write=write))
    if before is not None:
        return before
    if not acting or not isinstance(outcome, Applied):
        raise StaleLeaseError
    services.metrics.charged_millicredits.inc(-outcome.amount_millicredits)
    services.metrics.call_minutes.inc()
    return -outcome.amount_millicredits


async def _release(services: Services, account: CallAccount, *keys: str) -> None:
    """Release holds, if this stream still acts for the call."""

    async def draw(connection: Connection) -> Sequence[Operation]:
        acting = await charges.acts(connection, account)
        return [Release(hold_key=key) for key in keys] if acting else []

    await services.ledger.submit_together(account.tenant_id, draw)
