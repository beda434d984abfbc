import io
import json
import logging
from collections.abc import Iterator
from typing import Any, cast

import pytest
import structlog

from gateway.logs import configure_logs, log_context


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    before = root.handlers, root.level
    stream = io.StringIO()
    configure_logs(stream)
    yield stream
    root.handlers, root.level = before
    structlog.reset_defaults()


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [cast("dict[str, Any]", json.loads(line)) for line in stream.getvalue().splitlines()]


def test_a_trace_id_is_on_every_line_of_its_task_whoever_logs(stream: io.StringIO) -> None:
    with log_context(trace_id="t-1", tenant_id=7):
        structlog.get_logger("gateway.turns").info("turn_charged", quantity=3)
        logging.getLogger("asyncio").warning("slow callback")
    structlog.get_logger("gateway.turns").info("idle")
    ours, theirs, idle = lines(stream)
    assert (ours["event"], ours["trace_id"], ours["tenant_id"], ours["quantity"]) == ("turn_charged", "t-1", "7", 3)
    assert (theirs["event"], theirs["trace_id"], theirs["logger"]) == ("slow callback", "t-1", "asyncio")
    assert "trace_id" not in idle


def test_what_belongs_to_a_person_is_dropped(stream: io.StringIO) -> None:
    structlog.get_logger("x").info("sent", text="Mein Termin", number="+4915112345678", access_token="s3cret", n=1)
    logging.getLogger("y").info("to +4915112345678", extra={"body": "Mein Termin"})
    written = stream.getvalue()
    assert "Termin" not in written
    assert "4915112345678" not in written
    assert "s3cret" not in written
    assert lines(stream)[0]["n"] == 1


def test_an_exception_is_logged_without_the_row_that_the_database_quotes(stream: io.StringIO) -> None:
    words = "duplicate key\nDETAIL:  Key (address)=(Erika) already exists."

    def fail() -> None:
        raise ValueError(words)

    try:
        fail()
    except ValueError:
        structlog.get_logger("x").exception("failed", turn="t")
    [line] = lines(stream)
    assert "duplicate key" in line["exception"]
    assert "Erika" not in line["exception"]
    assert "in fail" in line["exception"]


def test_debug_lines_are_left_out(stream: io.StringIO) -> None:
    structlog.get_logger("x").debug("detail")
    logging.getLogger("x").debug("detail")
    assert stream.getvalue() == ""
