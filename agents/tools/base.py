"""A tool: what the model may call, and what it may touch.

A tool acts only on the contact that the channel vouches for. Its result is data for the model, never
an instruction. A tool that writes does so inside `ToolContext.transaction`, together with its recorded
result, so that a turn answered again after a crash starts from what was done.
"""

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID
from zoneinfo import ZoneInfo

from agents.connection import Connection
from agents.model import ToolDefinition

Transaction = Callable[[], AbstractAsyncContextManager[Connection]]


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolContext:
    """For whom, when and within which turn a tool runs.

    `transaction()` opens a tenant's transaction and raises if the turn's lease has moved on. Tools use the
    connection they are given and open none of their own. `on_write()` is called right before a writing tool
    runs: from then on a draft is not abandoned.
    """

    tenant_id: UUID
    agent_id: UUID
    contact_id: UUID
    conversation_id: UUID
    turn_id: UUID
    attempt: int
    language: str
    timezone: ZoneInfo
    now: Callable[[], datetime]
    new_id: Callable[[], UUID]
    transaction: Transaction
    on_write: Callable[[], None]


class Tool(Protocol):
    """One function offered to the model."""

    @property
    def definition(self) -> ToolDefinition: ...

    @property
    def writes(self) -> bool:
        """Whether a call may change something: then a draft is not abandoned after it."""
        ...

    @property
    def uses_database(self) -> bool:
        """Whether a call is given a connection; one that writes is in any case."""
        ...

    async def call(self, context: ToolContext, arguments: Mapping[str, object], connection: Connection | None) -> str:
        """Run once and return the text for the model.

        A writing tool is given the connection of the open transaction in which its result is recorded; an
        error rolls back what it wrote. Raises `ToolFailedError`, whose text goes to the model.
        """
        ...
