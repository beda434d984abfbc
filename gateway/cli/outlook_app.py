"""The commands that say what usage came to, and what it will: names, arguments and help."""

from datetime import date, datetime
from typing import Annotated, Literal

import typer

from gateway.cli.arguments import Json, TenantArgument
from gateway.cli.running import with_services, with_settings

app = typer.Typer()


@app.command("price")
def show_price(
    *,
    chats: Annotated[int, typer.Option(min=0, metavar="N", help="Conversations in writing.")] = 0,
    sms_sent: Annotated[int, typer.Option(min=0, metavar="N", help="Segments of SMS sent.")] = 0,
    sms_received: Annotated[int, typer.Option(min=0, metavar="N", help="Segments of SMS received.")] = 0,
    call_minutes: Annotated[int, typer.Option(min=0, metavar="N", help="Minutes begun on the phone.")] = 0,
    local_numbers: Annotated[int, typer.Option(min=0, metavar="N", help="Local numbers rented.")] = 0,
    mobile_numbers: Annotated[int, typer.Option(min=0, metavar="N", help="Mobile numbers rented.")] = 0,
    per: Annotated[Literal["month", "day"], typer.Option(help="What is counted by; numbers by the month.")] = "month",
    chat_input_tokens: Annotated[int | None, typer.Option(min=0, metavar="N", help="Read per conversation.")] = None,
    chat_output_tokens: Annotated[
        int | None, typer.Option(min=0, metavar="N", help="Written per conversation.")
    ] = None,
    voice_input_tokens: Annotated[int | None, typer.Option(min=0, metavar="N", help="Heard per call minute.")] = None,
    voice_output_tokens: Annotated[int | None, typer.Option(min=0, metavar="N", help="Spoken per call minute.")] = None,
    locale: Annotated[Literal["de", "en"], typer.Option(help="The language of the table.")] = "de",
    as_json: Json = False,
) -> None:
    """Say what a month costs, line by line, and which plan covers it; needs no database."""
    from gateway.app import system_now  # noqa: PLC0415 - heavy, and not needed for --help
    from gateway.cli import price  # noqa: PLC0415 - see above
    from metering.price import Volume  # noqa: PLC0415 - see above

    tokens = {
        "chat_input_tokens": chat_input_tokens,
        "chat_output_tokens": chat_output_tokens,
        "voice_input_tokens": voice_input_tokens,
        "voice_output_tokens": voice_output_tokens,
    }
    volume = Volume(
        chats=chats,
        sms_sent=sms_sent,
        sms_received=sms_received,
        call_minutes=call_minutes,
        local_numbers=local_numbers,
        mobile_numbers=mobile_numbers,
        **{name: given for name, given in tokens.items() if given is not None},
    )
    today = system_now().date()
    with_settings(lambda settings: price.price(settings, volume, per=per, locale=locale, today=today, as_json=as_json))


@app.command("usage")
def show_usage(
    name_or_id: TenantArgument,
    first: Annotated[datetime | None, typer.Option("--from", formats=["%Y-%m-%d"], help="The first day.")] = None,
    last: Annotated[datetime | None, typer.Option("--to", formats=["%Y-%m-%d"], help="The last day.")] = None,
    *,
    as_json: Json = False,
) -> None:
    """Print usage by day, channel and item; the last thirty days if none are given."""
    from gateway.cli import usage  # noqa: PLC0415 - heavy, and not needed for --help

    days = usage.Days(first=_day(first), last=_day(last))
    with_services(lambda services: usage.usage(services, name_or_id, days, as_json=as_json))


@app.command("forecast")
def show_forecast(name_or_id: TenantArgument, *, as_json: Json = False) -> None:
    """Say how long the credits last, what a month will cost, and which rents are due."""
    from gateway.cli import usage  # noqa: PLC0415 - heavy, and not needed for --help

    with_services(lambda services: usage.forecast(services, name_or_id, as_json=as_json))


def _day(given: datetime | None) -> date | None:
    return None if given is None else given.date()
