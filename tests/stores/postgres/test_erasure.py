"""Erasure in PostgreSQL: what goes, what stays, and what refuses before anything goes."""

from __future__ import annotations

import threading
from collections.abc import Callable
from uuid import uuid4

import psycopg
import pytest

from include.privacy.planning.models import Holds, PlanError, Superseded
from include.privacy.stores.postgres import PostgresStore
from tests.stores.postgres.support import AS_OF, Gate, cohort, database, erase, rows, run

SCHEMA = """
CREATE TABLE person (id bigint PRIMARY KEY, email text UNIQUE, best_note bigint,
                     invited_by bigint REFERENCES person);
CREATE TABLE note (id bigint PRIMARY KEY, person_id bigint NOT NULL REFERENCES person, body text,
                   reply_to bigint REFERENCES note);
CREATE INDEX ON note (person_id);
CREATE INDEX ON note (reply_to);
ALTER TABLE person ADD FOREIGN KEY (best_note) REFERENCES note;
CREATE TABLE review (id bigint PRIMARY KEY, learner_id bigint NOT NULL REFERENCES person ON DELETE RESTRICT,
                     mentor_id bigint REFERENCES person, text text);
CREATE TABLE event (note_id bigint, n int, ip inet, PRIMARY KEY (note_id, n));
CREATE TABLE invoice (id bigint PRIMARY KEY, person_id bigint REFERENCES person, name text,
                      cents int, issued date);
CREATE TABLE newsletter (email text PRIMARY KEY);
CREATE TABLE setting (person_id bigint PRIMARY KEY REFERENCES person ON DELETE CASCADE, doc jsonb);
CREATE TABLE audit (at timestamptz DEFAULT now(), person_id bigint, old_email text);
CREATE FUNCTION tell() RETURNS trigger LANGUAGE plpgsql AS
  $$ BEGIN INSERT INTO audit (person_id, old_email) VALUES (old.id, old.email); RETURN old; END $$;
CREATE TRIGGER remember AFTER DELETE ON person FOR EACH ROW EXECUTE FUNCTION tell();
CREATE MATERIALIZED VIEW board AS SELECT person_id, count(*) AS notes FROM note GROUP BY person_id;
INSERT INTO person SELECT i, 'p' || i || '@example.org', NULL, NULLIF(i - 1, 0)
  FROM generate_series(1, 9) i;
INSERT INTO note SELECT i * 10 + k, i, 'text of ' || i, NULL
  FROM generate_series(1, 9) i, generate_series(0, 4) k;
UPDATE note SET reply_to = id - 10 WHERE id >= 20;
UPDATE person SET best_note = id * 10;
INSERT INTO review SELECT i, i, i % 9 + 1, 'review of ' || i FROM generate_series(1, 9) i;
INSERT INTO event SELECT id, k, '203.0.113.7' FROM note, generate_series(1, 3) k;
INSERT INTO invoice SELECT i, i, 'Name ' || i, 999, '2025-01-01' FROM generate_series(1, 9) i;
INSERT INTO newsletter SELECT email FROM person;
INSERT INTO setting SELECT id, jsonb_build_object('email', email, 'theme', 'dark') FROM person;
REFRESH MATERIALIZED VIEW board;
"""
KEY, TEXT, PLAIN = "user.unique_id", "user.content", "system.operations"


def shop(**changes: object):
    """The map of the schema above; ``changes`` replace whole tables."""
    note_ref = {"columns": ["reply_to"], "references": "note", "role": "author"}
    tables: dict[str, object] = {
        "person": {
            "subjects": {
                "self": {"path": "id", "erasure": "delete"},
                "inviter": {"path": "invited_by", "erasure": {"anonymise": {"invited_by": {"set": None}}}},
            },
            "columns": {
                "id": KEY,
                "email": {"category": "user.contact.email", "identifier": "email"},
                "best_note": PLAIN,
                "invited_by": KEY,
            },
        },
        "note": {
            "subjects": {
                "author": {"path": "person_id", "erasure": "delete"},
                "replied_to": {"path": note_ref, "erasure": {"anonymise": {"reply_to": {"set": None}}}},
            },
            "columns": {"id": PLAIN, "person_id": KEY, "body": TEXT, "reply_to": PLAIN},
        },
        "review": {
            "subjects": {
                "learner": {"path": "learner_id", "erasure": "delete"},
                "mentor": {"path": "mentor_id", "erasure": {"anonymise": {"mentor_id": {"set": None}}}},
            },
            "columns": {"id": PLAIN, "learner_id": KEY, "mentor_id": KEY, "text": TEXT},
        },
        "event": {
            "subjects": {
                "author": {
                    "path": {"columns": ["note_id"], "references": "note", "role": "author"},
                    "erasure": "delete",
                }
            },
            "columns": {"note_id": PLAIN, "n": PLAIN, "ip": "user.device.ip_address"},
        },
        "invoice": {
            "subjects": {
                "customer": {
                    "path": "person_id",
                    "erasure": {
                        "keep": {
                            "basis": "legal_obligation",
                            "reason": "tax law keeps invoices",
                            "until": {"column": "issued", "days": 3653},
                        },
                        "anonymise": {"person_id": {"set": None}, "name": {"set": "100% [erased]"}},
                    },
                }
            },
            "columns": {"id": PLAIN, "person_id": KEY, "name": "user.name", "cents": PLAIN, "issued": PLAIN},
        },
        "newsletter": {
            "subjects": {"reader": {"path": {"column": "email", "identifier": "email"}, "erasure": "delete"}},
            "columns": {"email": "user.contact.email"},
        },
        "setting": {
            "subjects": {"owner": {"path": "person_id", "erasure": "delete"}},
            "columns": {"person_id": KEY, "doc": TEXT},
        },
        "audit": {
            "subjects": {"whom": {"path": "person_id", "erasure": "delete"}},
            "columns": {"at": PLAIN, "person_id": KEY, "old_email": "user.contact.email"},
        },
        "board": {
            "kind": "materialised_view",
            "subjects": {"author": {"path": "person_id", "erasure": "delete"}},
            "columns": {"person_id": KEY, "notes": PLAIN},
        },
    }
    return database(
        {**tables, **changes},
        root={
            "table": "person",
            "key": "id",
            "lifecycle": {"service_ended_at": "service_ended_at", "deleted_at": "deleted_at"},
        },
    )


@pytest.fixture
def dsn(fresh_database: Callable[[], str]) -> str:
    """A database with the schema above and its workspace."""
    dsn = fresh_database()
    run(dsn, SCHEMA)
    PostgresStore(shop(), dsn).migrate_workspace()
    return dsn


def everything(dsn: str) -> dict[str, list[tuple[object, ...]]]:
    """All rows of all tables."""
    names = [
        r[0] for r in rows(dsn, "SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1")
    ]
    return {name: sorted(rows(dsn, f"SELECT * FROM {name}"), key=repr) for name in names}


def frozen(dsn: str, *keys: int):
    """A cohort with the identifiers that the store holds."""
    members = list(PostgresStore(shop(), dsn).freeze_identifiers([str(k) for k in keys]))
    who = cohort(*keys)
    return type(who)(who.id, who.size, lambda: iter(members))


def test_an_erased_person_is_gone_from_every_table_and_nobody_else_has_changed(dsn: str) -> None:
    before = everything(dsn)
    plan, outcome, probe = erase(PostgresStore(shop(), dsn), frozen(dsn, 3, 5))
    after = everything(dsn)
    gone = {3, 5}
    assert after["person"] == [
        (i, e, n, None if inviter in gone else inviter)
        for i, e, n, inviter in before["person"]
        if i not in gone
    ]
    assert after["note"] == [
        (i, p, b, None if r and r // 10 in gone else r) for i, p, b, r in before["note"] if p not in gone
    ]
    assert after["review"] == [
        (i, lrn, None if m in gone else m, t) for i, lrn, m, t in before["review"] if lrn not in gone
    ]
    assert after["event"] == [e for e in before["event"] if e[0] // 10 not in gone]
    assert after["invoice"] == sorted(
        (
            (i, None, "100% [erased]", c, d) if p in gone else (i, p, n, c, d)
            for i, p, n, c, d in before["invoice"]
        ),
        key=repr,
    )
    assert [e for (e,) in after["newsletter"]] == [
        e for (e,) in before["newsletter"] if int(e[1]) not in gone
    ]
    assert after["setting"] == [s for s in before["setting"] if s[0] not in gone]
    assert after["audit"] == []
    assert {p for p, _ in rows(dsn, "SELECT * FROM board")} == set(range(1, 10)) - gone
    assert probe.clean
    assert outcome.removed["event"] == 30 == next(s.matched for s in plan.steps if s.table == "event")
    assert "legal_obligation" in outcome.kept["invoice"]


def test_a_dry_run_counts_the_same_rows_and_changes_nothing(dsn: str) -> None:
    before = everything(dsn)
    store, who = PostgresStore(shop(), dsn), frozen(dsn, 3, 5)
    plan = store.plan_erasure(who, uuid4(), as_of=AS_OF)
    dry = store.execute(plan, who, Gate(), dry_run=True)
    assert everything(dsn) == before
    live = store.execute(plan, who, Gate())
    assert dry.removed.items() <= {**live.removed, "audit": 0}.items()


def test_a_second_execution_changes_nothing_and_tells_the_same(dsn: str) -> None:
    store, who = PostgresStore(shop(), dsn), frozen(dsn, 3)
    plan = store.plan_erasure(who, uuid4(), as_of=AS_OF)
    first = store.execute(plan, who, Gate())
    after = everything(dsn)
    second = store.execute(plan, who, Gate())
    assert everything(dsn) == after
    assert second.removed == first.removed


def test_a_held_person_survives_and_a_row_shared_with_a_held_person_keeps_both_its_people(dsn: str) -> None:
    before = everything(dsn)
    # Review 3 belongs to learner 3 and mentor 4; 3 is held, 4 and 7 are to be erased.
    _, outcome, probe = erase(
        PostgresStore(shop(), dsn), frozen(dsn, 3, 4, 7), Gate(Holds(subjects=frozenset({"3"})))
    )
    after = everything(dsn)
    assert [r for r in after["review"] if r[0] == 3] == [r for r in before["review"] if r[0] == 3]
    assert {p[0] for p in after["person"]} == {1, 2, 3, 4, 5, 6, 8, 9}
    assert [n for n in after["note"] if n[1] == 3] == [n for n in before["note"] if n[1] == 3]
    assert outcome.held_subjects == 2
    assert probe.clean
    assert probe.held_subjects == 2


def test_a_held_collection_keeps_its_rows_and_what_they_point_at(dsn: str) -> None:
    held = Gate(Holds(collections=frozenset({"shop.review"})))
    _, outcome, _ = erase(PostgresStore(shop(), dsn), frozen(dsn, 3), held)
    after = everything(dsn)
    assert len(after["review"]) == 9
    assert 3 in {p[0] for p in after["person"]}
    assert 3 not in {s[0] for s in after["setting"]}
    assert outcome.held_subjects == 1


def test_a_hold_placed_between_two_chunks_stops_the_second(dsn: str) -> None:
    store, who = PostgresStore(shop(), dsn), frozen(dsn, 3, 6)
    plan = store.plan_erasure(who, uuid4(), as_of=AS_OF)
    run(dsn, f"UPDATE privacy_work.cohort_{plan.id.hex} SET weight = 1999")
    gate = Gate()

    def place(asked: int) -> None:
        if asked == 2:
            gate.holds = Holds(subjects=frozenset({"6"}))

    gate.before = place
    store.execute(plan, who, gate)
    left = {p[0] for p in everything(dsn)["person"]}
    assert 3 not in left
    assert 6 in left


def test_released_people_are_erased_by_the_next_plan(dsn: str) -> None:
    store, who = PostgresStore(shop(), dsn), frozen(dsn, 3)
    erase(store, who, Gate(Holds(stores=frozenset({"shop"}))))
    assert len(everything(dsn)["person"]) == 9
    _, _, probe = erase(store, who)
    assert probe.clean
    assert len(everything(dsn)["person"]) == 8


def test_people_whom_another_store_had_to_keep_keep_their_root_row(dsn: str) -> None:
    _, outcome, _ = erase(PostgresStore(shop(), dsn), frozen(dsn, 3, 4), held_back=frozenset({"4"}))
    assert 4 in {p[0] for p in everything(dsn)["person"]}
    assert outcome.held_subjects == 1


@pytest.mark.parametrize("crash_at", [1, 2, 3, 4, 5])
def test_a_crash_in_the_middle_loses_nothing_and_repeats_no_evidence(dsn: str, crash_at: int) -> None:
    store, who = PostgresStore(shop(), dsn), frozen(dsn, 2, 4, 6, 8)
    plan = store.plan_erasure(who, uuid4(), as_of=AS_OF)
    run(dsn, f"UPDATE privacy_work.cohort_{plan.id.hex} SET weight = 1999")
    gate = Gate()

    def crash(asked: int) -> None:
        if asked == crash_at:
            raise ConnectionError("the machine is gone")

    gate.before = crash
    try:
        store.execute(plan, who, gate)
    except ConnectionError:
        assert crash_at <= 4
    outcome = store.execute(plan, who, Gate())
    assert outcome.removed == {
        "event": 60,
        "note": 20,
        "person": 4,
        "review": 4,
        "newsletter": 4,
        "setting": 4,
        "audit": 4,
    }
    assert store.probe(plan, who).clean


def test_of_two_copies_at_once_the_older_stops_and_every_row_is_counted_once(dsn: str) -> None:
    store, who = PostgresStore(shop(), dsn), frozen(dsn, 2, 4, 6, 8)
    plan = store.plan_erasure(who, uuid4(), as_of=AS_OF)
    run(dsn, f"UPDATE privacy_work.cohort_{plan.id.hex} SET weight = 1999")
    started, go_on = threading.Event(), threading.Event()
    older = Gate()

    def stall(asked: int) -> None:
        if asked == 2:
            started.set()
            go_on.wait(20)

    older.before = stall
    failure: list[BaseException] = []

    def orphan() -> None:
        try:
            store.execute(plan, who, older)
        except Superseded as error:
            failure.append(error)

    thread = threading.Thread(target=orphan)
    thread.start()
    assert started.wait(20)
    outcome = store.execute(plan, who, Gate())
    go_on.set()
    thread.join(20)
    assert failure
    assert outcome.removed["person"] == 4
    assert outcome.removed["event"] == 60


def test_one_person_with_more_rows_than_a_chunk_may_hold_goes_in_bounded_transactions(dsn: str) -> None:
    run(
        dsn,
        "INSERT INTO note SELECT 1000 + i, 3, 'x', NULL FROM generate_series(1, 30000) i",
        "INSERT INTO event SELECT id, 1, '203.0.113.9' FROM note WHERE id > 1000",
    )
    plan, outcome, probe = erase(PostgresStore(shop(), dsn), frozen(dsn, 3))
    assert plan.matched > 60_000
    assert probe.clean
    assert outcome.removed["note"] == 30_005
    assert outcome.chunks > 3


def test_a_restricting_table_outside_the_map_is_an_error_before_anything_is_deleted(dsn: str) -> None:
    run(dsn, "CREATE TABLE secret (person_id bigint REFERENCES person)")
    before = everything(dsn)
    with pytest.raises(PlanError, match=r"secret_person_id_fkey.*map 'secret'"):
        erase(PostgresStore(shop(), dsn), frozen(dsn, 3))
    assert everything(dsn) == before


def test_a_map_that_names_a_missing_column_is_an_error_that_names_it(dsn: str) -> None:
    run(dsn, "ALTER TABLE event DROP COLUMN ip")
    with pytest.raises(PlanError, match=r"column event\.ip is in the data map but not in the database"):
        erase(PostgresStore(shop(), dsn), frozen(dsn, 3))


def test_row_level_security_and_missing_privileges_are_refused(
    dsn: str, fresh_role: Callable[[str], str]
) -> None:
    run(
        dsn,
        "ALTER TABLE note ENABLE ROW LEVEL SECURITY",
    )
    limited = fresh_role(dsn)
    with psycopg.connect(limited) as connection:
        role = connection.info.user
    run(
        dsn,
        f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role}",
        f"GRANT USAGE, CREATE ON SCHEMA privacy_work TO {role}",
        f"GRANT ALL ON ALL TABLES IN SCHEMA privacy_work TO {role}",
    )
    with pytest.raises(PlanError) as error:
        erase(PostgresStore(shop(), limited), cohort(3))
    assert "row-level security hides rows of 'note'" in str(error.value)
    assert "lacks DELETE, UPDATE on 'person'" in str(error.value)


def test_the_plan_counts_the_rows_of_each_step_and_equal_plans_have_equal_digests(dsn: str) -> None:
    store, who = PostgresStore(shop(), dsn), frozen(dsn, 3, 5)
    one, two = store.plan_erasure(who, uuid4(), as_of=AS_OF), store.plan_erasure(who, uuid4(), as_of=AS_OF)
    assert one.digest == two.digest
    assert one.population == 9
    assert {(s.table, s.verb, s.matched) for s in one.steps if s.table in ("note", "event")} == {
        ("note", "delete", 10),
        ("note", "anonymise", 10),
        ("event", "delete", 30),
    }


def test_finishing_a_plan_leaves_no_trace_in_the_workspace(dsn: str) -> None:
    store, who = PostgresStore(shop(), dsn), frozen(dsn, 3)
    plan, _, _ = erase(store, who)
    store.finish(plan)
    assert rows(dsn, "SELECT count(*) FROM privacy_work.operation") == [(0,)]
    assert rows(
        dsn,
        "SELECT count(*) FROM pg_tables WHERE schemaname = 'privacy_work' AND tablename ~ '_[0-9a-f]{32}'",
    ) == [(0,)]
    assert store.probe(plan, who).clean
