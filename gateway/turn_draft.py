"""An answer as it will be sent, part by part, and its receipt (pure, but for ids and the day)."""

from dataclasses import dataclass

from agents.disclosure import with_disclosure
from agents.responder import Answer
from gateway.channels.base import MessageChannel, TextStyle
from gateway.services import Services
from gateway.turn_begin import RunningTurn, day_of
from gateway.turn_quote import Quote, answer_lines, stored_lines
from gateway.turn_store import PaidPart
from metering.operations import Held, ReceiptDraft
from metering.rates import Line


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
    text = with_disclosure(answer.text, turn.configuration) if first_answer else answer.text
    parts = channel.shorten(
        channel.compose(text, TextStyle())[: services.limits.parts_max],
        max_tokens=quote.paid_tokens(held.amount_millicredits),
        count_tokens=services.count_tokens,
    )
    part_tokens = [services.count_tokens(part) for part in parts]
    lines, refunds = answer_lines(
        quote, channel=turn.scene.channel, part_tokens=part_tokens, tool_calls=len(answer.tool_names)
    )
    return Draft(
        input_tokens=quote.input_tokens,
        output_tokens=sum(part_tokens),
        receipt=_receipt(services, turn, answer, quote=quote, lines=lines),
        parts=tuple(
            PaidPart(message_id=services.new_id(), text=part, refund_lines=stored_lines(refund))
            for part, refund in zip(parts, refunds, strict=True)
        ),
    )


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
