from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

from include.privacy.ledger import Ledger
from include.privacy.ledger.verification import LOCKED_FOR, MOST_ATTEMPTS

from .conftest import AS_OF, LedgerDatabase, receive

WEEK = timedelta(days=7)


def test_a_token_proves_the_identity_once(ledger: Ledger) -> None:
    request = receive(ledger, "42", external_id="e-1", verified=False)
    token = ledger.issue_token(request, AS_OF, WEEK)
    assert ledger.redeem_token("e-1", token, AS_OF + timedelta(hours=1))
    row = ledger.request(request)
    assert (row.state, row.verification) == ("assessing", {"method": "one_time_token"})
    assert not ledger.redeem_token("e-1", token, AS_OF + timedelta(hours=2))


def test_a_token_is_random_and_only_its_hash_is_kept(ledger: Ledger, database: LedgerDatabase) -> None:
    request = receive(ledger, "42", verified=False)
    tokens = {ledger.issue_token(request, AS_OF, WEEK) for _ in range(5)}
    assert len(tokens) == 5 and all(len(token) == 43 for token in tokens)
    with database.as_owner() as connection:
        dump = str(connection.execute("SELECT * FROM ledger.verification_token").fetchall())
    assert not any(token in dump for token in tokens)


def test_a_newer_token_voids_the_older_ones(ledger: Ledger) -> None:
    request = receive(ledger, "42", external_id="e-1", verified=False)
    old = ledger.issue_token(request, AS_OF, WEEK)
    new = ledger.issue_token(request, AS_OF + timedelta(days=1), WEEK)
    later = AS_OF + timedelta(days=2)
    assert not ledger.redeem_token("e-1", old, later)
    assert ledger.redeem_token("e-1", new, later)


def test_an_expired_token_proves_nothing(ledger: Ledger) -> None:
    token = ledger.issue_token(receive(ledger, "42", external_id="e-1", verified=False), AS_OF, WEEK)
    assert not ledger.redeem_token("e-1", token, AS_OF + WEEK)


def test_a_token_of_one_request_does_not_open_another(ledger: Ledger) -> None:
    receive(ledger, "42", external_id="e-1", verified=False)
    token = ledger.issue_token(receive(ledger, "43", external_id="e-2", verified=False), AS_OF, WEEK)
    assert not ledger.redeem_token("e-1", token, AS_OF)
    assert not ledger.redeem_token("never opened", token, AS_OF)


def test_after_too_many_wrong_tokens_the_right_one_is_refused_for_a_while(ledger: Ledger) -> None:
    token = ledger.issue_token(receive(ledger, "42", external_id="e-1", verified=False), AS_OF, WEEK)
    for _ in range(MOST_ATTEMPTS):
        assert not ledger.redeem_token("e-1", "guess", AS_OF)
    assert not ledger.redeem_token("e-1", token, AS_OF)
    assert ledger.redeem_token("e-1", token, AS_OF + LOCKED_FOR)


def test_known_and_unknown_requests_take_the_same_statements(ledger: Ledger) -> None:
    from sqlalchemy import event

    receive(ledger, "42", external_id="known", verified=False)
    taken: dict[str, list[str]] = {}

    for name in ("known", "unknown"):
        statements: list[str] = taken.setdefault(name, [])
        listener = event.listens_for(ledger.engine, "before_cursor_execute")

        def note(*call: object, into: list[str] = statements) -> None:
            into.append(str(call[2]))

        listener(note)
        assert not ledger.redeem_token(name, "guess", AS_OF)
        event.remove(ledger.engine, "before_cursor_execute", note)
    assert taken["known"] == taken["unknown"] != []


def test_two_clicks_at_once_use_a_token_once(database: LedgerDatabase) -> None:
    with database.open() as ledger:
        token = ledger.issue_token(receive(ledger, "42", external_id="e-1", verified=False), AS_OF, WEEK)
        with ThreadPoolExecutor(4) as pool:
            used = list(pool.map(lambda _: ledger.redeem_token("e-1", token, AS_OF), range(4)))
    assert sorted(used) == [False, False, False, True]
