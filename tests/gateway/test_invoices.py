from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.invoices import as_reference, reference_of


@given(st.uuids())
def test_a_reference_is_read_back_however_it_was_typed(invoice_id: UUID) -> None:
    reference = reference_of(invoice_id)
    for typed in (
        reference,
        reference.lower(),
        reference.replace("-", " "),
        f" {reference.replace('-', '')} ",
        reference[3:],
    ):
        assert as_reference(typed) == reference
    assert as_reference(reference.replace("1", "I").replace("0", "o")) == reference


@pytest.mark.parametrize("typed", ["", "TM", "TM-12345", "TM-12345-1234U", "TM-12345-123456", "Ä" * 10])
def test_what_cannot_be_a_reference_is_none(typed: str) -> None:
    assert as_reference(typed) is None


@given(st.uuids(), st.uuids())
def test_other_invoices_have_other_references(one: UUID, other: UUID) -> None:
    same_bits = one.int % 2**50 == other.int % 2**50
    assert (reference_of(one) == reference_of(other)) == same_bits
