"""Requests end to end: taken in, erased, proved, answered; each judged alone."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import psycopg
import pytest
from psycopg.types.json import Jsonb

from include.sandbox.platform.people import MARKERS
from tests.runs.conftest import Estate

pytestmark = pytest.mark.timeout(150)
DAG = "fulfil_erasure_requests"
ASKER = MARKERS[1]


def _active(estate: Estate, offset: int) -> int:
    query = "SELECT id FROM accounts WHERE status = 'active' AND id < 900000000 ORDER BY id OFFSET %s LIMIT 1"
    found = estate.value("accounts", query, offset)
    assert isinstance(found, int)
    return found


@pytest.mark.whole_dag
def test_a_request_is_fulfilled_proved_and_answered(estate: Estate, content: Callable[[int], int]) -> None:
    assert content(ASKER.account_id) > 0
    external, again = estate.ask(ASKER.account_id), estate.ask(ASKER.account_id)
    others = estate.value("accounts", "SELECT count(*) FROM accounts") - 1

    run = estate.fulfil("erasure")

    assert run.state == "success", estate.states(run)
    assert content(ASKER.account_id) == 0
    assert estate.value("accounts", "SELECT count(*) FROM accounts") == others
    assert (
        estate.value("practice", "SELECT count(*) FROM learners WHERE account_id = %s", ASKER.account_id) == 0
    )
    request = estate.ledger.find_request(external)
    assert request is not None
    assert request.state in ("completed", "completed_with_retention")
    assert request.subject_key is None
    assert request.residual_until is not None
    assert request.residual_until <= estate.as_of + timedelta(days=180)
    answers = estate.answers()
    assert {a["request_id"] for a in answers} == {external, again}, "the person asked twice"
    answer = answers[0]
    assert answer["kind"] == f"erasure_{request.state}"
    assert str(ASKER.account_id) not in str(answer["body"])
    assert estate.ledger.match_tombstones("email", ASKER.emails) == set(ASKER.emails)

    twice = estate.fulfil("erasure", as_of=estate.as_of + timedelta(minutes=15))
    assert twice.state == "success", estate.states(twice)
    assert estate.answers() == []


@pytest.mark.whole_dag
def test_one_bad_request_stops_none_of_the_others(estate: Estate) -> None:
    good, held = _active(estate, 3), _active(estate, 4)
    hold = estate.ledger.place_hold("2026-119", "litigation", "counsel", "subject", str(held))
    ok, parked = estate.ask(good), estate.ask(held)
    unverified = estate.ask(_active(estate, 5), verified=False)
    with psycopg.connect(estate.platform.dsn("accounts")) as accounts:
        accounts.execute(
            """INSERT INTO privacy_inbox
                   (request_id, kind, account_id, "right", channel, received_at, verified_at, verification)
               VALUES ('00000000-0000-4000-8000-000000000001', 'opened', 987654321, 'erasure', 'app',
                       %(hour_ago)s, %(hour_ago)s, %(session)s),
                      ('00000000-0000-4000-8000-000000000002', 'opened', 101, 'erasure', 'app',
                       %(future)s, NULL, '{}'),
                      ('00000000-0000-4000-8000-000000000003', 'withdrawn', 101, 'erasure', 'app',
                       %(long_ago)s, NULL, '{}')""",
            {
                "hour_ago": (asked := estate.as_of - timedelta(hours=1)),
                "session": Jsonb(
                    {"method": "session", "strength": "mfa", "authenticated_at": asked.isoformat()}
                ),
                "future": estate.as_of + timedelta(days=400),
                "long_ago": estate.as_of - timedelta(hours=5),
            },
        )

    run = estate.fulfil("erasure")

    assert run.state == "success", estate.states(run)
    find = estate.ledger.find_request
    assert find(ok).state.startswith("completed")
    assert find(parked).state == "on_hold"
    assert find(unverified).state == "verifying"
    unknown = find("00000000-0000-4000-8000-000000000001")
    assert unknown.state == "refused"
    reasons = sorted(row.reason for row in estate.ledger.quarantined())
    assert len(reasons) == 2
    assert any("future" in reason for reason in reasons)
    assert any("never opened" in reason for reason in reasons)
    assert estate.value("accounts", "SELECT count(*) FROM accounts WHERE id = %s", held) == 1
    kinds = {answer["kind"].split("_")[1] for answer in estate.answers()}
    assert kinds == {"received", "completed", "refused"}

    # The release resumes what the hold had parked.
    assert estate.run("release_legal_hold", {"hold_id": str(hold)}).state == "success"
    resumed = estate.fulfil("erasure", as_of=estate.as_of + timedelta(minutes=15))
    assert resumed.state == "success", estate.states(resumed)
    assert find(parked).state.startswith("completed")


def test_a_run_interrupted_before_the_root_goes_on_with_the_same_cohort(
    estate: Estate, monkeypatch: pytest.MonkeyPatch
) -> None:
    from include.privacy.stores.postgres import PostgresStore

    person = _active(estate, 7)
    external = estate.ask(person)
    real = PostgresStore.execute

    def down(self: PostgresStore, *args: object, **more: object) -> object:
        if self.name == "accounts":
            raise OSError("the database is down")
        return real(self, *args, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(PostgresStore, "execute", down)
    broken = estate.fulfil("erasure")
    assert broken.state == "failed"
    assert estate.value("practice", "SELECT count(*) FROM learners WHERE account_id = %s", person) == 0
    assert estate.value("accounts", "SELECT count(*) FROM accounts WHERE id = %s", person) == 1
    assert estate.ledger.find_request(external).state == "executing"

    monkeypatch.setattr(PostgresStore, "execute", real)
    run = estate.fulfil("erasure", as_of=estate.as_of + timedelta(minutes=15))
    assert run.state == "success", estate.states(run)
    assert estate.value("accounts", "SELECT count(*) FROM accounts WHERE id = %s", person) == 0
    assert estate.ledger.find_request(external).state.startswith("completed")


def test_only_those_of_whom_the_law_keeps_something_are_told_so(estate: Estate) -> None:
    billed = "SELECT account_id FROM invoices WHERE account_id < 900000000 LIMIT 1"
    unbilled = """SELECT id FROM accounts a WHERE status = 'active' AND id < 900000000
                  AND NOT EXISTS (SELECT FROM invoices i WHERE i.account_id = a.id) LIMIT 1"""
    with_invoice = estate.ask(estate.value("accounts", billed))
    without = estate.ask(estate.value("accounts", unbilled))
    run = estate.fulfil("erasure")
    assert run.state == "success", estate.states(run)
    kinds = {a["request_id"]: a["kind"] for a in estate.answers()}
    assert kinds == {with_invoice: "erasure_completed_with_retention", without: "erasure_completed"}


def test_a_store_that_cannot_be_planned_stops_the_deletion_and_keeps_the_request_open(
    estate: Estate, monkeypatch: pytest.MonkeyPatch
) -> None:
    from include.privacy.planning.models import PlanError
    from include.privacy.stores.postgres import PostgresStore

    person = _active(estate, 9)
    external = estate.ask(person)
    real = PostgresStore.plan_erasure

    def refuse(self: PostgresStore, *args: object, **more: object) -> object:
        if self.name == "practice":
            raise PlanError("an unmapped table restricts the deletion")
        return real(self, *args, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(PostgresStore, "plan_erasure", refuse)
    run = estate.fulfil("erasure")
    assert run.state == "failed"
    assert estate.value("accounts", "SELECT count(*) FROM accounts WHERE id = %s", person) == 1
    assert estate.ledger.find_request(external).state == "executing"
