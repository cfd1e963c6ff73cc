from __future__ import annotations

import json
from datetime import timedelta
from uuid import UUID

import pytest

from include.privacy.ledger import Ledger
from include.privacy.ledger.journal import CORRECTION, Entry
from include.privacy.ledger.own_retention import EXPIRES, FOR_EVER
from include.privacy.planning.models import Member

from .conftest import AS_OF, LedgerDatabase, make_plan, new_run, receive

PERIODS = {"records_days": 1096, "quarantine_days": 90, "token_days": 30}
FAR = AS_OF + timedelta(days=1500)


def test_every_table_of_the_ledger_expires_or_says_why_it_stays(database: LedgerDatabase) -> None:
    tables = {row[0] for row in database.rows("SELECT tablename FROM pg_tables WHERE schemaname = 'ledger'")}
    assert set(EXPIRES) & set(FOR_EVER) == set()
    assert tables == set(EXPIRES) | set(FOR_EVER)


def test_no_table_that_stays_for_ever_has_anything_sealed_or_matched(database: LedgerDatabase) -> None:
    rows = database.rows(
        "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = 'ledger' "
        "AND column_name ~ '(sealed|match|mark|key_id)$'"
    )
    found = {f"{table}.{column}" for table, column in rows if table in FOR_EVER}
    assert found == {"cohort.key_id"}, "null once the cohort is destroyed"


@pytest.fixture
def lived(ledger: Ledger, database: LedgerDatabase) -> UUID:
    """Something in every table that expires."""
    run = new_run(ledger)
    request = receive(ledger, "4711")
    ledger.issue_token(request, AS_OF, timedelta(days=7))
    unverified = receive(ledger, "4712", verified=False)
    external = ledger.request(unverified).external_id
    ledger.redeem_token(external, "wrong", AS_OF)
    ledger.claim_letter(request, "received", AS_OF)
    ledger.quarantine("inbox", "x-1", "a row without an account", {"any": "thing"})
    cohort = ledger.freeze_cohort([Member("4711", {"email": ("a@example.org",)})], "erasure", run, [request])
    ledger.write_tombstones(cohort, AS_OF + timedelta(days=180), AS_OF)
    entry = Entry("full_name", "4713", {"value": "New", "replaced": ["Old"], "identifiers": {}})
    ledger.note_in_journal(CORRECTION, [entry], AS_OF, AS_OF + timedelta(days=180))
    ledger.note_former_identifiers("4713", {"email": ["wrong@example.org"]}, AS_OF, run)
    plan = ledger.save_plan(make_plan(cohort.id), run)
    ledger.park_plan(plan.id, "too many")
    ledger.decide_plan(plan.id, True, "grace")
    hold = ledger.place_hold("case", "a claim", "grace", "subject", "4714")
    ledger.release_hold(hold, "grace")
    drill = ledger.begin_drill(run, AS_OF)
    ledger.move_drill(drill.id, "planting", "planted", run, AS_OF, planted={"account": "4715"})
    ledger.move_drill(drill.id, "planted", "clearing", run, AS_OF, failure="P6.1: nothing was found")
    ledger.move_drill(drill.id, "clearing", "failed", run, AS_OF)
    ledger.intend_archive(request, "archives", AS_OF, AS_OF + timedelta(days=7))
    with database.as_owner() as connection:
        connection.execute("UPDATE ledger.archive SET deleted_at = %s", [AS_OF])
        connection.execute(
            "INSERT INTO ledger.callback (id, request_id, url, status, queued_at, next_at, delivered_at) "
            "VALUES (gen_random_uuid(), %s, 'https://x.example', 'completed', %s, %s, %s)",
            [request, AS_OF, AS_OF, AS_OF],
        )
    for each in (request, unverified):
        ledger.close_request(each, "refused", None, {}, AS_OF, reason="other")
    return run


def personal(database: LedgerDatabase) -> dict[str, int]:
    """Rows of every table that expires; of plans those with a name."""
    counts = {}
    for table in EXPIRES:
        where = " WHERE decided_by_sealed IS NOT NULL" if table == "plan" else ""
        counts[table] = int(str(database.rows(f"SELECT count(*) FROM ledger.{table}{where}")[0][0]))
    return {table: n for table, n in counts.items() if n}


def test_past_every_period_nothing_is_left_that_identifies_anybody(
    ledger: Ledger, database: LedgerDatabase, lived: UUID
) -> None:
    before = personal(database)
    assert set(before) >= {
        "request", "letter", "cohort_page", "hold", "drill", "plan", "archive", "quarantine", "callback",
        "verification_token", "verification_attempt", "tombstone", "journal_entry", "former_identifier",
        "sealing_key",
    }  # fmt: skip
    dry = ledger.expire_own_records(FAR, **PERIODS, dry_run=True)
    assert personal(database) == before, "a dry run takes everything back"
    live = ledger.expire_own_records(FAR, **PERIODS)
    assert live == dry
    assert personal(database) == {}
    assert len(database.evidence("own_records_expired")) == 1
    assert not any(ledger.expire_own_records(FAR, **PERIODS).values()), "twice: nothing to do"
    assert len(database.evidence("own_records_expired")) == 1


def test_what_is_not_due_stays(ledger: Ledger, database: LedgerDatabase, lived: UUID) -> None:
    before = personal(database)
    assert not any(ledger.expire_own_records(AS_OF + timedelta(days=1), **PERIODS).values())
    assert personal(database) == before
    counts = ledger.expire_own_records(AS_OF + timedelta(days=181), **PERIODS)
    assert counts["tombstones"] == 2 and counts["tokens"] == 1 and counts["requests"] == 0
    assert list(ledger.journal(CORRECTION, None)) == []
    assert ledger.match_tombstones("subject", ["4711"]) == set()


def test_the_journal_keeps_every_value_that_was_replaced_and_forgets_with_the_person(
    ledger: Ledger, database: LedgerDatabase
) -> None:
    def note(value: str, old: str, at: int) -> int:
        entry = Entry("full_name", "4713", {"value": value, "replaced": [old], "identifiers": {}})
        when = AS_OF + timedelta(hours=at)
        return ledger.note_in_journal(CORRECTION, [entry], when, when + timedelta(days=180))

    assert (note("B", "A", 0), note("B", "A", 1), note("C", "B", 2)) == (1, 0, 1)
    (found,) = ledger.journal(CORRECTION, None)
    assert (found.key, found.body["value"], found.body["replaced"]) == ("4713", "C", ["A", "B"])
    assert list(ledger.journal(CORRECTION, AS_OF + timedelta(hours=3))) == []
    dump = json.dumps([str(row) for row in database.rows("SELECT * FROM ledger.journal_entry")])
    assert "4713" not in dump and "full_name" not in dump
    assert ledger.forget_people(["4714"]) == 0
    assert ledger.forget_people(["4713"]) == 1
    assert list(ledger.journal(CORRECTION, None)) == []


def test_an_entry_that_ends_before_it_begins_is_refused(ledger: Ledger) -> None:
    with pytest.raises(ValueError, match="expires_at"):
        ledger.note_in_journal(CORRECTION, [Entry("x", "1", {})], AS_OF, AS_OF)
