"""The work tables of a batch of corrections: new values, replaced values, who was refused and who is held."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from uuid import UUID

from psycopg import sql

from include.privacy.planning.models import Cohort, Member
from include.privacy.planning.rectification import Correction, RectificationOutcome, RefusalCode
from include.privacy.stores.postgres import workspace
from include.privacy.stores.postgres.joins import cohort_table, correction_table, replaced_table
from include.privacy.stores.postgres.session import Connection


def load(connection: Connection, batch: UUID, corrections: Sequence[Correction], key_type: str) -> int:
    """Copies the batch into its tables and returns its size; a batch that has begun stays as it is.

    Raises ``ValueError`` when a person has two corrections in it.
    """
    if len({c.subject for c in corrections}) != len(corrections):
        raise ValueError("a person has two corrections in one batch; merge them, the later request wins")
    cohort = Cohort(batch, len(corrections), lambda: (Member(c.subject, c.identifiers) for c in corrections))
    size = workspace.load_cohort(connection, batch, cohort, key_type)
    with connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", (batch.hex,))
        name = f"privacy_work.correction_{batch.hex}"
        there = connection.execute("SELECT to_regclass(%s)", (name,)).fetchone() != (None,)
        if not (there and workspace.has_begun(connection, batch)):
            _fill(connection, batch, list(enumerate(corrections, start=1)))
    return size


def _fill(connection: Connection, batch: UUID, numbered: Sequence[tuple[int, Correction]]) -> None:
    values, replaced = correction_table(batch), replaced_table(batch)
    connection.execute(sql.SQL("DROP TABLE IF EXISTS {}, {}").format(values, replaced))
    connection.execute(
        sql.SQL(
            "CREATE TABLE {} (ordinal bigint NOT NULL, field text NOT NULL, value text NOT NULL, "
            "refused text, held boolean NOT NULL DEFAULT false, PRIMARY KEY (ordinal, field))"
        ).format(values)
    )
    connection.execute(
        sql.SQL("CREATE TABLE {} (ordinal bigint NOT NULL, field text NOT NULL, value text NOT NULL)").format(
            replaced
        )
    )
    _copy(connection, values, ((n, name, v) for n, c in numbered for name, v in c.values.items()))
    _copy(
        connection,
        replaced,
        (
            (n, name, old)
            for n, c in numbered
            for name, olds in c.previous.items()
            for old in olds
            if name in c.values and old != c.values[name]
        ),
    )
    connection.execute(sql.SQL("CREATE INDEX ON {} (ordinal, field)").format(replaced))
    connection.execute(sql.SQL("ANALYZE {}").format(values))


def _copy(connection: Connection, table: sql.Identifier, rows: Iterator[tuple[int, str, str]]) -> None:
    with (
        connection.cursor() as cursor,
        cursor.copy(sql.SQL("COPY {} (ordinal, field, value) FROM STDIN").format(table)) as copy,
    ):
        for row in rows:
            copy.write_row(row)


def open_fields(connection: Connection, batch: UUID, ordinal: int) -> list[str]:
    """The fields of one person that have not been refused."""
    query = sql.SQL("SELECT field FROM {} WHERE ordinal = %s AND refused IS NULL ORDER BY field")
    return [row[0] for row in connection.execute(query.format(correction_table(batch)), (ordinal,))]


def refuse(connection: Connection, batch: UUID, ordinal: int, name: str, code: RefusalCode) -> None:
    """Notes why a person's field was not corrected."""
    query = sql.SQL("UPDATE {} SET refused = %s WHERE ordinal = %s AND field = %s")
    connection.execute(query.format(correction_table(batch)), (code, ordinal, name))


def note_held(
    connection: Connection, batch: UUID, first: int, last: int, keys: Sequence[str], *, everybody: bool
) -> None:
    """Notes who of a slice is under a legal hold."""
    connection.execute(
        sql.SQL(
            "UPDATE {} c SET held = true FROM {} w WHERE c.ordinal = w.ordinal "
            "AND w.ordinal BETWEEN %s AND %s AND (%s OR w.subject_key::text = ANY(%s))"
        ).format(correction_table(batch), cohort_table(batch)),
        (first, last, everybody, list(keys)),
    )


def recorded(connection: Connection, batch: UUID) -> tuple[Counter[str], int, float]:
    """What the progress rows add up to: counts, chunks, the longest transaction."""
    counts: Counter[str] = Counter()
    chunks, longest = 0, 0.0
    for row_counts, seconds in connection.execute(
        "SELECT counts, seconds FROM privacy_work.progress WHERE plan_id = %s", (batch,)
    ):
        counts.update(row_counts)
        chunks, longest = chunks + 1, max(longest, seconds)
    return counts, chunks, longest


def outcome(connection: Connection, batch: UUID, store: str) -> RectificationOutcome:
    """What has happened so far, from the tables alone."""
    counts, chunks, longest = recorded(connection, batch)
    made = RectificationOutcome(
        store, replaced=replaced_values(connection, batch), chunks=chunks, longest_transaction_s=longest
    )
    for label, n in counts.items():
        verb, column = label.split(":", 1)
        target = made.changed if verb == "correct" else made.removed
        target[column] = target.get(column, 0) + n
    rows = connection.execute(
        sql.SQL(
            "SELECT w.subject_key::text, c.field, c.refused, c.held FROM {} c JOIN {} w USING (ordinal) "
            "WHERE c.refused IS NOT NULL OR c.held"
        ).format(correction_table(batch), cohort_table(batch))
    ).fetchall()
    for key, name, code, _ in rows:
        if code is not None:
            made.refused.setdefault(key, {})[name] = code
    made.held = frozenset(key for key, _, _, held in rows if held)
    return made


def replaced_values(connection: Connection, batch: UUID) -> dict[str, dict[str, tuple[str, ...]]]:
    """By person and field; the values of a refused correction are still in force and not among them."""
    found: dict[str, dict[str, tuple[str, ...]]] = {}
    rows = connection.execute(
        sql.SQL(
            "SELECT DISTINCT w.subject_key::text, r.field, r.value FROM {} r JOIN {} w USING (ordinal) "
            "JOIN {} c USING (ordinal, field) WHERE c.refused IS NULL ORDER BY 1, 2, 3"
        ).format(replaced_table(batch), cohort_table(batch), correction_table(batch))
    )
    for key, name, value in rows:
        values = found.setdefault(key, {})
        values[name] = (*values.get(name, ()), value)
    return found


def keys(connection: Connection, batch: UUID, ordinals: set[int]) -> frozenset[str]:
    """Subject keys of these members of the batch."""
    query = sql.SQL("SELECT subject_key::text FROM {} WHERE ordinal = ANY(%s)").format(cohort_table(batch))
    return frozenset(row[0] for row in connection.execute(query, (sorted(ordinals),)))


def drop(connection: Connection, batch: UUID) -> None:
    """Removes everything that the batch left in the workspace, old and new values with it."""
    with connection.transaction():
        connection.execute(
            sql.SQL("DROP TABLE IF EXISTS {}, {}").format(correction_table(batch), replaced_table(batch))
        )
        workspace.drop(connection, batch)
