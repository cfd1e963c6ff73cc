"""After a correction the old address is nowhere at the platform, and what knows the person by it is found."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from uuid import UUID

import psycopg
import pytest

from include.sandbox.processors.control import ProcessorControl
from include.sandbox.processors.seeding import platform_people
from include.sandbox.rights import _files
from tests.runs.conftest import PROMPT, Estate
from tests.runs.test_crash_in_every_step import DiedError, every_task_dies_once

pytestmark = pytest.mark.timeout(300)
TICKET = """INSERT INTO support_tickets
    (account_id, requester_email, requester_name, subject, body, status, created_at)
    VALUES (%s, %s, 'T', 'question', 'who wrote this never signed in', 'closed', now()) RETURNING id"""


class Corrected:
    """Somebody whom the mailers know, and their address before and after the correction."""

    def __init__(self, estate: Estate) -> None:
        self.estate, self.at = estate, estate.as_of
        names = ("postmark", "sendgrid")
        self.control = {name: ProcessorControl(estate.world.processor_endpoints[name]) for name in names}
        self.person = next(self._known_to_postmark())
        self.account, self.old = int(self.person["account_id"]), str(self.person["email"])
        self.new = f"corrected-{self.account}@people.example"
        self.control["sendgrid"].seed([self.person])
        self.ticket = self.insert(TICKET, None, self.old)

    def _known_to_postmark(self) -> Iterator[dict[str, Any]]:
        active = "SELECT status FROM accounts WHERE id = %s"
        for person in platform_people(self.estate.platform.dsn("accounts")):
            self.control["postmark"].begin_again()
            self.control["postmark"].configure(**PROMPT["postmark"])
            if self.estate.value("accounts", active, person["account_id"]) == "active":
                self.control["postmark"].seed([person])
                if person["newsletter"] and self.control["postmark"].state()["opens"]:
                    yield person

    def insert(self, query: str, *values: Any) -> Any:
        with psycopg.connect(self.estate.platform.dsn("accounts")) as accounts:
            row = accounts.execute(query.encode(), values).fetchone()
            return row[0] if row else None

    def correct(self) -> None:
        details = {"corrections": {"email": self.new}}
        self.estate.ask(self.account, "rectification", details=details)
        assert self.fulfil("rectification").state == "success"
        self.settle()
        # A provider that answers late still says that the old address bounced.
        self.control["sendgrid"].seed([{**self.person, "email": self.new, "former_emails": [self.old]}])

    def settle(self) -> None:
        """The mailers finish what they were asked."""
        for _ in range(8):
            if not self.estate.ledger.requests(["awaiting_recipients"]):
                return
            self.at += timedelta(minutes=30)
            self.estate.settle(as_of=self.at)

    def fulfil(self, right: str) -> Any:
        self.at += timedelta(hours=1)
        return self.estate.fulfil(right, as_of=self.at)

    def erase(self) -> str:
        external = self.estate.ask(self.account)
        run = self.fulfil("erasure")
        assert run.state == "success", self.estate.states(run)
        self.settle()
        return external

    def tickets(self) -> int:
        query = "SELECT count(*) FROM support_tickets WHERE requester_email = %s"
        return int(self.estate.value("accounts", query, self.old))

    def text(self, name: str) -> str:
        return json.dumps(self.control[name].state())

    def known_as(self) -> dict[str, tuple[str, ...]]:
        found = self.estate.ledger.former_identifiers([str(self.account)])
        return found.get(str(self.account), {})

    def outcomes(self, request_id: UUID) -> dict[str, Any]:
        return {r.recipient: (r.state, r.detail) for r in self.estate.ledger.recipients(request_id)}

    def bodies(self, kind: str) -> list[dict[str, Any]]:
        return [dict(e.body) for e in self.estate.ledger.evidence(kind=kind)]


@pytest.fixture
def corrected(estate: Estate) -> Corrected:
    return Corrected(estate)


def test_an_erasure_finds_what_knows_the_person_by_an_address_that_was_corrected(
    estate: Estate, corrected: Corrected
) -> None:
    corrected.correct()
    assert corrected.known_as() == {"email": (corrected.old,)}
    columns = [("accounts", "email"), ("former_emails", "email"), ("account_audit", "old_email")]
    for table, column in columns:
        query = f"SELECT count(*) FROM {table} WHERE {column} = %s"
        assert estate.value("accounts", query, corrected.old) == 0, "P6.2: gone from the platform"
    assert corrected.tickets() == 1 and corrected.old in corrected.text("postmark")
    assert corrected.old in json.dumps(corrected.control["sendgrid"].state()["suppressions"])

    access = estate.ask(corrected.account, "access")
    assert corrected.fulfil("access").state == "success"
    (ready,) = (a for a in estate.answers() if a["request_id"] == access and a["kind"] == "access_ready")
    files = _files(ready["body"])
    tickets = [json.loads(files[name]) for name in files if name.startswith("data/accounts/support_tickets")]
    assert corrected.ticket in [t["id"] for found in tickets for t in found], sorted(files)
    assert corrected.old in files["data/postmark/messages.json"].decode()
    kept = json.loads(files["data/ledger/former_identifiers.json"])
    assert kept == [{"kind": "email", "value": corrected.old}], "what we keep ourselves is shown too"

    external = corrected.erase()
    row = estate.ledger.find_request(external)
    assert row is not None and row.state.startswith("completed"), corrected.outcomes(row.id)
    assert corrected.tickets() == 0
    assert corrected.old not in corrected.text("postmark")
    assert corrected.old not in json.dumps(corrected.control["sendgrid"].state()["suppressions"])
    assert corrected.known_as() == {}, "forgotten with the person"
    assert corrected.bodies("former_identifiers_forgotten") == [{"values": 1, "because": "erasure"}]
    assert estate.ledger.match_tombstones("email", [corrected.old]) == {corrected.old}, "nor after a restore"
    again = corrected.fulfil("erasure")
    assert again.state == "success", "twice: nothing to do"


@pytest.mark.parametrize("with_account", [True, False])
def test_an_address_that_is_somebody_elses_today_leads_no_erasure_to_them(
    estate: Estate, corrected: Corrected, with_account: bool
) -> None:
    corrected.correct()
    if with_account:
        other = """INSERT INTO accounts (public_id, email, full_name, created_at)
                   VALUES (gen_random_uuid(), %s, 'Somebody Else', now()) RETURNING id"""
        corrected.insert(other, corrected.old)
    else:
        corrected.insert(
            "INSERT INTO newsletter_subscribers (email, first_name, subscribed_at) VALUES (%s, 'E', now()) "
            "RETURNING 1",
            corrected.old,
        )
    theirs = corrected.control["sendgrid"].state()["suppressions"]

    external = corrected.erase()
    row = estate.ledger.find_request(external)
    assert row is not None and row.state.startswith("completed"), corrected.outcomes(row.id)
    gone = "SELECT count(*) FROM accounts WHERE id = %s"
    assert estate.value("accounts", gone, corrected.account) == 0
    assert corrected.tickets() == 1 and corrected.old in corrected.text("postmark")
    assert corrected.old in json.dumps(theirs)
    assert corrected.old in json.dumps(corrected.control["sendgrid"].state()["suppressions"])
    table = "accounts" if with_account else "newsletter_subscribers"
    assert estate.value("accounts", f"SELECT count(*) FROM {table} WHERE email = %s", corrected.old) == 1
    (said,) = estate.ledger.evidence(request_id=row.id, kind="former_identifiers_not_followed")
    assert said.body == {"count": 1}
    assert corrected.bodies("cohort_frozen")[-1]["not_followed"] == 1
    assert estate.ledger.match_tombstones("email", [corrected.old]) == set(), "a replay must not find them"


def test_a_crash_after_the_correction_and_before_its_end_loses_no_address(
    estate: Estate, corrected: Corrected, monkeypatch: pytest.MonkeyPatch
) -> None:
    from include.privacy.stores.postgres import PostgresStore

    real = PostgresStore.rectify

    def dies(self: PostgresStore, *args: Any) -> Any:
        outcome = real(self, *args)
        if self.name == "accounts":
            raise DiedError("corrected, and nobody heard of it")
        return outcome

    monkeypatch.setattr(PostgresStore, "rectify", dies)
    estate.ask(corrected.account, "rectification", details={"corrections": {"email": corrected.new}})
    assert corrected.fulfil("rectification").state == "failed"
    now = "SELECT email FROM accounts WHERE id = %s"
    assert estate.value("accounts", now, corrected.account) == corrected.new
    assert corrected.known_as() == {"email": (corrected.old,)}
    monkeypatch.setattr(PostgresStore, "rectify", real)
    with every_task_dies_once(estate, "fulfil_rectification_requests"):
        corrected.at += timedelta(hours=1)
        done = estate.run("fulfil_rectification_requests", as_of=corrected.at, retries=1)
    assert done.state == "success", estate.states(done)
    corrected.settle()
    assert corrected.known_as() == {"email": (corrected.old,)}, "noted once, however often it is tried"
    assert corrected.bodies("former_identifiers_noted") == [{"values": 1}]

    estate.ask(corrected.account)
    corrected.at += timedelta(hours=1)
    assert estate.run("intake_subject_requests", as_of=corrected.at).state == "success"
    with every_task_dies_once(estate, "fulfil_erasure_requests"):
        done = estate.run("fulfil_erasure_requests", as_of=corrected.at, retries=1)
    assert done.state == "success", estate.states(done)
    corrected.settle()
    assert corrected.tickets() == 0 and corrected.old not in corrected.text("postmark")
    assert corrected.known_as() == {}
