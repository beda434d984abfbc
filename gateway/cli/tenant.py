"""`tenant create`, `tenant list`, `tenant show`."""

from dataclasses import asdict, dataclass

from agents.store import AgentRow, list_agents
from gateway.cli.credits import balance_document
from gateway.cli.output import print_json, print_table
from gateway.line_store import LineRow, list_lines
from gateway.services import Services
from gateway.subscriptions import Subscription, read_subscription
from gateway.tenants import NewTenant, Tenant, create_tenant, find_tenant, list_tenants
from metering.credits import format_credits
from metering.entries import WalletView, read_wallet

_LINE_FIELDS = (
    "line_id",
    "number",
    "kind",
    "channels",
    "whatsapp_provider",
    "whatsapp_phone_number_id",
    "state",
    "provisioned_on",
)
_SUBSCRIPTION_FIELDS = ("plan", "cycle", "cycle_starts_on", "cycle_ends_on", "state", "next_plan")


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantView:
    """Everything that `tenant show` tells."""

    tenant: Tenant
    subscription: Subscription | None
    wallet: WalletView
    agents: list[AgentRow]
    lines: list[LineRow]


async def create(services: Services, wanted: NewTenant, plan_name: str | None, *, as_json: bool) -> None:
    plan = None if plan_name is None else services.plans.find(plan_name)
    tenant = await create_tenant(services.db, services.ledger, wanted, plan, now=services.now(), new_id=services.new_id)
    await _show(services, tenant, as_json=as_json)


async def list_all(services: Services, *, as_json: bool) -> None:
    async with services.db.directory() as connection:
        tenants = await list_tenants(connection)
    if as_json:
        print_json({"items": [asdict(tenant) for tenant in tenants]})
    else:
        rows = [(tenant.name, str(tenant.tenant_id), f"{tenant.day(tenant.created_at)}") for tenant in tenants]
        print_table(("Name", "Id", "Since"), rows)


async def show(services: Services, name_or_id: str, *, as_json: bool) -> None:
    async with services.db.directory() as connection:
        tenant = await find_tenant(connection, name_or_id)
    await _show(services, tenant, as_json=as_json)


async def _show(services: Services, tenant: Tenant, *, as_json: bool) -> None:
    async with services.db.transaction(tenant.tenant_id) as connection:
        view = TenantView(
            tenant=tenant,
            subscription=await read_subscription(connection, tenant.tenant_id),
            wallet=await read_wallet(connection, tenant.tenant_id),
            agents=await list_agents(connection, tenant.tenant_id),
            lines=await list_lines(connection, tenant.tenant_id),
        )
    if as_json:
        print_json(_document(view))
    else:
        _print(view)


def subscription_document(subscription: Subscription) -> dict[str, object]:
    """Return a subscription with the names that the API has for it."""
    return {name: getattr(subscription, name) for name in _SUBSCRIPTION_FIELDS}


def plan_line(subscription: Subscription) -> str:
    """Return a subscription in few words: its plan, until when, and what follows."""
    until = f"{subscription.plan}, until {subscription.cycle_ends_on}"
    if subscription.state == "cancelled":
        return f"{until}: cancelled"
    return f"{until}, then {subscription.next_plan}" if subscription.next_plan else until


def _document(view: TenantView) -> dict[str, object]:
    names = {agent.agent_id: agent.name for agent in view.agents}
    return {
        **asdict(view.tenant),
        "subscription": None if view.subscription is None else subscription_document(view.subscription),
        "balance": balance_document(view.wallet),
        "agents": [asdict(agent) for agent in view.agents],
        "lines": [
            {**{name: getattr(line, name) for name in _LINE_FIELDS}, "agent": names[line.agent_id]}
            for line in view.lines
        ],
    }


def _print(view: TenantView) -> None:
    tenant, subscription = view.tenant, view.subscription
    print(f"{tenant.name}\n{tenant.tenant_id}\n")
    if subscription is None:
        print("Plan       none")
    else:
        print(f"Plan       {plan_line(subscription)}")
    print(f"Balance    {format_credits(view.wallet.balance_millicredits, tenant.locale)} Credits")
    print(f"Available  {format_credits(view.wallet.available_millicredits, tenant.locale)} Credits")
    print(f"Services   {view.wallet.state}")
    names = {agent.agent_id: agent.name for agent in view.agents}
    if view.agents:
        rows = [(agent.name, str(agent.published_version or "none")) for agent in view.agents]
        print_table(("Agent", "Version"), rows)
    if view.lines:
        lines = [
            (line.number, line.kind, ", ".join(line.channels), names[line.agent_id], line.state) for line in view.lines
        ]
        print_table(("Line", "Kind", "Channels", "Agent", "State"), lines)
