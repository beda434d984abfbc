"""Pages of a list: a limit, and a cursor that only we can read."""

import base64
import json
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Generic, TypeVar
from uuid import UUID

from pydantic import Field

from gateway.api.call import Asked, Told, invalid

LIMIT_MAX = 200
Row = TypeVar("Row")
Item = TypeVar("Item")


class Page(Asked):
    """Which part of a list is wanted: so many, after the cursor that the page before ended with."""

    limit: int = Field(default=50, ge=1, le=LIMIT_MAX)
    cursor: str | None = Field(default=None, max_length=500)


class Listed(Told, Generic[Item]):
    """One page. `next_cursor` is null on the last one."""

    items: list[Item]
    next_cursor: str | None = None


def next_page(rows: Sequence[Row], limit: int, cursor_of: Callable[[Row], str]) -> tuple[Sequence[Row], str | None]:
    """Return the page's rows and the next cursor, from one row more than the page holds if there is one."""
    if len(rows) <= limit:
        return rows, None
    return rows[:limit], cursor_of(rows[limit - 1])


def number_cursor(number: int) -> str:
    """Return a cursor at a numbered row."""
    return _encode(number)


def parse_number_cursor(cursor: str | None, *, highest: int = 2**63 - 1) -> int | None:
    """Return the number of a cursor. Raises ProblemError for a cursor from elsewhere."""
    match _decode(cursor):
        case None:
            return None
        case [int(number)] if 0 <= number <= highest:
            return number
        case _:
            raise _not_ours()


def text_cursor(text: str) -> str:
    """Return a cursor at a row that is known by a text."""
    return _encode(text)


def parse_text_cursor(cursor: str | None) -> str | None:
    """Return the text of a cursor. Raises ProblemError for a cursor from elsewhere."""
    match _decode(cursor):
        case None:
            return None
        case [str(text)]:
            return text
        case _:
            raise _not_ours()


def id_cursor(row_id: UUID) -> str:
    """Return a cursor at a row that is ordered by its id."""
    return _encode(row_id.hex)


def parse_id_cursor(cursor: str | None) -> UUID | None:
    """Return the id of a cursor. Raises ProblemError for a cursor from elsewhere."""
    text = parse_text_cursor(cursor)
    try:
        return None if text is None else UUID(text)
    except ValueError:
        raise _not_ours() from None


def moment_cursor(at: datetime, row_id: UUID) -> str:
    """Return a cursor at a row that is ordered by its time and then its id."""
    return _encode(at.isoformat(), row_id.hex)


def parse_moment_cursor(cursor: str | None) -> tuple[datetime, UUID] | None:
    """Return time and id of a cursor. Raises ProblemError for a cursor from elsewhere."""
    match _decode(cursor):
        case None:
            return None
        case [str(at), str(row_id)]:
            return _moment(at, row_id)
        case _:
            raise _not_ours()


def _moment(at: str, row_id: str) -> tuple[datetime, UUID]:
    try:
        moment = datetime.fromisoformat(at), UUID(row_id)
    except ValueError:
        raise _not_ours() from None
    if moment[0].tzinfo is None:
        raise _not_ours()
    return moment


def _encode(*parts: str | int) -> str:
    return base64.urlsafe_b64encode(json.dumps(parts, separators=(",", ":")).encode()).decode().rstrip("=")


def _decode(cursor: str | None) -> object:
    if cursor is None:
        return None
    try:
        return list(json.loads(base64.urlsafe_b64decode(cursor.encode() + b"=" * (-len(cursor) % 4))))
    except (ValueError, TypeError, RecursionError):
        raise _not_ours() from None


def _not_ours() -> Exception:
    return invalid("cursor", "is not a cursor of this list; leave it out to begin again")
