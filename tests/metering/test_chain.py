from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from uuid import UUID

import pytest

from metering.chain import GENESIS, Entry, chain_hash

TENANT = UUID(int=7)
ENTRY = Entry(
    sequence=1,
    kind="charge",
    key="turn:1",
    amount_millicredits=-120,
    balance_before_millicredits=1_000,
    balance_after_millicredits=880,
    receipt_id=UUID(int=5),
    refunds_sequence=None,
    reason="",
    created_at=datetime(2026, 11, 24, 10, 0, 0, 500, tzinfo=UTC),
)


def test_a_stored_hash_stays_valid() -> None:
    """Changing how entries are hashed would make every audit fail."""
    assert (
        chain_hash(GENESIS, TENANT, ENTRY).hex() == "d5d0a8a472721c496aade99387c4e3f5ed372fb1ad86c93cda9539d29dee85a7"
    )


@pytest.mark.parametrize(
    "changed",
    [
        replace(ENTRY, sequence=2),
        replace(ENTRY, kind="expiry"),
        replace(ENTRY, key="turn:2"),
        replace(ENTRY, amount_millicredits=-121),
        replace(ENTRY, balance_before_millicredits=1_001),
        replace(ENTRY, balance_after_millicredits=881),
        replace(ENTRY, receipt_id=UUID(int=6)),
        replace(ENTRY, receipt_id=None),
        replace(ENTRY, refunds_sequence=1),
        replace(ENTRY, reason="x"),
        replace(ENTRY, created_at=ENTRY.created_at + timedelta(microseconds=1)),
    ],
)
def test_a_change_of_any_field_changes_the_hash(changed: Entry) -> None:
    assert chain_hash(GENESIS, TENANT, changed) != chain_hash(GENESIS, TENANT, ENTRY)


def test_the_hash_depends_on_whose_wallet_and_on_all_that_came_before() -> None:
    assert chain_hash(GENESIS, UUID(int=8), ENTRY) != chain_hash(GENESIS, TENANT, ENTRY)
    assert chain_hash(bytes(31) + b"\x01", TENANT, ENTRY) != chain_hash(GENESIS, TENANT, ENTRY)


def test_the_hash_does_not_depend_on_the_time_zone_in_which_an_entry_is_read() -> None:
    berlin = ENTRY.created_at.astimezone(timezone(timedelta(hours=1)))
    assert chain_hash(GENESIS, TENANT, replace(ENTRY, created_at=berlin)) == chain_hash(GENESIS, TENANT, ENTRY)
