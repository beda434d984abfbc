"""Ledger rows as the ledger leaves them, for tests of those who only read."""

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from gateway.db import Database
from gateway.ids import uuid7
from metering.entries import EntryKind
from metering.operations import ReceiptSubject
from metering.rates import Line


def some_id() -> UUID:
    return uuid7(unix_ms=1_770_000_000_000, random_bits=os.urandom(10))


@dataclass
class LedgerRows:
    """Writes one tenant's entries one after the other."""

    db: Database
    tenant_id: UUID
    sequence: int = 0
    balance: int = 0

    async def entry(
        self,
        kind: EntryKind,
        amount: int,
        at: datetime,
        *,
        key: str | None = None,
        reason: str = "",
        receipt_id: UUID | None = None,
        refunds_sequence: int | None = None,
    ) -> int:
        before, self.balance = self.balance, self.balance + amount
        self.sequence += 1
        async with self.db.transaction(self.tenant_id) as connection:
            await connection.execute(
                """INSERT INTO wallet (tenant_id, balance_millicredits, sequence) VALUES ($1, $2, $3)
                   ON CONFLICT (tenant_id) DO UPDATE SET balance_millicredits = $2, sequence = $3""",
                self.tenant_id,
                self.balance,
                self.sequence,
            )
            await connection.execute(
                """INSERT INTO ledger_entry (tenant_id, sequence, kind, key, amount_millicredits,
                     balance_before_millicredits, balance_after_millicredits, receipt_id, refunds_sequence, reason,
                     created_at, hash) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)""",
                self.tenant_id,
                self.sequence,
                kind,
                key or f"{kind}:{self.sequence}",
                amount,
                before,
                self.balance,
                receipt_id,
                refunds_sequence,
                reason,
                at,
                hashlib.sha256(f"{self.tenant_id}{self.sequence}".encode()).digest(),
            )
        return self.sequence

    async def charge(
        self,
        lines: Sequence[Line],
        at: datetime,
        *,
        subject: ReceiptSubject = "turn",
        turn_id: UUID | None = None,
        conversation_id: UUID | None = None,
        agent_version: int | None = None,
        channel: str | None = "whatsapp",
        day: date | None = None,
    ) -> UUID:
        receipt_id = some_id()
        total = sum(line.amount_millicredits for line in lines)
        sequence = await self.entry("charge", -total, at, key=f"{subject}:{receipt_id}", receipt_id=receipt_id)
        async with self.db.transaction(self.tenant_id) as connection:
            await connection.execute(
                """INSERT INTO receipt (tenant_id, receipt_id, sequence, subject, turn_id, conversation_id,
                     agent_version, channel, rate_card, lines, total_millicredits, day, created_at)
                   VALUES ($1, $2, $3, $4, $5, $6, $7, $8, '2026-01', $9, $10, $11, $12)""",
                self.tenant_id,
                receipt_id,
                sequence,
                subject,
                turn_id,
                conversation_id,
                agent_version,
                channel,
                [
                    {"item": line.item, "quantity": line.quantity, "unit_millicredits": line.unit_millicredits}
                    for line in lines
                ],
                total,
                day or at.date(),
                at,
            )
        return receipt_id

    async def usage(self, day: date, channel: str, item: str, quantity: int, amount: int) -> None:
        async with self.db.transaction(self.tenant_id) as connection:
            await connection.execute(
                """INSERT INTO usage_day (tenant_id, day, channel, item, quantity, amount_millicredits)
                   VALUES ($1, $2, $3, $4, $5, $6)""",
                self.tenant_id,
                day,
                channel,
                item,
                quantity,
                amount,
            )
