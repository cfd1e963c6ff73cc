"""What we ourselves hold of a person: their requests and our letters, for every access archive."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from include.privacy.planning.exporting import Collection, ExportField, Records
from include.privacy.runtime import runtime

if TYPE_CHECKING:
    from include.privacy.ledger.rows import RequestRow

_PURPOSES = ("essential.legal_obligation",)


def extracts(request: RequestRow) -> list[Records]:
    """The person's open requests with their letters (a closed one no longer leads to anybody), and what
    identified them before it was corrected.
    """
    ledger = runtime().ledger()
    assert request.subject_key is not None
    mine = ledger.requests_of(request.subject_key)
    days = runtime().config().policy.request_records_days
    kept = f"until {days} days after the request is closed; what it said is destroyed when it is closed"
    requests = [
        {
            "reference": r.external_id,
            "right": r.right,
            "channel": r.channel,
            "received_at": r.received_at.isoformat(),
            "verified_at": r.verified_at.isoformat() if r.verified_at else None,
            "due_at": r.due_at.isoformat(),
            "state": r.state,
        }
        for r in mine
    ]
    letters = [
        {"reference": r.external_id, "letter": letter.kind, "written_at": letter.claimed_at.isoformat()}
        for r in mine
        for letter in ledger.letters(r.id)
    ]
    former = [
        {"kind": kind, "value": value}
        for kind, values in ledger.former_identifiers([request.subject_key])
        .get(request.subject_key, {})
        .items()
        for value in values
    ]
    found = [
        Records(
            _collection("requests", "Requests you made under data protection law.", requests, kept), requests
        ),
        Records(_collection("letters", "Letters we wrote to you about them.", letters, kept), letters),
    ]
    if former:
        until = f"until you are erased, or {days} days after it was corrected"
        what = "What was wrong and led to your data until you had it corrected; to find what came under it."
        found.append(Records(_collection("former_identifiers", what, former, until), former))
    return found


def _collection(
    name: str, description: str, records: Sequence[Mapping[str, str | None]], retention: str
) -> Collection:
    fields = tuple(
        ExportField(
            name=column,
            description=column.replace("_", " "),
            category="user.privacy_preferences",
            purposes=_PURPOSES,
        )
        for column in (records[0] if records else ())
    )
    return Collection("ledger", name, description=description, fields=fields, retention=retention)
