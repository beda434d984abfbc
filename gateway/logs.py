"""Structured logs on stderr: one JSON object a line, or colours on a terminal.

What customers write and where they can be reached never gets into a log: known keys are dropped here,
whoever passes them, and texts of exceptions are cleaned of what databases and validators quote.
"""

import contextlib
import logging
import re
import sys
from typing import Final, TextIO

import orjson
import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

_OF_MESSAGES: Final = {"text", "body", "content", "caption", "transcript", "prompt", "arguments", "result", "payload"}
_OF_PEOPLE: Final = {"number", "phone", "from", "to", "address", "contact", "name", "customer_name", "email"}
_OF_ACCESS: Final = {"password", "token", "access_token", "auth_token", "api_key", "secret", "secret_key", "app_secret"}
_OF_REQUESTS: Final = {"authorization", "signature", "headers", "url", "dsn", "database_url"}
SENSITIVE_KEYS: Final = frozenset(_OF_MESSAGES | _OF_PEOPLE | _OF_ACCESS | _OF_REQUESTS)
_NUMBER: Final = re.compile(r"\+\d{7,15}")
_QUOTED_ROW: Final = re.compile(r"^(?:DETAIL|CONTEXT): .*$", re.MULTILINE)
_QUOTED_INPUT: Final = re.compile(r"input_value=.*?, input_type")


def _drop_sensitive(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Keep the event and drop every value whose key says that it belongs to a person."""
    return {key: value for key, value in event.items() if key not in SENSITIVE_KEYS}


def _clean_exception(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    for key in ("exception", "event"):
        words = event.get(key)
        if isinstance(words, str):
            words = _QUOTED_ROW.sub("DETAIL: …", words)
            words = _QUOTED_INPUT.sub("input_value=…, input_type", words)
            event[key] = _NUMBER.sub("+…", words)
    return event


def configure_logs(stream: TextIO | None = None, *, level: int = logging.INFO) -> None:
    """Send structlog's and the standard library's logs to `stream` (stderr) in one form."""
    stream = stream or sys.stderr
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        _drop_sensitive,
        _clean_exception,
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )
    last: Processor = structlog.dev.ConsoleRenderer() if stream.isatty() else structlog.processors.JSONRenderer(_json)
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.ExtraAdder(), *shared],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, last],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level)
    # These tell of every request, with addresses in them.
    for chatty in ("httpx2", "httpcore2", "httpx", "httpcore", "openai", "aiohttp.access"):
        logging.getLogger(chatty).setLevel(logging.WARNING)


def log_context(**values: object) -> contextlib.AbstractContextManager[None]:
    """Put trace_id, tenant_id, turn_id, … on every line that this task logs inside."""
    return structlog.contextvars.bound_contextvars(**{key: str(value) for key, value in values.items()})


def _json(event: EventDict, **_options: object) -> str:
    return orjson.dumps(event, default=str, option=orjson.OPT_NON_STR_KEYS).decode()
