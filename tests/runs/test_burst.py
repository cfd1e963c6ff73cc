"""A thousand requests at once, with doorbells lost and doubled: few runs, none lost, none done twice."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from uuid import uuid4

import psycopg
import pytest
from psycopg.types.json import Jsonb

from include.sandbox.processors.mailbox import read_mailbox
from tests.runs.conftest import Estate

pytestmark = pytest.mark.timeout(900)
PEOPLE = 250
ASKED: tuple[tuple[str, dict[str, object]], ...] = (
    ("objection", {"purposes": ["personalize.content"]}),
    ("objection", {"purposes": ["marketing.communications.email"]}),
    ("rectification", {"corrections": {"locale": "de"}}),
    ("erasure", {}),
)


def burst(estate: Estate) -> tuple[list[int], list[str]]:
    """Everybody asks for everything in the same minute; nothing rings."""
    session = {"method": "session", "strength": "mfa"}
    requests = []
    with psycopg.connect(estate.platform.dsn("accounts")) as accounts:
        people = accounts.execute(
            "SELECT id FROM accounts WHERE status = 'active' AND id < 900000000 ORDER BY id LIMIT %s",
            (PEOPLE,),
        ).fetchall()
        assert len(people) == PEOPLE
        for n, (person,) in enumerate(people):
            at = estate.as_of - timedelta(seconds=60 - n % 60)
            for right, details in ASKED:
                requests.append(str(uuid4()))
                proof = Jsonb(session | {"authenticated_at": at.isoformat()})
                row = (requests[-1], person, right, at, at, proof, Jsonb(details))
                accounts.execute(
                    """INSERT INTO privacy_inbox (kind, request_id, account_id, "right", channel, received_at,
                                                  verified_at, verification, details)
                       VALUES ('opened', %s, %s, %s, 'app', %s, %s, %s, %s)""",
                    row,
                )
    return [person for (person,) in people], requests


def test_a_thousand_requests_are_fulfilled_in_five_runs_none_lost_and_none_twice(estate: Estate) -> None:
    people, requests = burst(estate)
    assert len(requests) == 1000
    sent_before = len(read_mailbox(estate.world))
    runs = [
        estate.run("intake_subject_requests"),
        estate.run("intake_subject_requests", as_of=estate.as_of + timedelta(seconds=5)),
        *(estate.run(f"fulfil_{right}_requests") for right in ("objection", "rectification", "erasure")),
    ]
    assert [run.state for run in runs] == ["success"] * 5
    estate.settle()

    rows = [estate.ledger.find_request(request) for request in requests]
    assert Counter(row.state for row in rows).keys() <= {"completed", "completed_with_retention"}
    answers = Counter((a["request_id"], a["kind"]) for a in estate.answers())
    assert max(answers.values()) == 1
    mails = Counter(mail.reference for mail in read_mailbox(estate.world)[sent_before:])
    assert len(mails) == 2 * len(requests), "a confirmation and an answer each"
    assert max(mails.values()) == 1, "nobody is written to twice"
    left = "SELECT count(*) FROM accounts WHERE id = ANY(%s)"
    assert estate.value("accounts", left, people) == 0
