"""Fills the two databases of the platform with people: deterministic, fast, in any number."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path

import psycopg
from psycopg import sql

from include.sandbox.platform import accounts_rows, practice_rows
from include.sandbox.platform.people import MARKERS, Marker, Person, generate_people

log = logging.getLogger(__name__)

SCHEMA = Path(__file__).parent / "schema"
_BATCH = 5000  # people in memory at a time
_PEOPLE_COLUMNS = ("i", "id", "name", "email", "ip", "since", "until", "marker")
_BIG = 1_000_000  # attempts from which building the index afterwards is faster


@dataclass(frozen=True)
class SeedReport:
    """What was seeded. ``states`` counts people by where they stand on the clock at ``as_of``."""

    people: int
    attempts: int
    as_of: datetime
    seed: int
    states: dict[str, int]
    seconds: float
    markers: tuple[Marker, ...] = field(default=MARKERS)


def create_schema(accounts_dsn: str, practice_dsn: str) -> None:
    """Create the platform's tables in two empty databases; they belong to the databases' owners."""
    for dsn, name in ((accounts_dsn, "accounts"), (practice_dsn, "practice")):
        with psycopg.connect(dsn) as connection:
            _become_owner(connection)
            connection.execute((SCHEMA / f"{name}.sql").read_bytes())


def seed(
    accounts_dsn: str,
    practice_dsn: str,
    *,
    people: int = 2000,
    attempts_per_person: int = 200,
    seed: int = 7,
    as_of: datetime,
    overdue: bool = False,
    bad_clocks: bool = False,
) -> SeedReport:
    """Fill the databases of :func:`create_schema`; equal arguments give equal rows.

    The role needs the right to set ``session_replication_role`` (a superuser has it): foreign keys
    are right by construction, and checking twenty million of them one by one takes minutes.
    ``as_of`` is timezone-aware UTC. Raises ``ValueError`` for fewer people than the clock has states.
    """
    started = time.monotonic()
    states: Counter[str] = Counter()
    as_of = as_of.astimezone(UTC) if as_of.tzinfo else as_of
    with _bulk(accounts_dsn) as accounts, _bulk(practice_dsn) as practice:
        practice.execute(practice_rows.HELPERS.encode())
        _fixed_rows(accounts, as_of)
        crowd = generate_people(people, seed=seed, as_of=as_of, overdue=overdue, bad_clocks=bad_clocks)
        while batch := list(islice(crowd, _BATCH)):
            states.update(person.state for person in batch)
            for table, columns, make in accounts_rows.TABLES:
                rows = (row for person in batch for row in make(person, seed, as_of))
                _copy(accounts, table, columns.split(), rows)
            _copy(practice, "people", _PEOPLE_COLUMNS, _learners(batch))
        _fill_practice(practice, people, attempts_per_person, seed, as_of)
        _advance_sequences(accounts)
        _advance_sequences(practice)
    for dsn in (accounts_dsn, practice_dsn):
        with psycopg.connect(dsn, autocommit=True) as connection:
            _become_owner(connection)
            connection.execute("ANALYZE")
    report = SeedReport(
        people, people * attempts_per_person, as_of, seed, dict(states), time.monotonic() - started
    )
    log.info("seeded %s people and %s attempts in %.1f s", report.people, report.attempts, report.seconds)
    return report


def seed_person(
    accounts_dsn: str, practice_dsn: str, person: Person, *, attempts: int, as_of: datetime
) -> None:
    """Add one more person with a marker, once, with rows in every table of both databases that names people.

    Without invoices, which would have to be kept for ten years, and without a rating, which outlives the
    person in the average of an exercise.
    """
    with _bulk(accounts_dsn) as accounts:
        if accounts.execute("SELECT FROM accounts WHERE id = %s", (person.id,)).fetchone() is None:
            for table, columns, make in accounts_rows.TABLES:
                if table not in ("invoices", "invoice_lines"):
                    _copy(accounts, table, columns.split(), make(person, 0, as_of))
    with _bulk(practice_dsn) as practice:
        if practice.execute("SELECT FROM learners WHERE account_id = %s", (person.id,)).fetchone() is None:
            practice.execute(practice_rows.HELPERS.encode())
            _copy(practice, "people", _PEOPLE_COLUMNS, _learners([person]))
            values = {"people": 1, "attempts": attempts, "seed": 0, "as_of": as_of}
            statements = (
                practice_rows.LEARNERS,
                practice_rows.ATTEMPTS,
                practice_rows.ATTEMPT_EVENTS,
                *(s for s in practice_rows.REST if "INSERT INTO exercise_ratings" not in s),
                *practice_rows.ALONE,
            )
            for statement in statements:
                practice.execute(statement.encode(), values)


def digest(dsn: str) -> dict[str, tuple[int, str]]:
    """Rows and a checksum of every table, whatever the order of the rows."""
    result: dict[str, tuple[int, str]] = {}
    with psycopg.connect(dsn, options="-c timezone=UTC") as connection:
        names = connection.execute(
            "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace"
            " AND relkind IN ('r', 'p', 'm') AND NOT relispartition ORDER BY relname"
        ).fetchall()
        for (name,) in names:
            row = connection.execute(
                sql.SQL("SELECT count(*), coalesce(sum(hashtextextended(t::text, 0)), 0) FROM {} t").format(
                    sql.Identifier(name)
                )
            ).fetchone()
            assert row is not None
            result[name] = (row[0], str(row[1]))
    return result


def _bulk(dsn: str) -> psycopg.Connection:
    connection = psycopg.connect(
        dsn, options="-c timezone=UTC -c synchronous_commit=off -c maintenance_work_mem=256MB"
    )
    try:
        connection.execute("SET session_replication_role = replica")
    except psycopg.errors.InsufficientPrivilege:
        connection.close()
        raise PermissionError(
            "seeding needs a superuser, or GRANT SET ON PARAMETER session_replication_role TO the role"
        ) from None
    _become_owner(connection)
    return connection


def _become_owner(connection: psycopg.Connection) -> None:
    """What is created shall belong to the database's owner, also when a superuser creates it."""
    row = connection.execute(
        "SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = current_database()"
    ).fetchone()
    assert row is not None
    connection.execute(sql.SQL("SET ROLE {}").format(sql.Identifier(row[0])))


def _copy(
    connection: psycopg.Connection, table: str, columns: Sequence[str], rows: Iterable[Sequence[object]]
) -> None:
    statement = sql.SQL("COPY {} ({}) FROM STDIN").format(
        sql.Identifier(table), sql.SQL(", ").join(map(sql.Identifier, columns))
    )
    with connection.cursor() as cursor, cursor.copy(statement) as copy:
        for row in rows:
            copy.write_row(row)


def _fixed_rows(accounts: psycopg.Connection, as_of: datetime) -> None:
    _copy(accounts, "plans", ("code", "title", "price_cents"), accounts_rows.PLANS)
    _copy(accounts, "policy_documents", ("version", "effective_on"), accounts_rows.POLICY_DOCUMENTS)
    columns = (
        "id email full_name staff_role password_hash mfa_method mfa_enrolled_at created_at last_login_at"
    )
    _copy(accounts, "admin_users", columns.split(), accounts_rows.staff_rows(as_of))


def _learners(batch: list[Person]) -> Iterator[tuple[object, ...]]:
    for p in batch:
        word = p.marker.texts[0] if p.marker else None
        yield p.index, p.id, p.full_name, p.email, p.ip, p.created_at, p.active_until, word


def _fill_practice(
    practice: psycopg.Connection, people: int, attempts: int, seed: int, as_of: datetime
) -> None:
    """All statements of practice_rows, the attempts without their index when there are many."""
    values = {"people": people, "attempts": attempts, "seed": seed * 100, "as_of": as_of}

    def run(statement: str) -> None:
        practice.execute(statement.encode(), values)

    practice.execute("ANALYZE people")
    first = as_of - timedelta(days=905)
    practice.execute(
        "SELECT ensure_month_partitions('attempts', %s::date, %s::date)", (first, as_of + timedelta(days=40))
    )
    first = as_of - timedelta(days=65)
    practice.execute(
        "SELECT ensure_month_partitions('access_log', %s::date, %s::date)",
        (first, as_of + timedelta(days=40)),
    )
    for statement in practice_rows.EXERCISES:
        run(statement)
    run(practice_rows.LEARNERS)
    practice.execute("ANALYZE learners")
    later = people * attempts >= _BIG
    if later:
        practice.execute("DROP INDEX attempts_learner")
    run(practice_rows.ATTEMPTS)
    if later:
        practice.execute("CREATE INDEX attempts_learner ON attempts (learner_id)")
    run(practice_rows.ATTEMPT_EVENTS)
    for statement in practice_rows.REST:
        run(statement)
    practice.execute("REFRESH MATERIALIZED VIEW leaderboard")


def _advance_sequences(connection: psycopg.Connection) -> None:
    """Let the platform go on inserting: the next id is above all but the markers' own."""
    rows = connection.execute(
        "SELECT c.relname, a.attname, pg_get_serial_sequence(quote_ident(c.relname), a.attname)"
        " FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid"
        " WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition"
        " AND a.attnum > 0 AND pg_get_serial_sequence(quote_ident(c.relname), a.attname) IS NOT NULL"
    ).fetchall()
    for table, column, sequence in rows:
        highest = sql.SQL("SELECT setval({}, coalesce(max({}), 0) + 1, false) FROM {} WHERE {} < {}").format(
            sql.Literal(sequence),
            sql.Identifier(column),
            sql.Identifier(table),
            sql.Identifier(column),
            sql.Literal(MARKERS[0].account_id),
        )
        connection.execute(highest)
