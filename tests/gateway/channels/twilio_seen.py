"""Twilio's forms beside what they become, one file for each documented shape."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl
from uuid import UUID

from gateway.channels.base import LineEvent, Malformed
from tests.gateway.channels.whatsapp.seen import seen


def examples_in(folder: Path) -> Mapping[str, Any]:
    return {file.stem: json.loads(file.read_text()) for file in sorted(folder.glob("*.json"))}


def form_of(example: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [(name, value) for name, value in example["form"]]


def our_id_of(example: Mapping[str, Any]) -> UUID | None:
    return UUID(example["mid"]) if example["mid"] else None


def seen_all(read: tuple[list[LineEvent], list[Malformed]]) -> dict[str, object]:
    """Return what a form became, as a file says it; a malformed part is the whole form again."""
    events, malformed = read
    return {
        "events": [{"channel": event.channel, **seen(event)} for event in events],
        "malformed": [
            {"reason": part.reason, "form": parse_qsl(part.fragment.decode(), keep_blank_values=True)}
            for part in malformed
        ],
    }
