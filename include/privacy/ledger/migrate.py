"""Creates and upgrades the ledger's schema and grants the DAGs their few rights.

Runs as the owner, in one transaction, under a lock: it may be run twice and by two at once.
"""

from __future__ import annotations

from pathlib import Path
from typing import cast

import psycopg
from psycopg import sql
from sqlalchemy import Connection, delete, insert, select, text

from include.privacy.ledger.base import SCHEMA
from include.privacy.ledger.engine import ledger_engine
from include.privacy.ledger.errors import LedgerError
from include.privacy.ledger.locks import lock_for
from include.privacy.ledger.models import StateTransition
from include.privacy.ledger.states import transitions

_READ_ONLY = ("state_transition", "alembic_version")
_INSERT_ONLY = (
    "evidence",
    "policy_version",
    "evidence_leaf",
    "evidence_node",
    "evidence_checkpoint",
    "certificate",
    "promise_report",
)


def migrate(owner_url: str, dag_role: str) -> None:
    """Bring the ledger at ``owner_url`` up to date and grant ``dag_role`` what DAGs need.

    The role can insert and read evidence, never change it. Raises :class:`LedgerError` when the
    role does not exist or is the owner itself, whom no grant could restrain.
    """
    engine = ledger_engine(owner_url)
    try:
        with engine.begin() as connection:
            lock_for(connection, "migrate")
            _check_role(connection, dag_role)
            connection.execute(text(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}"))
            _upgrade(connection)
            _sync_transitions(connection)
            _grant(connection, dag_role)
    finally:
        engine.dispose()


def _upgrade(connection: Connection) -> None:
    # Here, not above: every task imports the ledger and none of them migrates.
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def _check_role(connection: Connection, role: str) -> None:
    row = connection.execute(
        text("SELECT rolsuper OR rolname = current_user AS unrestrained FROM pg_roles WHERE rolname = :role"),
        {"role": role},
    ).one_or_none()
    if row is None:
        raise LedgerError(f"role {role!r} does not exist; create it with: CREATE ROLE … LOGIN NOSUPERUSER")
    if row.unrestrained:
        raise LedgerError(
            f"role {role!r} owns the ledger or is a superuser; give the DAGs a role of their own"
        )


def _sync_transitions(connection: Connection) -> None:
    wanted = set(transitions())
    there = {
        (r.machine, r.from_state, r.to_state) for r in connection.execute(select(StateTransition.__table__))
    }
    names = ("machine", "from_state", "to_state")
    if new := sorted(wanted - there):
        connection.execute(insert(StateTransition), [dict(zip(names, row, strict=True)) for row in new])
    for machine, start, end in there - wanted:
        connection.execute(
            delete(StateTransition).where(
                StateTransition.machine == machine,
                StateTransition.from_state == start,
                StateTransition.to_state == end,
            )
        )


def _grant(connection: Connection, dag_role: str) -> None:
    role, schema = sql.Identifier(dag_role), sql.Identifier(SCHEMA)

    def tables(names: tuple[str, ...]) -> sql.Composable:
        return sql.SQL(", ").join(sql.Identifier(SCHEMA, name) for name in names)

    statements = (
        sql.SQL("REVOKE ALL ON ALL TABLES IN SCHEMA {} FROM {}").format(schema, role),
        sql.SQL("GRANT USAGE ON SCHEMA {} TO {}").format(schema, role),
        sql.SQL("GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {} TO {}").format(schema, role),
        sql.SQL("REVOKE UPDATE, DELETE, TRUNCATE ON {} FROM {}").format(tables(_INSERT_ONLY), role),
        sql.SQL("REVOKE INSERT, UPDATE, DELETE ON {} FROM {}").format(tables(_READ_ONLY), role),
        # The database dates evidence: whoever writes a row cannot say when that was, or which number it has.
        sql.SQL("REVOKE INSERT ON {} FROM {}").format(sql.Identifier(SCHEMA, "evidence"), role),
        sql.SQL("GRANT INSERT (kind, run_id, request_id, body) ON {} TO {}").format(
            sql.Identifier(SCHEMA, "evidence"), role
        ),
        sql.SQL("GRANT USAGE ON ALL SEQUENCES IN SCHEMA {} TO {}").format(schema, role),
    )
    # SQLAlchemy types the driver's connection as Any-like; ours is always psycopg's.
    driver = cast("psycopg.Connection[tuple[object, ...]]", connection.connection.driver_connection)
    for statement in statements:
        driver.execute(statement)
