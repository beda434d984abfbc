"""Recompute a tenant's ledger from its entries, and say where the books differ from it.

Entries are read in pages, so that a ledger of millions needs little memory. Everything is compared with what is
stored: balances, the chain of hashes, grants, holds, budgets, receipts and the rates they cite, refunds, usage.
Nothing is locked: run it in a snapshot, or while the tenant's wallet rests.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from metering.chain import GENESIS, Entry, chain_hash
from metering.connection import Connection
from metering.errors import UnknownPriceError, UnknownRateCardError
from metering.rates import Item, RateCard, RateCards

PAGE = 2_000
DIFFERENCES_MAX = 100
AUDIO_TOKENS_A_MINUTE: Mapping[str, int] = {Item.VOICE_INPUT.value: 600, Item.VOICE_OUTPUT.value: 1_200}


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One place where what is stored is not what the entries say. `where` names a sequence, key or id."""

    what: str
    where: str
    expected: str
    found: str


@dataclass(slots=True)
class _Progress:
    """What the entries read so far add up to."""

    balance: int = 0
    sequence: int = 0
    hash: bytes = GENESIS
    charged: int = 0  # less what was refunded
    grants: dict[UUID, int] = field(default_factory=dict)
    refunds: dict[int, int] = field(default_factory=dict)
    differences: list[Difference] = field(default_factory=list)

    def expect(self, what: str, where: object, expected: object, found: object) -> None:
        if expected != found and len(self.differences) < DIFFERENCES_MAX:
            self.differences.append(Difference(what=what, where=str(where), expected=str(expected), found=str(found)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Audited:
    """How much was looked at, and what did not agree."""

    entries: int
    receipts: int
    differences: tuple[Difference, ...]


async def audit(connection: Connection, tenant_id: UUID, rate_cards: RateCards) -> tuple[Difference, ...]:
    """Return the differences of one tenant's books, none if they agree."""
    return (await audit_tenant(connection, tenant_id, rate_cards)).differences


async def audit_tenant(connection: Connection, tenant_id: UUID, rate_cards: RateCards) -> Audited:
    """Recompute one tenant's books and count what was looked at."""
    progress, receipts = _Progress(), 0
    async for page in _pages(connection, tenant_id):
        for row in page:
            _follow(progress, tenant_id, row)
            receipts += row["receipt_id"] is not None
            _check_receipt(progress, rate_cards, row)
            if row["subject"] == "call":
                _check_call(progress, row)
    await _check_refunds(progress, connection, tenant_id)
    await _check_wallet(progress, connection, tenant_id)
    await _check_grants(progress, connection, tenant_id)
    await _check_holds(progress, connection, tenant_id)
    await _check_budgets(progress, connection, tenant_id)
    await _check_sums(progress, connection, tenant_id)
    return Audited(entries=progress.sequence, receipts=receipts, differences=tuple(progress.differences))


async def _pages(connection: Connection, tenant_id: UUID) -> AsyncIterator[list[Mapping[str, object]]]:
    after = 0
    while True:
        rows = await connection.fetch(_ENTRIES, tenant_id, after, PAGE)
        if not rows:
            return
        yield [dict(row) for row in rows]
        after = rows[-1]["sequence"]


def _follow(progress: _Progress, tenant_id: UUID, row: Mapping[str, object]) -> None:
    entry = Entry(**{name: row[name] for name in Entry.__dataclass_fields__})  # type: ignore[arg-type]  # the row's own types
    progress.expect("sequence", entry.sequence, progress.sequence + 1, entry.sequence)
    progress.expect("balance before", entry.sequence, progress.balance, entry.balance_before_millicredits)
    progress.balance += entry.amount_millicredits
    progress.expect("balance after", entry.sequence, progress.balance, entry.balance_after_millicredits)
    progress.hash = chain_hash(progress.hash, tenant_id, entry)
    progress.expect("hash", entry.sequence, progress.hash.hex(), _hex(row["hash"]))
    progress.expect("key's entry", entry.key, entry.sequence, row["key_sequence"])
    progress.sequence = entry.sequence
    if entry.kind in ("charge", "refund"):
        progress.charged -= entry.amount_millicredits
    progress.expect("charge of a refund", entry.sequence, entry.kind == "refund", entry.refunds_sequence is not None)
    if entry.refunds_sequence is not None:
        refunded = progress.refunds.get(entry.refunds_sequence, 0)
        progress.refunds[entry.refunds_sequence] = refunded + entry.amount_millicredits
    progress.expect("credits moved", entry.sequence, entry.amount_millicredits, row["moved"])


def _check_receipt(progress: _Progress, rate_cards: RateCards, row: Mapping[str, object]) -> None:
    """Compare a charge with its receipt: lines, total, and the rates of the card that it cites."""
    sequence = row["sequence"]
    progress.expect("receipt of a charge", sequence, row["kind"] == "charge", row["receipt_id"] is not None)
    if row["receipt_id"] is None:
        return
    progress.expect("receipt's total", sequence, row["amount_millicredits"], _negative(row["total_millicredits"]))
    lines = row["lines"]
    try:
        card = rate_cards.version(str(row["rate_card"]))
        total = _check_lines(progress, row, lines if isinstance(lines, list) else [{}], card)
        progress.expect("sum of the lines", sequence, row["total_millicredits"], total)
    except UnknownRateCardError:
        progress.expect("receipt's rate card", sequence, "one that there is", row["rate_card"])
    except (KeyError, TypeError):
        progress.expect("receipt's lines", sequence, "items, quantities and rates", lines)


def _check_call(progress: _Progress, row: Mapping[str, Any]) -> None:
    """Compare a call's receipt with its key: a minute is one fee, and its audio no more than a minute can have."""
    lines = row["lines"] if isinstance(row["lines"], list) else []
    counted = {line.get("item"): line.get("quantity") for line in lines}
    counted.pop(Item.ABSORBED, None)
    if ":minute:" in row["key"]:
        progress.expect("items of a minute", row["key"], {Item.CALL_MINUTE.value: 1}, counted)
    else:
        beyond = {item: n for item, n in counted.items() if n is None or n > AUDIO_TOKENS_A_MINUTE.get(item, -1)}
        progress.expect("audio of a minute", row["key"], {}, beyond)


def _check_lines(
    progress: _Progress, row: Mapping[str, object], lines: Sequence[Mapping[str, Any]], card: RateCard
) -> int:
    """Recompute every line; return what they add up to."""
    for line in lines:
        item, quantity, unit = line["item"], line["quantity"], line["unit_millicredits"]
        progress.expect(f"amount of {item}", row["sequence"], quantity * unit, line["amount_millicredits"])
        progress.expect(f"rate of {item}", row["sequence"], _rate(card, item, quantity), unit)
    return sum(int(line["amount_millicredits"]) for line in lines)


def _rate(card: RateCard, item: str, quantity: int) -> int | str:
    try:
        return card.line(Item(item), quantity).unit_millicredits
    except (UnknownPriceError, ValueError):  # no such item, or a quantity below zero
        return "none"


async def _check_refunds(progress: _Progress, connection: Connection, tenant_id: UUID) -> None:
    rows = await connection.fetch(
        """SELECT sequence, kind, amount_millicredits FROM ledger_entry
           WHERE tenant_id = $1 AND sequence = ANY ($2)""",
        tenant_id,
        list(progress.refunds),
    )
    charged = {row["sequence"]: -row["amount_millicredits"] for row in rows if row["kind"] == "charge"}
    for sequence, refunded in progress.refunds.items():
        most = charged.get(sequence, 0)
        if refunded > most:
            progress.expect("refunds of a charge", sequence, f"at most {most}", refunded)


async def _check_wallet(progress: _Progress, connection: Connection, tenant_id: UUID) -> None:
    wallet = await connection.fetchrow(
        """SELECT balance_millicredits, held_millicredits, sequence, chain_hash,
                  (SELECT coalesce(sum(amount_millicredits), 0)::bigint FROM hold
                   WHERE tenant_id = $1 AND state = 'open') AS open_holds
           FROM wallet WHERE tenant_id = $1""",
        tenant_id,
    )
    if wallet is None:
        progress.expect("wallet", tenant_id, 0, progress.sequence)
        return
    progress.expect("balance", "wallet", progress.balance, wallet["balance_millicredits"])
    progress.expect("held", "wallet", wallet["open_holds"], wallet["held_millicredits"])
    progress.expect("last sequence", "wallet", progress.sequence, wallet["sequence"])
    progress.expect("last hash", "wallet", progress.hash.hex(), wallet["chain_hash"].hex())


async def _check_grants(progress: _Progress, connection: Connection, tenant_id: UUID) -> None:
    rows = await connection.fetch(
        """SELECT g.grant_id, g.amount_millicredits, g.remaining_millicredits,
                  coalesce(sum(m.amount_millicredits), 0)::bigint AS moved,
                  (array_agg(m.amount_millicredits ORDER BY m.sequence))[1] AS came
           FROM credit_grant g LEFT JOIN entry_grant m ON m.tenant_id = g.tenant_id AND m.grant_id = g.grant_id
           WHERE g.tenant_id = $1 GROUP BY g.grant_id, g.amount_millicredits, g.remaining_millicredits""",
        tenant_id,
    )
    for row in rows:
        progress.expect("amount of a grant", row["grant_id"], row["came"], row["amount_millicredits"])
        progress.expect("left of a grant", row["grant_id"], row["moved"], row["remaining_millicredits"])
    remaining = sum(row["remaining_millicredits"] for row in rows)
    progress.expect("left of all grants", "wallet", progress.balance, remaining)


async def _check_holds(progress: _Progress, connection: Connection, tenant_id: UUID) -> None:
    """Every hold has ended in one way or none."""
    rows = await connection.fetch(
        """SELECT key, state, captured_millicredits, ended_at FROM hold
           WHERE tenant_id = $1 AND ((state = 'open') <> (ended_at IS NULL)
             OR (state = 'captured') <> (captured_millicredits IS NOT NULL))
           LIMIT $2""",
        tenant_id,
        DIFFERENCES_MAX,
    )
    for row in rows:
        found = f"{row['state']}, ended at {row['ended_at']}, captured {row['captured_millicredits']}"
        progress.expect("end of a hold", row["key"], f"that of a hold that is {row['state']}", found)


async def _check_budgets(progress: _Progress, connection: Connection, tenant_id: UUID) -> None:
    """Compare a day's limits: they count what is held and at least what was captured (or charged afresh, later)."""
    rows = await connection.fetch(
        """SELECT day, scope, coalesce(h.held, 0)::bigint AS held, coalesce(b.held_millicredits, 0) AS stored_held,
                  coalesce(h.captured, 0)::bigint AS captured, coalesce(b.charged_millicredits, 0) AS stored_charged
           FROM (SELECT budget_day AS day, scope, sum(amount_millicredits) FILTER (WHERE state = 'open') AS held,
                        sum(captured_millicredits) AS captured
                 FROM hold CROSS JOIN unnest(budget_scopes) AS scope WHERE tenant_id = $1 GROUP BY 1, 2) h
           FULL JOIN (SELECT * FROM budget_day WHERE tenant_id = $1) b USING (day, scope)
           WHERE coalesce(h.held, 0) <> coalesce(b.held_millicredits, 0)
             OR coalesce(h.captured, 0) > coalesce(b.charged_millicredits, 0)
           LIMIT $2""",
        tenant_id,
        DIFFERENCES_MAX,
    )
    for row in rows:
        where = f"{row['scope']} {row['day']}"
        progress.expect("held of a budget", where, row["held"], row["stored_held"])
        if row["captured"] > row["stored_charged"]:
            progress.expect("charged of a budget", where, f"at least {row['captured']}", row["stored_charged"])


async def _check_sums(progress: _Progress, connection: Connection, tenant_id: UUID) -> None:
    used = await connection.fetchval(
        "SELECT coalesce(sum(amount_millicredits), 0)::bigint FROM usage_day WHERE tenant_id = $1", tenant_id
    )
    progress.expect("usage", "all days", progress.charged, used)
    strays = await connection.fetchval(
        """SELECT count(*) FROM charge_key k WHERE k.tenant_id = $1 AND NOT EXISTS (
             SELECT FROM ledger_entry e
             WHERE e.tenant_id = k.tenant_id AND e.sequence = k.sequence AND e.key = k.key)""",
        tenant_id,
    )
    progress.expect("keys without an entry", "all", 0, strays)
    strays = await connection.fetchval(
        """SELECT count(*) FROM receipt r WHERE r.tenant_id = $1 AND NOT EXISTS (
             SELECT FROM ledger_entry e
             WHERE e.tenant_id = r.tenant_id AND e.sequence = r.sequence AND e.receipt_id = r.receipt_id)""",
        tenant_id,
    )
    progress.expect("receipts without an entry", "all", 0, strays)


def _negative(value: object) -> object:
    return -value if isinstance(value, int) else value


def _hex(value: object) -> str:
    return value.hex() if isinstance(value, bytes) else str(value)


_ENTRIES = """
SELECT e.sequence, e.kind, e.key, e.amount_millicredits, e.balance_before_millicredits, e.balance_after_millicredits,
       e.receipt_id, e.refunds_sequence, e.reason, e.created_at, e.hash, k.sequence AS key_sequence,
       coalesce(moved.amount, 0) AS moved, r.subject, r.lines, r.total_millicredits,
       r.rate_card
FROM ledger_entry e
LEFT JOIN charge_key k ON k.tenant_id = e.tenant_id AND k.key = e.key
LEFT JOIN receipt r ON r.tenant_id = e.tenant_id AND r.receipt_id = e.receipt_id
LEFT JOIN LATERAL (
  SELECT sum(m.amount_millicredits)::bigint AS amount FROM entry_grant m
  WHERE m.tenant_id = e.tenant_id AND m.sequence = e.sequence) moved ON true
WHERE e.tenant_id = $1 AND e.sequence > $2 ORDER BY e.sequence LIMIT $3
"""
