"""Certificates of erasure: signed statements with their place in the log, verifiable without us.

A document has the DSSE envelope of an in-toto Statement, the entry of the log that names the statement's
digest, the proof that the entry is in the log, and the signed checkpoint. A certificate that no longer says
all gets a new version; the old ones stay.
"""

from __future__ import annotations

import base64
import hashlib
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

from include.privacy.evidence import connecting
from include.privacy.evidence.publishing import sign_checkpoint
from include.privacy.evidence.statement import facts_of, statement_of
from include.privacy.runtime import runtime

if TYPE_CHECKING:
    from include.privacy.ledger.certificates import CertificateRow
    from include.privacy.ledger.rows import RequestRow

log = logging.getLogger(__name__)

PAYLOAD_TYPE = "application/vnd.in-toto+json"
KIND = "erasure_certificate"


@dataclass(frozen=True)
class Issued:
    """A certificate in force. ``document``: what the ledger keeps; the person's copy has ``opening`` too."""

    version: int
    new: bool
    document: Mapping[str, Any]
    opening: Mapping[str, str] | None = field(default=None, repr=False)

    def for_the_person(self) -> dict[str, Any]:
        """The document with the key of its commitment, which nobody else gets."""
        return {**self.document, "opening": dict(self.opening)} if self.opening else dict(self.document)


def note_carried_out(
    request: RequestRow, plan_ids: list[UUID], residual_until: datetime | None, retained: Mapping[str, Any]
) -> None:
    """Evidence of which plans carried the request out; made once."""
    from include.privacy.ledger.certificates import CARRIED_OUT

    ledger = runtime().ledger()
    body = {
        "plans": [str(each) for each in plan_ids],
        "residual_until": residual_until.isoformat() if residual_until else None,
        "retained": dict(retained),
    }
    known = ledger.evidence(request_id=request.id, kind=CARRIED_OUT)
    if not known or known[-1].body != body:
        ledger.append_evidence(CARRIED_OUT, body, run_id=request.run_id, request_id=request.id)


def issue(request: RequestRow, outcome: str, answered_at: datetime, as_of: datetime) -> Issued | None:
    """The certificate of a request that is, or is about to be, answered; a new version if there is news.

    ``None`` when it was never carried out, or evidence is not set up. Whatever else keeps it from being made
    is logged and ``None`` too: the person's answer never waits for a certificate, and the daily
    `publish_evidence` issues what is missing, or is red.
    """
    if runtime().config().evidence is None:
        return None
    try:
        return _issue(request, outcome, answered_at, as_of)
    except Exception as error:  # noqa: BLE001 - see above
        log.error("request %s: no certificate yet (%s)", request.id, type(error).__name__)
        return None


def renew(request_id: UUID, as_of: datetime) -> Issued | None:
    """The certificate of a request that was answered: missing ones are issued, outdated ones renewed."""
    request = runtime().ledger().request(request_id)
    if request.closed_at is None:
        return None
    return _issue(request, request.state, request.closed_at, as_of)


def _issue(request: RequestRow, outcome: str, answered_at: datetime, as_of: datetime) -> Issued | None:
    from include.privacy.ledger.certificates import CARRIED_OUT, CertificateRow

    ledger = runtime().ledger()
    carried_out = ledger.evidence(request_id=request.id, kind=CARRIED_OUT)
    if not carried_out:
        return None
    known = ledger.newest_certificate(request.id)
    opening = _opening(request)
    commitment = _committed(known)
    if opening is not None:
        commitment = ledger.commitments(request.id).commit("reference", request.external_id)
    before = _statement(known)["predicate"] if known else None
    if before is not None:
        # Answered again after a crash: the first answer's instant stands.
        answered_at = datetime.fromisoformat(before["request"]["answered_at"])
    facts = facts_of(request, carried_out[-1].body, outcome, answered_at, commitment)
    if known is not None and facts == _without_version(before):
        return Issued(known.version, False, known.body, opening)
    version = known.version + 1 if known else 1
    payload, document = _document(request.id, statement_of(facts, version, as_of), version)
    made = CertificateRow(request.id, version, hashlib.sha256(payload).hexdigest(), document, as_of)
    if not ledger.keep_certificate(made):
        return _issue(request, outcome, answered_at, as_of)  # another task was first; take its version
    log.info("request %s: certificate, version %d", request.id, version)
    return Issued(version, True, document, opening)


def _document(request_id: UUID, statement: dict[str, Any], version: int) -> tuple[bytes, dict[str, Any]]:
    """Signed, put into the log, and proven to be there."""
    from include.privacy.ledger import evidence_log
    from include.privacy.ledger.evidence import append_numbered
    from include.privacy.ledger.leaves import canonical

    ledger, signer = runtime().ledger(), connecting.signer()
    payload = canonical(statement)
    body = {"version": version, "statement_sha256": hashlib.sha256(payload).hexdigest(), "key": signer.key_id}
    with ledger.sessions.begin() as session:
        evidence_id = append_numbered(session, KIND, body, request_id)
    ledger.sequence_evidence()
    checkpoint = sign_checkpoint(ledger.evidence_size())
    with ledger.sessions.begin() as session:
        index = evidence_log.index_of(session, evidence_id)
        if index is None:
            raise RuntimeError("the row was written and is not in the log; sequence the log in full")
        path = evidence_log.inclusion(session, index, checkpoint.size)
    [entry] = evidence_log.entries(ledger.sessions, index, index + 1)
    return payload, {
        "certificate": KIND,
        "version": version,
        "envelope": {
            "payloadType": PAYLOAD_TYPE,
            "payload": base64.b64encode(payload).decode(),
            "signatures": [{"keyid": signer.key_id, "sig": base64.b64encode(_sign(payload)).decode()}],
        },
        "log": {
            "index": index,
            "leaf": entry.leaf,
            "path": [each.hex() for each in path],
            "checkpoint": ledger.checkpoint_note(checkpoint.size),
        },
        "key": signer.verifier_key,
    }


def _sign(payload: bytes) -> bytes:
    """DSSE's pre-authentication encoding, signed."""
    kind = PAYLOAD_TYPE.encode()
    return connecting.signer().sign_bytes(b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload))


def _opening(request: RequestRow) -> dict[str, str] | None:
    if request.closed_at is not None:
        return None
    key = runtime().ledger().commitments(request.id).key
    return {"reference": request.external_id, "key": key.hex()}


def statement_in(document: Mapping[str, Any]) -> dict[str, Any]:
    """The statement of a document."""
    import json

    found: dict[str, Any] = json.loads(base64.b64decode(document["envelope"]["payload"]))
    return found


def _without_version(predicate: Mapping[str, Any] | None) -> dict[str, Any]:
    return {k: v for k, v in (predicate or {}).items() if k not in ("version", "issued_at")}


def _statement(row: CertificateRow) -> dict[str, Any]:
    return statement_in(row.body)


def _committed(known: CertificateRow | None) -> str | None:
    """A closed request's key is gone: what was committed to before stays."""
    if known is None:
        return None
    found: str | None = _statement(known)["predicate"]["request"]["reference_commitment"]
    return found
