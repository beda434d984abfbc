"""An answer as it will be sent, part by part, and its receipt (pure, but for ids and the day)."""

from dataclasses import dataclass

from agents.disclosure import with_disclosure
from agents.prompt_text import shorter_request
from agents.responder import Answer, LengthLimit
from gateway.channels.base import MessageChannel, TextStyle
from gateway.services import Services
from gateway.turn_begin import RunningTurn, day_of
from gateway.turn_quote import Allowance, PartSize, Quote, answer_lines, stored_lines
from gateway.turn_store import PaidPart
from metering.operations import Held, ReceiptDraft
from metering.rates import Line

BETWEEN = "\n\n"  # an opening and what follows it
CHARACTERS_MIN = 40  # nothing sensible can be said in less


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """What will be sent once it is paid, and the receipt it is paid by."""

    input_tokens: int
    output_tokens: int
    receipt: ReceiptDraft
    parts: tuple[PaidPart, ...]


def draft_of(
    services: Services,
    turn: RunningTurn,
    answer: Answer,
    channel: MessageChannel,
    *,
    quote: Quote,
    held: Held,
    first_answer: bool,
) -> Draft:
    """Turn the model's text into what is sent: disclosure, markup, parts, cut to what the hold pays for."""
    allowed = quote.allowance(held.amount_millicredits)
    text = with_disclosure(answer.text, turn.configuration) if first_answer else answer.text
    parts = channel.shorten(
        channel.compose(text, style_of(turn, allowed))[: services.limits.parts_max],
        max_tokens=quote.opening_tokens + allowed.answer_tokens,
        count_tokens=services.count_tokens,
    )
    sizes = [PartSize(tokens=services.count_tokens(part), billed_units=channel.billed_units(part)) for part in parts]
    lines, refunds = answer_lines(quote, sizes, tool_calls=len(answer.tool_names))
    return Draft(
        input_tokens=quote.input_tokens,
        output_tokens=sum(size.tokens for size in sizes),
        receipt=_receipt(services, turn, answer, quote=quote, lines=lines),
        parts=tuple(
            PaidPart(
                message_id=services.new_id(),
                text=part,
                refund_lines=stored_lines(refund),
                segments=size.billed_units if turn.scene.channel == "sms" else None,
            )
            for part, size, refund in zip(parts, sizes, refunds, strict=True)
        ),
    )


def style_of(turn: RunningTurn, allowed: Allowance) -> TextStyle:
    """Return how the answer is to be written: as the owner wants it, within what is held."""
    wanted = turn.configuration.sms
    return TextStyle(segments_max=allowed.segments, allow_unicode=wanted.allow_unicode)


def length_limit(turn: RunningTurn, channel: MessageChannel, allowed: Allowance, *, opening: str) -> LengthLimit | None:
    """Return how long the model's text may be to be sent whole, its opening included; None where length is free."""
    characters = characters_for(turn, allowed.segments, opening=opening)
    if characters is None:
        return None
    style = style_of(turn, allowed)

    def fits(text: str) -> bool:
        return channel.fits(with_disclosure(text, turn.configuration) if opening else text, style)

    return LengthLimit(fits=fits, request=shorter_request(turn.configuration, characters))


def characters_for(turn: RunningTurn, segments: int, *, opening: str) -> int | None:
    """Return how many characters the model is told to keep to; None where length costs nothing but tokens."""
    if turn.scene.channel != "sms":
        return None
    alone, each = (70, 67) if turn.configuration.sms.allow_unicode else (160, 153)
    whole = alone if segments == 1 else each * segments
    return max(CHARACTERS_MIN, whole - (len(opening) + len(BETWEEN) if opening else 0))


def _receipt(
    services: Services, turn: RunningTurn, answer: Answer, *, quote: Quote, lines: tuple[Line, ...]
) -> ReceiptDraft:
    """Return the receipt; what the providers counted themselves stands beside it and is never charged."""
    return ReceiptDraft(
        receipt_id=services.new_id(),
        subject="turn",
        rate_card=quote.card.version,
        lines=lines,
        day=day_of(services, turn.scene),
        channel=turn.scene.channel,
        turn_id=turn.turn_id,
        conversation_id=turn.lease.conversation_id,
        contact_id=turn.scene.contact_id,
        line_id=turn.scene.line_id,
        agent_id=turn.scene.agent_id,
        agent_version=turn.scene.agent_version,
        provider_usage={"attempts": [dict(attempt) for attempt in answer.attempts], "tools": list(answer.tool_names)},
    )
