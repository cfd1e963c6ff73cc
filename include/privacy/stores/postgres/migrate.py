"""Creates or upgrades the workspace schema of a database."""

from __future__ import annotations

from pathlib import Path

import psycopg
from alembic import command
from alembic.config import Config
from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool

from include.privacy.stores.postgres.joins import WORK_SCHEMA


def migrate_workspace(dsn: str) -> None:
    """Brings schema ``privacy_work`` to the newest version; harmless when it is there already.

    The role needs CREATE on the database once, or an administrator creates the schema for it
    (``python -m include.privacy grants`` prints the statement).
    """
    engine = create_engine("postgresql+psycopg://", creator=lambda: psycopg.connect(dsn), poolclass=NullPool)
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    with engine.begin() as connection:
        connection.execute(text("SELECT pg_advisory_xact_lock(hashtext('privacy_work migration'))"))
        if connection.scalar(text("SELECT to_regnamespace(:name)"), {"name": WORK_SCHEMA}) is None:
            connection.execute(text(f"CREATE SCHEMA {WORK_SCHEMA}"))
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
    engine.dispose()
