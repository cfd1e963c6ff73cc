from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID, uuid4

import pytest

from include.privacy.ledger import KeyDestroyed, Ledger, LedgerError, NotInLedger
from include.privacy.ledger.cohorts import PAGE
from include.privacy.planning.models import Member

from .conftest import LedgerDatabase, new_run, receive


def people(count: int) -> Iterator[Member]:
    for n in range(count):
        yield Member(
            str(n), {"email": (f"person{n}@example.org",), "stripe_customer_id": (f"cus_{n}", f"cus_old_{n}")}
        )


def test_a_frozen_cohort_comes_back_as_it_was_again_and_again(ledger: Ledger, run_id: UUID) -> None:
    frozen = ledger.freeze_cohort(people(2 * PAGE + 1), "purge", run_id)
    assert frozen.size == 2 * PAGE + 1
    read = ledger.cohort(frozen.id)
    for _ in range(2):
        assert list(read.members()) == list(people(2 * PAGE + 1))


def test_an_empty_cohort_is_a_cohort(ledger: Ledger, run_id: UUID) -> None:
    frozen = ledger.freeze_cohort([], "purge", run_id)
    assert (frozen.size, list(frozen.members())) == (0, [])


def test_a_retry_gets_the_cohort_that_was_frozen_first(ledger: Ledger, run_id: UUID) -> None:
    first = ledger.freeze_cohort(people(3), "purge", run_id)
    second = ledger.freeze_cohort(people(5), "purge", run_id)
    assert (second.id, second.size) == (first.id, 3)
    assert ledger.freeze_cohort(people(5), "other rule", run_id).id != first.id


def test_two_copies_freezing_at_once_freeze_one_cohort(database: LedgerDatabase) -> None:
    with database.open() as ledger, ThreadPoolExecutor(4) as pool:
        run = new_run(ledger)
        ids = {c.id for c in pool.map(lambda _: ledger.freeze_cohort(people(1500), "purge", run), range(4))}
        assert len(ids) == 1
        assert len(list(ledger.cohort(ids.pop()).members())) == 1500


def test_a_freeze_that_fails_midway_leaves_nothing(
    ledger: Ledger, run_id: UUID, database: LedgerDatabase
) -> None:
    def broken() -> Iterator[Member]:
        yield from people(PAGE + 1)
        raise ConnectionError("store down")

    with pytest.raises(ConnectionError):
        ledger.freeze_cohort(broken(), "purge", run_id)
    with database.as_owner() as connection:
        assert connection.execute("SELECT count(*) FROM ledger.cohort_page").fetchone() == (0,)
    assert ledger.freeze_cohort(people(2), "purge", run_id).size == 2


def test_a_member_leads_back_to_the_request_that_asked(ledger: Ledger, run_id: UUID) -> None:
    first, second = receive(ledger, "1"), receive(ledger, "2")
    ledger.claim_requests(run_id, "erasure")
    cohort = ledger.freeze_cohort(people(3), "erasure", run_id, [first, second])
    ledger.close_request(first, "completed", None, {})
    assert ledger.cohort_requests(cohort.id) == {"1": first, "2": second}
    assert ledger.cohorts_of_requests([first, second]) == {first: cohort.id, second: cohort.id}


def test_a_closed_or_unknown_request_cannot_enter_a_cohort(ledger: Ledger, run_id: UUID) -> None:
    with pytest.raises(LedgerError, match="claim the requests again"):
        ledger.freeze_cohort(people(1), "erasure", run_id, [uuid4()])


def test_a_destroyed_cohort_is_gone_for_those_who_are_reading_it_too(
    ledger: Ledger, run_id: UUID, database: LedgerDatabase
) -> None:
    cohort = ledger.freeze_cohort(people(2 * PAGE), "purge", run_id)
    reading = cohort.members()
    next(reading)
    for _ in range(2):
        ledger.destroy_cohort(cohort.id)
    with pytest.raises(KeyDestroyed):
        list(reading)
    with pytest.raises(KeyDestroyed):
        ledger.cohort(cohort.id)
    with pytest.raises(NotInLedger):
        ledger.cohort(uuid4())
    with database.as_owner() as connection:
        assert connection.execute("SELECT count(*) FROM ledger.sealing_key").fetchone() == (0,)


def test_memory_stays_flat_in_the_number_of_people(ledger: Ledger, run_id: UUID) -> None:
    def peak(count: int) -> int:
        tracemalloc.start()
        cohort = ledger.freeze_cohort(people(count), f"purge {count}", run_id)
        assert sum(1 for _ in cohort.members()) == count
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    peak(PAGE)
    assert peak(20 * PAGE) < 1.5 * peak(2 * PAGE)
