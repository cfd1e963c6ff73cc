"""``python -m include.privacy draft-map``: reads catalogue and samples, and returns the text of a draft."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping

from include.privacy.connections import LOOPBACK, UnusableConnectionError
from include.privacy.detection.patterns import label
from include.privacy.drafting.draft import make_draft
from include.privacy.drafting.relations import Kinds, NoRootError
from include.privacy.drafting.writing import as_yaml
from include.privacy.policy.live_schema import LiveSchema
from include.privacy.policy.loading import ConfigError, load_config
from include.privacy.policy.policy import Sampling
from include.privacy.runtime import runtime


class NotDraftedError(RuntimeError):
    """There is no draft; the message says why and what to do."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What the command takes."""
    parser.add_argument(
        "database",
        help="the id of an Airflow connection, or a URL or connection string of PostgreSQL "
        "(its password rather in PGPASSWORD or ~/.pgpass)",
    )
    parser.add_argument("--schema", default="public", help="the schema to map; public by default")
    parser.add_argument("--root", help="the table whose rows are the people; guessed by default")
    parser.add_argument("--store", help="the name of the store; by default after the connection or database")
    parser.add_argument(
        "--rows", type=int, default=Sampling().rows, help="how many rows of each table to look at"
    )


def run(options: argparse.Namespace) -> int:
    """Print a draft of the data map of an unknown database, with ``check:`` wherever you have to decide."""
    try:
        print(draft_map(options), end="")
    except NotDraftedError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def draft_map(options: argparse.Namespace) -> str:
    """The text of the draft. Raises :class:`NotDraftedError`, ``UnusableConnectionError``."""
    import psycopg

    dsn, connection = _reached(options.database)
    store = options.store or label(connection.removesuffix("_db"))
    try:
        live, kinds, sampled = look(dsn, options.schema, options.rows)
    except psycopg.OperationalError as error:
        raise NotDraftedError(
            f"{connection} could not be read ({type(error).__name__}): check host, port, role and password"
        ) from None
    if not live.tables:
        raise NotDraftedError(f"schema {options.schema} has no tables; name another with --schema")
    purposes, elsewhere = _known(store)
    try:
        draft = make_draft(
            live,
            kinds,
            store=store,
            connection=connection,
            schema=options.schema,
            root=options.root,
            purposes=purposes,
            elsewhere=elsewhere,
        )
    except NoRootError as error:
        raise NotDraftedError(str(error)) from None
    return as_yaml(draft, sampled)


def look(dsn: str, schema: str, rows: int) -> tuple[LiveSchema, Kinds, int]:
    """The catalogue, what the values of each column look like, and how many were looked at.

    Columns that cannot be read are left to their names. Raises ``psycopg.OperationalError``.
    """
    from include.privacy.stores.postgres.catalogue import read_schema
    from include.privacy.stores.postgres.sampling import sample_tables
    from include.privacy.stores.postgres.session import connect

    with connect(dsn, statement_timeout_s=30) as connection:
        live = read_schema(connection, schema)
    settings = Sampling()
    wanted = {name: {c: found.type for c, found in t.columns.items()} for name, t in live.tables.items()}
    samples = sample_tables(dsn, schema, wanted, rows=rows, timeout_s=settings.timeout_seconds)
    kinds = {
        table: {c: frozenset(tally.kinds(settings.share, 2)) for c, tally in sample.columns.items()}
        for table, sample in samples.items()
    }
    return live, kinds, sum(tally.looked for s in samples.values() for tally in s.columns.values())


def _reached(database: str) -> tuple[str, str]:
    """A URL with its limits, and the id of a connection: the given one, or one after the database."""
    if "://" not in database and "=" not in database:
        return runtime().dsn(database), database
    import psycopg
    from psycopg.conninfo import conninfo_to_dict, make_conninfo

    try:
        parts = conninfo_to_dict(database)
    except psycopg.ProgrammingError:
        raise UnusableConnectionError(
            "this is neither the id of a connection nor a URL such as postgresql://role@host/database"
        ) from None
    host, name = str(parts.get("host") or "localhost"), str(parts.get("dbname") or "")
    if not name:
        raise UnusableConnectionError("the URL names no database: postgresql://role@host/database")
    tls = {} if host in LOOPBACK or host.startswith("/") else _tls(parts)
    return make_conninfo(database, **tls), f"{label(name)}_db"


def _tls(asked: Mapping[str, object]) -> dict[str, str]:
    """What a database elsewhere has to keep (P7.1), unless the URL says otherwise."""
    wanted = {"sslmode": "verify-full", "ssl_min_protocol_version": "TLSv1.3"}
    return {name: value for name, value in wanted.items() if name not in asked}


def _known(store: str) -> tuple[tuple[str, ...], str | None]:
    """The purposes of the policy, and the store that lists the people; nothing while there is no config."""
    try:
        config = load_config()
    except ConfigError:
        return (), None
    root = config.data_map.root.store
    return tuple(config.policy.purposes), None if root == store else root
