"""A commitment can be opened with its key only, and nobody has the key once the request is closed."""

from __future__ import annotations

from uuid import uuid4

import pytest

from include.privacy.ledger import KeyDestroyed, Ledger

from .conftest import receive


def test_a_commitment_is_of_one_request_one_field_and_one_value(ledger: Ledger) -> None:
    one, other = (ledger.commitments(receive(ledger, subject)) for subject in ("17", "18"))
    made = one.commit("reference", "abc")
    assert len(made) == 64 and made == one.commit("reference", "abc")
    different = {
        other.commit("reference", "abc"),
        one.commit("subject", "abc"),
        one.commit("reference", "abd"),
    }
    assert made not in different and len(different) == 3
    assert one.key.hex() not in repr(one)


def test_the_key_goes_with_the_closing(ledger: Ledger) -> None:
    request = receive(ledger, "17", external_id=str(uuid4()))
    ledger.commitments(request)
    ledger.close_request(request, "withdrawn", None, {})
    with pytest.raises(KeyDestroyed):
        ledger.commitments(request)


def test_whoever_has_the_key_of_commitments_cannot_open_what_is_sealed(ledger: Ledger) -> None:
    request = receive(ledger, "17")
    with ledger.sessions.begin() as session:
        from include.privacy.ledger.keys import open_key
        from include.privacy.ledger.requests import load_request

        sealing = open_key(session, ledger.sealer, load_request(session, request).key_id, "request")
    assert sealing.secret != ledger.commitments(request).key
