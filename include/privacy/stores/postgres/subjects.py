"""The root table: who is due by the clock, who is overdue, what identifies them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from itertools import groupby, islice

from psycopg import sql
from psycopg.types.json import Jsonb

from include.privacy.planning.models import Holds, Member
from include.privacy.policy.data_map import DatabaseMap, IdentifierPath, Lifecycle
from include.privacy.policy.policy import SubjectLifecycleRule
from include.privacy.stores.overdue import Overdue
from include.privacy.stores.postgres.joins import Joins
from include.privacy.stores.postgres.session import Connection

_BATCH = 1_000
_KEY_FORMAT = {
    "bigint": re.compile(r"-?\d{1,18}"),
    "integer": re.compile(r"-?\d{1,9}"),
    "uuid": re.compile(r"[0-9a-fA-F]{8}(-?[0-9a-fA-F]{4}){3}-?[0-9a-fA-F]{12}"),
    "text": re.compile(r"[^\x00]+", re.DOTALL),
}


def _root(database: DatabaseMap) -> tuple[sql.Composable, sql.Composable, Lifecycle]:
    if database.root is None:
        raise ValueError(
            f"store {database.store!r} has no root table: subject rules act on the store that has"
        )
    root = database.root
    return sql.Identifier(database.schema_, root.table), sql.Identifier(root.key), root.lifecycle


def _clock(database: DatabaseMap, rule: SubjectLifecycleRule) -> tuple[sql.Composable, sql.Composable]:
    """The clock column of the rule, and who is subject to it at all."""
    lifecycle = _root(database)[2]
    deleted = sql.Identifier(lifecycle.deleted_at)
    if rule.action == "purge":
        return deleted, sql.SQL("true")
    return sql.Identifier(lifecycle.service_ended_at), sql.SQL("{} IS NULL").format(deleted)


def due_keys(
    connection: Connection, database: DatabaseMap, rule: SubjectLifecycleRule, as_of: datetime
) -> list[str]:
    """Subject keys whose clock plus target has passed, the longest overdue first."""
    table, key, _ = _root(database)
    clock, subject_to = _clock(database, rule)
    rows = connection.execute(
        sql.SQL(
            "SELECT {key}::text FROM {table} WHERE {clock} <= %s AND {subject_to} ORDER BY {clock}, {key}"
        ).format(key=key, table=table, clock=clock, subject_to=subject_to),
        (as_of - timedelta(days=rule.target_days),),
    )
    return [row[0] for row in rows]


def overdue(
    connection: Connection, database: DatabaseMap, rule: SubjectLifecycleRule, as_of: datetime, holds: Holds
) -> Overdue:
    """People past the limit of the rule; those under a legal hold counted apart."""
    table, key, _ = _root(database)
    clock, subject_to = _clock(database, rule)
    limit = timedelta(days=rule.limit_days)
    row = connection.execute(
        sql.SQL(
            """SELECT count(*) FILTER (WHERE past AND NOT held), min(at) FILTER (WHERE past AND NOT held),
                      count(*) FILTER (WHERE past AND held), count(*) FILTER (WHERE at > %(as_of)s)
               FROM (SELECT {clock} AS at, {clock} <= %(before)s AS past,
                            %(all)s OR {key}::text = ANY(%(held)s) AS held
                     FROM {table} WHERE {clock} IS NOT NULL AND {subject_to}) x"""
        ).format(clock=clock, key=key, table=table, subject_to=subject_to),
        {
            "as_of": as_of,
            "before": as_of - limit,
            "held": sorted(holds.subjects),
            "all": holds.covers_store(database.store)
            or bool(database.root and database.root.table in holds.tables(database.store)),
        },
    ).fetchone()
    if row is None:
        return Overdue()
    return Overdue(int(row[0]), as_of - limit - row[1] if row[1] else None, int(row[2]), 0, int(row[3]))


def deleted_accounts(connection: Connection, database: DatabaseMap, as_of: datetime) -> dict[int, int]:
    """Whole days since deletion → how many people of the root table."""
    table, _, lifecycle = _root(database)
    rows = connection.execute(
        sql.SQL(
            """SELECT floor(extract(epoch FROM %(as_of)s - {deleted}) / 86400)::int, count(*) FROM {table}
               WHERE {deleted} <= %(as_of)s GROUP BY 1 ORDER BY 1"""
        ).format(deleted=sql.Identifier(lifecycle.deleted_at), table=table),
        {"as_of": as_of},
    )
    return {int(days): int(count) for days, count in rows}


def mark_deleted(
    connection: Connection,
    database: DatabaseMap,
    rule: SubjectLifecycleRule,
    as_of: datetime,
    *,
    dry_run: bool,
) -> int:
    """Accounts whose service ended a target ago become deleted (P4.1). Returns how many.

    ``deleted_at`` becomes the instant at which that fell due, not the moment of this run: a late
    run does not prolong anybody's retention.
    """
    table, key, lifecycle = _root(database)
    clock, subject_to = _clock(database, rule)
    parameters = {
        "before": as_of - timedelta(days=rule.target_days),
        "target": rule.target_days,
        "batch": _BATCH,
    }
    where = sql.SQL("{clock} <= %(before)s AND {subject_to}").format(clock=clock, subject_to=subject_to)
    if dry_run:
        row = connection.execute(
            sql.SQL("SELECT count(*) FROM {} WHERE {}").format(table, where), parameters
        ).fetchone()
        return int(row[0]) if row else 0
    extra = sql.SQL("").join(
        sql.SQL(", {} = {}").format(sql.Identifier(name), sql.Placeholder(f"set_{i}"))
        for i, name in enumerate(lifecycle.on_deleted)
    )
    values = {
        f"set_{i}": Jsonb(v) if isinstance(v, (dict, list)) else v
        for i, v in enumerate(lifecycle.on_deleted.values())
    }
    statement = sql.SQL(
        """UPDATE {table} SET {deleted} = {clock} + make_interval(days => %(target)s){extra}
           WHERE {key} IN (SELECT {key} FROM {table} WHERE {where} LIMIT %(batch)s FOR UPDATE SKIP LOCKED)"""
    ).format(
        table=table,
        deleted=sql.Identifier(lifecycle.deleted_at),
        clock=clock,
        extra=extra,
        key=key,
        where=where,
    )
    marked = 0
    while (n := connection.execute(statement, {**parameters, **values}).rowcount) > 0:
        marked += n
    return marked


def possible_keys(database: DatabaseMap, keys: Iterable[str]) -> list[str]:
    """Those of ``keys`` that can be a subject key of this database, each once."""
    return [k for k in dict.fromkeys(keys) if _KEY_FORMAT[database.subject_key_type].fullmatch(k)]


def existing_keys(connection: Connection, database: DatabaseMap, keys: Iterable[str]) -> set[str]:
    """Those of ``keys`` that the root table lists; what cannot be a key at all is not among them."""
    table, key, _ = _root(database)
    possible = possible_keys(database, keys)
    rows = connection.execute(
        sql.SQL("SELECT {key}::text FROM {table} WHERE {key} = ANY(%s::{type}[])").format(
            key=key, table=table, type=sql.SQL(database.subject_key_type)
        ),
        (possible,),
    )
    return {row[0] for row in rows}


def freeze_identifiers(connection: Connection, joins: Joins, keys: Iterable[str]) -> Iterator[Member]:
    """The identifiers that this store holds of each person, in the order of ``keys``.

    Every column that the map marks with ``identifier`` is read; e-mails also in lower case, because
    they are compared as other systems write them. What stands beside the root table (a former address) and is
    in the root table's row of somebody else by now is theirs: it is counted, and leads nowhere.
    """
    query = _identifier_query(joins)
    source = iter(keys)
    while batch := list(islice(source, _BATCH)):
        found: dict[str, dict[str, list[str]]] = {key: {} for key in batch}
        not_followed: Counter[str] = Counter()
        if query is not None:
            for key, rows in groupby(connection.execute(query, {"keys": batch}), key=lambda row: row[0]):
                for _, kind, value, taken in rows:
                    if taken:
                        not_followed[key] += 1
                        continue
                    values = found[key].setdefault(kind, [])
                    values += [v for v in (value, value.lower()) if v not in values]
        for key in batch:
            identifiers = {kind: tuple(values) for kind, values in found[key].items()}
            yield Member(key, identifiers, not_followed[key])


def _identifier_query(joins: Joins) -> sql.Composed | None:
    parts = []
    key_type = sql.SQL(joins.database.subject_key_type)
    for name, table in joins.database.tables.items():
        owner = next(iter(table.subjects.values()), None)
        if owner is None or isinstance(owner.path, IdentifierPath):
            continue
        join = joins.to_key(owner.path)
        if join is None:
            continue
        relations = sql.SQL("").join(sql.SQL(", {}").format(r) for r in join.relations)
        for column, described in table.columns.items():
            if described.identifier:
                parts.append(
                    sql.SQL(
                        "SELECT {key}::text, {kind}, t0.{column}::text, {taken} FROM {table} t0{relations} "
                        "WHERE {tie} AND {key} = ANY(%(keys)s::{type}[]) AND t0.{column} IS NOT NULL"
                    ).format(
                        key=join.anchor,
                        kind=sql.Literal(described.identifier),
                        column=sql.Identifier(column),
                        taken=_taken(joins, name, column, described.identifier, join.anchor),
                        table=joins.table(name),
                        relations=relations,
                        tie=join.condition,
                        type=key_type,
                    )
                )
    if not parts:
        return None
    return sql.SQL("SELECT * FROM ({}) x ORDER BY 1, 2, 3").format(sql.SQL(" UNION ").join(parts))


def _taken(joins: Joins, table: str, column: str, kind: str, own: sql.Composable) -> sql.Composable:
    """Whether the root table has the value in the row of somebody else."""
    root = joins.database.root
    if root is None or root.table == table:
        return sql.SQL("false")
    theirs = [
        sql.SQL(
            "EXISTS (SELECT FROM {root} o WHERE o.{theirs}::text = t0.{column}::text AND o.{key} <> {own})"
        ).format(
            root=joins.table(root.table),
            theirs=sql.Identifier(name),
            column=sql.Identifier(column),
            key=sql.Identifier(root.key),
            own=own,
        )
        for name, described in joins.database.tables[root.table].columns.items()
        if described.identifier == kind
    ]
    return sql.SQL("({})").format(sql.SQL(" OR ").join(theirs)) if theirs else sql.SQL("false")
