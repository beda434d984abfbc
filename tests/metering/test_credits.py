import pytest
from hypothesis import given
from hypothesis import strategies as st

from metering.credits import CREDITS_MAX, format_credits, parse_credits
from metering.errors import CreditsError


@pytest.mark.parametrize(
    ("text", "millicredits"),
    [
        ("0", 0),
        ("1500", 1_500_000),
        ("0.5", 500),
        ("0,5", 500),
        ("12.125", 12_125),
        ("12,125", 12_125),
        (" 7 ", 7_000),
        ("007", 7_000),
        ("1000000000000", CREDITS_MAX * 1_000),
    ],
)
def test_credits_are_read_with_up_to_three_decimals(text: str, millicredits: int) -> None:
    assert parse_credits(text) == millicredits


@pytest.mark.parametrize(
    "text",
    ["", "-1", "+1", "1.2345", "1.", ".5", "1.234,56", "1,234.56", "1 000", "1e3", "٣", "zehn", "1\n2", "9" * 19],
)
def test_anything_else_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(CreditsError, match=r"such as 1500 or 12\.125"):
        parse_credits(text)


def test_more_credits_than_a_wallet_can_ever_hold_are_refused() -> None:
    with pytest.raises(CreditsError, match="more than 1000000000000 credits"):
        parse_credits("1000000000001")


@pytest.mark.parametrize(
    ("millicredits", "german", "english"),
    [
        (0, "0,00", "0.00"),
        (1_234_560, "1.234,56", "1,234.56"),
        (1_234_567, "1.234,567", "1,234.567"),
        (1, "0,001", "0.001"),
        (-48_360, "-48,36", "-48.36"),
        (-5, "-0,005", "-0.005"),
        (150_000_000_000, "150.000.000,00", "150,000,000.00"),
    ],
)
def test_credits_are_shown_as_people_write_them(millicredits: int, german: str, english: str) -> None:
    assert format_credits(millicredits) == german
    assert format_credits(millicredits, "de-DE") == german
    assert format_credits(millicredits, "en") == english


@given(st.integers(0, CREDITS_MAX * 1_000))
def test_what_is_shown_without_thousands_reads_back_exactly(millicredits: int) -> None:
    assert parse_credits(format_credits(millicredits).replace(".", "")) == millicredits
