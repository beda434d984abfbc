"""TwiML as Twilio reads it (pure): documents become verbs; what Twilio would not take is an error.

Only what a gateway for calls needs is known; an unknown verb or a missing attribute is refused rather than skipped, so
that a mistake in a document shows in the first test.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urljoin
from xml.etree import ElementTree as ET

DIAL_TIMEOUT_S, DIAL_LIMIT_S = 30, 14_400
GATHER_TIMEOUT_S = 5
PARAMETER_CHARS_MAX = 500


class TwimlError(ValueError):
    """A document that Twilio would not follow."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Say:
    """Twilio's own voice says something."""

    text: str
    language: str = ""
    voice: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Play:
    """A file is played."""

    url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Pause:
    """Nothing happens for some time."""

    length_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Redirect:
    """Another document follows."""

    url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Reject:
    """The call is declined, if it was not answered yet."""

    busy: bool


@dataclass(frozen=True, slots=True)
class Hangup:
    """The call ends."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gather:
    """Waits for keys. An empty result goes on to the next verb unless `tells_empty`."""

    prompts: Sequence["Verb"]
    action: str
    digits: int | None
    timeout_s: float
    finish_on_key: str
    tells_empty: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Number:
    """Somebody to dial, and what they are asked before they are joined."""

    number: str
    whisper: str | None
    status_callback: str | None
    status_events: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Dial:
    """Somebody is dialled and joined to the caller."""

    numbers: Sequence[Number]
    action: str | None
    timeout_s: float
    time_limit_s: int
    caller_id: str | None
    answers_on_bridge: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """`<Connect><Stream>`."""

    url: str
    parameters: Mapping[str, str]
    action: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Relay:
    """`<Connect><ConversationRelay>`; `attributes` are all of them as they were written."""

    url: str
    attributes: Mapping[str, str]
    parameters: Mapping[str, str]
    action: str | None


Verb = Say | Play | Pause | Redirect | Reject | Hangup | Gather | Dial | Stream | Relay


@dataclass(frozen=True, slots=True)
class Document:
    """The verbs of one document, and where it came from: relative addresses are taken from there."""

    url: str
    verbs: Sequence[Verb]


def read_document(text: str, url: str) -> Document:
    """Read a document. Raises TwimlError."""
    try:
        root = ET.fromstring(text)  # noqa: S314 - it is the gateway's own answer
    except ET.ParseError as error:
        raise TwimlError("12100: the document is no XML") from error
    if root.tag != "Response":
        raise TwimlError("12102: the document is no Response")
    return Document(url, [_verb(element, url) for element in root])


def _verb(element: ET.Element, base: str) -> Verb:
    reader = _READERS.get(element.tag)
    if reader is None:
        raise TwimlError(f"12200: unknown verb {element.tag}")
    return reader(element, base)


def _say(element: ET.Element, _base: str) -> Say:
    return Say(text=_text(element), language=element.get("language", ""), voice=element.get("voice", ""))


def _pause(element: ET.Element, _base: str) -> Pause:
    return Pause(length_s=float(element.get("length", "1")))


def _reject(element: ET.Element, _base: str) -> Reject:
    reason = element.get("reason", "rejected")
    if reason not in ("rejected", "busy"):
        raise TwimlError("12200: reason")
    return Reject(busy=reason == "busy")


def _gather(element: ET.Element, base: str) -> Gather:
    prompts = [_verb(child, base) for child in element]
    if not all(isinstance(prompt, Say | Play | Pause) for prompt in prompts) or element.get("input", "dtmf") != "dtmf":
        raise TwimlError("12200: in a Gather")
    digits = element.get("numDigits")
    return Gather(
        prompts=prompts,
        action=urljoin(base, element.get("action", "")),
        digits=None if digits is None else int(digits),
        timeout_s=float(element.get("timeout", GATHER_TIMEOUT_S)),
        finish_on_key=element.get("finishOnKey", "#"),
        tells_empty=element.get("actionOnEmptyResult", "false") == "true",
    )


def _dial(element: ET.Element, base: str) -> Dial:
    numbers = [_number(child, base) for child in element]
    if not numbers:
        numbers = [_number(element, base)]
    return Dial(
        numbers=numbers,
        action=_link(element, "action", base),
        timeout_s=float(element.get("timeout", DIAL_TIMEOUT_S)),
        time_limit_s=int(element.get("timeLimit", DIAL_LIMIT_S)),
        caller_id=element.get("callerId"),
        answers_on_bridge=element.get("answerOnBridge", "false") == "true",
    )


def _number(element: ET.Element, base: str) -> Number:
    number = _text(element)
    if element.tag not in ("Number", "Dial") or not (number.startswith("+") and number[1:].isdigit()):
        raise TwimlError("13223: whom to dial")
    return Number(
        number=number,
        whisper=_link(element, "url", base),
        status_callback=_link(element, "statusCallback", base),
        status_events=frozenset(element.get("statusCallbackEvent", "completed").split()),
    )


def _connect(element: ET.Element, base: str) -> Stream | Relay:
    children = list(element)
    if len(children) != 1:
        raise TwimlError("12200: in a Connect")
    [connected] = children
    action, url = _link(element, "action", base), connected.get("url", "")
    if not url.startswith(("wss://", "ws://" if base.startswith("http://") else "wss://")):
        raise TwimlError("31922: the address of a stream is wss")
    if connected.tag == "Stream":
        return Stream(url=url.partition("?")[0], parameters=_parameters(connected), action=action)
    if connected.tag == "ConversationRelay":
        attributes = {name: value for name, value in connected.attrib.items() if name != "url"}
        return Relay(url=url, attributes=attributes, parameters=_parameters(connected), action=action)
    raise TwimlError("12200: in a Connect")


def _parameters(element: ET.Element) -> dict[str, str]:
    pairs = {child.get("name", ""): child.get("value", "") for child in element if child.tag == "Parameter"}
    if any(not name or len(name) + len(value) > PARAMETER_CHARS_MAX for name, value in pairs.items()):
        raise TwimlError("12200: a Parameter")
    return pairs


def _link(element: ET.Element, name: str, base: str) -> str | None:
    written = element.get(name)
    return None if written is None else urljoin(base, written)


def _text(element: ET.Element) -> str:
    text = (element.text or "").strip()
    if not text:
        raise TwimlError(f"13520: nothing in {element.tag}")
    return text


_READERS: Mapping[str, Callable[[ET.Element, str], Verb]] = {
    "Say": _say,
    "Play": lambda element, base: Play(url=urljoin(base, _text(element))),
    "Pause": _pause,
    "Redirect": lambda element, base: Redirect(url=urljoin(base, _text(element))),
    "Reject": _reject,
    "Hangup": lambda _element, _base: Hangup(),
    "Gather": _gather,
    "Dial": _dial,
    "Connect": _connect,
}
