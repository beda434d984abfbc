"""What an owner reads in their mailbox: everything once, together where it comes in numbers, in their language."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from gateway.alerts import acknowledge, list_alerts, raise_alert
from gateway.db import Database
from gateway.mail import SmtpServer, mail_due, smtp_server
from gateway.services import Services
from gateway.settings import load_settings
from tests.cast import Cast
from tests.conftest import Clock
from tests.gateway.mail_catcher import MailCatcher
from tests.gateway.wiring import wired

MINUTE_S = 60.0
LOW: dict[str, Any] = {
    "percent": 20,
    "balance_millicredits": 30_000_500,
    "full_millicredits": 150_000_000,
    "days_left": 3,
}


@dataclass
class Office:
    """One tenant, told of things."""

    services: Services
    tenant_id: UUID
    clock: Clock

    async def reads_at(self, address: str | None, *, locale: str = "de") -> None:
        async with self.services.db.transaction(self.tenant_id) as connection:
            await connection.execute(
                "UPDATE tenant SET alert_email = $2, locale = $3 WHERE tenant_id = $1", self.tenant_id, address, locale
            )

    async def tell(self, kind: str, once: str = "", **detail: object) -> None:
        async with self.services.db.transaction(self.tenant_id) as connection:
            await raise_alert(
                connection,
                self.tenant_id,
                kind=kind,
                dedupe_key=f"{kind}:{once}",
                detail=detail,
                now=self.clock.now(),
                new_id=self.services.new_id,
            )

    async def alerts(self) -> list[dict[str, Any]]:
        async with self.services.db.transaction(self.tenant_id) as connection:
            rows = await connection.fetch("SELECT kind, mailed_at, mail_due_at, mail_attempts FROM alert")
        return [dict(row) for row in rows]

    async def later(self, *, seconds: float) -> None:
        self.clock.advance(seconds=seconds)
        await mail_due(self.services)


def mailing_to(services: Services, smtp_url: str | None, **more: object) -> Services:
    settings = services.settings.model_copy(
        update={"smtp_url": smtp_url, "smtp_from": "turnmeter <alerts@turnmeter.example>", **more}
    )
    return replace(services, settings=settings)


@pytest.fixture
async def catcher() -> AsyncIterator[MailCatcher]:
    async with MailCatcher().running() as running:
        yield running


@pytest.fixture
async def services(
    db: Database, clock: Clock, new_id: Callable[[], UUID], tmp_path: Path, catcher: MailCatcher
) -> AsyncIterator[Services]:
    async with wired(db, clock, new_id, tmp_path) as services:
        yield mailing_to(services, catcher.url, public_url="https://gateway.example")


@pytest.fixture
async def office(services: Services, cast: Cast, clock: Clock) -> Office:
    made = Office(services, cast.acme, clock)
    await made.reads_at("chefin@salon.example")
    return made


async def test_an_alert_is_mailed_once_in_german_with_credits_as_germans_write_them(
    office: Office, catcher: MailCatcher
) -> None:
    await office.tell("low_balance", **LOW)
    await mail_due(office.services)
    await mail_due(office.services)
    [mail] = catcher.mails
    assert mail["To"] == "chefin@salon.example"
    assert mail["From"] == "turnmeter <alerts@turnmeter.example>"
    assert mail["Subject"] == "Guthaben unter 20 % (Acme)"
    text = " ".join(catcher.texts[0].split())
    assert "es gibt Neues zu „Acme“" in text
    assert "Guthaben unter 20 % (24.11.2026, 11:00 Uhr)" in text
    assert "Es sind noch 30.000,50 Credits übrig" in text
    assert "reichen sie noch etwa 3 Tage" in text
    assert "https://gateway.example" in text
    [alert] = await office.alerts()
    assert (alert["mailed_at"], alert["mail_due_at"]) == (office.clock.now(), None)


async def test_an_english_owner_reads_english(office: Office, catcher: MailCatcher) -> None:
    await office.reads_at("owner@salon.example", locale="en")
    await office.tell("low_balance", **LOW)
    await mail_due(office.services)
    assert catcher.subjects == ["Credits below 20 % (Acme)"]
    assert "30,000.50 credits are left" in " ".join(catcher.texts[0].split())


async def test_several_at_once_are_one_mail(office: Office, catcher: MailCatcher) -> None:
    await office.tell("low_balance", **LOW)
    await office.tell("model_down", "10", attempts=["timeout"])
    await office.tell("model_down", "11", attempts=["timeout"])
    await mail_due(office.services)
    assert catcher.subjects == ["2 Hinweise zu Acme"]
    assert "Das Sprachmodell hat nicht geantwortet (2-mal, zuletzt 24.11.2026, 11:00 Uhr)" in " ".join(
        catcher.texts[0].split()
    )


async def test_failed_deliveries_are_told_together_every_ten_minutes(office: Office, catcher: MailCatcher) -> None:
    for minute in range(30):
        await office.tell("delivery_failed", str(minute), code="131026")
        await office.later(seconds=MINUTE_S)
    assert 2 <= len(catcher.mails) <= 3
    assert catcher.subjects[0] == "Eine Nachricht kam nicht an (Acme)"
    assert "10-mal" in catcher.texts[0]


async def test_what_waits_goes_along_with_what_cannot(office: Office, catcher: MailCatcher) -> None:
    await office.tell("delivery_failed", "1", code="131026")
    await mail_due(office.services)
    assert catcher.mails == []
    await office.tell("handover", "1", reason="keyword")
    await mail_due(office.services)
    assert catcher.subjects == ["2 Hinweise zu Acme"]
    await office.later(seconds=20 * MINUTE_S)
    assert len(catcher.mails) == 1


async def test_codes_and_ids_stay_out_of_the_mail(office: Office, catcher: MailCatcher) -> None:
    await office.tell("handover", "1", reason="die Kundin Anna +491701234567 ist verärgert", conversation_id="c0ffee")
    await mail_due(office.services)
    assert "Anna" not in catcher.texts[0]
    assert "+49" not in catcher.texts[0]


async def test_what_was_seen_meanwhile_is_not_mailed(office: Office, catcher: MailCatcher) -> None:
    await office.tell("delivery_failed", "1", code="131026")
    async with office.services.db.transaction(office.tenant_id) as connection:
        [alert] = await list_alerts(connection, office.tenant_id)
        await acknowledge(connection, office.tenant_id, alert.alert_id, now=office.clock.now())
    await office.later(seconds=11 * MINUTE_S)
    assert catcher.attempts == 0


async def test_a_server_that_refuses_is_tried_again_later_and_later(office: Office, catcher: MailCatcher) -> None:
    catcher.answer = "451 later"
    await office.tell("paused", percent=0, balance_millicredits=0)
    await mail_due(office.services)
    await mail_due(office.services)
    assert catcher.attempts == 1
    await office.later(seconds=61)
    assert catcher.attempts == 2
    await office.later(seconds=61)
    assert catcher.attempts == 2
    catcher.answer = "250 OK"
    await office.later(seconds=61)
    assert catcher.subjects == ["Guthaben aufgebraucht: Der Agent antwortet nicht mehr (Acme)"]


async def test_a_server_that_is_away_is_no_error_and_after_days_it_is_left_at_that(
    office: Office, catcher: MailCatcher
) -> None:
    away = mailing_to(office.services, "smtp://127.0.0.1:9")
    await office.tell("paused", percent=0, balance_millicredits=0)
    await mail_due(away)
    [alert] = await office.alerts()
    assert (alert["mailed_at"], alert["mail_attempts"]) == (None, 1)
    await office.later(seconds=3 * 24 * 60 * MINUTE_S + 1)
    assert catcher.attempts == 0
    [alert] = await office.alerts()
    assert (alert["mailed_at"], alert["mail_due_at"]) == (None, None)


async def test_two_processes_mail_once(office: Office, catcher: MailCatcher) -> None:
    catcher.pause_s = 0.2
    await office.tell("paused", percent=0, balance_millicredits=0)
    await asyncio.gather(mail_due(office.services), mail_due(office.services))
    assert catcher.attempts == 1


async def test_a_process_that_dies_while_mailing_leaves_it_to_another(office: Office, catcher: MailCatcher) -> None:
    catcher.pause_s = 0.3
    await office.tell("paused", percent=0, balance_millicredits=0)
    mailing = asyncio.create_task(mail_due(office.services))
    await asyncio.sleep(0.15)
    mailing.cancel()
    await asyncio.gather(mailing, return_exceptions=True)
    catcher.pause_s = 0.0
    before = len(catcher.mails)
    await office.later(seconds=MINUTE_S)
    assert len(catcher.mails) == before
    await office.later(seconds=MINUTE_S + 1)
    assert len(catcher.mails) == before + 1


async def test_one_tenants_bad_address_holds_nobody_up(office: Office, catcher: MailCatcher, cast: Cast) -> None:
    await office.reads_at("chefin\r\nBcc: all@salon.example")
    other = Office(office.services, cast.mallory, office.clock)
    await other.reads_at("mallory@salon.example")
    for each in (office, other):
        await each.tell("paused", percent=0, balance_millicredits=0)
    await mail_due(office.services)
    assert [mail["To"] for mail in catcher.mails] == ["mallory@salon.example"]


async def test_without_a_server_or_an_address_nothing_is_mailed(office: Office, catcher: MailCatcher) -> None:
    await office.tell("paused", percent=0, balance_millicredits=0)
    await mail_due(mailing_to(office.services, None))
    await office.reads_at(None)
    await mail_due(office.services)
    assert catcher.attempts == 0
    assert [alert["mail_attempts"] for alert in await office.alerts()] == [0]


async def test_it_logs_in_where_the_address_says_so(office: Office, catcher: MailCatcher) -> None:
    url = catcher.url.replace("smtp://", "smtp://post%40salon:se%3Acret@")
    await office.tell("paused", percent=0, balance_millicredits=0)
    await mail_due(mailing_to(office.services, url))
    assert catcher.logins == [("post@salon", "se:cret")]
    assert len(catcher.mails) == 1


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"SMTP_URL": "smtp://relay.example"}, ("relay.example", 25, False, None, "turnmeter@relay.example")),
        (
            {"SMTP_URL": "smtp://me%40mail.example:pw@mail.example"},
            ("mail.example", 587, False, "me@mail.example", "me@mail.example"),
        ),
        (
            {"SMTP_URL": "smtps://bot:pw@mail.example", "SMTP_FROM": "Salon <bot@salon.example>"},
            ("mail.example", 465, True, "bot", "Salon <bot@salon.example>"),
        ),
        ({"SMTP_URL": "smtp://mail.example:2525"}, ("mail.example", 2525, False, None, "turnmeter@mail.example")),
    ],
)
def test_the_server_is_read_from_its_address(variables: dict[str, str], expected: tuple[object, ...]) -> None:
    server = smtp_server(load_settings({"TURNMETER_DATA_DIR": os.curdir, **variables}))
    assert isinstance(server, SmtpServer)
    assert (server.hostname, server.port, server.tls, server.username, server.sender) == expected
    assert "pw" not in repr(server)


def test_without_an_address_there_is_no_server() -> None:
    assert smtp_server(load_settings({"TURNMETER_DATA_DIR": os.curdir})) is None
