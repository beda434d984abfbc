"""A month's statement: opening balance, every entry, closing balance, and where the hash chain stood."""

import csv
import io
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import date, datetime, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

from metering.chain import Entry, EntryKind
from metering.connection import Connection
from metering.cycle import months_after
from metering.entries import entries_between

CSV_COLUMNS = (
    "sequence",
    "created_at",
    "kind",
    "key",
    "reason",
    "receipt_id",
    "amount_millicredits",
    "balance_before_millicredits",
    "balance_after_millicredits",
)
CLOCKS_DIFFER_AT_MOST = timedelta(minutes=5)
_FORMULA_BEGINS = ("=", "+", "-", "@", "\t", "\r")


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """A calendar month of one tenant: opening + granted - charged + refunded - expired = closing.

    `month` is its first day. The sequences are None if nothing happened. `digest` is the hash of the last entry
    up to the month's end: whoever keeps it can tell whether the past was changed. None before the first entry.
    """

    month: date
    timezone: str
    opening_millicredits: int
    granted_millicredits: int
    charged_millicredits: int
    refunded_millicredits: int
    expired_millicredits: int
    closing_millicredits: int
    first_sequence: int | None
    last_sequence: int | None
    digest: str | None
    entries: tuple[Entry, ...]


async def read_statement(connection: Connection, tenant_id: UUID, *, month: date, timezone: ZoneInfo) -> Statement:
    """Return the statement of the calendar month that a day lies in, on the tenant's clock.

    A month's entries are those between two places in the sequence, so that every entry is on one statement only.
    """
    starts_on = month.replace(day=1)
    first = await _sequence_at(connection, tenant_id, _midnight(starts_on, timezone))
    following = await _sequence_at(connection, tenant_id, _midnight(months_after(starts_on, 1), timezone))
    entries = await entries_between(connection, tenant_id, first=first, last=following - 1)
    opening, _ = await _standing(connection, tenant_id, first - 1)
    closing, digest = await _standing(connection, tenant_id, following - 1)
    return Statement(
        month=starts_on,
        timezone=timezone.key,
        opening_millicredits=opening,
        granted_millicredits=_sum(entries, "grant"),
        charged_millicredits=-_sum(entries, "charge"),
        refunded_millicredits=_sum(entries, "refund"),
        expired_millicredits=-_sum(entries, "expiry"),
        closing_millicredits=closing,
        first_sequence=entries[0].sequence if entries else None,
        last_sequence=entries[-1].sequence if entries else None,
        digest=digest,
        entries=tuple(entries),
    )


def as_document(statement: Statement) -> dict[str, object]:
    """Return a statement as plain JSON values; times are on the tenant's clock."""
    zone = ZoneInfo(statement.timezone)
    return {
        **asdict(replace(statement, entries=())),
        "month": f"{statement.month:%Y-%m}",
        "entries": [_row(entry, zone) for entry in statement.entries],
    }


def as_csv(statement: Statement) -> str:
    """Return a statement as a table: the opening balance, every entry, the closing balance."""
    zone = ZoneInfo(statement.timezone)
    text = io.StringIO()
    table = csv.DictWriter(text, CSV_COLUMNS, restval="", lineterminator="\r\n")
    table.writeheader()
    table.writerow({"kind": "opening", "balance_after_millicredits": statement.opening_millicredits})
    for entry in statement.entries:
        row = {name: value for name, value in _row(entry, zone).items() if name in CSV_COLUMNS}
        table.writerow({**row, "key": _harmless(entry.key), "reason": _harmless(entry.reason)})
    table.writerow(
        {"kind": "closing", "key": statement.digest or "", "balance_after_millicredits": statement.closing_millicredits}
    )
    return text.getvalue()


async def _sequence_at(connection: Connection, tenant_id: UUID, at: datetime) -> int:
    """Return the sequence of the first entry made at that time or later, or the one that the next entry will have.

    Sequence and time agree but for processes whose clocks differ, so the entries soon after the first are asked too.
    """
    found: int = await connection.fetchval(
        """WITH first AS (
             SELECT created_at FROM ledger_entry WHERE tenant_id = $1 AND created_at >= $2 ORDER BY created_at LIMIT 1)
           SELECT coalesce(
             (SELECT min(sequence) FROM ledger_entry
              WHERE tenant_id = $1 AND created_at BETWEEN $2 AND (SELECT created_at FROM first) + $3::interval),
             (SELECT max(sequence) + 1 FROM ledger_entry WHERE tenant_id = $1), 1)""",
        tenant_id,
        at,
        CLOCKS_DIFFER_AT_MOST,
    )
    return found


async def _standing(connection: Connection, tenant_id: UUID, sequence: int) -> tuple[int, str | None]:
    """Return the balance and the hash after an entry; nothing before the first."""
    row = await connection.fetchrow(
        "SELECT balance_after_millicredits, hash FROM ledger_entry WHERE tenant_id = $1 AND sequence = $2",
        tenant_id,
        sequence,
    )
    return (row["balance_after_millicredits"], row["hash"].hex()) if row else (0, None)


def _midnight(day: date, timezone: ZoneInfo) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=timezone)


def _sum(entries: list[Entry], kind: EntryKind) -> int:
    return sum(entry.amount_millicredits for entry in entries if entry.kind == kind)


def _row(entry: Entry, zone: ZoneInfo) -> Mapping[str, object]:
    return {
        **asdict(entry),
        "receipt_id": None if entry.receipt_id is None else str(entry.receipt_id),
        "created_at": entry.created_at.astimezone(zone).isoformat(),
    }


def _harmless(text: str) -> str:
    """Keep a spreadsheet from taking a text for a formula."""
    return f"'{text}" if text.startswith(_FORMULA_BEGINS) else text
