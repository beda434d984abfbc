"""What a call's holds and charges look like to the ledger; drawn up under the wallet's lock, where nothing moves.

Every function here is called inside the ledger's transaction. Locks: wallet, call, hold.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime
from typing import Final
from uuid import UUID

from gateway.alerts import raise_alert
from gateway.services import Services
from gateway.voice.call import CHANNEL, CallAccount
from gateway.voice.call_store import OPEN
from gateway.voice.credit.keys import CALLERS_LEG, audio_hold_key, fee_hold_key, minute_key
from gateway.voice.credit.metered_minutes import INPUT_TOKENS_MAX, MS_PER_INPUT_TOKEN, MS_PER_OUTPUT_TOKEN, VoiceRates
from metering.connection import Connection
from metering.operations import FixedHold, Hold, ReceiptDraft, Refused
from metering.rates import Item, Line, RateCard

HELD_ANEW_MAX: Final = 20  # of one minute: what is held, let go and held again


def rates_of(card: RateCard) -> VoiceRates:
    """Return what a call costs by a rate card."""
    return VoiceRates(
        minute=card.line(Item.CALL_MINUTE, 1).amount_millicredits,
        input_token=card.line(Item.VOICE_INPUT, 1).amount_millicredits,
        output_token=card.line(Item.VOICE_OUTPUT, 1).amount_millicredits,
    )


def step_millicredits(rates: VoiceRates) -> int:
    """Return what the shortest time costs in which both sides are counted, if both speak: a step of a minute's hold."""
    return rates.cost(1, MS_PER_INPUT_TOKEN // MS_PER_OUTPUT_TOKEN)


def least_audio_millicredits(rates: VoiceRates, audio_s: float) -> int:
    """Return what so many seconds of audio cost at worst, in whole steps; at most a minute's."""
    steps = -int(-audio_s * 1_000 // MS_PER_INPUT_TOKEN)
    return step_millicredits(rates) * min(steps, INPUT_TOKENS_MAX)


async def acts(connection: Connection, account: CallAccount) -> bool:
    """Lock the call and say whether this stream still acts for it."""
    found = await connection.fetchval(
        f"""SELECT true FROM call WHERE tenant_id = $1 AND call_id = $2 AND lease_epoch = $3 AND state IN {OPEN}
            FOR NO KEY UPDATE""",  # noqa: S608 - a constant
        account.tenant_id,
        account.call_id,
        account.epoch,
    )
    return found is not None


async def charged_amount(connection: Connection, tenant_id: UUID, key: str) -> int | None:
    """Return what was charged under a key, in millicredits; None if nothing was yet."""
    amount: int | None = await connection.fetchval(
        """SELECT -e.amount_millicredits FROM charge_key k
           JOIN ledger_entry e ON e.tenant_id = k.tenant_id AND e.sequence = k.sequence
           WHERE k.tenant_id = $1 AND k.key = $2""",
        tenant_id,
        key,
    )
    return amount


async def open_fee_hold(connection: Connection, account: CallAccount, minute: int, leg: int) -> str:
    """Return the key under which a minute's fee is held, or was the first time."""
    keys = _fee_keys(account, minute, leg)
    states = await _states(connection, account, keys)
    return next((key for key in keys if states.get(key) == "open"), keys[0])


async def draw_minute(
    services: Services, account: CallAccount, minute: int, connection: Connection, *, expires_at: datetime
) -> tuple[str, Hold] | None:
    """Return the hold of a minute's audio, its fee's beside it, with the fee's key; an open one is asked for again.

    A minute that has begun, or whose fee is held already, needs no fee. None if it was held too often.
    """
    begun = await charged_amount(connection, account.tenant_id, minute_key(account.call_id, minute)) is not None
    fees = _fee_keys(account, minute, CALLERS_LEG)
    audios = [audio_hold_key(account.call_id, minute, ordinal=ordinal) for ordinal in _ORDINALS]
    states = await _states(connection, account, [*fees, *audios])
    held_fee = next((key for key in fees if states.get(key) == "open"), None)
    is_paid = begun or held_fee is not None
    fee_key = held_fee or (fees[0] if begun else next((key for key in fees if key not in states), None))
    audio_key = next((key for key in audios if key not in states or (is_paid and states[key] == "open")), None)
    if fee_key is None or audio_key is None:
        return None
    day = account.day(services.now())
    audio = _audio_hold(services, account, audio_key, day=day, expires_at=expires_at)
    fee = rates_of(services.rate_cards.version(account.rate_card)).minute
    return fee_key, replace(audio, beside=() if is_paid else (FixedHold(key=fee_key, millicredits=fee),))


async def draw_growth(services: Services, account: CallAccount, hold_key: str, connection: Connection) -> Hold | None:
    """Return what enlarges an open hold of audio to a whole minute's; None if it has ended."""
    now = services.now()
    day: date | None = await connection.fetchval(
        "SELECT coalesce(budget_day, $3) FROM hold WHERE tenant_id = $1 AND key = $2 AND state = 'open'",
        account.tenant_id,
        hold_key,
        account.day(now),
    )
    if day is None:
        return None
    hold = _audio_hold(services, account, hold_key, day=day, expires_at=now)  # it expires when it did before
    return replace(hold, grows=True)


async def draw_leg_minute(
    services: Services, account: CallAccount, minute: int, leg: int, connection: Connection, *, expires_at: datetime
) -> tuple[str, Hold] | None:
    """Return the hold of a minute that is a fee and nothing else, under its key; None if it was held too often."""
    keys = _fee_keys(account, minute, leg)
    states = await _states(connection, account, keys)
    key = next((key for key in keys if states.get(key) in (None, "open")), None)
    fee = rates_of(services.rate_cards.version(account.rate_card)).minute
    if key is None:
        return None
    return key, Hold(
        key=key,
        max_millicredits=fee,
        min_millicredits=fee,
        step_millicredits=1,
        may_shrink=False,
        expires_at=expires_at,
        rate_card=account.rate_card,
        day=account.day(services.now()),
        budgets=account.budgets,
    )


async def count_minute(connection: Connection, account: CallAccount, leg: int, minute: int) -> bool:
    """Note that a minute begins on the caller's leg or a person's; False if that person's leg is over."""
    if leg == CALLERS_LEG:
        counted = await connection.fetchval(
            """UPDATE call SET minutes_charged = greatest(minutes_charged, $3)
               WHERE tenant_id = $1 AND call_id = $2 RETURNING true""",
            account.tenant_id,
            account.call_id,
            minute,
        )
    else:
        counted = await connection.fetchval(
            """UPDATE call_leg SET minutes_charged = greatest(minutes_charged, $4)
               WHERE tenant_id = $1 AND call_id = $2 AND leg = $3 AND state <> 'ended' RETURNING true""",
            account.tenant_id,
            account.call_id,
            leg,
            minute,
        )
    return counted is not None


async def left_millicredits(connection: Connection, account: CallAccount, *, day: date) -> int:
    """Return what could be spent on a call now: what is available, and no more than its daily limits leave."""
    available: int | None = await connection.fetchval(
        """SELECT CASE state WHEN 'active' THEN balance_millicredits - held_millicredits ELSE 0 END
           FROM wallet WHERE tenant_id = $1""",
        account.tenant_id,
    )
    rows = await connection.fetch(
        """SELECT scope, held_millicredits + charged_millicredits AS counted FROM budget_day
           WHERE tenant_id = $1 AND day = $2 AND scope = ANY ($3)""",
        account.tenant_id,
        day,
        [budget.scope for budget in account.budgets],
    )
    counted = {row["scope"]: row["counted"] for row in rows}
    left = [budget.limit_millicredits - int(counted.get(budget.scope, 0)) for budget in account.budgets]
    return max(0, min(available or 0, *left))


def receipt(
    services: Services, account: CallAccount, lines: Sequence[Line], provider_usage: Mapping[str, object]
) -> ReceiptDraft:
    """Return the itemized account of a charge of this call; the provider's own count stands beside it."""
    return ReceiptDraft(
        receipt_id=services.new_id(),
        subject="call",
        rate_card=account.rate_card,
        lines=tuple(lines),
        day=account.day(services.now()),
        channel=CHANNEL,
        conversation_id=account.conversation_id,
        contact_id=account.contact_id,
        line_id=account.line_id,
        agent_id=account.agent_id,
        agent_version=account.agent_version,
        provider_usage=provider_usage,
    )


async def tell_of_limit(
    connection: Connection, account: CallAccount, refused: Refused, *, now: datetime, new_id: Callable[[], UUID]
) -> None:
    """Tell the owner that a daily limit is reached, once a day, whichever channel is the first to reach it."""
    await raise_alert(
        connection,
        account.tenant_id,
        kind="over_budget",
        dedupe_key=f"over_budget:{refused.scope}:{account.day(now).isoformat()}",
        detail={
            "conversation_id": str(account.conversation_id),
            "call_id": str(account.call_id),
            "scope": refused.scope,
        },
        now=now,
        new_id=new_id,
    )


def _audio_hold(services: Services, account: CallAccount, key: str, *, day: date, expires_at: datetime) -> Hold:
    rates = rates_of(services.rate_cards.version(account.rate_card))
    return Hold(
        key=key,
        max_millicredits=rates.audio_max,
        min_millicredits=least_audio_millicredits(rates, services.limits.first_audio_s),
        step_millicredits=max(1, step_millicredits(rates)),
        may_shrink=True,
        expires_at=expires_at,
        rate_card=account.rate_card,
        day=day,
        budgets=account.budgets,
    )


def _fee_keys(account: CallAccount, minute: int, leg: int) -> list[str]:
    return [fee_hold_key(account.call_id, minute, leg, ordinal=ordinal) for ordinal in _ORDINALS]


async def _states(connection: Connection, account: CallAccount, keys: Sequence[str]) -> dict[str, str]:
    rows = await connection.fetch(
        "SELECT key, state FROM hold WHERE tenant_id = $1 AND key = ANY ($2)", account.tenant_id, keys
    )
    return {row["key"]: row["state"] for row in rows}


_ORDINALS: Final = range(1, HELD_ANEW_MAX + 1)
