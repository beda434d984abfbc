"""What a decided batch changed, written in as few statements as it has kinds of rows."""

from collections.abc import Mapping, Sequence

from metering.books import Books, BudgetKey, BudgetRow, GrantRow
from metering.connection import Connection
from metering.operations import ReceiptDraft


async def write(connection: Connection, books: Books) -> None:
    """Write everything that a batch changed; the wallet row is locked."""
    if books.new_grants:
        await _insert_grants(connection, books)
    if books.new_holds or books.changed_holds:
        await _write_holds(connection, books)
    if books.postings:
        await _insert_postings(connection, books)
    if books.usage:
        await _add_usage(connection, books)
    if books.changed_budgets:
        await _add_budgets(connection, books)
    if books.wallet_changed or books.changed_grants:
        await _update_wallet(connection, books)


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


async def _write_holds(connection: Connection, books: Books) -> None:
    """Insert new holds as the batch leaves them and end the others."""
    new = [books.holds[key] for key in books.new_holds]
    if new:
        await connection.execute(
            """INSERT INTO hold (tenant_id, key, amount_millicredits, state, captured_millicredits, rate_card,
                                 budget_day, budget_scopes, opened_at, expires_at, ended_at)
               SELECT $1, key, amount, state, captured, rate_card, budget_day,
                      CASE WHEN scopes = '' THEN '{}'::text[] ELSE string_to_array(scopes, E'\\n') END,
                      opened_at, expires_at, ended_at
               FROM unnest($2::text[], $3::bigint[], $4::text[], $5::bigint[], $6::text[], $7::date[], $8::text[],
                           $9::timestamptz[], $10::timestamptz[], $11::timestamptz[])
                 AS new (key, amount, state, captured, rate_card, budget_day, scopes, opened_at, expires_at,
                         ended_at)""",
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
        )
    ended = [books.holds[key] for key in books.changed_holds - books.new_holds]
    if ended:
        await connection.execute(
            """UPDATE hold SET state = ended.state, captured_millicredits = ended.captured, ended_at = $5
               FROM unnest($2::text[], $3::text[], $4::bigint[]) AS ended (key, state, captured)
               WHERE hold.tenant_id = $1 AND hold.key = ended.key""",
            books.tenant_id,
            [hold.key for hold in ended],
            [hold.state for hold in ended],
            [hold.captured for hold in ended],
            books.now,
        )


async def _insert_postings(connection: Connection, books: Books) -> None:
    """Insert entries, their keys and what they moved in one statement; receipts follow."""
    entries = [posting.entry for posting in books.postings]
    moved = [(posting.entry.sequence, *grant) for posting in books.postings for grant in posting.grants]
    await connection.execute(
        """WITH entry AS (
             INSERT INTO ledger_entry (tenant_id, sequence, kind, key, amount_millicredits,
               balance_before_millicredits, balance_after_millicredits, receipt_id, refunds_sequence, reason,
               created_at, hash)
             SELECT $1, * FROM unnest($2::bigint[], $3::text[], $4::text[], $5::bigint[], $6::bigint[], $7::bigint[],
                                      $8::uuid[], $9::bigint[], $10::text[], $11::timestamptz[], $12::bytea[])),
           known AS (
             INSERT INTO charge_key (tenant_id, key, payload_hash, sequence)
             SELECT $1, * FROM unnest($4::text[], $13::bytea[], $2::bigint[]))
           INSERT INTO entry_grant (tenant_id, sequence, grant_id, amount_millicredits)
           SELECT $1, * FROM unnest($14::bigint[], $15::uuid[], $16::bigint[])""",
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
    )
    receipts = [
        _receipt_values(books, posting.entry.sequence, posting.receipt) for posting in books.postings if posting.receipt
    ]
    if receipts:
        await _insert_receipts(connection, receipts)


async def _insert_receipts(connection: Connection, receipts: Sequence[tuple[object, ...]]) -> None:
    await connection.executemany(
        """INSERT INTO receipt (tenant_id, receipt_id, sequence, subject, turn_id, conversation_id, contact_id, line_id,
                                agent_id, agent_version, channel, rate_card, lines, total_millicredits, provider_usage,
                                day, created_at)
           VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)""",
        receipts,
    )


def _receipt_values(books: Books, sequence: int, receipt: ReceiptDraft) -> tuple[object, ...]:
    lines: list[Mapping[str, object]] = [
        {
            "item": line.item.value,
            "quantity": line.quantity,
            "unit_millicredits": line.unit_millicredits,
            "amount_millicredits": line.amount_millicredits,
        }
        for line in receipt.lines
    ]
    return (
        books.tenant_id,
        receipt.receipt_id,
        sequence,
        receipt.subject,
        receipt.turn_id,
        receipt.conversation_id,
        receipt.contact_id,
        receipt.line_id,
        receipt.agent_id,
        receipt.agent_version,
        receipt.channel,
        receipt.rate_card,
        lines,
        receipt.total_millicredits,
        dict(receipt.provider_usage),
        receipt.day,
        books.now,
    )


async def _add_usage(connection: Connection, books: Books) -> None:
    await connection.execute(
        """INSERT INTO usage_day AS u (tenant_id, day, channel, item, quantity, amount_millicredits)
           SELECT $1, * FROM unnest($2::date[], $3::text[], $4::text[], $5::bigint[], $6::bigint[])
           ON CONFLICT (tenant_id, day, channel, item) DO UPDATE SET
             quantity = u.quantity + excluded.quantity,
             amount_millicredits = u.amount_millicredits + excluded.amount_millicredits""",
        books.tenant_id,
        [day for day, _, _ in books.usage],
        [channel for _, channel, _ in books.usage],
        [item for _, _, item in books.usage],
        [totals[0] for totals in books.usage.values()],
        [totals[1] for totals in books.usage.values()],
    )


async def _add_budgets(connection: Connection, books: Books) -> None:
    """Move what budgets hold and charge. What holds less than before has a row already."""
    more = {key: row for key, row in books.changed_budgets.items() if row.held >= 0}
    less = {key: row for key, row in books.changed_budgets.items() if row.held < 0}
    if more:
        await connection.execute(
            """INSERT INTO budget_day AS b (tenant_id, day, scope, held_millicredits, charged_millicredits)
               SELECT $1, * FROM unnest($2::date[], $3::text[], $4::bigint[], $5::bigint[])
               ON CONFLICT (tenant_id, day, scope) DO UPDATE SET
                 held_millicredits = b.held_millicredits + excluded.held_millicredits,
                 charged_millicredits = b.charged_millicredits + excluded.charged_millicredits""",
            books.tenant_id,
            *_columns(more),
        )
    if less:
        await connection.execute(
            """UPDATE budget_day b SET held_millicredits = b.held_millicredits + moved.held,
                                       charged_millicredits = b.charged_millicredits + moved.charged
               FROM unnest($2::date[], $3::text[], $4::bigint[], $5::bigint[]) AS moved (day, scope, held, charged)
               WHERE b.tenant_id = $1 AND b.day = moved.day AND b.scope = moved.scope""",
            books.tenant_id,
            *_columns(less),
        )


def _columns(budgets: Mapping[BudgetKey, BudgetRow]) -> tuple[list[object], ...]:
    return (
        [day for day, _ in budgets],
        [scope for _, scope in budgets],
        [row.held for row in budgets.values()],
        [row.charged for row in budgets.values()],
    )


async def _update_wallet(connection: Connection, books: Books) -> None:
    wallet = books.wallet
    changed = [books.grants[grant_id] for grant_id in books.changed_grants]
    await connection.execute(
        """WITH taken AS (
             UPDATE credit_grant g SET remaining_millicredits = changed.remaining, expired_at = changed.expired_at
             FROM unnest($7::uuid[], $8::bigint[], $9::timestamptz[]) AS changed (grant_id, remaining, expired_at)
             WHERE g.tenant_id = $1 AND g.grant_id = changed.grant_id)
           UPDATE wallet SET balance_millicredits = $2, held_millicredits = $3, sequence = $4, chain_hash = $5,
             state = CASE WHEN $6 THEN 'paused' ELSE 'active' END,
             paused_at = CASE WHEN $6 THEN coalesce(paused_at, $10) END
           WHERE tenant_id = $1""",
        books.tenant_id,
        wallet.balance,
        wallet.held,
        wallet.sequence,
        wallet.chain_hash,
        wallet.paused,
        [grant.grant_id for grant in changed],
        [grant.remaining for grant in changed],
        [grant.expired_at for grant in changed],
        books.now,
    )
