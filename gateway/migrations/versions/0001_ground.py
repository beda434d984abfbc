"""The ground: everything of version 0.1."""

from pathlib import Path

from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    script = Path(__file__).with_suffix(".sql").read_text()
    # Many statements at once are something only the driver itself can do.
    op.get_bind().connection.dbapi_connection.run_async(lambda driver: driver.execute(script))  # type: ignore[union-attr]
    op.execute("GRANT SELECT ON alembic_version TO turnmeter_app")  # /readyz asks whether the schema is current
