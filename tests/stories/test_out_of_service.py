"""A line that is suspended answers nobody and forgets nobody."""

from gateway.line_file import parse_tenant_file
from gateway.lines import apply_file
from tests.stories.world import SALON, World


async def test_what_was_written_to_a_suspended_line_is_answered_once_its_rent_is_paid(world: World) -> None:
    salon, anna = world.salon, world.customer()
    await world.rows("UPDATE line SET state = 'suspended', provisioned_on = provisioned_on - 40")
    await anna.write("Was kostet ein Haarschnitt?")
    await world.quiet()
    assert anna.received == []
    assert world.model.requests == []

    await world.grant(salon.tenant_id, 60_000)
    number, phone_number_id = salon.business.display_number, salon.business.phone_number_id
    text = SALON.format(number=number, phone_number_id=phone_number_id)
    await apply_file(world.services, salon.tenant, parse_tenant_file(text, ()))
    assert "42 Euro" in await anna.next_text()
    await world.quiet()
    assert len(anna.received) == 1
    await world.audit()
