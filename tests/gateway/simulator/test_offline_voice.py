import json
from collections.abc import Sequence

import pytest

from gateway.simulator.offline_voice import OfflineVoice, spoken_form
from gateway.simulator.realtime_mind import Action, Asked, Remembered, SessionView, Spoken, UseTool, Utter

INSTRUCTIONS = """Du bist die Rezeption des Salons Lindenhof.

## Leistungen
- Haarschnitt: 45 Minuten, 42 Euro

## Öffnungszeiten
Dienstag: 09:00-13:00, 14:00-18:00

Jetzt ist Montag, 23. November 2026, 10:00 Uhr."""
FREE = {
    "service": "Haarschnitt",
    "minutes": 45,
    "free": [{"start": "2026-11-24T09:00"}, {"start": "2026-11-24T14:30"}],
}


def session(*items: Remembered, tools: Sequence[str] = ("end_call", "take_message")) -> SessionView:
    return SessionView(
        instructions=INSTRUCTIONS, language="de", tools=tuple({"name": name} for name in tools), items=items
    )


def customer(text: str) -> Remembered:
    return Remembered(kind="customer", text=text)


def agent(text: str) -> Remembered:
    return Remembered(kind="agent", text=text)


async def hear(mind: OfflineVoice, *items: Remembered, tools: Sequence[str] = ("end_call",)) -> Sequence[Action]:
    return await mind.hear(session(*items, tools=tools), Spoken(text=items[-1].text))


async def test_the_opening_is_said_word_for_word() -> None:
    asked = Asked(instructions='Sage jetzt wörtlich genau dies und sonst nichts: "Salon Lindenhof, guten Tag!"')
    assert await OfflineVoice().hear(session(), asked) == [Utter("Salon Lindenhof, guten Tag!")]


async def test_a_price_is_told() -> None:
    said = await hear(OfflineVoice(), customer("Was kostet ein Haarschnitt?"))
    assert said == [Utter("Haarschnitt kostet 42 Euro und dauert 45 Minuten. Möchten Sie einen Termin?")]


async def test_an_appointment_is_found_offered_aloud_and_booked() -> None:
    mind = OfflineVoice()
    wish = customer("Ich hätte gern morgen einen Haarschnitt")
    asked = await hear(mind, wish)
    assert isinstance(asked[0], UseTool)
    assert (asked[0].name, asked[0].arguments["day"]) == ("free_appointments", "2026-11-24")
    looked = Remembered(kind="tool_call", text="{}", name="free_appointments", call_id="a")
    found = Remembered(kind="tool_result", text=json.dumps(FREE), call_id="a")
    offered = await mind.hear(session(wish, looked, found), Asked(instructions=""))
    assert isinstance(offered[0], Utter)
    assert (
        offered[0].text == "Für Haarschnitt, 45 Minuten, 42 Euro, habe ich frei: "
        "Dienstag, 24. November, 9 Uhr; 14 Uhr 30. Welche Zeit passt Ihnen?"
    )
    booked = await hear(mind, wish, looked, found, agent(offered[0].text), customer("Die erste bitte"))
    assert booked == [UseTool("book_appointment", {"service": "Haarschnitt", "start": "2026-11-24T09:00"})]


async def test_a_time_can_be_chosen_before_the_whole_offer_was_heard() -> None:
    mind = OfflineVoice()
    wish = customer("Ich hätte gern morgen einen Haarschnitt")
    looked = Remembered(kind="tool_call", text="{}", name="free_appointments", call_id="a")
    found = Remembered(kind="tool_result", text=json.dumps(FREE), call_id="a")
    offered = await mind.hear(session(wish, looked, found), Asked(instructions=""))
    assert isinstance(offered[0], Utter)
    heard = agent(offered[0].text[:60])
    booked = await hear(mind, wish, looked, found, heard, customer("Die zweite bitte"))
    assert booked == [UseTool("book_appointment", {"service": "Haarschnitt", "start": "2026-11-24T14:30"})]


async def test_a_goodbye_ends_the_call() -> None:
    said = await hear(OfflineVoice(), customer("Nein danke, tschüss!"))
    assert said == [Utter("Sehr gern. Auf Wiederhören!"), UseTool("end_call", {"reason": "said goodbye"})]


async def test_a_person_is_fetched_where_there_is_one() -> None:
    said = await hear(OfflineVoice(), customer("Ich möchte mit einem Menschen sprechen"), tools=["transfer_call"])
    assert said[-1] == UseTool("transfer_call", {"reason": "asked for a person"})


async def test_a_message_is_taken_where_there_is_nobody() -> None:
    mind = OfflineVoice()
    asked = await hear(mind, customer("Mensch bitte"))
    assert isinstance(asked[0], Utter)
    taken = await hear(mind, customer("Mensch bitte"), agent(asked[0].text), customer("Bitte um Rückruf wegen Farbe"))
    assert taken == [UseTool("take_message", {"text": "Bitte um Rückruf wegen Farbe"})]


async def test_a_message_that_was_taken_is_confirmed() -> None:
    asked = Remembered(kind="tool_call", text='{"text": "Rückruf"}', name="take_message", call_id="m")
    taken = Remembered(kind="tool_result", text="Taken.", call_id="m")
    said = await OfflineVoice().hear(session(customer("Rückruf"), asked, taken), Asked(instructions=""))
    assert said == [Utter("Das richte ich aus. Kann ich sonst noch etwas für Sie tun?")]


async def test_keys_are_named() -> None:
    said = await OfflineVoice().hear(session(customer("[Tasten gedrückt: 1#]")), Asked(instructions=""))
    assert said == [Utter("Sie haben 1, Raute gedrückt. Was kann ich für Sie tun?")]


async def test_what_nobody_understood_is_asked_again() -> None:
    said = await OfflineVoice().hear(session(), Spoken(text=""))
    assert said == [Utter("Das habe ich leider nicht verstanden. Können Sie es noch einmal sagen?")]


@pytest.mark.parametrize(
    ("written", "language", "said"),
    [
        (
            "Gebucht ✓ Haarschnitt am Dienstag, 24. November, 09:00 Uhr.",
            "de",
            "Gebucht: Haarschnitt am Dienstag, 24. November, 9 Uhr.",
        ),
        (
            "Wir haben geöffnet:\n• Dienstag: 09:00-13:00, 14:00-18:00",
            "de",
            "Wir haben geöffnet: Dienstag: 9 bis 13 Uhr, 14 bis 18 Uhr.",
        ),
        ("Freitag: 09:05-12:30.", "de", "Freitag: 9 Uhr 5 bis 12 Uhr 30."),
        (
            "Ihre Termine:\n• Farbe: Freitag, 27. November, 10:00 Uhr",
            "de",
            "Ihre Termine: Farbe: Freitag, 27. November, 10 Uhr.",
        ),
        ("Adresse: Weg 12, 12159 Berlin. Bahn (S1), Bus", "de", "Adresse: Weg 12, 1 2 1 5 9 Berlin. Bahn, S1, Bus."),
        ("Which time?\n• Tuesday, 24 November, 14:30", "en", "Which time? Tuesday, 24 November, 2:30 pm."),
        (
            "Times:\n• Tuesday, 24 November, 09:00\n• Tuesday, 24 November, 12:15\n• Friday, 27 November, 10:00",
            "en",
            "Times: Tuesday, 24 November, 9 am; 12:15 pm; Friday, 27 November, 10 am.",
        ),
        ("Monday: 09:00-13:00, Farbe: ab 75 Euro", "en", "Monday: 9 am to 1 pm, Farbe: from 75 euros."),
    ],
)
def test_what_is_written_is_said_as_one_speaks(written: str, language: str, said: str) -> None:
    assert spoken_form(written, "en" if language == "en" else "de") == said
