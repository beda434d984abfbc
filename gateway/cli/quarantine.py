"""`quarantine`: what was signed and could not be delivered to anybody, for the operator to see."""

from gateway.cli.output import print_json, print_table
from gateway.inbox_store import list_quarantined
from gateway.services import Services


async def show(services: Services, *, limit: int, as_json: bool) -> None:
    """Print the newest payloads put aside: whose provider, why, how large; with JSON, their bodies too."""
    async with services.db.queue() as connection:
        items = await list_quarantined(connection, limit=limit)
    if as_json:
        print_json({"items": [{**item, "body": item["body"].decode("utf-8", "replace")} for item in items]})
        return
    rows = [
        (
            f"{item['received_at']:%Y-%m-%d %H:%M:%S}",
            item["provider"],
            item["reason"],
            item["detail"],
            str(len(item["body"])),
        )
        for item in items
    ]
    print_table(("Received (UTC)", "Provider", "Reason", "Detail", "Bytes"), rows, right=("Bytes",))
