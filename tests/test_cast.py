from gateway.db import Database
from tests.cast import CREDIT_MILLICREDITS, Cast


async def test_everybody_is_who_they_are_said_to_be(db: Database, cast: Cast) -> None:
    balances = {}
    for name in ("acme", "broke", "mallory"):
        tenant_id = getattr(cast, name)
        async with db.transaction(tenant_id) as connection:
            balances[name] = await connection.fetchval("SELECT balance_millicredits FROM wallet")
    assert balances == {"acme": CREDIT_MILLICREDITS, "broke": 0, "mallory": CREDIT_MILLICREDITS}
