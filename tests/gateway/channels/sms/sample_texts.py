"""The texts of the sample data, with what the vendor's calculator says of them."""

import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest

PATH = Path(__file__).parents[5] / "shared" / "data" / "sms_messages.jsonl"


def sample_texts() -> list[dict[str, Any]]:
    """Return every row; skips the test where the data is not there."""
    if not PATH.exists():
        pytest.skip("the sample data is not here")
    return _rows()


@cache
def _rows() -> list[dict[str, Any]]:
    return [json.loads(line) for line in PATH.read_text().splitlines()]
