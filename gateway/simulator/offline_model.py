"""The demo's model: rules that hold a small conversation about one business, in German and English (pure).

It sees what any model sees, the request alone: facts and hours from the system text, earlier turns from the
history, free times from the tools. What it does not know it says.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from gateway.simulator.briefing import Briefing, Language, Offered, read_briefing
from gateway.simulator.offline_facts import answer_from_facts
from gateway.simulator.offline_words import (
    DONE,
    WORDS,
    asks_which,
    bullets,
    ends_wish,
    is_move,
    moved_from,
    offers_in,
    say_moment,
)
from gateway.simulator.openai_chat import Call, Request, Said
from gateway.simulator.request_reading import messages_of, read_result, results_in, shows_picture, text_of
from gateway.simulator.understanding import NO, YES, Wish, language_of, ordinal_in, service_in, understand

OFFERS_MAX: Final = 3
_CONFIRMED: Final[Mapping[str, str]] = {
    "book_appointment": "booked",
    "move_appointment": "moved",
    "cancel_appointment": "cancelled",
}
_TALK: Final = (
    ("machine", re.compile(r"\b(ki|ai|bot|roboter|robot|computer)\b")),
    ("thanks", re.compile(r"dank|thank|cheers|tschüss|tschau|ciao|\bbye\b|wiedersehen|schönen (tag|abend)")),
    ("no", NO),
    ("fine", re.compile(r"^\W*(ok|okay|alles klar|gut|super|prima|great|fine|perfect|all right)?\W*$")),
    ("hello", re.compile(r"^\W*(hallo|hi|hey|hello|guten|moin|servus|good)\b")),
)
_START = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d")


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """One request, read: what is asked now, what was said before, what tools have returned meanwhile."""

    briefing: Briefing
    language: Language
    text: str
    has_picture: bool
    wish: Wish  # of everything since the last wish was fulfilled
    before: str  # our latest answer
    results: Sequence[tuple[str, str]]  # tool, result

    def say(self, name: str, **values: object) -> Said:
        return Said(text=WORDS[self.language][name].format(done=DONE, **values))

    def moment(self, told: Mapping[str, str]) -> str:
        return say_moment(_wall(told["start"]), self.language)

    @property
    def now_said(self) -> Wish:
        return understand(self.text, self.briefing)


def think(request: Request) -> Said:
    """Return the next thing to say or the tool to call."""
    turn = read_turn(request)
    if turn.results:
        return _go_on(turn)
    said = turn.now_said
    if said.intent == "human":
        return Said(calls=[Call(name="handover", arguments={"reason": turn.text[:120]})])
    return _pick(turn, said) or _act(turn, said)


def read_turn(request: Request) -> Turn:
    messages = messages_of(request)
    system = "\n\n".join(text_of(message) for message in messages if message.get("role") == "system")
    briefing = read_briefing(system)
    answers = [at for at, message in enumerate(messages) if message.get("role") == "assistant" and text_of(message)]
    last = answers[-1] if answers else -1
    new = _unanswered(messages[last + 1 :], briefing)
    users = [text_of(message) for message in messages if message.get("role") == "user"]
    return Turn(
        briefing=briefing,
        language=language_of(users, briefing.language),
        text="\n".join(text_of(message) for message in new),
        has_picture=any(shows_picture(message) for message in new),
        wish=_wish(messages, briefing),
        before=text_of(messages[last]) if answers else "",
        results=results_in(messages[last + 1 :]),
    )


def _unanswered(messages: Sequence[Mapping[str, object]], briefing: Briefing) -> list[Mapping[str, object]]:
    """Return the customer's messages since the last one that a person was fetched for."""
    users = [message for message in messages if message.get("role") == "user"]
    fetched = [at for at, one in enumerate(users[:-1]) if understand(text_of(one), briefing).intent == "human"]
    return users[fetched[-1] + 1 :] if fetched else users


def _pick(turn: Turn, said: Wish) -> Said | None:
    """Return the call that takes one of the offered times, if the customer chose one."""
    offers = offers_in(turn.before, turn.briefing.now)
    if not offers or said.intent not in (None, "book", "move"):
        return None
    chosen = _chosen(offers, said, turn.text)
    if chosen is None:
        if NO.search(turn.text) and not said.says_when:
            return turn.say("no")
        return turn.say("which_time") if YES.search(turn.text) and not said.says_when else None
    start = chosen.isoformat(timespec="minutes")
    if is_move(turn.before):
        old = moved_from(turn.before, turn.briefing.now)
        which = {"start": old.isoformat(timespec="minutes")} if old else {}
        return Said(calls=[Call(name="move_appointment", arguments={**which, "new_start": start})])
    service = service_in(turn.before, turn.briefing)
    named = {"service": service.name} if service else {}
    return Said(calls=[Call(name="book_appointment", arguments={**named, "start": start})])


def _chosen(offers: Sequence[datetime], said: Wish, text: str) -> datetime | None:
    number = ordinal_in(text)
    if number is not None and number < len(offers):
        return offers[number]
    fitting = [offer for offer in offers if said.day in (None, offer.date()) and said.at in (None, offer.time())]
    decided = (said.at or said.day or YES.search(text)) and not said.part_of_day and not said.from_then_on
    return fitting[0] if len(fitting) == 1 and decided else None


def _act(turn: Turn, said: Wish) -> Said:
    """Answer what is asked now, or go on with what was asked before."""
    if said.intent in ("price", "hours", "services"):
        return answer_from_facts(turn.briefing, turn.text, said, turn.language) or turn.say("unknown")
    if said.intent is None and asks_which(turn.before) and ordinal_in(turn.text) is not None:
        return Said(calls=[Call(name="my_appointments")])
    if said.intent is None and (said.asks_otherwise or not (said.says_when or said.service)):
        return _small_talk(turn, said)
    intent = turn.wish.intent if turn.wish.intent in ("book", "move", "cancel") else "book"
    intent = "mine" if said.intent == "mine" else intent
    if intent in ("mine", "move", "cancel"):
        return Said(calls=[Call(name="my_appointments")])
    return _look_for_time(turn)


def _small_talk(turn: Turn, said: Wish) -> Said:
    if turn.has_picture:
        return turn.say("picture")
    if YES.search(turn.text) and turn.before.rstrip().endswith("?"):
        return _look_for_time(turn)
    known = answer_from_facts(turn.briefing, turn.text, said, turn.language)
    return known or turn.say(next((name for name, said in _TALK if said.search(turn.text.lower())), "unknown"))


def _look_for_time(turn: Turn) -> Said:
    service = turn.briefing.service(turn.wish.service)
    if service is None and len(turn.briefing.services) != 1:
        return turn.say("which_service", services=", ".join(one.name for one in turn.briefing.services))
    service = service or turn.briefing.services[0]
    if turn.wish.day is None and not turn.wish.says_when and not re.search("nächst|next|soon|bald", turn.text.lower()):
        return turn.say("which_day", service=service.name)
    return _free(turn.wish, service.name)


def _free(wish: Wish, service: str) -> Said:
    arguments: dict[str, object] = {"service": service}
    if wish.day:
        arguments["day"] = wish.day.isoformat()
    if wish.at:
        arguments["from_time"] = f"{wish.at:%H:%M}"
    elif wish.part_of_day:
        arguments["part_of_day"] = wish.part_of_day
    return Said(calls=[Call(name="free_appointments", arguments=arguments)])


def _go_on(turn: Turn) -> Said:
    """Say what the last tool returned, or take the step after it."""
    name, result = turn.results[-1]
    told = read_result(result)
    if told is None:
        return _after_error(turn, name, result)
    if name == "free_appointments":
        return _offer(turn, told)
    if name == "my_appointments":
        return _with_own(turn, told.get("appointments", []))
    what = _CONFIRMED.get(name)
    return _confirm(turn, what, told[what]) if what else Said(text="")


def _confirm(turn: Turn, what: str, told: Mapping[str, str]) -> Said:
    return turn.say(what, service=told["service"], moment=turn.moment(told))


def _offer(turn: Turn, told: Mapping[str, Any]) -> Said:
    found = told["free"]
    free = (found[::2] if len(found) >= 2 * OFFERS_MAX - 1 else found)[:OFFERS_MAX]
    if not free:
        return turn.say("none")
    times = bullets(turn.moment(one) for one in free)
    own = _own_result(turn)
    if turn.wish.intent == "move" and own is not None:
        return turn.say("move_offer", service=own["service"], moment=turn.moment(own), times=times)
    service = turn.briefing.service(str(told["service"])) or Offered(str(told["service"]), 0, "")
    return turn.say(
        "offer_one" if len(free) == 1 else "offer",
        lead=WORDS[turn.language]["other"] if told.get("note") else "",
        service=service.name,
        minutes=told.get("minutes", service.minutes),
        price=f", {service.price}" if service.price else "",
        times=times,
    )


def _with_own(turn: Turn, own: Sequence[Mapping[str, str]]) -> Said:
    """Go on from the customer's own appointments: list, cancel or move."""
    listed = bullets(f"{one['service']}: {turn.moment(one)}" for one in own)
    if not own:
        return turn.say("no_appointment")
    if turn.now_said.intent == "mine" or turn.wish.intent not in ("move", "cancel"):
        return turn.say("mine", times=listed)
    moving = turn.wish.intent == "move"
    meant = _meant(turn, own)
    if meant is None:
        return turn.say("which_appointment", times=listed)
    if not moving:
        return Said(calls=[Call(name="cancel_appointment", arguments={"appointment_id": meant["appointment_id"]})])
    if not turn.now_said.says_when:
        return turn.say("move_when", service=meant["service"], moment=turn.moment(meant))
    return _free(turn.now_said, meant["service"])


def _meant(turn: Turn, own: Sequence[Mapping[str, str]]) -> Mapping[str, str] | None:
    if len(own) == 1:
        return own[0]
    number = ordinal_in(turn.text) if asks_which(turn.before) else None
    if number is not None and number < len(own):
        return own[number]
    moving = moved_from(turn.before, turn.briefing.now) if is_move(turn.before) else None
    fitting = [one for one in own if _wall(one["start"]) == moving or _names(turn, one)]
    return fitting[0] if len(fitting) == 1 else None


def _names(turn: Turn, own: Mapping[str, str]) -> bool:
    """Whether the customer names this appointment now: by its service or, to cancel it, by its day."""
    day, service = turn.now_said.day, turn.now_said.service
    if turn.wish.intent == "cancel" and day is not None:
        return day == _wall(own["start"]).date() and service in (None, own["service"])
    return own["service"] == service


def _own_result(turn: Turn) -> Mapping[str, str] | None:
    for name, result in turn.results:
        told = read_result(result)
        if name == "my_appointments" and told and told.get("appointments"):
            return _meant(turn, told["appointments"])
    return None


def _after_error(turn: Turn, name: str, result: str) -> Said:
    """Offer what the refusal itself names as free; else say that it did not work."""
    if name == "handover" or not result.startswith("Error"):
        return Said(text="")
    starts = list(dict.fromkeys(_START.findall(result)))[:OFFERS_MAX]
    service = turn.briefing.service(turn.wish.service) or service_in(turn.before, turn.briefing)
    if name == "book_appointment" and starts and service is not None:
        return _offer(turn, {"service": service.name, "free": [{"start": one} for one in starts], "note": "."})
    return turn.say("failed")


def _wish(messages: Sequence[Mapping[str, object]], briefing: Briefing) -> Wish:
    wish = Wish()
    for message in messages:
        if message.get("role") == "assistant" and ends_wish(text_of(message)):
            wish = Wish()
        elif message.get("role") == "user":
            said = understand(text_of(message), briefing)
            if said.intent == "hours":
                continue  # the day is one to be open on, not one to come
            wanted = said.intent if said.intent in ("book", "move", "cancel") else None
            wish = wish.then(Wish(**{**_fields(said), "intent": wanted}))  # type: ignore[arg-type]  # fields of a Wish
    return wish


def _fields(wish: Wish) -> dict[str, object]:
    return {name: getattr(wish, name) for name in Wish.__slots__}


def _wall(start: str) -> datetime:
    return datetime.fromisoformat(start).replace(tzinfo=None)
