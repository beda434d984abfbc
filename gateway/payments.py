"""How invoices are paid: the seam for payment providers, and the one there is, by hand.

A provider asks for the money; what it hears of a payment it hands to `gateway.billing.confirm`, which grants once.
"""

from dataclasses import dataclass
from datetime import date
from typing import Protocol

from gateway.invoices import Invoice


@dataclass(frozen=True, slots=True, kw_only=True)
class HowToPay:
    """What a payer is told: the reference to write on a transfer, until when, and a page to pay on if there is one."""

    reference: str
    due_on: date
    url: str | None


class PaymentProvider(Protocol):
    """Somebody who collects money for us."""

    async def ask(self, invoice: Invoice) -> HowToPay:
        """Ask for an open invoice's money, outside any transaction; the same invoice may be asked for again."""
        ...


class ByHand:
    """The payer transfers the money, and the operator confirms it by its reference."""

    async def ask(self, invoice: Invoice) -> HowToPay:
        return HowToPay(reference=invoice.reference, due_on=invoice.due_on, url=None)
