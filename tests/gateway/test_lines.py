import asyncio
import tomllib
from collections.abc import AsyncIterator, Callable
from datetime import date
from pathlib import Path
from uuid import UUID

import pytest

from agents.errors import ConfigurationError
from gateway.channels.base import LineAddress
from gateway.db import Database
from gateway.errors import BadInputError
from gateway.line_directory import LineDirectory
from gateway.line_store import list_lines, rotate_secrets
from gateway.lines import AppliedFile, export_tenant, published_agents
from gateway.secret_box import SecretBox
from gateway.services import Services
from gateway.tenants import Tenant
from metering.entries import list_entries, read_wallet
from tests.conftest import Clock
from tests.gateway.letting import (
    AGENT,
    LINE,
    LOCAL,
    LOCAL_RENT,
    MOBILE_RENT,
    applied,
    balance_of,
    granted,
    lines_of,
    made,
)
from tests.gateway.wiring import wired

LINDENHOF = Path(__file__).parents[2] / "gateway/simulator/lindenhof.toml"


@pytest.fixture
async def services(db: Database, clock: Clock, new_id: Callable[[], UUID], tmp_path: Path) -> AsyncIterator[Services]:
    async with wired(db, clock, new_id, tmp_path) as wired_services:
        yield wired_services


@pytest.fixture
async def acme(services: Services) -> Tenant:
    return await made(services, "Acme", millicredits=200_000_000)


async def exported(services: Services, tenant: Tenant) -> str:
    async with services.db.transaction(tenant.tenant_id) as connection:
        return await export_tenant(connection, tenant.tenant_id)


async def test_a_new_line_pays_its_first_month_and_its_addresses_lead_to_it(services: Services, acme: Tenant) -> None:
    result = await applied(services, acme, AGENT + LINE + LOCAL)
    assert [(agent.name, agent.version, agent.change) for agent in result.agents] == [("Rezeption", 1, "created")]
    assert [(line.change, line.state, line.charged_millicredits) for line in result.lines] == [
        ("created", "active", MOBILE_RENT),
        ("created", "active", LOCAL_RENT),
    ]
    assert await balance_of(services, acme) == 200_000_000 - MOBILE_RENT - LOCAL_RENT
    directory = LineDirectory(services.db, services.now)
    by_number = await directory.find(LineAddress(kind="number", value="+4915100000001"))
    by_id = await directory.find(LineAddress(kind="whatsapp_phone_number_id", value="1000001"))
    assert by_number is not None
    assert by_number == by_id
    assert by_number.tenant_id == acme.tenant_id


async def test_the_rent_stands_on_a_receipt_with_its_line(services: Services, acme: Tenant) -> None:
    await applied(services, acme, AGENT + LINE)
    (line,) = await lines_of(services, acme)
    async with services.db.transaction(acme.tenant_id) as connection:
        receipt = await connection.fetchrow("SELECT subject, line_id, lines, total_millicredits, day FROM receipt")
        keys = [entry.key for entry in await list_entries(connection, acme.tenant_id, limit=1)]
    assert receipt is not None
    assert (receipt["subject"], receipt["line_id"], receipt["total_millicredits"]) == (
        "rental",
        line.line_id,
        MOBILE_RENT,
    )
    assert [(row["item"], row["quantity"]) for row in receipt["lines"]] == [("number_mobile", 1)]
    assert receipt["day"] == line.provisioned_on == date(2026, 11, 24)
    assert keys == [f"rental:{line.line_id}:2026-11-24"]


async def test_applying_a_file_again_changes_and_charges_nothing(services: Services, acme: Tenant) -> None:
    text = LINDENHOF.read_text()
    await applied(services, acme, text)
    before = (await lines_of(services, acme), await balance_of(services, acme))
    again = await applied(services, acme, text)
    assert [(agent.version, agent.change) for agent in again.agents] == [(1, "unchanged")]
    assert [(line.change, line.state, line.charged_millicredits) for line in again.lines] == [
        ("unchanged", "active", 0)
    ]
    assert (await lines_of(services, acme), await balance_of(services, acme)) == before


async def test_an_export_reads_back_without_change_and_is_the_same_again(services: Services, acme: Tenant) -> None:
    await applied(services, acme, LINDENHOF.read_text() + LOCAL)
    text = await exported(services, acme)
    again = await applied(services, acme, text)
    assert {agent.change for agent in again.agents} | {line.change for line in again.lines} == {"unchanged"}
    assert await exported(services, acme) == text
    assert "Dinosaurierstuhl" in text


async def test_a_changed_agent_gets_a_new_version_and_a_changed_line_no_second_rent(
    services: Services, acme: Tenant
) -> None:
    await applied(services, acme, AGENT + LINE)
    paid = await balance_of(services, acme)
    changed = AGENT.replace("Hilf.", "Hilf gern.") + LINE.replace('["whatsapp"]', '["whatsapp", "sms"]')
    result = await applied(services, acme, changed)
    assert [(agent.version, agent.change) for agent in result.agents] == [(2, "changed")]
    assert [(line.change, line.charged_millicredits) for line in result.lines] == [("changed", 0)]
    assert (await lines_of(services, acme))[0].channels == ("whatsapp", "sms")
    assert await balance_of(services, acme) == paid


async def test_a_line_is_handed_to_another_agent_that_was_published_before(services: Services, acme: Tenant) -> None:
    await applied(services, acme, AGENT + AGENT.replace("Rezeption", "Büro") + LINE)
    result = await applied(services, acme, LINE.replace("Rezeption", "Büro"))
    assert [line.change for line in result.lines] == ["changed"]
    async with services.db.transaction(acme.tenant_id) as connection:
        names = await published_agents(connection, acme.tenant_id)
    assert names[(await lines_of(services, acme))[0].agent_id] == "Büro"


async def test_a_line_that_cannot_be_paid_waits_suspended_until_a_grant_and_the_next_apply(
    services: Services, clock: Clock
) -> None:
    poor = await made(services, "Poor", millicredits=MOBILE_RENT - 1)
    result = await applied(services, poor, AGENT + LINE)
    assert [(line.change, line.state, line.charged_millicredits) for line in result.lines] == [
        ("created", "suspended", 0)
    ]
    assert [agent.change for agent in result.agents] == ["created"]
    assert await balance_of(services, poor) == MOBILE_RENT - 1
    assert [line.state for line in (await applied(services, poor, AGENT + LINE)).lines] == ["suspended"]
    await granted(services, poor, 1)
    clock.advance(seconds=86_400)
    result = await applied(services, poor, AGENT + LINE)
    assert [(line.change, line.state, line.charged_millicredits) for line in result.lines] == [
        ("activated", "active", MOBILE_RENT)
    ]
    assert await balance_of(services, poor) == 0
    assert (await lines_of(services, poor))[0].provisioned_on == date(2026, 11, 25)
    assert [line.change for line in (await applied(services, poor, AGENT + LINE)).lines] == ["unchanged"]


async def test_a_rent_that_cannot_be_paid_does_not_pause_the_services_that_can(services: Services) -> None:
    poor = await made(services, "Poor", millicredits=MOBILE_RENT - 1)
    await applied(services, poor, AGENT + LINE)
    async with services.db.transaction(poor.tenant_id) as connection:
        assert (await read_wallet(connection, poor.tenant_id)).state == "active"


async def test_of_two_new_lines_the_one_that_can_be_paid_is_active(services: Services) -> None:
    poor = await made(services, "Poor", millicredits=LOCAL_RENT)
    result = await applied(services, poor, AGENT + LINE + LOCAL)
    assert [line.state for line in result.lines] == ["suspended", "active"]


async def test_a_file_applied_twice_at_once_pays_once(services: Services, acme: Tenant) -> None:
    results = await asyncio.gather(*(applied(services, acme, AGENT + LINE) for _ in range(3)), return_exceptions=True)
    assert any(isinstance(result, AppliedFile) for result in results)
    assert all(isinstance(result, AppliedFile | BadInputError | ConfigurationError) for result in results)
    assert len(await lines_of(services, acme)) == 1
    assert await balance_of(services, acme) == 200_000_000 - MOBILE_RENT


@pytest.mark.parametrize("theirs", [LINE, LINE.replace('00001"\nkind', '00002"\nkind')])
async def test_an_address_of_another_tenant_is_refused_without_a_name_and_without_a_trace(
    services: Services, acme: Tenant, theirs: str
) -> None:
    mallory = await made(services, "Mallory", millicredits=200_000_000)
    await applied(services, acme, AGENT + LINE)
    with pytest.raises(BadInputError, match=r"line 2: .*is in use by another line already") as caught:
        await applied(services, mallory, AGENT + LOCAL + theirs)
    assert "Acme" not in str(caught.value)
    assert str(acme.tenant_id) not in str(caught.value)
    assert await lines_of(services, mallory) == []
    assert await exported(services, mallory) == "\n"
    assert await balance_of(services, mallory) == 200_000_000


async def test_an_id_that_is_given_up_is_free_for_another_tenant(services: Services, acme: Tenant) -> None:
    mallory = await made(services, "Mallory", millicredits=200_000_000)
    await applied(services, acme, AGENT + LINE)
    await applied(services, acme, LINE.replace("1000001", "1000009"))
    result = await applied(services, mallory, AGENT + LINE.replace("+4915100000001", "+4915100000002"))
    assert [line.state for line in result.lines] == ["active"]
    owner = await LineDirectory(services.db, services.now).find(
        LineAddress(kind="whatsapp_phone_number_id", value="1000001")
    )
    assert owner is not None
    assert owner.tenant_id == mallory.tenant_id


async def test_a_number_keeps_the_kind_it_is_rented_as(services: Services, acme: Tenant) -> None:
    await applied(services, acme, AGENT + LINE)
    with pytest.raises(ConfigurationError, match='set up as "mobile"'):
        await applied(services, acme, LINE.replace('"mobile"', '"local"'))


async def test_lines_that_a_file_does_not_name_are_left_alone_and_told(services: Services, acme: Tenant) -> None:
    await applied(services, acme, AGENT + LINE + LOCAL)
    result = await applied(services, acme, AGENT + LOCAL)
    assert result.left_alone == ("+4915100000001",)
    assert [line.state for line in await lines_of(services, acme)] == ["active", "active"]


async def test_an_access_token_is_stored_encrypted_kept_and_never_exported(services: Services, acme: Tenant) -> None:
    with_token = LINE + 'whatsapp_access_token = "EAAG-secret"\n'
    await applied(services, acme, AGENT + with_token)
    (stored,) = await lines_of(services, acme)
    assert stored.whatsapp_access_token_encrypted is not None
    assert b"EAAG" not in stored.whatsapp_access_token_encrypted
    assert services.secret_box.decrypt(stored.whatsapp_access_token_encrypted) == b"EAAG-secret"
    assert "EAAG" not in repr(stored)
    text = await exported(services, acme)
    assert "token" not in text
    for same in (with_token, LINE, text):
        assert [line.change for line in (await applied(services, acme, same)).lines] == ["unchanged"]
    assert await lines_of(services, acme) == [stored]


async def test_an_access_token_is_replaced_or_taken_away(services: Services, acme: Tenant) -> None:
    await applied(services, acme, AGENT + LINE + 'whatsapp_access_token = "EAAG-secret"\n')
    await applied(services, acme, LINE + 'whatsapp_access_token = "EAAG-newer"\n')
    (stored,) = await lines_of(services, acme)
    assert services.secret_box.decrypt(stored.whatsapp_access_token_encrypted or b"") == b"EAAG-newer"
    await applied(services, acme, LINE + 'whatsapp_access_token = ""\n')
    assert (await lines_of(services, acme))[0].whatsapp_access_token_encrypted is None


async def test_rotation_moves_every_token_to_the_new_key_once(services: Services, acme: Tenant) -> None:
    await applied(services, acme, AGENT + LINE + 'whatsapp_access_token = "EAAG-secret"\n')
    old_key = (services.settings.data_dir / "secret_key").read_text().strip()
    new_key = "n" * 40
    both = SecretBox(f"{new_key},{old_key}")
    async with services.db.transaction(acme.tenant_id) as connection:
        assert await rotate_secrets(connection, both, acme.tenant_id) == 1
        assert await rotate_secrets(connection, both, acme.tenant_id) == 0
        (stored,) = await list_lines(connection, acme.tenant_id)
    assert SecretBox(new_key).decrypt(stored.whatsapp_access_token_encrypted or b"") == b"EAAG-secret"


def test_the_demos_salon_and_the_example_are_the_same_file() -> None:
    example = Path(__file__).parents[2] / "examples/lindenhof.toml"
    assert example.read_bytes() == LINDENHOF.read_bytes()
    assert [line["kind"] for line in tomllib.loads(example.read_text())["line"]] == ["mobile"]
