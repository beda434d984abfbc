"""Conversations with the offline model, over the prompt that the gateway really sends it."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib import resources

import pytest

from agents.agent import AgentConfiguration
from agents.prompt_text import stable_text, volatile_text
from gateway.channels.sms.smart_encoding import plain
from gateway.line_file import parse_tenant_file
from gateway.simulator.offline_model import think
from gateway.simulator.openai_chat import Call

NOW = datetime(2026, 11, 25, 8, 30, tzinfo=UTC)  # a Wednesday, 09:30 in Berlin
FRIDAY = "2026-11-27"
APPOINTMENT = "01930000-0000-7000-8000-000000000001"


def lindenhof() -> AgentConfiguration:
    text = resources.files("gateway.simulator").joinpath("lindenhof.toml").read_text(encoding="utf-8")
    return parse_tenant_file(text, ()).agents[0]


class Dialogue:
    """A customer who talks to the model; the tools answer as those of a salon with three free times a day."""

    def __init__(self, *, refuse_bookings: bool = False, own: Sequence[str] = (), by_sms: bool = False) -> None:
        configuration = lindenhof()
        volatile = volatile_text(configuration, contact_facts={}, now=NOW, first_answer=False, count_tokens=len)
        system = f"{stable_text(configuration, 'whatsapp')}\n\n{volatile}"
        self.history: list[dict[str, object]] = [{"role": "system", "content": system}]
        self.calls: list[Call] = []
        self.own = {f"{APPOINTMENT[:-1]}{at}": start for at, start in enumerate(own)}
        self.refuse_bookings = refuse_bookings
        self.by_sms = by_sms

    def write(self, content: object) -> str:
        """Return the answer; what the tools were asked is in `calls`."""
        self.history.append({"role": "user", "content": content})
        messages = list(self.history)
        self.calls = []
        for _ in range(4):
            said = think({"messages": messages})
            if not said.calls:
                sent = plain(said.text, allow_unicode=False) if self.by_sms else said.text
                self.history.append({"role": "assistant", "content": sent})
                return sent
            for call in said.calls:
                self.calls.append(call)
                call_id = f"call_{len(messages)}"
                function = {"name": call.name, "arguments": json.dumps(dict(call.arguments))}
                messages.append(
                    {"role": "assistant", "content": None, "tool_calls": [{"id": call_id, "function": function}]}
                )
                messages.append({"role": "tool", "tool_call_id": call_id, "content": self.tool(call)})
        raise AssertionError("the model goes round in circles")

    def tool(self, call: Call) -> str:  # noqa: PLR0911 - one answer for each tool
        given = {name: str(value) for name, value in call.arguments.items()}
        match call.name:
            case "free_appointments":
                day = given.get("day", FRIDAY)
                hours = ("14:00", "15:00", "16:00") if "part_of_day" in given else ("09:00", "11:00", "16:00")
                times = [one for one in hours if one >= given.get("from_time", "")]
                free = [{"start": f"{day}T{one}+01:00", "spoken": one} for one in times]
                return json.dumps({"service": given["service"], "minutes": 45, "free": free})
            case "book_appointment" if self.refuse_bookings:
                return f"Error: 09:00 is not free. Free: {FRIDAY}T11:00+01:00 (Freitag); {FRIDAY}T16:00+01:00 (Freitag)"
            case "book_appointment":
                return json.dumps(
                    {"booked": self.appointment(APPOINTMENT, given["start"], given.get("service", "Haarschnitt"))}
                )
            case "my_appointments":
                return json.dumps({"appointments": [self.appointment(one, start) for one, start in self.own.items()]})
            case "move_appointment":
                return json.dumps({"moved": self.appointment(APPOINTMENT, given["new_start"])})
            case "cancel_appointment":
                return json.dumps({"cancelled": self.appointment(APPOINTMENT, self.own[given["appointment_id"]])})
            case _:
                return "A person will go on from here."

    def appointment(self, appointment_id: str, start: str, service: str = "Haarschnitt") -> dict[str, str]:
        return {"appointment_id": appointment_id, "service": service, "start": start, "spoken": start}


def test_a_booking_takes_three_turns_in_german() -> None:
    dialogue = Dialogue()
    offer = dialogue.write("Haben Sie morgen Nachmittag etwas frei für einen Haarschnitt?")
    assert dialogue.calls == [
        Call(
            name="free_appointments",
            arguments={"service": "Haarschnitt", "day": "2026-11-26", "part_of_day": "afternoon"},
        )
    ]
    assert "• Donnerstag, 26. November, 16:00 Uhr" in offer
    assert dialogue.write("16 Uhr passt").startswith("Gebucht ✓ Haarschnitt am Donnerstag, 26. November, 16:00 Uhr")
    assert dialogue.calls == [
        Call(name="book_appointment", arguments={"service": "Haarschnitt", "start": "2026-11-26T16:00"})
    ]
    assert dialogue.write("Super, danke!") == "Sehr gern! Einen schönen Tag noch."


def test_times_offered_by_sms_are_understood_and_a_booking_ends_the_wish() -> None:
    dialogue = Dialogue(by_sms=True)
    offer = dialogue.write("Haben Sie morgen Nachmittag etwas frei für einen Haarschnitt?")
    assert "- Donnerstag, 26. November, 16:00 Uhr" in offer
    assert dialogue.write("Der zweite passt").startswith("Gebucht Haarschnitt am Donnerstag, 26. November, 15:00 Uhr")
    dialogue.write("Haben Sie auch etwas frei?")
    assert [call.name for call in dialogue.calls] == []  # the day and service of the first wish are not carried over


def test_a_booking_takes_three_turns_in_english() -> None:
    dialogue = Dialogue()
    assert "Which service" in dialogue.write("Hi, I would like an appointment on Friday please")
    offer = dialogue.write("A haircut")
    assert "• Friday, 27 November, 11:00" in offer
    assert dialogue.write("The second one works").startswith("Booked ✓ Haarschnitt on Friday, 27 November, 11:00")


def test_a_service_named_with_its_price_is_remembered() -> None:
    dialogue = Dialogue()
    assert "32 Euro" in dialogue.write("Was kostet ein Herrenhaarschnitt?")
    assert "An welchem Tag" in dialogue.write("Ja, gerne")
    dialogue.write("Freitag")
    assert dialogue.calls[0].arguments == {"service": "Herrenhaarschnitt", "day": FRIDAY}


def test_a_time_that_was_taken_meanwhile_is_replaced_by_others() -> None:
    dialogue = Dialogue(refuse_bookings=True)
    dialogue.write("Haarschnitt am Freitag bitte")
    answer = dialogue.write("9 Uhr")
    assert "leider nichts frei" in answer
    assert "• Freitag, 27. November, 11:00 Uhr" in answer


def test_another_day_is_looked_up_for_the_same_service() -> None:
    dialogue = Dialogue()
    dialogue.write("Ich brauche morgen einen Termin für Strähnen")
    dialogue.write("Geht auch am Samstag?")
    assert dialogue.calls[0].arguments == {"service": "Strähnen", "day": "2026-11-28"}


def test_a_day_that_was_asked_to_be_open_is_no_day_to_come() -> None:
    dialogue = Dialogue()
    dialogue.write("Habt ihr am Samstag offen?")
    assert "An welchem Tag" in dialogue.write("Ich hätte gern einen Haarschnitt")


def test_a_question_that_proposes_a_day_is_a_wish() -> None:
    dialogue = Dialogue()
    dialogue.write("Haarschnitt am Freitag bitte")
    assert "• Samstag, 28. November" in dialogue.write("Wie wäre es mit Samstag?")
    assert dialogue.write("um 11 Uhr").startswith("Gebucht ✓ Haarschnitt am Samstag, 28. November, 11:00 Uhr")


def test_an_appointment_is_moved() -> None:
    dialogue = Dialogue(own=[f"{FRIDAY}T09:00+01:00"])
    assert "Auf welchen Tag" in dialogue.write("Ich möchte meinen Termin verschieben")
    offer = dialogue.write("Auf Samstag")
    assert [call.name for call in dialogue.calls] == ["my_appointments", "free_appointments"]
    assert offer.startswith("Ihren Termin Haarschnitt am Freitag, 27. November, 09:00 Uhr kann ich verschieben auf")
    assert dialogue.write("11 Uhr bitte").startswith("Verschoben ✓ Haarschnitt ist jetzt am Samstag, 28. November")
    assert dialogue.calls == [
        Call(name="move_appointment", arguments={"start": f"{FRIDAY}T09:00", "new_start": "2026-11-28T11:00"})
    ]


def test_a_greeting_before_the_first_answer_hides_no_appointment() -> None:
    dialogue = Dialogue(own=[f"{FRIDAY}T09:00+01:00"])
    dialogue.write("Können Sie meinen Termin auf Samstag verschieben?")
    dialogue.history[-1]["content"] = f"Hallo, hier ist die KI.\n\n{dialogue.history[-1]['content']}"
    assert dialogue.write("Die erste").startswith("Verschoben ✓")
    assert dialogue.calls[0].arguments["start"] == f"{FRIDAY}T09:00"


def test_once_a_person_has_given_the_chat_back_the_model_answers_again() -> None:
    dialogue = Dialogue()
    dialogue.write("Mensch bitte")
    assert [call.name for call in dialogue.calls] == ["handover"]
    del dialogue.history[-1]  # what the customer was told then is the gateway's own
    assert "42 Euro" in dialogue.write("Was kostet ein Haarschnitt?")
    assert dialogue.calls == []


def test_the_one_appointment_is_cancelled_and_of_two_the_one_that_is_named() -> None:
    assert Dialogue(own=[f"{FRIDAY}T09:00+01:00"]).write("Bitte absagen").startswith("Abgesagt ✓")
    dialogue = Dialogue(own=[f"{FRIDAY}T09:00+01:00", "2026-11-28T10:00+01:00"])
    assert dialogue.write("Please cancel my appointment").startswith("Which appointment do you mean?")
    assert dialogue.write("the one on Saturday").startswith("Cancelled ✓ Haarschnitt on Saturday, 28 November, 10:00")


def test_of_several_appointments_one_is_chosen_by_its_place_in_the_list() -> None:
    dialogue = Dialogue(own=[f"{FRIDAY}T09:00+01:00", "2026-11-28T10:00+01:00"])
    assert dialogue.write("Ich möchte meinen Termin absagen").startswith("Welchen Termin meinen Sie?")
    assert dialogue.write("Den dritten").startswith("Welchen Termin meinen Sie?")
    assert dialogue.write("Ach so, den zweiten").startswith("Abgesagt ✓ Haarschnitt am Samstag, 28. November")


def test_no_appointment_is_cancelled_that_is_on_another_day_than_was_said() -> None:
    dialogue = Dialogue(own=[f"{FRIDAY}T09:00+01:00", "2026-11-28T10:00+01:00"])
    dialogue.write("Bitte absagen")
    assert dialogue.write("Den Haarschnitt am Dienstag").startswith("Welchen Termin meinen Sie?")


def test_nobody_without_appointments_can_cancel_one() -> None:
    assert "keinen kommenden Termin" in Dialogue().write("Bitte meinen Termin absagen")


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("Was kostet ein Haarschnitt?", "Haarschnitt kostet 42 Euro und dauert 45 Minuten"),
        ("How much is a men's haircut?", "Herrenhaarschnitt is 32 Euro and takes 30 minutes"),
        ("Welche Preise haben Sie?", "• Farbe: ab 75 Euro"),
        ("Wann haben Sie geöffnet?", "• Samstag: 09:00-14:00"),
        ("Are you open on Monday?", "Monday: closed."),
        ("Seid ihr heute offen?", "Mittwoch: 09:00-13:00, 14:00-18:00."),
        ("Welche Leistungen habt ihr?", "• Bartpflege, 20 Minuten, 18 Euro"),
        ("What services do you offer?", "• Farbe, 90 minutes, ab 75 Euro"),
        ("Wie lange dauert Farbe?", "dauert 90 Minuten"),
        ("Welches Wetter wird morgen?", "Das weiß ich leider nicht"),
        ("Was kostet es, morgen zu kommen?", "• Haarschnitt: 42 Euro"),
        ("👍", "Alles klar!"),
        ("Tschüss!", "Einen schönen Tag noch."),
        ("Wo sind Sie denn?", "Rheinstraße 12, 12159 Berlin-Friedenau"),
        ("Kann ich mit Karte zahlen?", "Apple Pay"),
        ("Where can I park?", "Wielandstraße"),
        ("Darf mein Hund mit?", "Salonkatze"),
        ("Bist du eine KI?", "digitalen Assistentin (KI)"),
        ("Hallo!", "Ich helfe gern"),
        ("Wer wird Weltmeister?", "Das weiß ich leider nicht"),
        ("What is the capital of France?", "I'm afraid I don't know that"),
    ],
)
def test_questions_are_answered_from_the_facts_or_not_at_all(question: str, answer: str) -> None:
    assert answer in Dialogue().write(question)


def test_who_asks_for_a_person_is_handed_over() -> None:
    dialogue = Dialogue()
    dialogue.write("Mensch bitte")
    assert [call.name for call in dialogue.calls] == ["handover"]


def test_a_picture_is_only_acknowledged() -> None:
    picture = [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}]
    assert "Ich habe es bekommen" in Dialogue().write(picture)


def test_a_customer_who_declines_is_left_alone() -> None:
    dialogue = Dialogue()
    dialogue.write("Haben Sie morgen etwas frei für einen Haarschnitt?")
    assert dialogue.write("Nein danke").startswith("Alles klar")
    assert dialogue.calls == []
