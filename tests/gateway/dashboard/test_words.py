import re

from gateway.dashboard.words import words
from tests.gateway.dashboard.conftest import Open

SAME_IN_BOTH = {"Chat", "WhatsApp", "SMS", "Credits", "Start", "{price}", "{credits} Credits"}


def texts(locale: str) -> dict[tuple[str, str], str]:
    found = words("en" if locale == "en" else "de")
    return {(section, key): text for section, each in found.items() for key, text in each.items()}


def test_both_languages_say_the_same_things_with_the_same_figures() -> None:
    german, english = texts("de"), texts("en")
    assert german.keys() == english.keys()
    for key, text in german.items():
        assert text.strip()
        assert english[key].strip()
        assert set(re.findall(r"{\w+}", text)) == set(re.findall(r"{\w+}", english[key])), key


async def test_no_german_is_left_on_the_english_page(open_pages: Open) -> None:
    page = (await (await open_pages()).get("/prices?lang=en&chats=1&sms_sent=1&call_minutes=1&mobile_numbers=1")).text
    english = set(texts("en").values())
    left = [text for text in texts("de").values() if text not in english and f">{text}<" in page]
    assert left == []
    assert re.search(r"[{}]", page) is None, "every figure is filled in"
    assert re.search(r"[äöüß]", page) is None
