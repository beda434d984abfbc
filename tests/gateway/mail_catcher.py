"""A mail server on loopback that keeps what it is handed, or refuses it."""

import asyncio
import contextlib
import email
import email.policy
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from email.message import EmailMessage
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword


@dataclass
class MailCatcher:
    """What came, in order. `answer` is what each mail is answered with; `pause_s` how long that takes."""

    answer: str = "250 OK"
    pause_s: float = 0.0
    attempts: int = 0
    mails: list[EmailMessage] = field(default_factory=list)
    logins: list[tuple[str, str]] = field(default_factory=list)
    url: str = ""

    async def handle_DATA(self, _server: object, _session: object, envelope: Any) -> str:  # noqa: ANN401, N802 - aiosmtpd's
        self.attempts += 1
        await asyncio.sleep(self.pause_s)
        if self.answer.startswith("250"):
            parsed = email.message_from_bytes(envelope.content, policy=email.policy.default)
            assert isinstance(parsed, EmailMessage)
            self.mails.append(parsed)
        return self.answer

    def _log_in(self, _server: object, _session: object, _envelope: object, _mechanism: str, said: Any) -> AuthResult:  # noqa: ANN401 - aiosmtpd's
        assert isinstance(said, LoginPassword)
        self.logins.append((said.login.decode(), said.password.decode()))
        return AuthResult(success=True)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator["MailCatcher"]:
        def protocol() -> SMTP:
            return SMTP(self, hostname="catcher", authenticator=self._log_in, auth_require_tls=False)

        server = await asyncio.get_running_loop().create_server(protocol, "127.0.0.1", 0)
        self.url = f"smtp://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        yield self
        server.close()
        await server.wait_closed()

    @property
    def texts(self) -> list[str]:
        return [str(mail.get_content()) for mail in self.mails]

    @property
    def subjects(self) -> list[str]:
        return [str(mail["Subject"]) for mail in self.mails]
