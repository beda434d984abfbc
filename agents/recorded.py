"""A tool call as it was recorded, and how two calls are known to be the same (pure)."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

ToolCallState = Literal["intended", "done", "failed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedCall:
    """What an earlier attempt of the turn did. `intended` without a result: nobody knows whether it happened."""

    position: int
    name: str
    arguments: Mapping[str, object]
    writes: bool
    state: ToolCallState
    result: str | None

    @property
    def key(self) -> "CallKey":
        return call_key(self.name, self.arguments)


CallKey = tuple[str, bytes]


def arguments_hash(arguments: Mapping[str, object]) -> bytes:
    """Return the same 32 bytes for the same arguments, in whatever order and notation they were written."""
    canonical = json.dumps(_plain(arguments), sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(canonical.encode()).digest()


def _plain(value: object) -> object:
    """Return a JSON value in which 1.0 is 1, for PostgreSQL keeps numbers and not their notation."""
    match value:
        case Mapping():
            return {key: _plain(inner) for key, inner in value.items()}
        case list() | tuple():
            return [_plain(inner) for inner in value]
        case float() if value.is_integer():
            return int(value)
        case _:
            return value


def call_key(name: str, arguments: Mapping[str, object]) -> CallKey:
    return name, arguments_hash(arguments)
