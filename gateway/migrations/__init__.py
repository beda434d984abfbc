"""Alembic migrations for all three packages."""
