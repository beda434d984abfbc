"""That a call has ended, for owners' systems: ids and amounts, in the transaction that ends it."""

from uuid import UUID

from gateway.events_out import record_event
from gateway.services import Services
from gateway.voice.credit.keys import call_prefix
from metering.connection import Connection
from metering.receipts import totals_by_prefix

ENDED = "call.ended"


async def record_end(connection: Connection, services: Services, tenant_id: UUID, call_id: UUID) -> None:
    """Leave `call.ended` for each endpoint that wants it; the call's row has ended and its minutes are settled."""
    row = await connection.fetchrow(
        """SELECT call_id, conversation_id, contact_id, line_id, agent_id, agent_version, engine, end_reason AS reason,
                  offered_at, stream_started_at AS answered_at, ended_at, minutes_charged, input_tokens, output_tokens
           FROM call WHERE tenant_id = $1 AND call_id = $2""",
        tenant_id,
        call_id,
    )
    if row is None:
        raise LookupError(f"no call {call_id}")
    totals = await totals_by_prefix(connection, tenant_id, [(row["conversation_id"], call_prefix(call_id))])
    await record_event(
        connection,
        tenant_id,
        kind=ENDED,
        subject_id=call_id,
        detail={**row, "charged_millicredits": totals[0]},
        now=services.now(),
        new_id=services.new_id,
    )
