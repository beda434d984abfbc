"""Mailing alerts to owners by SMTP: at least once, never in anybody's way.

A server that is down, slow or choosy costs a retry and nothing else: alerts are shown in any case. The only module that
speaks SMTP.
"""

import asyncio
from dataclasses import dataclass, field
from email.message import EmailMessage
from typing import Final
from urllib.parse import unquote, urlsplit

import aiosmtplib
import structlog

from gateway.mail_letter import letter
from gateway.mail_queue import Due, claim_due, note_failed, note_mailed, read_due
from gateway.services import Services
from gateway.settings import Settings

ANSWERS_WITHIN_S: Final = 20.0
MAILS_AT_ONCE: Final = 4
PORT: Final = 25
SUBMISSION_PORT: Final = 587
TLS_PORT: Final = 465

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class SmtpServer:
    """Where mail is handed in. With `tls` from the first byte, else by STARTTLS where the server offers it."""

    hostname: str
    port: int
    tls: bool
    username: str | None
    password: str | None = field(repr=False)
    sender: str


def smtp_server(settings: Settings) -> SmtpServer | None:
    """Return the server of SMTP_URL, None if mail is not set up."""
    if settings.smtp_url is None:
        return None
    parts = urlsplit(settings.smtp_url)
    username = unquote(parts.username) if parts.username else None
    host = parts.hostname or "localhost"
    tls = parts.scheme == "smtps"
    own = username if username is not None and "@" in username else f"turnmeter@{host}"
    return SmtpServer(
        hostname=host,
        port=parts.port or (TLS_PORT if tls else SUBMISSION_PORT if username else PORT),
        tls=tls,
        username=username,
        password=unquote(parts.password) if parts.password else None,
        sender=settings.smtp_from or own,
    )


async def mail_due(services: Services) -> None:
    """Mail every alert that is due, several of one tenant as one mail; without a server, none."""
    server = smtp_server(services.settings)
    if server is None:
        return
    room = asyncio.Semaphore(MAILS_AT_ONCE)
    while True:
        async with services.db.queue() as connection:
            found = await claim_due(connection, now=services.now())
        if not found:
            return
        await asyncio.gather(*(_mail_when_there_is_room(services, server, due, room) for due in found))


async def _mail_when_there_is_room(services: Services, server: SmtpServer, due: Due, room: asyncio.Semaphore) -> None:
    async with room:
        await _mail(services, server, due)


async def _mail(services: Services, server: SmtpServer, due: Due) -> None:
    async with services.db.transaction(due.tenant_id) as connection:
        reader, alerts = await read_due(connection, due)
    sent = False
    if reader is not None and alerts:
        public_url = services.settings.public_url
        try:
            await _send(server, letter(reader, alerts, sender=server.sender, public_url=public_url, now=services.now()))
            sent = True
        except (aiosmtplib.SMTPException, OSError, ValueError) as error:  # ValueError: an address that cannot be sent
            log.warning("mail_failed", tenant_id=str(due.tenant_id), error=type(error).__name__, attempts=due.attempts)
    async with services.db.transaction(due.tenant_id) as connection:
        if sent:
            await note_mailed(connection, due, alerts, now=services.now())
        else:
            await note_failed(connection, due, now=services.now())


async def _send(server: SmtpServer, mail: EmailMessage) -> None:
    async with asyncio.timeout(ANSWERS_WITHIN_S):
        await aiosmtplib.send(
            mail,
            hostname=server.hostname,
            port=server.port,
            username=server.username,
            password=server.password,
            use_tls=server.tls,
        )
