"""Comparing what is noted of calls with their receipts: minutes on every leg, tokens."""

from uuid import UUID

from gateway.voice.credit.keys import CALLERS_LEG
from metering.audit import DIFFERENCES_MAX, Difference
from metering.connection import Connection


async def audit_calls(connection: Connection, tenant_id: UUID) -> tuple[Difference, ...]:
    """Return where a tenant's calls are not what was charged for them, in a snapshot or while nothing moves."""
    rows = await connection.fetch(_DIFFERING, tenant_id, DIFFERENCES_MAX)
    return tuple(
        Difference(
            what=row["what"] if row["leg"] == CALLERS_LEG else f"{row['what']} of leg {row['leg']}",
            where=f"call {row['call_id']}",
            expected=str(row["charged"]),
            found=str(row["noted"]),
        )
        for row in rows
    )


_DIFFERING = """
WITH charged AS MATERIALIZED (
  SELECT split_part(e.key, ':', 2)::uuid AS call_id,
         CASE WHEN split_part(e.key, ':', 3) = 'leg' THEN split_part(e.key, ':', 4)::integer ELSE 0 END AS leg,
         line ->> 'item' AS item, sum((line ->> 'quantity')::bigint) AS quantity
  FROM receipt r
  JOIN ledger_entry e ON e.tenant_id = r.tenant_id AND e.sequence = r.sequence
  CROSS JOIN LATERAL jsonb_array_elements(r.lines) AS line
  WHERE r.tenant_id = $1 AND r.subject = 'call'
  GROUP BY 1, 2, 3),
noted AS MATERIALIZED (
  SELECT call_id, 0 AS leg, what, item, quantity FROM call
  CROSS JOIN LATERAL (VALUES ('minutes', 'call_minute', minutes_charged), ('input tokens', 'voice_input', input_tokens),
                             ('output tokens', 'voice_output', output_tokens)) AS told (what, item, quantity)
  WHERE tenant_id = $1
  UNION ALL
  SELECT call_id, leg, 'minutes', 'call_minute', minutes_charged FROM call_leg WHERE tenant_id = $1)
SELECT call_id, leg, coalesce(noted.what, item) AS what, coalesce(noted.quantity, 0) AS noted,
       coalesce(charged.quantity, 0)::bigint AS charged
FROM noted FULL JOIN charged USING (call_id, leg, item)
WHERE coalesce(noted.quantity, 0) <> coalesce(charged.quantity, 0) AND item IS DISTINCT FROM 'absorbed'
ORDER BY call_id, leg, item LIMIT $2
"""
