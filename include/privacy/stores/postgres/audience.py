"""Who is to hear of a change of the policy, and where they are written to; and who has used the service."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime

from psycopg import sql

from include.privacy.policy.data_map import DatabaseMap
from include.privacy.policy.notices import Acceptances, Use
from include.privacy.policy.objection import GENERAL, RESTRICTIONS
from include.privacy.stores.postgres.session import Connection
from include.privacy.stores.postgres.subjects import possible_keys

_PAGE = 5_000


@dataclass(frozen=True)
class Account:
    """Somebody of the root table. ``left``: deleted, or restricted to storage (Art. 18 GDPR)."""

    key: str = field(repr=False)
    email: str | None = field(repr=False)
    language: str | None
    left: bool


def audience(connection: Connection, database: DatabaseMap) -> Iterator[Account]:
    """Every account that is active or still within its retention: neither deleted nor restricted."""
    query = _accounts(database) + sql.SQL(" WHERE NOT ({})").format(_left(database))
    with connection.transaction(), connection.cursor("privacy_audience") as cursor:
        cursor.itersize = _PAGE
        cursor.execute(query, {"general": GENERAL})
        for row in cursor:
            yield Account(*row)


def accounts(connection: Connection, database: DatabaseMap, keys: Iterable[str]) -> list[Account]:
    """Those of ``keys`` that the root table lists, as they are now."""
    root = database.root
    assert root is not None
    query = _accounts(database) + sql.SQL(" WHERE t0.{} = ANY(%(keys)s::text[]::{}[])").format(
        sql.Identifier(root.key), sql.SQL(database.subject_key_type)
    )
    rows = connection.execute(query, {"general": GENERAL, "keys": possible_keys(database, keys)})
    return [Account(*row) for row in rows]


def _accounts(database: DatabaseMap) -> sql.Composed:
    root = database.root
    if root is None or root.contact is None:
        raise ValueError(f"store {database.store!r} knows no addresses: say in its map, under root: contact:")
    return sql.SQL("SELECT t0.{}::text, t0.{}, {}, {} FROM {} t0").format(
        sql.Identifier(root.key),
        sql.Identifier(root.contact.email),
        sql.Identifier("t0", root.contact.language) if root.contact.language else sql.SQL("NULL"),
        _left(database),
        sql.Identifier(database.schema_, root.table),
    )


def _left(database: DatabaseMap) -> sql.Composed:
    root = database.root
    assert root is not None
    deleted = sql.SQL("t0.{} IS NOT NULL").format(sql.Identifier(root.lifecycle.deleted_at))
    if RESTRICTIONS not in database.tables:
        return sql.Composed([deleted, sql.SQL(" OR %(general)s IS NULL")])
    return sql.SQL(
        "({deleted} OR EXISTS "
        "(SELECT FROM {table} r WHERE r.account_id = t0.{key} AND r.purpose = %(general)s))"
    ).format(
        deleted=deleted,
        table=sql.Identifier(database.schema_, RESTRICTIONS),
        key=sql.Identifier(root.key),
    )


def first_uses(
    connection: Connection,
    database: DatabaseMap,
    use: Use,
    since: datetime,
    until: datetime,
    only: str | None = None,
) -> Iterator[list[tuple[str, datetime]]]:
    """Pages of people who used the service in ``[since, until)``: subject key and first instant.

    ``only``: of this person.
    """
    query = sql.SQL(
        "SELECT {person}::text, min({at}) FROM {table} "
        "WHERE {at} >= %(since)s AND {at} < %(until)s AND {person} IS NOT NULL "
        "AND (%(only)s::text IS NULL OR {person}::text = %(only)s) GROUP BY 1"
    ).format(
        person=sql.Identifier(use.person),
        at=sql.Identifier(use.at),
        table=sql.Identifier(database.schema_, use.table),
    )
    with connection.transaction(), connection.cursor("privacy_uses") as cursor:
        cursor.itersize = _PAGE
        cursor.execute(query, {"since": since, "until": until, "only": only})
        while page := cursor.fetchmany(_PAGE):
            yield [(str(key), at) for key, at in page]


def publish_document(
    connection: Connection, database: DatabaseMap, where: Acceptances, version: str, effective_on: date
) -> None:
    """The platform's list of documents has the version; once."""
    connection.execute(
        sql.SQL(
            "INSERT INTO {table} ({version}, {effective}) SELECT %(version)s, %(effective)s "
            "WHERE NOT EXISTS (SELECT FROM {table} WHERE {version} = %(version)s)"
        ).format(
            table=sql.Identifier(database.schema_, where.documents),
            version=sql.Identifier(where.document_version),
            effective=sql.Identifier(where.document_effective),
        ),
        {"version": version, "effective": effective_on},
    )


def record_acceptances(
    connection: Connection,
    database: DatabaseMap,
    where: Acceptances,
    version: str,
    uses: Sequence[tuple[str, datetime]],
) -> int:
    """Whoever has an account and has not accepted the version yet has, at that instant (P8.2).

    Returns how many are new.
    """
    root = database.root
    assert root is not None
    possible = set(possible_keys(database, (key for key, _ in uses)))
    given = [(key, at) for key, at in uses if key in possible]
    statement = sql.SQL(
        """INSERT INTO {table} ({person}, {version}, {at})
           SELECT u.key, %(version)s, u.at
           FROM unnest(%(keys)s::text[]::{type}[], %(instants)s::timestamptz[]) u (key, at)
           JOIN {root} a ON a.{root_key} = u.key
           WHERE NOT EXISTS (SELECT FROM {table} t WHERE t.{person} = u.key AND t.{version} = %(version)s)"""
    ).format(
        table=sql.Identifier(database.schema_, where.table),
        person=sql.Identifier(where.person),
        version=sql.Identifier(where.version),
        at=sql.Identifier(where.at),
        type=sql.SQL(database.subject_key_type),
        root=sql.Identifier(database.schema_, root.table),
        root_key=sql.Identifier(root.key),
    )
    return connection.execute(
        statement,
        {"version": version, "keys": [key for key, _ in given], "instants": [at for _, at in given]},
    ).rowcount
