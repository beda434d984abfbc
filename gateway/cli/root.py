"""The command line: every command's name, arguments and help. The work is loaded when a command runs."""

from datetime import date, datetime
from pathlib import Path
from typing import Annotated, Literal

import typer

from gateway.cli.arguments import Json, TenantArgument
from gateway.cli.call_app import app as call_app
from gateway.cli.number_app import app as number_app
from gateway.cli.outlook_app import app as outlook_app
from gateway.cli.plan_app import invoice_app, plan_app
from gateway.cli.running import with_services, with_settings
from gateway.cli.webhook_app import app as webhook_app

app = typer.Typer(
    name="turnmeter",
    help="A gateway between customers and a business's AI agent, with the meter built in.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,  # its tracebacks show local variables, and secrets among them
    rich_markup_mode=None,
)
tenant_app = typer.Typer(help="Make, list and show tenants.", no_args_is_help=True)
credits_app = typer.Typer(help="Grant credits and look at a balance.", no_args_is_help=True)
apikey_app = typer.Typer(help="Make, list and revoke keys for the API.", no_args_is_help=True)
secrets_app = typer.Typer(help="Look after stored secrets.", no_args_is_help=True)
app.add_typer(tenant_app, name="tenant")
app.add_typer(credits_app, name="credits")
app.add_typer(apikey_app, name="apikey")
app.add_typer(secrets_app, name="secrets")
app.add_typer(webhook_app, name="webhook")
app.add_typer(number_app, name="number")
app.add_typer(call_app, name="call")
app.add_typer(plan_app, name="plan")
app.add_typer(invoice_app, name="invoice")
app.add_typer(outlook_app)


@app.command("serve")
def serve(
    *,
    host: Annotated[str, typer.Option(help="The address to listen on; 0.0.0.0 for all.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535)] = 8080,
    role: Annotated[Literal["all", "web", "worker"], typer.Option(help="What this process does.")] = "all",
) -> None:
    """Take webhooks and API calls, answer conversations, until it is stopped."""
    from gateway.cli import serving  # noqa: PLC0415 - heavy, and not needed for --help

    raise typer.Exit(serving.run(host=host, port=port, role=role))


@app.command("demo")
def demo(
    *,
    port: Annotated[int, typer.Option(min=1, max=65_535, help="Of the gateway.")] = 8080,
    phone_port: Annotated[int, typer.Option(min=1, max=65_535, help="Of the customer's phone.")] = 8090,
    recogniser: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER", help="A Whisper model with which the offline model hears what is said in calls."
        ),
    ] = None,
) -> None:
    """Start a salon with simulated vendors, no keys needed; the page that it names is a customer's phone."""
    from gateway.cli import demo as a_demo  # noqa: PLC0415 - heavy, and not needed for --help

    raise typer.Exit(a_demo.run(port=port, phone_port=phone_port, recogniser=recogniser))


@app.command("migrate")
def migrate(*, as_json: Json = False) -> None:
    """Bring the database's schema up to date; every start does so too."""
    from gateway.cli import schema  # noqa: PLC0415 - heavy, and not needed for --help

    with_settings(lambda settings: schema.migrate(settings, as_json=as_json))


@app.command("audit")
def audit(
    name_or_id: Annotated[str | None, typer.Argument(metavar="[TENANT]", help="All tenants if left out.")] = None,
    *,
    as_json: Json = False,
) -> None:
    """Recompute every balance, receipt and hash from the ledger; fails if anything differs."""
    from gateway.cli import auditing  # noqa: PLC0415 - heavy, and not needed for --help

    raise typer.Exit(with_services(lambda services: auditing.audit(services, name_or_id, as_json=as_json)))


@tenant_app.command("create")
def create_tenant(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A name that no other tenant has.")],
    *,
    plan: Annotated[
        str | None, typer.Option(help="As plan list shows it; its first package is granted at once.")
    ] = None,
    prepaid: Annotated[
        bool, typer.Option("--prepaid", help="Not on account: credits are granted when their invoice is paid.")
    ] = False,
    owner_email: Annotated[str | None, typer.Option(help="Signs in with it and is alerted there.")] = None,
    owner_password: Annotated[str | None, typer.Option(help="At least 12 characters.")] = None,
    locale: Annotated[str, typer.Option(help="How numbers are written: de or en.")] = "de",
    timezone: Annotated[str, typer.Option(help="Where its days begin.")] = "Europe/Berlin",
    as_json: Json = False,
) -> None:
    """Make a tenant, on account unless it is to be prepaid."""
    from gateway.cli import tenant  # noqa: PLC0415 - heavy, and not needed for --help
    from gateway.tenants import NewTenant  # noqa: PLC0415 - see above

    wanted = NewTenant(
        name=name,
        locale=locale,
        timezone=timezone,
        on_account=not prepaid,
        owner_email=owner_email,
        owner_password=owner_password,
    )
    with_services(lambda services: tenant.create(services, wanted, plan, as_json=as_json))


@tenant_app.command("list")
def list_tenants(*, as_json: Json = False) -> None:
    """List all tenants."""
    from gateway.cli import tenant  # noqa: PLC0415 - heavy, and not needed for --help

    with_services(lambda services: tenant.list_all(services, as_json=as_json))


@tenant_app.command("show")
def show_tenant(name_or_id: TenantArgument, *, as_json: Json = False) -> None:
    """Show a tenant's plan, balance, agents and lines."""
    from gateway.cli import tenant  # noqa: PLC0415 - heavy, and not needed for --help

    with_services(lambda services: tenant.show(services, name_or_id, as_json=as_json))


@credits_app.command("grant")
def grant_credits(
    name_or_id: TenantArgument,
    amount: Annotated[str, typer.Argument(metavar="CREDITS", help="Up to three decimals, such as 5000 or 12.5.")],
    reason: Annotated[str, typer.Option(help="Stands on the tenant's statement.")],
    expires: Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d"], help="The last day they are good.")] = None,
    reference: Annotated[str | None, typer.Option(help="Grants once, however often it is repeated.")] = None,
    *,
    as_json: Json = False,
) -> None:
    """Put credits into a tenant's wallet; services that had paused resume."""
    from gateway.cli import credits  # noqa: A004, PLC0415 - heavy, and not needed for --help

    expires_on: date | None = None if expires is None else expires.date()
    wanted = credits.WantedGrant(credits=amount, reason=reason, expires_on=expires_on, reference=reference)
    with_services(lambda services: credits.grant(services, name_or_id, wanted, as_json=as_json))


@credits_app.command("balance")
def show_balance(name_or_id: TenantArgument, *, as_json: Json = False) -> None:
    """Show what is in a tenant's wallet."""
    from gateway.cli import credits  # noqa: A004, PLC0415 - heavy, and not needed for --help

    with_services(lambda services: credits.balance(services, name_or_id, as_json=as_json))


@app.command("statement")
def show_statement(
    name_or_id: TenantArgument,
    month: Annotated[str | None, typer.Option(help="Such as 2026-11; the current one if left out.")] = None,
    *,
    csv: Annotated[bool, typer.Option("--csv", help="Print a table for a spreadsheet.")] = False,
    as_json: Json = False,
) -> None:
    """Print a month's statement: every entry, with the balance before and after."""
    from gateway.cli import statement  # noqa: PLC0415 - heavy, and not needed for --help

    with_services(
        lambda services: statement.statement(services, name_or_id, month=month, as_csv_table=csv, as_json=as_json)
    )


@app.command("apply")
def apply_file(
    name_or_id: TenantArgument,
    file: Annotated[Path, typer.Argument(metavar="FILE.toml", help="Agents and lines; - reads from a pipe.")],
    *,
    as_json: Json = False,
) -> None:
    """Make a tenant's agents and lines as a file says; new lines charge their first month."""
    from gateway.cli import tenant_file  # noqa: PLC0415 - heavy, and not needed for --help

    raise typer.Exit(with_services(lambda services: tenant_file.apply(services, name_or_id, file, as_json=as_json)))


@app.command("export")
def export_tenant(name_or_id: TenantArgument, *, as_json: Json = False) -> None:
    """Print a tenant's agents and lines as a file that apply reads; no secrets are in it."""
    from gateway.cli import tenant_file  # noqa: PLC0415 - heavy, and not needed for --help

    with_services(lambda services: tenant_file.export(services, name_or_id, as_json=as_json))


@apikey_app.command("create")
def create_api_key(
    name_or_id: TenantArgument,
    label: Annotated[str, typer.Option(help="What it is for.")] = "",
    *,
    as_json: Json = False,
) -> None:
    """Make a key for the API; it is shown this once."""
    from gateway.cli import apikey  # noqa: PLC0415 - heavy, and not needed for --help

    with_services(lambda services: apikey.create(services, name_or_id, label=label, as_json=as_json))


@apikey_app.command("list")
def list_api_keys(name_or_id: TenantArgument, *, as_json: Json = False) -> None:
    """List a tenant's keys, without their secrets."""
    from gateway.cli import apikey  # noqa: PLC0415 - heavy, and not needed for --help

    with_services(lambda services: apikey.list_all(services, name_or_id, as_json=as_json))


@apikey_app.command("revoke")
def revoke_api_key(
    name_or_id: TenantArgument,
    api_key_id: Annotated[str, typer.Argument(metavar="ID", help="The key's id, as apikey list shows it.")],
    *,
    as_json: Json = False,
) -> None:
    """End a key at once."""
    from gateway.cli import apikey  # noqa: PLC0415 - heavy, and not needed for --help

    with_services(lambda services: apikey.revoke(services, name_or_id, api_key_id, as_json=as_json))


@app.command("quarantine")
def show_quarantine(
    *,
    limit: Annotated[int, typer.Option(min=1, max=1_000, help="How many of the newest.")] = 50,
    as_json: Json = False,
) -> None:
    """Show signed webhooks that led to no line or could not be read."""
    from gateway.cli import quarantine  # noqa: PLC0415 - heavy, and not needed for --help

    with_services(lambda services: quarantine.show(services, limit=limit, as_json=as_json))


@secrets_app.command("rotate")
def rotate_secrets(*, as_json: Json = False) -> None:
    """Put every stored secret under the first key of TURNMETER_SECRET_KEY."""
    from gateway.cli import secret  # noqa: PLC0415 - heavy, and not needed for --help

    with_services(lambda services: secret.rotate(services, as_json=as_json))
