"""Giving numbers up: a line ends at once; if its number was ordered here, Twilio has it back as soon as it answers."""

from uuid import UUID

import structlog

from gateway import rental_store
from gateway.services import Services
from gateway.twilio import numbers
from metering.ledger import lock as lock_wallet

log = structlog.get_logger(__name__)


async def release_line(services: Services, tenant_id: UUID, line_id: UUID) -> bool:
    """End a line for good; return whether there is such a line. What was paid for its month is not given back."""
    async with services.db.transaction(tenant_id) as connection:
        await lock_wallet(connection, tenant_id)  # nobody pays a month of it meanwhile
        rental = await rental_store.lock_rental(connection, tenant_id, line_id)
        if rental is None:
            return False
        await rental_store.release(connection, tenant_id, line_id)
    await give_numbers_back(services, tenant_id)
    return True


async def give_numbers_back(services: Services, tenant_id: UUID) -> None:
    """Give Twilio the numbers of released lines back; what fails is tried again the next time."""
    async with services.db.transaction(tenant_id) as connection:
        returning = await rental_store.numbers_to_give_back(connection, tenant_id)
    if not returning or services.twilio is None:
        return
    for line_id, number_sid in returning:
        failure = await numbers.give_back(services.twilio, number_sid)
        if failure is not None:
            log.warning("number_not_given_back", line_id=str(line_id), failure=numbers.code_of(failure))
            continue
        async with services.db.transaction(tenant_id) as connection:
            await rental_store.forget_number(connection, tenant_id, line_id, number_sid)
