"""The `plan` and `invoice` commands' names, arguments and help. The work is loaded when a command runs."""

from typing import Annotated

import typer

from gateway.cli.arguments import Json, TenantArgument
from gateway.cli.running import with_services

plan_app = typer.Typer(help="Look at plans, and change a tenant's.", no_args_is_help=True)
invoice_app = typer.Typer(help="List invoices and confirm their payment.", no_args_is_help=True)

ReferenceArgument = Annotated[str, typer.Argument(metavar="REFERENCE", help="Such as TM-7K3FQ-0X9AB.")]


@plan_app.command("list")
def list_plans(*, as_json: Json = False) -> None:
    """List the plans on offer."""
    from gateway.cli import plan  # noqa: PLC0415 - heavy, and not needed for --help

    with_services(lambda services: plan.list_all(services, as_json=as_json))


@plan_app.command("show")
def show_plan(name_or_id: TenantArgument, *, as_json: Json = False) -> None:
    """Show a tenant's plan, its cycle, and what follows."""
    from gateway.cli import plan  # noqa: PLC0415 - heavy, and not needed for --help

    with_services(lambda services: plan.show(services, name_or_id, as_json=as_json))


@plan_app.command("change")
def change_plan(
    name_or_id: TenantArgument,
    plan_name: Annotated[str, typer.Argument(metavar="PLAN", help="As plan list shows it.")],
    *,
    refill_now: Annotated[
        bool, typer.Option("--refill-now", help="Buy an upgrade's difference at once; it is committed then.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Choose the plan for the next cycle; the present one again keeps it. A tenant without a plan begins now."""
    from gateway.cli import plan  # noqa: PLC0415 - heavy, and not needed for --help

    with_services(lambda services: plan.change(services, name_or_id, plan_name, refill_now=refill_now, as_json=as_json))


@plan_app.command("refill")
def refill_plan(name_or_id: TenantArgument, *, as_json: Json = False) -> None:
    """Buy an agreed upgrade's difference, or on the top plan one more package. Each call buys again."""
    from gateway.cli import plan  # noqa: PLC0415 - heavy, and not needed for --help

    with_services(lambda services: plan.refill(services, name_or_id, as_json=as_json))


@plan_app.command("cancel")
def cancel_plan(name_or_id: TenantArgument, *, as_json: Json = False) -> None:
    """End a subscription with its cycle; the credits stay."""
    from gateway.cli import plan  # noqa: PLC0415 - heavy, and not needed for --help

    with_services(lambda services: plan.cancel(services, name_or_id, as_json=as_json))


@plan_app.command("resume")
def resume_plan(name_or_id: TenantArgument, *, as_json: Json = False) -> None:
    """Let a cancelled subscription go on, before its cycle ends."""
    from gateway.cli import plan  # noqa: PLC0415 - heavy, and not needed for --help

    with_services(lambda services: plan.resume(services, name_or_id, as_json=as_json))


@invoice_app.command("list")
def list_invoices(
    name_or_id: Annotated[str | None, typer.Argument(metavar="[TENANT]", help="All tenants if left out.")] = None,
    *,
    as_json: Json = False,
) -> None:
    """List invoices, each tenant's newest first."""
    from gateway.cli import invoice  # noqa: PLC0415 - heavy, and not needed for --help

    with_services(lambda services: invoice.list_all(services, name_or_id, as_json=as_json))


@invoice_app.command("confirm")
def confirm_invoice(
    reference: ReferenceArgument,
    *,
    amount: Annotated[str | None, typer.Option(help="What was paid, such as 49.00; must be what is due.")] = None,
    paid_reference: Annotated[str | None, typer.Option(help="What the bank calls the payment.")] = None,
    as_json: Json = False,
) -> None:
    """Confirm the payment of an invoice, which grants its credits: once, however often it is repeated."""
    from gateway.cli import invoice  # noqa: PLC0415 - heavy, and not needed for --help

    with_services(
        lambda services: invoice.confirm_payment(
            services, reference, amount=amount, paid_reference=paid_reference, as_json=as_json
        )
    )


@invoice_app.command("void")
def void_invoice(reference: ReferenceArgument, *, as_json: Json = False) -> None:
    """Withdraw an open invoice; credits that it granted already stay."""
    from gateway.cli import invoice  # noqa: PLC0415 - heavy, and not needed for --help

    with_services(lambda services: invoice.withdraw(services, reference, as_json=as_json))
