from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

from include.privacy.ledger import Ledger

from .conftest import AS_OF, LedgerDatabase, receive

DAY, LEASE = timedelta(days=1), timedelta(minutes=10)
URL = "https://controller.example/status"
FINAL = ("completed", "cancelled")


def test_a_callback_waits_until_it_is_delivered_or_given_up(ledger: Ledger) -> None:
    request = receive(ledger, "42")
    for _ in range(2):
        ledger.queue_callback(request, URL, "pending", AS_OF)
    (waiting,) = ledger.claim_callbacks(AS_OF, LEASE)
    ledger.record_callback(waiting.id, next_at=AS_OF + DAY)
    assert ledger.claim_callbacks(AS_OF + LEASE, LEASE) == []
    (again,) = ledger.claim_callbacks(AS_OF + DAY, LEASE)
    assert again.attempts == 1
    ledger.record_callback(again.id, delivered_at=AS_OF + DAY)
    assert ledger.claim_callbacks(AS_OF + 9 * DAY, LEASE) == []


def test_what_was_claimed_by_a_run_that_died_is_due_again_after_the_lease(ledger: Ledger) -> None:
    ledger.queue_callback(receive(ledger, "42"), URL, "pending", AS_OF)
    assert len(ledger.claim_callbacks(AS_OF, LEASE)) == 1
    assert ledger.claim_callbacks(AS_OF, LEASE) == []
    assert len(ledger.claim_callbacks(AS_OF + LEASE, LEASE)) == 1


def test_two_runs_at_once_never_claim_the_same_callback(database: LedgerDatabase) -> None:
    with database.open() as ledger:
        for n in range(12):
            ledger.queue_callback(receive(ledger, str(n)), URL, "pending", AS_OF)
        with ThreadPoolExecutor(4) as pool:
            batches = pool.map(lambda _: ledger.claim_callbacks(AS_OF, LEASE), range(4))
            claimed = [row.id for rows in batches for row in rows]
    assert len(claimed) == len(set(claimed)) == 12


def test_an_address_hears_of_one_status_at_a_time_in_their_order(ledger: Ledger) -> None:
    request = receive(ledger, "42")
    ledger.queue_callback(request, URL, "pending", AS_OF)
    ledger.queue_callback(request, URL, "in_progress", AS_OF + DAY)
    ledger.queue_callback(request, "https://other.example/", "in_progress", AS_OF + DAY)
    later = AS_OF + 2 * DAY
    first = {(row.url, row.status): row.id for row in ledger.claim_callbacks(later, LEASE)}
    assert set(first) == {(URL, "pending"), ("https://other.example/", "in_progress")}
    ledger.record_callback(first[URL, "pending"], given_up_at=later)
    assert [row.status for row in ledger.claim_callbacks(later, LEASE)] == ["in_progress"]


def test_a_slower_copy_cannot_take_a_delivery_back(ledger: Ledger, database: LedgerDatabase) -> None:
    ledger.queue_callback(receive(ledger, "42"), URL, "pending", AS_OF)
    (row,) = ledger.claim_callbacks(AS_OF, LEASE)
    ledger.record_callback(row.id, delivered_at=AS_OF)
    ledger.record_callback(row.id, next_at=AS_OF + DAY)
    assert ledger.claim_callbacks(AS_OF + 2 * DAY, LEASE) == []
    assert [body["outcome"] for body in database.evidence("callback")] == ["delivered"]


def test_an_address_is_open_until_a_final_status_was_queued_for_it(ledger: Ledger) -> None:
    request = receive(ledger, "42")
    ledger.queue_callback(request, URL, "pending", AS_OF)
    ledger.queue_callback(request, URL, "in_progress", AS_OF + DAY)
    (address,) = ledger.open_callback_addresses(FINAL)
    assert (address.request_id, address.url) == (request, URL)
    assert (address.told, address.last_queued_at) == ({"pending", "in_progress"}, AS_OF + DAY)
    ledger.queue_callback(request, URL, "completed", AS_OF + 2 * DAY)
    assert ledger.open_callback_addresses(FINAL) == []
