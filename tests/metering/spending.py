"""A tenant's credits come and go through the ledger, for tests of those who only read."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from gateway.db import Database
from gateway.ids import uuid7
from metering.ledger import apply
from metering.operations import Applied, Charge, ExpireGrant, Grant, Operation, ReceiptDraft, ReceiptSubject, Refund
from metering.rates import Line


def some_id() -> UUID:
    return uuid7(unix_ms=1_770_000_000_000, random_bits=os.urandom(10))


@dataclass(frozen=True)
class Spending:
    """One tenant's operations, each in a transaction of its own."""

    db: Database
    tenant_id: UUID

    async def grant(
        self,
        amount: int,
        at: datetime,
        *,
        reference: str | None = None,
        reason: str = "package",
        expires_at: datetime | None = None,
    ) -> UUID:
        grant_id = some_id()
        await self._apply(
            Grant(
                reference=reference or str(grant_id),
                grant_id=grant_id,
                kind="manual",
                amount_millicredits=amount,
                reason=reason,
                expires_at=expires_at,
            ),
            at,
        )
        return grant_id

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
        receipt = ReceiptDraft(
            receipt_id=receipt_id,
            subject=subject,
            rate_card="2026-01",
            lines=tuple(lines),
            day=day or at.date(),
            channel=channel,
            turn_id=turn_id,
            conversation_id=conversation_id,
            agent_version=agent_version,
            provider_usage={"prompt_tokens": 1_300},
        )
        await self._apply(Charge(key=f"charge:{receipt_id}", receipt=receipt), at)
        return receipt_id

    async def refund(self, receipt_id: UUID, lines: Sequence[Line], at: datetime, *, part: int = 1) -> None:
        await self._apply(
            Refund(
                key=f"refund:{receipt_id}:{part}",
                charge_key=f"charge:{receipt_id}",
                lines=tuple(lines),
                channel="whatsapp",
                day=at.date(),
                reason="not delivered",
            ),
            at,
        )

    async def expire(self, grant_id: UUID, at: datetime) -> None:
        await self._apply(ExpireGrant(grant_id=grant_id), at)

    async def _apply(self, operation: Operation, at: datetime) -> None:
        async with self.db.transaction(self.tenant_id) as connection:
            [outcome] = await apply(connection, self.tenant_id, [operation], now=at)
        assert isinstance(outcome, Applied), outcome
