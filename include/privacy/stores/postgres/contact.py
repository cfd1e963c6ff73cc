"""Where letters to a person go, and whom an address on file belongs to."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from psycopg import sql

from include.privacy.policy.data_map import Contact, DatabaseMap, Root
from include.privacy.stores.postgres.joins import Joins
from include.privacy.stores.postgres.session import Connection


@dataclass(frozen=True)
class ContactPoint:
    """An address on file and the language its owner chose."""

    email: str = field(repr=False)
    language: str | None


def contact_of(
    connection: Connection, joins: Joins, key: str, *, on_file_at: datetime | None = None
) -> ContactPoint | None:
    """The person's address: today's, or the one that was on file at ``on_file_at``.

    A one-time link must not go to an address that came with the request, or after it: whoever took an
    account over could have just entered it (P6.7). ``None`` when there is no such person or address.
    """
    database = joins.database
    root, contact = _root(database)
    language = sql.Identifier("t0", contact.language) if contact.language else sql.SQL("NULL")
    found = connection.execute(
        sql.SQL("SELECT {email}, {language}, {key} FROM {table} t0 WHERE {key}::text = %s").format(
            email=sql.Identifier("t0", contact.email),
            language=language,
            key=sql.Identifier("t0", root.key),
            table=joins.table(root.table),
        ),
        (key,),
    ).fetchone()
    if found is None:
        return None
    email = found[0]
    if on_file_at is not None and contact.former is not None:
        former = contact.former
        owner = next(iter(database.tables[former.table].subjects.values()))
        join = joins.to_key(owner.path)
        if join is not None:
            before = connection.execute(
                sql.SQL(
                    "SELECT {email} FROM {table} t0{rest} WHERE {tie} AND {anchor} = %s AND {replaced} > %s "
                    "ORDER BY {replaced} LIMIT 1"
                ).format(
                    email=sql.Identifier("t0", former.email),
                    table=joins.table(former.table),
                    rest=sql.SQL("").join(sql.SQL(", {}").format(r) for r in join.relations),
                    tie=join.condition,
                    anchor=join.anchor,
                    replaced=sql.Identifier("t0", former.replaced_at),
                ),
                (found[2], on_file_at),
            ).fetchone()
            email = before[0] if before else email
    return ContactPoint(email, found[1]) if email else None


def keys_of_address(connection: Connection, joins: Joins, address: str) -> list[str]:
    """Subject keys of the accounts that have this address on file now; compared in lower case."""
    root, contact = _root(joins.database)
    rows = connection.execute(
        sql.SQL("SELECT {key}::text FROM {table} WHERE {email} = %s ORDER BY 1").format(
            key=sql.Identifier(root.key),
            table=joins.table(root.table),
            email=sql.Identifier(contact.email),
        ),
        (address.strip().lower(),),
    )
    return [row[0] for row in rows]


def _root(database: DatabaseMap) -> tuple[Root, Contact]:
    if database.root is None or database.root.contact is None:
        raise ValueError(
            f"store {database.store!r} knows no addresses: say in its map, under root: contact:, "
            "which column holds the address that letters go to"
        )
    return database.root, database.root.contact
