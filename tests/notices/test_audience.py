"""The audience changes while a campaign runs; and who uses the service afterwards has accepted."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from uuid import uuid4

import pytest

from include.privacy.runtime import runtime
from include.privacy.steps.runs import FindingError
from include.sandbox import next_version
from tests.notices.conftest import VERSION, Campaign

JOIN = (
    "INSERT INTO accounts (public_id, email, full_name, locale, created_at) "
    "VALUES (gen_random_uuid(), %s, 'Somebody New', 'de', now()) RETURNING id"
)


def test_whoever_joins_leaves_moves_or_is_erased_in_between_is_treated_as_what_they_are(
    approved: Campaign,
) -> None:
    approved.ledger.steer_notice(approved.row.id, approved.now, stopped=True, people_per_minute=None)
    approved.turn()  # the audience is frozen, nobody is written to
    frozen = approved.row.audience
    people = approved.rows(
        "accounts",
        "SELECT id, email FROM accounts a WHERE deleted_at IS NULL AND NOT EXISTS "
        "(SELECT FROM privacy_restrictions r WHERE r.account_id = a.id) ORDER BY id LIMIT 5",
    )
    (moved, old), (deleted, of_deleted), (restricted, of_restricted), (erased, of_erased), _ = people
    approved.rows("accounts", "UPDATE accounts SET email = 'moved@practice.example' WHERE id = %s", moved)
    approved.rows("accounts", "UPDATE accounts SET deleted_at = now() WHERE id = %s", deleted)
    approved.rows(
        "accounts",
        "INSERT INTO privacy_restrictions VALUES (%s, '*', 'restriction', now())",
        restricted,
    )
    approved.rows("accounts", "UPDATE accounts SET deleted_at = now() WHERE id = %s", erased)
    assert approved.ledger.forget_hearers([str(erased)]) == 1
    assert approved.row.audience == frozen - 1
    approved.rows("accounts", JOIN, "joined@practice.example")
    approved.ledger.steer_notice(approved.row.id, approved.now, stopped=False, people_per_minute=None)
    approved.turn()
    approved.later(days=1, minutes=1)
    approved.turn()
    got = approved.mailbox()
    assert {"moved@practice.example", "joined@practice.example"} <= set(got)
    assert not {old, of_deleted, of_restricted, of_erased} & set(got)
    assert set(got.values()) == {1}
    approved.later(minutes=2)
    done = approved.turn()["report"]["campaigns"][VERSION]
    assert done["states"] == {"delivered": frozen - 3, "left": 2}
    assert done["joined_later"] == {"delivered": 1}
    assert approved.row.state == "proven"


def test_an_account_that_is_gone_when_its_turn_comes_leaves_no_trace(approved: Campaign) -> None:
    approved.ledger.steer_notice(approved.row.id, approved.now, stopped=True, people_per_minute=None)
    approved.turn()
    new = approved.rows("accounts", JOIN, "brief@practice.example")[0][0]
    approved.later(days=1, minutes=1)
    approved.turn()
    before = sum(approved.states().values())
    approved.rows("accounts", "DELETE FROM account_audit WHERE account_id = %s", new)
    approved.rows("accounts", "DELETE FROM accounts WHERE id = %s", new)
    approved.ledger.steer_notice(approved.row.id, approved.now, stopped=False, people_per_minute=None)
    approved.turn()
    assert sum(approved.states().values()) == before - 1


def test_in_the_ledger_nobody_who_is_written_to_can_be_read(approved: Campaign) -> None:
    approved.turn()
    with approved.ledger.engine.connect() as connection:
        rows = connection.exec_driver_sql(
            "SELECT d::text FROM ledger.notice_delivery d UNION ALL "
            "SELECT b::text FROM ledger.notice_batch b UNION ALL SELECT e.body::text FROM ledger.evidence e"
        )
        said = "\n".join(row[0] for row in rows)
    assert not any(address in said for address in approved.addresses())
    assert "@" not in said


@pytest.fixture
def sessions(approved: Campaign) -> Iterator[Sessions]:
    made = Sessions(approved)
    yield made
    approved.rows("practice", "DELETE FROM sessions WHERE user_agent = 'notices'")


class Sessions:
    """Uses of the service."""

    def __init__(self, campaign: Campaign) -> None:
        self.campaign = campaign

    def use(self, learner: int, at: datetime) -> None:
        self.campaign.rows(
            "practice",
            "INSERT INTO sessions (id, learner_id, ip, user_agent, token_hash, started_at) "
            "VALUES (%s, %s, '192.0.2.1', 'notices', '', %s)",
            uuid4(),
            learner,
            at,
        )


def test_the_first_use_after_a_version_applies_accepts_it_once(
    approved: Campaign, sessions: Sessions
) -> None:
    approved.turn()
    approved.later(minutes=2)
    approved.turn()
    applies = approved.row.effective_at
    learners = [
        row[0]
        for row in approved.rows("accounts", "SELECT id FROM accounts WHERE deleted_at IS NULL ORDER BY id")
    ]
    known = {row[0] for row in approved.rows("practice", "SELECT account_id FROM learners")}
    before, after, never = [each for each in learners if each in known][:3]
    sessions.use(before, applies - timedelta(seconds=1))
    sessions.use(after, applies + timedelta(hours=3))
    sessions.use(after, applies + timedelta(hours=1))
    approved.at(applies + timedelta(hours=4))
    for _ in range(2):
        with pytest.raises(FindingError, match="is in force"):
            approved.turn()
    accepted = approved.rows(
        "accounts", "SELECT account_id, accepted_at FROM policy_acceptances WHERE version = %s", VERSION
    )
    assert accepted == [(after, applies + timedelta(hours=1))]
    assert never not in {account for account, _ in accepted}
    assert approved.rows("accounts", "SELECT count(*) FROM policy_documents WHERE version = %s", VERSION) == [
        (1,)
    ]


def test_to_whoever_is_told_late_it_applies_thirty_days_after_that(
    approved: Campaign, sessions: Sessions
) -> None:
    approved.turn()
    approved.later(minutes=2)
    approved.turn()
    applies = approved.row.effective_at
    learner = approved.rows("practice", "SELECT account_id FROM learners ORDER BY 1 LIMIT 1")[0][0]
    approved.ledger.forget_hearers([str(learner)])  # as if they had joined only now
    approved.at(applies - timedelta(days=10))
    approved.turn()
    sessions.use(learner, applies + timedelta(days=1))
    approved.at(applies + timedelta(days=2))
    with pytest.raises(FindingError):
        approved.turn()
    query = "SELECT accepted_at FROM policy_acceptances WHERE account_id = %s AND version = %s"
    assert approved.rows("accounts", query, learner, VERSION) == []
    sessions.use(learner, applies + timedelta(days=21))
    approved.at(applies + timedelta(days=22))
    with pytest.raises(FindingError):
        approved.turn()
    assert approved.rows("accounts", query, learner, VERSION) == [(applies + timedelta(days=21),)]


def test_a_version_whose_folder_is_gone_while_it_is_announced_is_an_alarm(approved: Campaign) -> None:
    import shutil

    shutil.rmtree(approved.config / "notices" / VERSION)
    runtime().close()
    with pytest.raises(FindingError, match=r"config/notices/2027/ is gone"):
        approved.turn()
    assert next_version.VERSION == VERSION


def test_whoever_is_restricted_or_erased_before_being_told_in_the_app_is_not_told(approved: Campaign) -> None:
    people = approved.rows(
        "accounts", "SELECT id, email FROM accounts WHERE deleted_at IS NULL ORDER BY id LIMIT 3"
    )
    approved.sendgrid.control.configure(bounces=[email for _, email in people])
    approved.turn()
    (restricted, _), (told, _), (gone, _) = people
    approved.rows(
        "accounts", "INSERT INTO privacy_restrictions VALUES (%s, '*', 'restriction', now())", restricted
    )
    approved.rows("accounts", "UPDATE accounts SET deleted_at = now() WHERE id = %s", gone)
    approved.later(minutes=2)
    approved.turn()
    rows = approved.rows("accounts", "SELECT account_id FROM privacy_outbox WHERE kind = 'policy_notice'")
    assert rows == [(told,)]
    assert approved.states()["left"] == 2
    assert approved.row.state == "proven"
