from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from uuid import UUID

import pytest

from include.privacy.ledger import Ledger
from include.privacy.planning.models import Cohort, Member

from .conftest import AS_OF, LedgerDatabase

UNTIL = AS_OF + timedelta(days=180)


@pytest.fixture
def cohort(ledger: Ledger, run_id: UUID) -> Cohort:
    people = [
        Member(str(n), {"email": (f"Person{n}@Example.org",), "ip": (f"ip-{n}", "ip-shared")})
        for n in range(1500)
    ]
    return ledger.freeze_cohort(people, "purge", run_id)


def test_erased_people_are_recognised_by_key_and_identifier(ledger: Ledger, cohort: Cohort) -> None:
    ledger.write_tombstones(cohort, UNTIL, AS_OF)
    assert ledger.match_tombstones("subject", ["7", "1499", "1500"]) == {"7", "1499"}
    assert ledger.match_tombstones("email", ["person7@example.org ", "nobody@example.org"]) == {
        "person7@example.org "
    }
    assert ledger.match_tombstones("subject", ["ip-7"]) == set()
    assert ledger.match_tombstones("subject", (str(n) for n in range(5000))) == {str(n) for n in range(1500)}


def test_writing_twice_and_at_once_marks_once(
    database: LedgerDatabase, ledger: Ledger, cohort: Cohort
) -> None:
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda _: ledger.write_tombstones(cohort, UNTIL, AS_OF), range(3)))
    with database.as_owner() as connection:
        assert connection.execute("SELECT count(*) FROM ledger.tombstone").fetchone() == (1500 * 3 + 1,)
        assert connection.execute("SELECT count(*) FROM ledger.tombstone_epoch").fetchone() == (1,)


def test_tombstones_expire_and_their_key_with_the_last_of_them(
    database: LedgerDatabase, ledger: Ledger, cohort: Cohort
) -> None:
    later = UNTIL + timedelta(days=40)
    ledger.write_tombstones(cohort, UNTIL, AS_OF)
    ledger.write_tombstones(cohort, later, AS_OF)
    assert ledger.expire_tombstones(UNTIL - timedelta(seconds=1)) == 0
    assert ledger.expire_tombstones(UNTIL) == 4501
    assert ledger.expire_tombstones(UNTIL) == 0
    assert ledger.match_tombstones("subject", ["7"]) == {"7"}
    ledger.expire_tombstones(later)
    assert ledger.match_tombstones("subject", ["7"]) == set()
    with database.as_owner() as connection:
        left = connection.execute("SELECT purpose FROM ledger.sealing_key").fetchall()
    assert left == [("cohort",)]
    ledger.write_tombstones(cohort, later + timedelta(days=1), later)
    assert ledger.match_tombstones("subject", ["7"]) == {"7"}


def test_a_tombstone_that_ends_before_it_begins_is_refused(ledger: Ledger, cohort: Cohort) -> None:
    with pytest.raises(ValueError, match="expires_at"):
        ledger.write_tombstones(cohort, AS_OF, AS_OF)
