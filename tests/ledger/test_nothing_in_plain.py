"""A full dump of the ledger is searched for a person who passed through every part of it."""

from __future__ import annotations

import base64
import hashlib
import subprocess
from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy.exc import DBAPIError

from include.privacy.ledger import Ledger, SealBroken
from include.privacy.ledger.receiving import receive_request
from include.privacy.planning.models import Member, Outcome
from include.sandbox.postgres import find_binaries

from .conftest import AS_OF, LedgerDatabase, make_plan

SUBJECT, EMAIL, NAME, ADDRESS = (
    "918273645546372819",
    "zelda.marker@example.org",
    "Zelda Markerwell",
    "203.0.113.77",
)
STAFF = "grace.officer@example.org"


def live_through_everything(ledger: Ledger, run_id: UUID) -> None:
    details = {"name": NAME, "email": EMAIL, "ip": ADDRESS}
    due = AS_OF + timedelta(days=20)
    request = ledger.receive_request("ext-1", "erasure", SUBJECT, AS_OF, AS_OF, "account_page", details, due)
    ledger.receive_request("ext-2", "erasure", SUBJECT, AS_OF, None, "account_page", details, due)
    ledger.receive_request("ext-3", "access", SUBJECT, AS_OF, None, "account_page", details, due)
    ledger.acknowledge_request(request)
    ledger.claim_requests(run_id, "erasure")
    agent = {"name": NAME, "email": EMAIL}
    with_agent = ledger.receive_request(
        "ext-4",
        "rectification",
        SUBJECT,
        AS_OF,
        None,
        "letter",
        details,
        due,
        agent=agent,
        verification={"method": f"seen by {STAFF}"},
    )
    ledger.issue_token(with_agent, AS_OF, timedelta(days=7))
    ledger.redeem_token("ext-4", EMAIL, AS_OF)
    asked = ledger.ask_decision(
        "refusal", with_agent, {"why": EMAIL}, ["refuse", "go_on"], "go_on", AS_OF, due, STAFF
    )
    ledger.answer_decision(asked, "go_on", f"{NAME} is right", STAFF, AS_OF)
    ledger.record_recipient(with_agent, "stripe", "pending", due, {"note": EMAIL})
    ledger.extend_request(with_agent, due + timedelta(days=60), {"gdpr": due}, f"complex: {EMAIL}")
    cohort = ledger.freeze_cohort([Member(SUBJECT, {"email": (EMAIL,)})], "erasure", run_id, [request])
    plan = make_plan(cohort.id)
    ledger.save_plan(plan, run_id)
    ledger.park_plan(plan.id, f"asked because of {EMAIL}")
    ledger.decide_plan(plan.id, True, STAFF)
    ledger.record_intent(plan.id)
    ledger.record_outcome(plan.id, 0, Outcome("practice", blocked=[f"row of {EMAIL} from {ADDRESS}"]))
    ledger.place_hold(f"{NAME} v. us", f"{EMAIL} sues", STAFF, "subject", SUBJECT)
    ledger.write_tombstones(cohort, AS_OF + timedelta(days=100), AS_OF)
    ledger.note_former_identifiers(SUBJECT, {"email": [EMAIL]}, AS_OF, run_id)
    ledger.quarantine("queue", EMAIL, f"unknown sender {EMAIL}", {"from": EMAIL, "name": NAME, "id": SUBJECT})
    ledger.record_breach(run_id, "purge", "practice", 1, None, f"{EMAIL} is held")
    ledger.append_evidence("note", {EMAIL: ADDRESS}, run_id=run_id)
    ledger.close_run(run_id, {"failed": EMAIL})


def test_a_dump_of_the_ledger_names_nobody(ledger: Ledger, run_id: UUID, database: LedgerDatabase) -> None:
    live_through_everything(ledger, run_id)
    dump = subprocess.run(
        [
            find_binaries() / "pg_dump",
            "--inserts",
            database.owner_dsn.replace("postgresql+psycopg", "postgresql"),
        ],
        check=True,
        capture_output=True,
        timeout=60,
    ).stdout
    assert b"ext-1" in dump
    for marker in (SUBJECT, EMAIL, NAME, ADDRESS, STAFF, "Zelda", "zelda", "Markerwell", "grace.officer"):
        for form in (marker.encode(), marker.encode().hex().encode()):
            assert form not in dump, f"{marker} is in the dump"


def test_no_bare_hash_of_an_identifier_is_in_the_ledger(
    ledger: Ledger, run_id: UUID, database: LedgerDatabase
) -> None:
    live_through_everything(ledger, run_id)
    dump = subprocess.run(
        [find_binaries() / "pg_dump", "--inserts", database.owner_dsn],
        check=True,
        capture_output=True,
        timeout=60,
    ).stdout.lower()
    assert b"ledger.evidence" in dump
    values = [
        SUBJECT,
        EMAIL,
        EMAIL.upper(),
        NAME,
        NAME.lower(),
        ADDRESS,
        STAFF,
        f"email:{EMAIL}",
        f"user:{STAFF}",
    ]
    for value in values:
        for algorithm in ("md5", "sha1", "sha224", "sha256", "sha384", "sha512", "blake2b", "blake2s"):
            digest = hashlib.new(algorithm, value.encode()).digest()
            # Shortened ones count too.
            for form in (digest.hex()[:12].encode(), base64.b64encode(digest)[:12].lower()):
                assert form not in dump, f"the {algorithm} of {value} is in the dump"


def test_another_master_key_reads_nothing(ledger: Ledger, run_id: UUID, database: LedgerDatabase) -> None:
    live_through_everything(ledger, run_id)
    with Ledger(database.dag_dsn, bytes(32)) as stranger:
        with pytest.raises(SealBroken):
            stranger.requests(["executing"])
        with pytest.raises(SealBroken), stranger.hold_gate()():
            pytest.fail("the gate must not open")


def test_a_database_error_does_not_show_what_it_was_about(ledger: Ledger) -> None:
    with pytest.raises(DBAPIError) as caught, ledger.sessions.begin() as session:
        receive_request(
            session,
            ledger.sealer,
            "e",
            None,  # type: ignore[arg-type]
            SUBJECT,
            AS_OF,
            None,
            "account_page",
            {"email": EMAIL},
            AS_OF,
        )
    assert not any(marker in str(caught.value) for marker in (EMAIL, SUBJECT))
