"""Who may act for a tenant: API keys for programs, members for people.

Both are found through directory tables, before a tenant is known. A key is shown once and kept as its
SHA-256: it is 192 random bits, so a slow hash would protect nothing. Passwords are kept with argon2.
"""

import asyncio
import hashlib
import secrets
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID

from gateway.errors import BadInputError
from metering.connection import Connection

KEY_PREFIX = "tm_"
LABEL_LENGTH_MAX = 80
PASSWORD_LENGTH_MIN = 12
PASSWORD_LENGTH_MAX = 200
USE_NOTED_EVERY = timedelta(minutes=1)

Role = Literal["owner", "staff", "bookkeeper"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKey:
    """A key as it is listed; the secret itself is not kept."""

    api_key_id: UUID
    tenant_id: UUID
    label: str
    created_at: datetime
    last_used_at: datetime | None
    revoked_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewApiKey:
    """A key just made, with the only copy of its token."""

    api_key_id: UUID
    token: str = field(repr=False)


_KEY_COLUMNS = "api_key_id, tenant_id, label, created_at, last_used_at, revoked_at"


async def create_api_key(
    connection: Connection, tenant_id: UUID, *, api_key_id: UUID, label: str, now: datetime
) -> NewApiKey:
    """Make a key. Raises BadInputError for a label that is too long."""
    if len(label) > LABEL_LENGTH_MAX:
        raise BadInputError(f"a key's label has at most {LABEL_LENGTH_MAX} characters")
    token = KEY_PREFIX + secrets.token_urlsafe(24)
    await connection.execute(
        "INSERT INTO api_key (key_hash, tenant_id, api_key_id, label, created_at) VALUES ($1, $2, $3, $4, $5)",
        _hash(token),
        tenant_id,
        api_key_id,
        label,
        now,
    )
    return NewApiKey(api_key_id=api_key_id, token=token)


async def find_api_key(connection: Connection, token: str, *, now: datetime | None = None) -> ApiKey | None:
    """Return the key of a token, None if it is unknown or revoked.

    With `now`, its use is noted, at most once a minute: a busy key is not a row that everybody waits for.
    """
    if not token.startswith(KEY_PREFIX):
        return None
    row = await connection.fetchrow(
        f"SELECT {_KEY_COLUMNS} FROM api_key WHERE key_hash = $1 AND revoked_at IS NULL",  # noqa: S608 - a constant
        _hash(token),
    )
    if row is None:
        return None
    if now is not None and (row["last_used_at"] is None or row["last_used_at"] <= now - USE_NOTED_EVERY):
        await connection.execute(
            """UPDATE api_key SET last_used_at = $2
               WHERE key_hash = $1 AND (last_used_at IS NULL OR last_used_at <= $3)""",
            _hash(token),
            now,
            now - USE_NOTED_EVERY,
        )
    return ApiKey(**row)


async def list_api_keys(connection: Connection, tenant_id: UUID) -> list[ApiKey]:
    """Return the tenant's keys, revoked ones too, oldest first."""
    rows = await connection.fetch(
        f"SELECT {_KEY_COLUMNS} FROM api_key WHERE tenant_id = $1 ORDER BY created_at, api_key_id",  # noqa: S608 - a constant
        tenant_id,
    )
    return [ApiKey(**row) for row in rows]


async def revoke_api_key(connection: Connection, tenant_id: UUID, api_key_id: UUID, *, now: datetime) -> None:
    """End a key at once. Revoking it again changes nothing. Raises BadInputError if the tenant has no such key."""
    found = await connection.fetchval(
        """UPDATE api_key SET revoked_at = coalesce(revoked_at, $3)
           WHERE tenant_id = $1 AND api_key_id = $2 RETURNING api_key_id""",
        tenant_id,
        api_key_id,
        now,
    )
    if found is None:
        raise BadInputError(f"there is no key {api_key_id}; `turnmeter apikey list` shows them")


async def create_member(
    connection: Connection,
    tenant_id: UUID,
    *,
    member_id: UUID,
    email: str,
    password: str,
    role: Role,
    now: datetime,
) -> None:
    """Let a person sign in for a tenant. Raises BadInputError for an address in use or a poor password."""
    address = normalised_email(email)
    check_password(password)
    taken = await connection.fetchval(
        """INSERT INTO sign_in (email, tenant_id, member_id) VALUES ($1, $2, $3)
           ON CONFLICT (email) DO NOTHING RETURNING email""",
        address,
        tenant_id,
        member_id,
    )
    if taken is None:
        raise BadInputError("this e-mail address signs in already; give another one")
    await connection.execute(
        """INSERT INTO member (tenant_id, member_id, email, role, password_hash, created_at)
           VALUES ($1, $2, $3, $4, $5, $6)""",
        tenant_id,
        member_id,
        address,
        role,
        await asyncio.to_thread(_hash_password, password),
        now,
    )


def normalised_email(email: str) -> str:
    """Return an address as it is kept: lower case. Raises BadInputError if it is none."""
    address = email.strip().lower()
    name, _, domain = address.rpartition("@")
    if not name or "." not in domain.strip(".") or any(c.isspace() or not c.isprintable() for c in address):
        raise BadInputError("an e-mail address looks like name@example.com")
    return address


def check_password(password: str) -> None:
    """Raise BadInputError for a password that is too short, or so long that hashing it costs too much."""
    if not PASSWORD_LENGTH_MIN <= len(password) <= PASSWORD_LENGTH_MAX:
        raise BadInputError(f"a password has {PASSWORD_LENGTH_MIN} to {PASSWORD_LENGTH_MAX} characters")


def _hash(token: str) -> bytes:
    # surrogatepass: a header may carry what no key contains; it must be unknown, not an error
    return hashlib.sha256(token.encode(errors="surrogatepass")).digest()


def _hash_password(password: str) -> str:
    from argon2 import PasswordHasher  # noqa: PLC0415 - only this needs it

    return PasswordHasher().hash(password)
