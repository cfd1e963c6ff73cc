"""Creates the views for the platform's jobs: rows without those who objected, in the very next query.

A view reads with the rights of its owner, the role of the DAGs; the role of a job has no right to any
table. ``security_barrier`` keeps a job from looking past the condition: without it, a cast that fails in
a WHERE clause of the job would name the value of a hidden row.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from psycopg import errors, sql

from include.privacy.planning.models import PlanError
from include.privacy.policy.data_map import Path
from include.privacy.policy.objection import GENERAL, RESTRICTIONS, SUPPRESSED
from include.privacy.policy.purpose_views import PurposeView
from include.privacy.stores.postgres.joins import Joins
from include.privacy.stores.postgres.session import Connection

#: The comment by which we know a view as ours.
MARK = "Generated from the data map by the privacy project; python -m include.privacy migrate"


def create_view(joins: Joins, view: PurposeView) -> sql.Composed:
    """``CREATE OR REPLACE VIEW`` of one view."""
    return sql.SQL("CREATE OR REPLACE VIEW {} WITH (security_barrier = true) AS {}").format(
        _name(view), _suppressed(joins, view) if view.table == SUPPRESSED else _allowed(joins, view)
    )


def script(joins: Joins, views: Iterable[PurposeView]) -> list[sql.Composed]:
    """All statements for these views, schemas and grants included, in their order."""
    views = list(views)
    statements = [
        sql.SQL("GRANT USAGE ON SCHEMA {} TO {}").format(sql.Identifier(schema), sql.Identifier(reader))
        for schema, reader in _schemas(views)
    ]
    for view in views:
        statements += [create_view(joins, view), *_settings(view)]
    return statements


def apply(connection: Connection, joins: Joins, views: Sequence[PurposeView]) -> int:
    """Makes the database's views those of the map, and returns how many there are.

    One transaction: a job sees the old views or the new ones. A view that lost a column is made anew;
    views of ours that the map no longer asks for go, and so do rights of others to the schemas.

    Raises :class:`PlanError` where a schema or role is missing: an administrator has to run the grants.
    """
    with connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(hashtext('privacy purpose views'))")
        try:
            for schema, reader in _schemas(views):
                _open_schema(connection, schema, reader)
            for view in views:
                _replace(connection, joins, view)
        except (errors.InsufficientPrivilege, errors.InvalidSchemaName, errors.UndefinedObject) as error:
            raise PlanError(
                f"store {joins.database.store!r}: the views for the platform's jobs cannot be made "
                f"({type(error).__name__}); run the statements of `python -m include.privacy grants`"
            ) from None
        _drop_others(connection, views)
    return len(views)


def read_views(
    connection: Connection, views: Iterable[PurposeView]
) -> dict[tuple[str, str], tuple[str, ...]]:
    """The columns of the views that exist in the schemas of these, by schema and view."""
    rows = connection.execute(
        """SELECT n.nspname, c.relname, ARRAY(SELECT a.attname::text FROM pg_attribute a
                  WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum)
           FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
           WHERE c.relkind = 'v' AND n.nspname = ANY(%s)""",
        (sorted({view.schema for view in views}),),
    )
    return {(schema, name): tuple(columns) for schema, name, columns in rows}


def direct_rights(connection: Connection, schema: str, readers: Iterable[str]) -> dict[str, list[str]]:
    """Tables of the schema that a reader can use without its views, by reader; a superuser can use all."""
    found: dict[str, list[str]] = {}
    for reader, table in connection.execute(
        """SELECT r.rolname, c.relname FROM pg_roles r
           CROSS JOIN pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
           WHERE r.rolname = ANY(%s) AND n.nspname = %s AND c.relkind IN ('r', 'p', 'm', 'v', 'f')
             AND (has_table_privilege(r.oid, c.oid, 'SELECT, INSERT, UPDATE, DELETE')
                  OR has_any_column_privilege(r.oid, c.oid, 'SELECT, INSERT, UPDATE'))
           ORDER BY 1, 2""",
        (sorted(readers), schema),
    ):
        found.setdefault(reader, []).append(table)
    return found


def _name(view: PurposeView) -> sql.Identifier:
    return sql.Identifier(view.schema, view.table)


def _schemas(views: Iterable[PurposeView]) -> list[tuple[str, str]]:
    return list(dict.fromkeys((view.schema, view.reader) for view in views))


def _allowed(joins: Joins, view: PurposeView) -> sql.Composed:
    subjects = joins.database.tables[view.table].subjects

    def restricted(roles: Iterable[str]) -> list[sql.Composed]:
        return [test for role in roles for test in _restricted(joins, view, subjects[role].path)]

    columns = []
    for name in view.columns:
        column: sql.Composable = sql.Identifier("t0", name)
        if tests := restricted(view.emptied_for.get(name, ())):
            column = sql.SQL("CASE WHEN {} THEN NULL ELSE {} END AS {}").format(
                sql.SQL(" OR ").join(tests), column, sql.Identifier(name)
            )
        columns.append(column)
    select = sql.SQL("SELECT {} FROM {} t0").format(sql.SQL(", ").join(columns), joins.table(view.table))
    # One NOT EXISTS each, which PostgreSQL turns into anti-joins; NOT (… OR …) it does not.
    hidden = [sql.SQL("NOT {}").format(test) for test in restricted(view.hidden_for)]
    return sql.SQL(" WHERE ").join([select, sql.SQL(" AND ").join(hidden)]) if hidden else select


def _restricted(joins: Joins, view: PurposeView, path: Path) -> list[sql.Composed]:
    """Tests of whether a person at the end of the path is restricted for the purpose, or altogether."""
    purposes = [GENERAL, view.purpose] if view.closed_by_general else [view.purpose]
    return [
        sql.SQL("EXISTS (SELECT FROM {} WHERE {} AND r.account_id = {} AND r.purpose IN ({}))").format(
            sql.SQL(", ").join((*holder.relations, sql.SQL("{} r").format(joins.table(RESTRICTIONS)))),
            holder.condition,
            holder.anchor,
            sql.SQL(", ").join(map(sql.Literal, purposes)),
        )
        for holder in joins.to_holders(path)
    ]


def _suppressed(joins: Joins, view: PurposeView) -> sql.Composed:
    return sql.SQL("SELECT {} FROM {} t0 WHERE t0.purpose = {}").format(
        sql.SQL(", ").join(sql.Identifier("t0", name) for name in view.columns),
        joins.table(SUPPRESSED),
        sql.Literal(view.purpose),
    )


def _settings(view: PurposeView) -> list[sql.Composed]:
    return [
        sql.SQL("COMMENT ON VIEW {} IS {}").format(_name(view), sql.Literal(MARK)),
        sql.SQL("GRANT SELECT ON {} TO {}").format(_name(view), sql.Identifier(view.reader)),
    ]


def _replace(connection: Connection, joins: Joins, view: PurposeView) -> None:
    try:
        with connection.transaction():
            connection.execute(create_view(joins, view))
    except errors.InvalidTableDefinition:  # a column went or changed its place
        connection.execute(sql.SQL("DROP VIEW {}").format(_name(view)))
        connection.execute(create_view(joins, view))
    for statement in _settings(view):
        connection.execute(statement)


def _open_schema(connection: Connection, schema: str, reader: str) -> None:
    if connection.execute("SELECT to_regnamespace(quote_ident(%s))", (schema,)).fetchone() == (None,):
        connection.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(schema)))
    others = connection.execute(
        """SELECT DISTINCT CASE WHEN a.grantee = 0 THEN 'public' ELSE pg_get_userbyid(a.grantee) END
           FROM pg_namespace n, aclexplode(n.nspacl) a
           WHERE n.nspname = %s AND a.grantee <> n.nspowner
             AND (a.grantee = 0 OR pg_get_userbyid(a.grantee) <> %s)""",
        (schema, reader),
    ).fetchall()
    for (other,) in others:
        connection.execute(
            sql.SQL("REVOKE ALL ON SCHEMA {} FROM {}").format(sql.Identifier(schema), sql.Identifier(other))
        )
    connection.execute(
        sql.SQL("GRANT USAGE ON SCHEMA {} TO {}").format(sql.Identifier(schema), sql.Identifier(reader))
    )


def _drop_others(connection: Connection, views: Iterable[PurposeView]) -> None:
    wanted = {(view.schema, view.table) for view in views}
    ours = connection.execute(
        """SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
           WHERE c.relkind = 'v' AND obj_description(c.oid, 'pg_class') = %s
             AND pg_has_role(c.relowner, 'USAGE') ORDER BY 1, 2""",
        (MARK,),
    ).fetchall()
    for schema, name in ours:
        if (schema, name) not in wanted:
            connection.execute(sql.SQL("DROP VIEW {}").format(sql.Identifier(schema, name)))
