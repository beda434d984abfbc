"""What the benches' carriers have in common: a webhook that is ready to be posted."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Post:
    """A signed webhook; `path` is below the gateway's address, with its query."""

    path: str
    body: bytes
    headers: Mapping[str, str]


Write = Callable[[str, int, str], Post]  # a customer's digits, the number of the message, its text

# Meta takes 80 messages a second from one number, and the gateway keeps to it: a busy business has several.
LINES = 10


def line_of(customer: str) -> int:
    """Which of the business's numbers a customer writes to."""
    return int(customer) % LINES
