"""The ground: everything of version 0.1."""

from alembic import op

from gateway.migrations.scripts import run_beside

revision = "0001"
down_revision = None


def upgrade() -> None:
    run_beside(__file__)
    op.execute("GRANT SELECT ON alembic_version TO turnmeter_app")  # /readyz asks whether the schema is current
