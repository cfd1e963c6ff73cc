"""Which steps a request may take: the table in Python and the database's trigger agree on every pair."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from uuid import UUID, uuid4

import psycopg
import pytest

from include.privacy.ledger import IllegalTransition
from include.privacy.ledger.states import CLOSED, OPEN, PROMISES, REQUEST, check
from include.privacy.requests.opening import RIGHTS
from include.privacy.requests.pages import STATES as DESCRIBED
from include.sandbox.world import World

from .conftest import OWNER

STATES = sorted({*REQUEST, *(end for ends in REQUEST.values() for end in ends)} - {""})
PAIRS = [(start, end) for start in ["", *STATES] for end in STATES if start != end]

_INSERT = """
    INSERT INTO ledger.request (id, external_id, "right", state, channel, received_at, due_at, closed_at,
                                key_id, subject_match, content_match, subject_sealed, details_sealed)
    VALUES (%(id)s, %(id)s, 'erasure', %(state)s, 'app', now(), now(), CASE WHEN %(closed)s THEN now() END,
            %(key)s, %(sealed)s, %(sealed)s, %(sealed)s, %(sealed)s)
"""
_MOVE = """
    UPDATE ledger.request
    SET state = %(state)s, closed_at = CASE WHEN %(closed)s THEN now() END, key_id = %(key)s,
        subject_match = %(sealed)s, content_match = %(sealed)s, subject_sealed = %(sealed)s,
        details_sealed = %(sealed)s
    WHERE id = %(id)s
"""


@pytest.fixture(scope="module")
def allowed_by_the_database(world: World, migrated_template: str) -> Iterator[set[tuple[str, str]]]:
    """Every pair that the database lets its own owner take, by plain SQL."""
    name = f"ledger_{uuid4().hex[:10]}"
    dsn = world.postgres.create_database(name, OWNER, migrated_template)
    with psycopg.connect(dsn) as connection:
        yield set(_allowed(connection))
        connection.rollback()
    world.postgres.drop_database(name)


def _allowed(connection: psycopg.Connection) -> Iterator[tuple[str, str]]:
    key = uuid4()
    connection.execute(
        "INSERT INTO ledger.sealing_key (id, purpose, wrapped) VALUES (%s, 'request', 'k')", [key]
    )

    def row(of: UUID, state: str) -> dict[str, object]:
        kept = {"key": None, "sealed": None} if state in CLOSED else {"key": key, "sealed": of.bytes}
        return {"id": of, "state": state, "closed": state in CLOSED, **kept}

    rows = {state: uuid4() for state in STATES}
    connection.execute("ALTER TABLE ledger.request DISABLE TRIGGER request_transition")
    for state, of in rows.items():
        connection.execute(_INSERT, row(of, state))
    connection.execute("ALTER TABLE ledger.request ENABLE TRIGGER request_transition")
    for start, end in PAIRS:
        with contextlib.suppress(psycopg.errors.CheckViolation):
            with connection.transaction(force_rollback=True):
                connection.execute(_MOVE if start else _INSERT, row(rows.get(start, uuid4()), end))
            yield start, end


@pytest.mark.parametrize(("start", "end"), PAIRS)
def test_python_and_the_database_agree_on_each_step(
    start: str, end: str, allowed_by_the_database: set[tuple[str, str]]
) -> None:
    try:
        check("request", start, end)
    except IllegalTransition:
        assert (start, end) not in allowed_by_the_database
    else:
        assert (start, end) in allowed_by_the_database


def test_a_closed_request_never_opens_again_and_no_open_one_is_stuck() -> None:
    assert all(not REQUEST.get(state) for state in CLOSED)
    reached = set(CLOSED)
    while more := {s for s, ends in REQUEST.items() if s and s not in reached and ends & reached}:
        reached |= more
    assert reached >= OPEN


def test_every_state_is_described_and_every_right_has_its_promise() -> None:
    assert set(DESCRIBED) == set(STATES)
    assert set(PROMISES) == set(RIGHTS)
