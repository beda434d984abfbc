"""Running a migration's SQL, which stands beside it in a file of the same name."""

from pathlib import Path

from alembic import op


def run_beside(migration: str) -> None:
    """Run the script of a migration, given its `__file__`."""
    script = Path(migration).with_suffix(".sql").read_text(encoding="utf-8")
    # Many statements at once are something only the driver itself can do.
    op.get_bind().connection.dbapi_connection.run_async(lambda driver: driver.execute(script))  # type: ignore[union-attr]
