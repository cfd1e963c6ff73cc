"""Alembic migrations of the workspace schema in the platform's databases."""
