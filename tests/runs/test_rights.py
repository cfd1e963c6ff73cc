"""Access, portability, rectification and objection, each from the click to the answer, and twice."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from urllib.error import HTTPError
from urllib.request import urlopen

import psycopg
import pytest

from include.sandbox.platform import jobs
from include.sandbox.platform.people import MARKERS
from include.sandbox.processors.mailbox import read_mailbox
from tests.runs.conftest import Estate

pytestmark = pytest.mark.timeout(300)
ASKER = MARKERS[1]
QUARTER = timedelta(minutes=15)


def person(estate: Estate, offset: int) -> int:
    query = """SELECT id FROM accounts WHERE status = 'active' AND id < 900000000
               AND id IN (SELECT account_id FROM consents) ORDER BY id OFFSET %s LIMIT 1"""
    return int(estate.value("accounts", query, offset))


def answered(estate: Estate, external: str, kind: str) -> dict[str, Any]:
    """The one answer of a kind to a request."""
    found = [a for a in estate.answers() if a["request_id"] == external and a["kind"] == kind]
    assert len(found) == 1
    body: dict[str, Any] = found[0]["body"]
    return body


def unpacked(body: dict[str, Any]) -> dict[str, bytes]:
    """What a person gets who follows the link and types the passphrase."""
    from stream_unzip import stream_unzip

    with urlopen(body["url"]) as answer:
        packed = answer.read()
    return {
        name.decode(): b"".join(chunks)
        for name, _, chunks in stream_unzip([packed], password=body["passphrase"].encode())
    }


def closed(estate: Estate, external: str) -> Any:
    row = estate.ledger.find_request(external)
    assert row is not None and row.closed_at is not None, row
    assert (row.subject_key, row.details) == (None, None), "the vault is gone"
    return row


def recipients(estate: Estate, external: str) -> dict[str, str]:
    row = estate.ledger.find_request(external)
    return {r.recipient: r.state for r in estate.ledger.recipients(row.id)}


@pytest.mark.whole_dag
def test_an_access_request_is_answered_with_everything_that_is_held(
    estate: Estate, content: Callable[[int], int]
) -> None:
    assert content(ASKER.account_id) > 0
    external = estate.ask(ASKER.account_id, "access")
    run = estate.fulfil("access")
    assert run.state == "success", estate.states(run)

    body = answered(estate, external, "access_ready")
    files = unpacked(body)
    assert {"index.html", "information.json", "glossary.json", "redactions.json", "manifest.json"} <= set(
        files
    )
    account = json.loads(files["data/accounts/accounts.json"])
    assert [row["email"] for row in account] == [ASKER.emails[0]]
    assert len(json.loads(files["data/practice/attempts.json"])) == estate.value(
        "practice", "SELECT count(*) FROM attempts WHERE learner_id = %s", ASKER.account_id
    )
    assert any(name.startswith("files/user_content/") for name in files)
    assert [r["reference"] for r in json.loads(files["data/ledger/requests.json"])] == [external]
    named = {r["name"] for r in json.loads(files["information.json"])["recipients"]}
    assert any("Amazon" in name for name in named) and any("SendGrid" in name for name in named)
    row = closed(estate, external)
    assert row.state == "completed" and body["passphrase"] not in json.dumps(row.answer)
    assert recipients(estate, external)["accounts"] == "exported"
    letters = [m for m in read_mailbox(estate.world) if external in m.text]
    assert [m.to for m in letters] == [ASKER.emails[0]] * 2
    assert body["passphrase"] not in letters[-1].text + letters[-1].html

    twice = estate.fulfil("access", as_of=estate.as_of + QUARTER)
    assert twice.state == "success"
    assert estate.answers() == []


@pytest.mark.whole_dag
def test_a_portability_package_holds_nothing_inferred(estate: Estate) -> None:
    external = estate.ask(ASKER.account_id, "portability")
    run = estate.fulfil("portability")
    assert run.state == "success", estate.states(run)
    files = unpacked(answered(estate, external, "portability_ready"))
    package = json.loads(files["datapackage.json"])
    assert {"data/practice/attempts.csv", "data/practice/attempts.jsonl"} <= set(files)
    assert not any("recommendations" in name for name in files)
    assert all(r["path"] in files for r in package["resources"])
    assert closed(estate, external).state == "completed"


def test_an_archive_is_gone_after_seven_days(estate: Estate, s3_client: Any) -> None:
    external = estate.ask(ASKER.account_id, "access")
    assert estate.fulfil("access").state == "success"
    row = estate.ledger.find_request(external)
    (archive,) = estate.ledger.archives(row.id)
    bucket = {"Bucket": "practice-engine-privacy-archives", "Prefix": archive.object_key}
    assert len(s3_client.list_object_versions(**bucket)["Versions"]) == 1
    assert estate.run("expire_request_archives", as_of=estate.as_of + timedelta(days=6)).state == "success"
    assert len(s3_client.list_object_versions(**bucket)["Versions"]) == 1
    assert estate.run("expire_request_archives", as_of=estate.as_of + timedelta(days=7)).state == "success"
    assert s3_client.list_object_versions(**bucket).get("Versions", []) == []
    assert [a.delete_reason for a in estate.ledger.archives(row.id)] == ["expired"]


def test_a_revoked_archive_is_gone_and_its_link_leads_nowhere(estate: Estate) -> None:
    external = estate.ask(ASKER.account_id, "access")
    assert estate.fulfil("access").state == "success"
    body = answered(estate, external, "access_ready")
    assert estate.run("revoke_request_archive", {"request_id": external}).state == "success"
    with pytest.raises(HTTPError, match="404"):
        urlopen(body["url"])
    row = estate.ledger.find_request(external)
    assert [a.delete_reason for a in estate.ledger.archives(row.id)] == ["revoked"]
    assert estate.run("revoke_request_archive", {"request_id": external}).state == "failed", "nothing is left"


def test_one_archive_that_fails_stops_none_of_the_others(
    estate: Estate, monkeypatch: pytest.MonkeyPatch
) -> None:
    from include.privacy.stores.archive_bucket import ArchiveBucket

    bad, good = person(estate, 1), person(estate, 2)
    asked = {bad: estate.ask(bad, "access"), good: estate.ask(good, "access")}
    broken = estate.ledger.find_request
    real = ArchiveBucket.upload

    def upload(self: ArchiveBucket, archive_id: Any, chunks: Any) -> Any:
        request = next(
            r for r in estate.ledger.requests(["executing"]) if str(archive_id) in str(r.details["archive"])
        )
        if request.subject_key == str(bad):
            next(iter(chunks))
            raise OSError("the line broke")
        return real(self, archive_id, chunks)

    monkeypatch.setattr(ArchiveBucket, "upload", upload)
    first = estate.fulfil("access")
    assert first.state == "failed"
    assert (broken(asked[bad]).state, broken(asked[good]).state) == ("executing", "completed")
    monkeypatch.setattr(ArchiveBucket, "upload", real)
    second = estate.fulfil("access", as_of=estate.as_of + QUARTER)
    assert second.state == "success", estate.states(second)
    assert closed(estate, asked[bad]).state == "completed"
    assert len(unpacked(answered(estate, asked[bad], "access_ready"))) > 5


def test_what_a_person_asked_to_see_is_shown_before_it_is_erased(estate: Estate) -> None:
    erasure = estate.ask(ASKER.account_id)
    access = estate.ask(ASKER.account_id, "access", verified=False)
    run = estate.fulfil("erasure")
    assert run.state == "success", estate.states(run)
    assert estate.ledger.find_request(erasure).state == "assessing"
    assert estate.ledger.find_request(access).state == "assessing", "verified for one, verified for both"
    assert estate.run("fulfil_access_requests").state == "success"
    body = answered(estate, access, "access_ready")
    assert estate.fulfil("erasure", as_of=estate.as_of + QUARTER).state == "success"
    assert closed(estate, erasure).state.startswith("completed")
    account = json.loads(unpacked(body)["data/accounts/accounts.json"])
    assert account[0]["id"] == ASKER.account_id


@pytest.mark.whole_dag
def test_a_correction_is_in_every_store_and_the_old_value_nowhere(estate: Estate) -> None:
    who = person(estate, 4)
    old = estate.value("accounts", "SELECT email FROM accounts WHERE id = %s", who)
    new = {"full_name": "Marisol Quintanilla", "email": "marisol.quintanilla@example.org"}
    external = estate.ask(who, "rectification", details={"corrections": {**new, "shoe_size": "44"}})
    run = estate.fulfil("rectification")
    assert run.state == "success", estate.states(run)

    found = estate.value("accounts", "SELECT full_name || ' ' || email FROM accounts WHERE id = %s", who)
    assert found == f"{new['full_name']} {new['email']}"
    assert estate.value("accounts", "SELECT count(*) FROM account_audit WHERE old_email = %s", old) == 0
    setting = "SELECT settings ->> 'notification_email' FROM learners WHERE account_id = %s"
    assert estate.value("practice", setting, who) in (None, new["email"])
    for store in ("accounts", "practice"):
        work = (
            "SELECT count(*) FROM pg_tables WHERE schemaname = 'privacy_work' AND tablename ~ '[0-9a-f]{32}'"
        )
        assert estate.value(store, work) == 0
        gone = "SELECT count(*) FROM privacy_restrictions WHERE account_id = %s"
        assert estate.value(store, gone, who) == 0, "the restriction ended with the correction"
    body = answered(estate, external, "rectification_completed")
    assert sorted(body["corrected"]) == ["email", "full_name"]
    assert body["unchanged"] and "44" not in str(body)
    closed(estate, external)
    letter = [m for m in read_mailbox(estate.world) if external in m.text][-1]
    assert letter.to == new["email"] and "Quintanilla" not in letter.text


def test_an_address_that_somebody_else_has_is_refused_and_no_copy_changes(estate: Estate) -> None:
    who, other = person(estate, 5), person(estate, 6)
    taken = estate.value("accounts", "SELECT email FROM accounts WHERE id = %s", other)
    before = estate.value("accounts", "SELECT email FROM accounts WHERE id = %s", who)
    settings = "SELECT settings::text FROM learners WHERE account_id = %s"
    kept = estate.value("practice", settings, who)
    external = estate.ask(who, "rectification", details={"corrections": {"email": taken}})
    run = estate.fulfil("rectification")
    assert run.state == "success", estate.states(run)
    assert estate.value("accounts", "SELECT email FROM accounts WHERE id = %s", who) == before
    assert estate.value("practice", settings, who) == kept
    row = closed(estate, external)
    assert (row.state, row.reason) == ("refused", "other")
    assert taken not in str(row.answer)


def recommended(estate: Estate) -> set[int]:
    with psycopg.connect(estate.platform.dsn("practice", jobs.RECOMMENDER)) as connection:
        return set(jobs.recommend(connection))


def analysed(estate: Estate) -> int:
    with psycopg.connect(estate.platform.dsn("practice", jobs.ANALYTICS)) as connection:
        return sum(line.attempts for line in jobs.analyse(connection))


@pytest.mark.whole_dag
def test_an_objection_to_what_is_optional_stops_it_in_the_next_query(estate: Estate) -> None:
    who = next(iter(sorted(recommended(estate))))
    external = estate.ask(who, "objection", details={"purposes": ["personalize.content"]})
    assert who in recommended(estate)
    run = estate.fulfil("objection")
    assert run.state == "success", estate.states(run)
    assert who not in recommended(estate)
    assert answered(estate, external, "objection_decided")["stopped"] == ["personalize.content"]
    assert closed(estate, external).state == "completed"
    assert recipients(estate, external) == {"accounts": "stopped", "practice": "stopped"}


@pytest.mark.parametrize(("answer", "stays"), [("stop", False), ("continue", True)])
def test_an_objection_to_a_legitimate_interest_is_restricted_then_weighed(
    estate: Estate, answer: str, stays: bool
) -> None:
    who = ASKER.account_id
    before = analysed(estate)
    external = estate.ask(who, "objection", details={"purposes": ["analytics.reporting"]})
    assert estate.fulfil("objection").state == "success"
    assert analysed(estate) < before, "restricted at once"
    row = estate.ledger.find_request(external)
    assert row.state == "awaiting_decision"
    (question,) = estate.ledger.decisions(request_id=row.id)
    assert question.default_option == "stop", "silence never harms the person"
    estate.ledger.answer_decision(question.id, answer, "Needed to pay mentors.", "counsel", estate.as_of)
    estate.ledger.transition(row.id, "assessing", "decided")

    assert estate.fulfil("objection", as_of=estate.as_of + QUARTER).state == "success"
    assert (analysed(estate) == before) is stays
    body = answered(estate, external, "objection_decided")
    assert body["continued" if stays else "stopped"] == ["analytics.reporting"]
    closed(estate, external)
    letter = [m for m in read_mailbox(estate.world) if external in m.text][-1]
    assert ("Needed to pay mentors." in letter.text) is stays


def test_an_objection_to_what_the_contract_needs_is_refused_with_the_remedies(estate: Estate) -> None:
    external = estate.ask(
        person(estate, 8), "objection", details={"purposes": ["essential.service.operations"]}
    )
    assert estate.fulfil("objection").state == "success"
    row = closed(estate, external)
    assert (row.state, row.reason) == ("refused", "not_eligible_purpose")


def test_marketing_stays_stopped_after_the_person_is_erased(estate: Estate) -> None:
    from include.privacy.runtime import runtime

    with psycopg.connect(estate.platform.dsn("accounts")) as accounts:
        accounts.execute(
            """INSERT INTO newsletter_subscribers (email, first_name, subscribed_at, confirmed_at)
               VALUES (%s, 'T', now(), now()) ON CONFLICT (email) DO UPDATE SET confirmed_at = now()""",
            (ASKER.emails[0],),
        )

    def mailed() -> list[str]:
        with psycopg.connect(estate.platform.dsn("accounts", jobs.MARKETING)) as connection:
            return jobs.newsletter(connection, runtime().suppression_key())

    assert ASKER.emails[0] in mailed()
    estate.ask(ASKER.account_id, "objection", details={"purposes": ["marketing.communications.email"]})
    assert estate.fulfil("objection").state == "success"
    assert ASKER.emails[0] not in mailed()
    estate.ask(ASKER.account_id)
    assert estate.fulfil("erasure", as_of=estate.as_of + QUARTER).state == "success"
    with psycopg.connect(estate.platform.dsn("accounts")) as accounts:
        accounts.execute(
            "INSERT INTO newsletter_subscribers VALUES (%s, 'T', NULL, now(), now())", (ASKER.emails[0],)
        )
    assert ASKER.emails[0] not in mailed(), "an import that brings the address back is caught"


def test_nobody_is_used_for_anything_while_their_erasure_is_under_way(
    estate: Estate, monkeypatch: pytest.MonkeyPatch
) -> None:
    from include.privacy.stores.postgres import PostgresStore

    who = next(iter(sorted(recommended(estate))))
    external = estate.ask(who)

    def down(self: PostgresStore, *args: object, **more: object) -> object:
        raise OSError("the database is down")

    monkeypatch.setattr(PostgresStore, "execute", down)
    assert estate.fulfil("erasure").state == "failed"
    assert estate.ledger.find_request(external).state == "executing"
    assert who not in recommended(estate)
