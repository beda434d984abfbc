"""The rows of a call: how it comes in, which stream has it, how far it has come. Nothing here commits.

A call's lease names the stream that acts for it: each stream takes it with a higher epoch, and what an earlier one
still tries changes nothing. Its holds live as long as its lease. Locks: wallet, call, hold.
"""

import hashlib
import secrets
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final
from uuid import UUID

from agents.store import VersionCache, read_version
from gateway.services import Services
from gateway.voice.call import CHANNEL, Away, Call, CallAccount, CallState, Progress, account_of
from gateway.voice.credit.keys import call_prefix
from metering.connection import Connection
from metering.holds import renew_holds

OPEN: Final = "('offered', 'live', 'forwarding', 'away')"
TOKENS_FORGOTTEN_AT_ONCE: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundCall:
    """A call by Twilio's name for it."""

    call_id: UUID
    state: CallState


@dataclass(frozen=True, slots=True, kw_only=True)
class NewCall:
    """A call as it comes in. `caller` is E.164, None if it is withheld."""

    account: CallAccount
    call_sid: str
    caller: str | None = field(repr=False)
    engine: str


async def insert_call(
    connection: Connection, new: NewCall, *, now: datetime, lease_until: datetime, declined: str | None = None
) -> bool:
    """Note a call that has come in; False if this CallSid is known. With a reason it is declined and over."""
    account = new.account
    inserted = await connection.fetchval(
        """INSERT INTO call (tenant_id, call_id, conversation_id, line_id, contact_id, agent_id, agent_version,
                             call_sid, caller, engine, rate_card, lease_until, offered_at, state, end_reason, ended_at)
           VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13,
                   CASE WHEN $14::text IS NULL THEN 'offered' ELSE 'declined' END, $14,
                   CASE WHEN $14 IS NULL THEN NULL ELSE $13::timestamptz END)
           ON CONFLICT (tenant_id, call_sid) DO NOTHING RETURNING call_id""",
        account.tenant_id,
        account.call_id,
        account.conversation_id,
        account.line_id,
        account.contact_id,
        account.agent_id,
        account.agent_version,
        new.call_sid,
        new.caller,
        new.engine,
        account.rate_card,
        lease_until,
        now,
        declined,
    )
    return inserted is not None


async def decline_call(connection: Connection, account: CallAccount, *, reason: str, now: datetime) -> bool:
    """End a call that was offered but is not to be answered after all; False if its stream has begun or it is over."""
    declined = await connection.fetchval(
        """UPDATE call SET state = 'declined', end_reason = $3, ended_at = $4
           WHERE tenant_id = $1 AND call_id = $2 AND state = 'offered' RETURNING call_id""",
        account.tenant_id,
        account.call_id,
        reason,
        now,
    )
    return declined is not None


async def load_call(connection: Connection, tenant_id: UUID, call_id: UUID, versions: VersionCache) -> Call:
    """Return a call with its agent and contact.

    Raises LookupError if there is none; ConfigurationError if its agent cannot be read any more.
    """
    row = await connection.fetchrow(_CALL, tenant_id, call_id)
    if row is None:
        raise LookupError(f"no call {call_id}")
    read = await read_version(connection, tenant_id, row["agent_id"], row["agent_version"], cache=versions)
    configuration = read.on_channel(CHANNEL)
    progress = row["progress"]
    names = ("conversation_id", "contact_id", "line_id", "agent_id", "agent_version", "rate_card", "timezone")
    return Call(
        account=account_of(
            configuration,
            tenant_id=tenant_id,
            call_id=call_id,
            epoch=row["lease_epoch"],
            **{name: row[name] for name in names},
        ),
        configuration=configuration,
        progress=Progress.from_json(progress) if progress else None,
        **{name: row[name] for name in ("call_sid", "our_number", "caller", "contact_name", "contact_facts", "engine")},
        **{name: row[name] for name in ("state", "offered_at", "stream_started_at")},
    )


_CALL = """
SELECT c.conversation_id, c.contact_id, c.line_id, c.agent_id, c.agent_version, c.rate_card, c.lease_epoch, c.call_sid,
       c.caller, c.engine, c.state, c.progress, c.offered_at, c.stream_started_at, l.number AS our_number, t.timezone,
       coalesce(k.name, '') AS contact_name, coalesce(k.facts, '{}') AS contact_facts
FROM call c
JOIN line l ON l.tenant_id = c.tenant_id AND l.line_id = c.line_id
JOIN tenant t ON t.tenant_id = c.tenant_id
LEFT JOIN contact k ON k.tenant_id = c.tenant_id AND k.contact_id = c.contact_id
WHERE c.tenant_id = $1 AND c.call_id = $2
"""


async def find_by_sid(connection: Connection, tenant_id: UUID, call_sid: str) -> FoundCall | None:
    """Return the call that Twilio means; None if it was never noted."""
    row = await connection.fetchrow(
        "SELECT call_id, state FROM call WHERE tenant_id = $1 AND call_sid = $2", tenant_id, call_sid
    )
    return None if row is None else FoundCall(**row)


async def count_earlier(connection: Connection, call: Call, *, now: datetime) -> int:
    """Return how many calls the tenant has going on, in any process, that rang before this one.

    Whose lease has run out does not count. Of calls that ring at once none keeps those before it from being answered.
    """
    count: int = await connection.fetchval(
        f"""SELECT count(*) FROM call WHERE tenant_id = $1 AND state IN {OPEN} AND lease_until > $2
              AND (offered_at, call_id) < ($3, $4)""",  # noqa: S608 - a constant
        call.tenant_id,
        now,
        call.offered_at,
        call.call_id,
    )
    return count


async def issue_token(services: Services, tenant_id: UUID, call_id: UUID) -> str:
    """Make a token that opens the call's stream, once and soon; forget some that nobody has used in time."""
    token, now = secrets.token_urlsafe(32), services.now()
    async with services.db.directory() as connection:
        await connection.execute(
            "INSERT INTO call_token (token_hash, tenant_id, call_id, expires_at) VALUES ($1, $2, $3, $4)",
            _hash(token),
            tenant_id,
            call_id,
            services.after(services.limits.token_lives_s),
        )
        await connection.execute(
            """DELETE FROM call_token WHERE token_hash IN (
                 SELECT token_hash FROM call_token WHERE expires_at <= $1
                 ORDER BY expires_at LIMIT $2 FOR UPDATE SKIP LOCKED)""",
            now,
            TOKENS_FORGOTTEN_AT_ONCE,
        )
    return token


async def redeem_token(services: Services, token: str) -> tuple[UUID, UUID] | None:
    """Return (tenant, call) of a token and use it up; None if it is unknown, used or too old."""
    async with services.db.directory() as connection:
        row = await connection.fetchrow(
            """UPDATE call_token SET used_at = $2 WHERE token_hash = $1 AND used_at IS NULL AND expires_at > $2
               RETURNING tenant_id, call_id""",
            _hash(token),
            services.now(),
        )
    return None if row is None else (row["tenant_id"], row["call_id"])


async def begin_stream(
    connection: Connection, account: CallAccount, *, now: datetime, lease_until: datetime
) -> int | None:
    """Take the call for a stream that begins, from whichever had it; None if it is over, or its first comes too late.

    Returns the epoch: `account.at(epoch)` is what the stream acts with.
    """
    epoch: int | None = await connection.fetchval(
        f"""UPDATE call SET state = 'live', lease_until = $4, lease_epoch = lease_epoch + 1,
              stream_started_at = coalesce(stream_started_at, $3)
            WHERE tenant_id = $1 AND call_id = $2 AND state IN {OPEN} AND (state <> 'offered' OR lease_until > $3)
            RETURNING lease_epoch""",  # noqa: S608 - a constant
        account.tenant_id,
        account.call_id,
        now,
        lease_until,
    )
    if epoch is not None:
        await renew_holds(connection, account.tenant_id, call_prefix(account.call_id), expires_at=lease_until)
    return epoch


async def renew_lease(connection: Connection, account: CallAccount, *, lease_until: datetime) -> bool:
    """Keep the call and what is held for it; False if another stream has it by now, or it is over."""
    kept = await connection.fetchval(
        f"""UPDATE call SET lease_until = $4
            WHERE tenant_id = $1 AND call_id = $2 AND lease_epoch = $3 AND state IN {OPEN}
            RETURNING call_id""",  # noqa: S608 - a constant
        account.tenant_id,
        account.call_id,
        account.epoch,
        lease_until,
    )
    if kept is not None:
        await renew_holds(connection, account.tenant_id, call_prefix(account.call_id), expires_at=lease_until)
    return kept is not None


async def hand_over(connection: Connection, account: CallAccount, *, now: datetime, holds_until: datetime) -> None:
    """End the lease of a call that is put through: whoever takes it over finds what is held for it."""
    left = await connection.fetchval(
        """UPDATE call SET lease_until = $4
           WHERE tenant_id = $1 AND call_id = $2 AND lease_epoch = $3 AND state = 'forwarding' RETURNING call_id""",
        account.tenant_id,
        account.call_id,
        account.epoch,
        now,
    )
    if left is not None:
        await renew_holds(connection, account.tenant_id, call_prefix(account.call_id), expires_at=holds_until)


async def adopt(
    connection: Connection, tenant_id: UUID, call_id: UUID, *, now: datetime, lease_until: datetime
) -> bool:
    """Take over a call that is put through and that nobody watches; False if somebody does, or its last leg is over.

    From here on what an earlier process still tries changes nothing.
    """
    adopted = await connection.fetchval(
        """UPDATE call SET lease_until = $4, lease_epoch = lease_epoch + 1
           WHERE tenant_id = $1 AND call_id = $2 AND state = 'forwarding' AND lease_until <= $3
             AND (SELECT leg.state FROM call_leg leg WHERE leg.tenant_id = $1 AND leg.call_id = $2
                  ORDER BY leg.leg DESC LIMIT 1) <> 'ended'
           RETURNING call_id""",
        tenant_id,
        call_id,
        now,
        lease_until,
    )
    if adopted is not None:
        await renew_holds(connection, tenant_id, call_prefix(call_id), expires_at=lease_until)
    return adopted is not None


async def save_progress(
    connection: Connection, account: CallAccount, progress: Progress, *, state: Away, lease_until: datetime
) -> bool:
    """Leave the call to the stream that goes on from here, or to a person meanwhile, with what is held for it.

    False if another stream has it by now, or it is over.
    """
    saved = await connection.fetchval(
        f"""UPDATE call SET state = $4, progress = $5, lease_until = $6
            WHERE tenant_id = $1 AND call_id = $2 AND lease_epoch = $3 AND state IN {OPEN}
            RETURNING call_id""",  # noqa: S608 - a constant
        account.tenant_id,
        account.call_id,
        account.epoch,
        state,
        progress.to_json(),
        lease_until,
    )
    if saved is not None:
        await renew_holds(connection, account.tenant_id, call_prefix(account.call_id), expires_at=lease_until)
    return saved is not None


def _hash(token: str) -> bytes:
    # surrogatepass: an address may carry what no token contains; it must be unknown, not an error
    return hashlib.sha256(token.encode(errors="surrogatepass")).digest()
