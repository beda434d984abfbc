"""What a decided batch changed, written in as few statements as it has kinds of rows."""

from collections.abc import Mapping

from metering.books import Books, BudgetKey, BudgetRow, GrantRow
from metering.connection import Connection
from metering.operations import ReceiptDraft


async def write(connection: Connection, books: Books) -> None:
    """Write everything that a batch changed; the wallet row is locked."""
    if books.new_grants:
        await _insert_grants(connection, books)
    if books.postings:
        await _write_postings(connection, books)
    if books.wallet_changed or books.changed_holds or books.new_holds:
        await _write_wallet(connection, books)


async def _insert_grants(connection: Connection, books: Books) -> None:
    def values(grant: GrantRow) -> tuple[object, ...]:
        return (
            books.tenant_id,
            grant.grant_id,
            grant.kind,
            grant.reference,
            grant.reason,
            grant.amount,
            grant.remaining,
            grant.granted_at,
            grant.expires_at,
        )

    await connection.executemany(
        """INSERT INTO credit_grant (tenant_id, grant_id, kind, reference, reason, amount_millicredits,
                                     remaining_millicredits, granted_at, expires_at)
           VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)""",
        [values(grant) for grant in books.new_grants],
    )
    books.changed_grants -= {grant.grant_id for grant in books.new_grants}


_POSTINGS = """
WITH entry AS (
  INSERT INTO ledger_entry (tenant_id, sequence, kind, key, amount_millicredits, balance_before_millicredits,
                            balance_after_millicredits, receipt_id, refunds_sequence, reason, created_at, hash)
  SELECT $1, * FROM unnest($2::bigint[], $3::text[], $4::text[], $5::bigint[], $6::bigint[], $7::bigint[], $8::uuid[],
                           $9::bigint[], $10::text[], $11::timestamptz[], $12::bytea[])),
known AS (
  INSERT INTO charge_key (tenant_id, key, payload_hash, sequence)
  SELECT $1, * FROM unnest($4::text[], $13::bytea[], $2::bigint[])),
moved AS (
  INSERT INTO entry_grant (tenant_id, sequence, grant_id, amount_millicredits)
  SELECT $1, * FROM unnest($14::bigint[], $15::uuid[], $16::bigint[])),
taken AS (
  UPDATE credit_grant g SET remaining_millicredits = changed.remaining, expired_at = changed.expired_at
  FROM unnest($17::uuid[], $18::bigint[], $19::timestamptz[]) AS changed (grant_id, remaining, expired_at)
  WHERE g.tenant_id = $1 AND g.grant_id = changed.grant_id),
used AS (
  INSERT INTO usage_day AS u (tenant_id, day, channel, item, quantity, amount_millicredits)
  SELECT $1, * FROM unnest($20::date[], $21::text[], $22::text[], $23::bigint[], $24::bigint[])
  ON CONFLICT (tenant_id, day, channel, item) DO UPDATE SET
    quantity = u.quantity + excluded.quantity,
    amount_millicredits = u.amount_millicredits + excluded.amount_millicredits)
INSERT INTO receipt (tenant_id, receipt_id, sequence, subject, turn_id, conversation_id, contact_id, line_id, agent_id,
                     agent_version, channel, rate_card, lines, total_millicredits, provider_usage, day, created_at)
SELECT $1, r.receipt_id, r.sequence, r.subject, r.turn_id, r.conversation_id, r.contact_id, r.line_id, r.agent_id,
       r.agent_version, r.channel, r.rate_card, $38::jsonb -> (r.place::integer - 1) -> 'lines', r.total,
       $38::jsonb -> (r.place::integer - 1) -> 'provider_usage', r.day, $39
FROM unnest($25::uuid[], $26::bigint[], $27::text[], $28::uuid[], $29::uuid[], $30::uuid[], $31::uuid[], $32::uuid[],
            $33::integer[], $34::text[], $35::text[], $36::bigint[], $37::date[]) WITH ORDINALITY
  AS r (receipt_id, sequence, subject, turn_id, conversation_id, contact_id, line_id, agent_id, agent_version, channel,
        rate_card, total, day, place)
"""


async def _write_postings(connection: Connection, books: Books) -> None:
    """Insert entries, keys, movements and receipts, and move the grants and the day's usage along."""
    entries = [posting.entry for posting in books.postings]
    moved = [(posting.entry.sequence, *grant) for posting in books.postings for grant in posting.grants]
    grants = [books.grants[grant_id] for grant_id in books.changed_grants]
    await connection.execute(
        _POSTINGS,
        books.tenant_id,
        [entry.sequence for entry in entries],
        [entry.kind for entry in entries],
        [entry.key for entry in entries],
        [entry.amount_millicredits for entry in entries],
        [entry.balance_before_millicredits for entry in entries],
        [entry.balance_after_millicredits for entry in entries],
        [entry.receipt_id for entry in entries],
        [entry.refunds_sequence for entry in entries],
        [entry.reason for entry in entries],
        [entry.created_at for entry in entries],
        [posting.hash for posting in books.postings],
        [posting.payload_hash for posting in books.postings],
        [sequence for sequence, _, _ in moved],
        [grant_id for _, grant_id, _ in moved],
        [amount for _, _, amount in moved],
        [grant.grant_id for grant in grants],
        [grant.remaining for grant in grants],
        [grant.expired_at for grant in grants],
        [day for day, _, _ in books.usage],
        [channel for _, channel, _ in books.usage],
        [item for _, _, item in books.usage],
        [totals[0] for totals in books.usage.values()],
        [totals[1] for totals in books.usage.values()],
        *_receipt_columns(books),
        books.now,
    )


def _receipt_columns(books: Books) -> tuple[list[object], ...]:
    """Return the receipts' columns; what is JSON in them stands in the last one, for an array of lists has no type."""
    made = [(posting.entry.sequence, posting.receipt) for posting in books.postings if posting.receipt is not None]
    receipts = [receipt for _, receipt in made]
    return (
        [receipt.receipt_id for receipt in receipts],
        [sequence for sequence, _ in made],
        [receipt.subject for receipt in receipts],
        [receipt.turn_id for receipt in receipts],
        [receipt.conversation_id for receipt in receipts],
        [receipt.contact_id for receipt in receipts],
        [receipt.line_id for receipt in receipts],
        [receipt.agent_id for receipt in receipts],
        [receipt.agent_version for receipt in receipts],
        [receipt.channel for receipt in receipts],
        [receipt.rate_card for receipt in receipts],
        [receipt.total_millicredits for receipt in receipts],
        [receipt.day for receipt in receipts],
        [{"lines": _lines(receipt), "provider_usage": dict(receipt.provider_usage)} for receipt in receipts],
    )


def _lines(receipt: ReceiptDraft) -> list[Mapping[str, object]]:
    return [
        {
            "item": line.item.value,
            "quantity": line.quantity,
            "unit_millicredits": line.unit_millicredits,
            "amount_millicredits": line.amount_millicredits,
        }
        for line in receipt.lines
    ]


# A budget that holds less than before has a row already; one that holds more may need its first.
_WALLET = """
WITH opened AS (
  INSERT INTO hold (tenant_id, key, amount_millicredits, state, captured_millicredits, rate_card, budget_day,
                    budget_scopes, opened_at, expires_at, ended_at)
  SELECT $1, key, amount, state, captured, rate_card, budget_day,
         CASE WHEN scopes = '' THEN '{}'::text[] ELSE string_to_array(scopes, E'\\n') END,
         opened_at, expires_at, ended_at
  FROM unnest($2::text[], $3::bigint[], $4::text[], $5::bigint[], $6::text[], $7::date[], $8::text[], $9::timestamptz[],
              $10::timestamptz[], $11::timestamptz[])
    AS new (key, amount, state, captured, rate_card, budget_day, scopes, opened_at, expires_at, ended_at)),
changed AS (
  UPDATE hold SET amount_millicredits = changed.amount, state = changed.state,
                  captured_millicredits = changed.captured, ended_at = changed.ended_at
  FROM unnest($12::text[], $13::bigint[], $14::text[], $15::bigint[], $16::timestamptz[])
    AS changed (key, amount, state, captured, ended_at)
  WHERE hold.tenant_id = $1 AND hold.key = changed.key),
more AS (
  INSERT INTO budget_day AS b (tenant_id, day, scope, held_millicredits, charged_millicredits)
  SELECT $1, * FROM unnest($18::date[], $19::text[], $20::bigint[], $21::bigint[])
  ON CONFLICT (tenant_id, day, scope) DO UPDATE SET
    held_millicredits = b.held_millicredits + excluded.held_millicredits,
    charged_millicredits = b.charged_millicredits + excluded.charged_millicredits),
less AS (
  UPDATE budget_day b SET held_millicredits = b.held_millicredits + moved.held,
                          charged_millicredits = b.charged_millicredits + moved.charged
  FROM unnest($22::date[], $23::text[], $24::bigint[], $25::bigint[]) AS moved (day, scope, held, charged)
  WHERE b.tenant_id = $1 AND b.day = moved.day AND b.scope = moved.scope)
UPDATE wallet SET balance_millicredits = $26, held_millicredits = $27, sequence = $28, chain_hash = $29,
  state = CASE WHEN $30 THEN 'paused' ELSE 'active' END,
  paused_at = CASE WHEN $30 THEN coalesce(paused_at, $17) END, full_millicredits = $31, full_sequence = $32
WHERE tenant_id = $1
"""


async def _write_wallet(connection: Connection, books: Books) -> None:
    """Insert new holds as the batch leaves them, change the others, and move the budgets and the wallet along."""
    new = [books.holds[key] for key in books.new_holds]
    changed = [books.holds[key] for key in books.changed_holds - books.new_holds]
    more = {key: row for key, row in books.changed_budgets.items() if row.held >= 0}
    less = {key: row for key, row in books.changed_budgets.items() if row.held < 0}
    wallet = books.wallet
    await connection.execute(
        _WALLET,
        books.tenant_id,
        [hold.key for hold in new],
        [hold.amount for hold in new],
        [hold.state for hold in new],
        [hold.captured for hold in new],
        [hold.rate_card for hold in new],
        [hold.budget_day for hold in new],
        ["\n".join(hold.budget_scopes) for hold in new],
        [hold.opened_at for hold in new],
        [hold.expires_at for hold in new],
        [hold.ended_at for hold in new],
        [hold.key for hold in changed],
        [hold.amount for hold in changed],
        [hold.state for hold in changed],
        [hold.captured for hold in changed],
        [hold.ended_at for hold in changed],
        books.now,
        *_budget_columns(more),
        *_budget_columns(less),
        wallet.balance,
        wallet.held,
        wallet.sequence,
        wallet.chain_hash,
        wallet.paused,
        wallet.full,
        wallet.full_sequence,
    )


def _budget_columns(budgets: Mapping[BudgetKey, BudgetRow]) -> tuple[list[object], ...]:
    return (
        [day for day, _ in budgets],
        [scope for _, scope in budgets],
        [row.held for row in budgets.values()],
        [row.charged for row in budgets.values()],
    )
