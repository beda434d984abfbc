"""Texts made to fit GSM-7: cheaper, and never another text for the reader."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.channels.sms.replacements import SMART
from gateway.channels.sms.segments import GSM7, count_segments
from gateway.channels.sms.smart_encoding import plain, smart_encode
from tests.gateway.channels.sms.sample_texts import sample_texts

NOTHING_IS_SENT = {"boundary/50"}  # the vendor's calculator says one segment for an empty text


def test_every_sample_text_costs_what_the_vendors_calculator_says_of_it_smart_encoded() -> None:
    for row in sample_texts():
        segments = 0 if row["id"] in NOTHING_IS_SENT else row["segments_smart_encoded"]
        assert count_segments(smart_encode(row["text"])).segments == segments, row["id"]


def test_no_sample_text_costs_more_in_plain() -> None:
    for row in sample_texts():
        encoded = smart_encode(row["text"])
        assert count_segments(plain(row["text"], allow_unicode=False)).segments <= count_segments(encoded).segments


def test_every_german_and_english_sample_without_emoji_fits_gsm7() -> None:
    for row in sample_texts():
        if row["language"] in ("de", "en") and not any(unicodedata.category(char) == "So" for char in row["text"]):
            assert count_segments(plain(row["text"], allow_unicode=False)).encoding == "GSM-7", row["id"]


def test_the_table_has_what_twilio_publishes_and_leads_into_gsm7() -> None:
    assert len(SMART) == 271
    assert all(GSM7.issuperset(wanted) for wanted in SMART.values())
    assert not GSM7.intersection(chr(code) for code in SMART)


@pytest.mark.parametrize(
    ("text", "encoded"),
    [
        ("„Bis morgen“ \u2013 um 9\u202fUhr…", '"Bis morgen" - um 9 Uhr...'),
        ("Don\u2019t forget \u2014 it\u2019s at 3", "Don't forget - it's at 3"),
        ("« Oui » \u2039nein\u203a", '" Oui " <nein>'),
        ("\ufeffZero\u200bWidth\u200c\u2060\x00", "ZeroWidth"),
        ("1. Punkt\t• zwei", "1. Punkt - zwei"),
        ("ＡＢＣ １２３！？", "ABC 123!?"),  # noqa: RUF001 - full width
        ("ꜱᴀʟᴇ", "SALE"),
        ("½ Stunde oder 1½ Stunden", "1/2 Stunde oder 1 1/2 Stunden"),
        ("Scho\u0308ne Gru\u0308\u00dfe, sen\u0303or", "Schöne Grüße, señor"),
        ("\uff35\u0308ber\u200ba\u200b\u0308hnlich", "Überähnlich"),
        ("ist da \U0001f60a", "ist da \U0001f60a"),
        ("Привет", "Привет"),
        ("", ""),
    ],
)
def test_smart_encoding_replaces_look_alikes_and_nothing_else(text: str, encoded: str) -> None:
    assert smart_encode(text) == encoded


@pytest.mark.parametrize(
    ("text", "sent"),
    [
        ("Danke \U0001f60a", "Danke"),
        ("\U0001f44b Hallo", "Hallo"),
        ("Danke \U0001f60a\U0001f3ff \U0001f389!", "Danke!"),
        ("gut\U0001f60adanke", "gut danke"),
        ("Bis bald (\U0001f60a) und Gruß", "Bis bald und Gruß"),
        ("Hallo\n\U0001f60a\U0001f60a\n\nTschüss \U0001f44b\r\nTeam", "Hallo\n\nTschüss\r\nTeam"),
        ("✅ Termin\n✅ Preis", "Termin\nPreis"),
        ("1\ufe0f\u20e3 eins \U0001f1e9\U0001f1ea zwei", "1 eins zwei"),
        ("\U0001f469\u200d\U0001f469\u200d\U0001f467 Familie \U0001f3f4\U000e0067\U000e0062\U000e007f", "Familie"),
        ("Zażółć gęślą jaźń", "Zazolc gesla jazn"),
        ("Teşekkürler, iyi günler İpek", "Tesekkürler, iyi günler Ipek"),
        ("Ștefan, Dvořák, Győr, Đorđe, Łódź", "Stefan, Dvorak, Györ, Dorde, Lodz"),
        ("GROẞE STRAẞE", "GROSSE STRASSE"),
        ("ça va à l\u2019hôtel", "ca va à l'hotel"),
        ("20 °C, 12 m², 10² und ⅓, ½", "20 C, 12 m2, 10^2 und 1/3, 1/2"),
        ("A → B, 3 \u00d7 2 ≤ 7, 5 \u2212 2", "A -> B, 3 x 2 <= 7, 5 - 2"),
        ("Silben\u00adtrennung\u200e", "Silbentrennung"),
        ("50 ₺ © Salon™", "50 TRY (c) SalonTM"),
    ],
)
def test_without_unicode_a_text_says_the_same_in_gsm7(text: str, sent: str) -> None:
    assert plain(text, allow_unicode=False) == sent
    assert GSM7.issuperset(sent)


@pytest.mark.parametrize(
    ("text", "sent"),
    [
        ("Привет, мир \U0001f60a — до завтра", "Привет, мир - до завтра"),
        ("Привет, scho\ufe0f\u0308n", "Привет, schön"),
        ("مرحبا \U0001f60a", "مرحبا"),
        ("東京へようこそ", "東京へようこそ"),
        ("Καλημέρα", "Καλημέρα"),
        ("Tiếng Việt", "Tiếng Việt"),  # other words without their marks
        ("Łukasz und Иван", "Łukasz und Иван"),
        ("um 90° drehen", "um 90° drehen"),
    ],
)
def test_what_has_no_place_in_gsm7_is_kept_rather_than_destroyed(text: str, sent: str) -> None:
    assert plain(text, allow_unicode=False) == sent


@pytest.mark.parametrize("text", ["\U0001f44d", "\U0001f1e9\U0001f1ea \u2764\ufe0f"])
def test_a_text_of_nothing_but_emoji_is_still_sent(text: str) -> None:
    assert plain(text, allow_unicode=False) == text


def test_an_owner_may_allow_emoji_and_letters_but_quotes_are_smart_encoded_all_the_same() -> None:
    assert plain("„Łódź“ \U0001f60a", allow_unicode=True) == '"Łódź" \U0001f60a'


def test_a_text_is_not_rewritten_into_more_segments() -> None:
    rates = "₽" * 67 + "1₴"
    assert count_segments(rates).segments == 1
    assert plain(rates, allow_unicode=False) == rates


signs = "aé0 \n\r.()-😊👩👍🏽❤☎▪★\u200d\ufe0f\u20e3\u0308\u0302\u0303\u0338\u200b½⅓²°łőş„“…—‹`\xa0\t\uff21я東"  # noqa: RUF001
texts = st.text(st.sampled_from(signs) | st.characters(), max_size=60)


@given(texts)
def test_smart_encoding_twice_changes_nothing_more_and_leaves_twilio_nothing_to_replace(text: str) -> None:
    encoded = smart_encode(text)
    assert smart_encode(encoded) == encoded
    assert not set(map(ord, encoded)) & set(SMART)


@given(texts, st.booleans())
def test_plain_text_stays_as_it_is(text: str, allow_unicode: bool) -> None:
    sent = plain(text, allow_unicode=allow_unicode)
    assert plain(sent, allow_unicode=allow_unicode) == sent
    assert smart_encode(sent) == sent


@given(texts)
def test_plain_text_never_costs_more(text: str) -> None:
    without = count_segments(plain(text, allow_unicode=False))
    assert without.segments <= count_segments(plain(text, allow_unicode=True)).segments


@given(st.text(st.sampled_from(sorted(GSM7)), max_size=100))
def test_what_is_gsm7_is_never_touched(text: str) -> None:
    assert plain(text, allow_unicode=False) == text
