"""Publishing the log: compared with the last checkpoint outside, recomputed, signed, and copied out."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NoReturn
from uuid import UUID

from include.privacy.evidence import connecting
from include.privacy.evidence.notes import Checkpoint, NoteError, open_note
from include.privacy.evidence.timestamps import stamp
from include.privacy.runtime import runtime
from include.privacy.steps.runs import FindingError, read_run

if TYPE_CHECKING:
    from include.privacy.ledger.evidence_log import Entry
    from include.privacy.stores.evidence_bucket import EvidenceBucket

log = logging.getLogger(__name__)

SEGMENT = 10_000
"""Entries in one object of the bucket: a few megabytes."""
CHECKPOINTS, SEGMENTS, REPORTS = "checkpoints/", "segments/", "reports/"
RULE, STORE = "evidence_log", "ledger"


class EvidenceBrokenError(FindingError):
    """The log in the ledger is not the one that was published; nothing more is published."""


def publish_log(ledger_run: str) -> dict[str, Any]:
    """Sequence what is left, audit the whole log, sign its checkpoint and copy what is new into the bucket.

    A log that was changed, cut, or restored from a backup is a breach: :class:`EvidenceBrokenError`, and what
    is outside stays as it is. A dry run audits and publishes nothing.
    """
    run, ledger = read_run(ledger_run), runtime().ledger()
    ledger.sequence_evidence(full=True)
    with connecting.bucket() as outside:
        outside.require_lock()
        size = ledger.evidence_size()
        try:
            last = last_published(outside)
            findings = audit_log(size, last)
        except EvidenceBrokenError as error:
            last, findings = None, [str(error)]
        if findings:
            _sound_the_alarm(ledger_run, findings, dry_run=run.dry_run)
        start = last.size if last else 0
        if run.dry_run:
            return {"size": size, "new": size - start, "checkpoint": None}
        ledger.resolve_breaches(RULE, STORE, run.as_of)
        facts = {"size": size, "new": size - start, **_copy_out(outside, start, size)}
    ledger.append_evidence("checkpoint_published", facts, run_id=UUID(ledger_run))
    log.info("evidence: %s", facts)
    return facts


def audit_log(size: int, last: Checkpoint | None) -> list[str]:
    """What is wrong with the first ``size`` entries, also against the last checkpoint outside."""
    from include.privacy.ledger import evidence_log

    ledger = runtime().ledger()
    published = (last.size, last.at) if last else None
    audit = evidence_log.audit(ledger.sessions, size, [size, *([last.size] if last else [])], published)
    findings = audit.findings
    if last is not None and last.size > size:
        cut = "it was cut, or restored from a backup"
        findings.append(f"entries {size} to {last.size - 1} were published and are not in the ledger: {cut}")
    elif last is not None and audit.roots.get(last.size) != last.root:
        findings.append(f"the first {last.size} entries are not those that were published: it was forked")
    with ledger.sessions.begin() as session:
        if not findings and evidence_log.root_at(session, size) != audit.roots[size]:
            findings.append(
                "the stored subtrees do not fit the entries; proofs made from them would be wrong"
            )
    return findings


def _copy_out(outside: EvidenceBucket, start: int, size: int) -> dict[str, Any]:
    from include.privacy.ledger import evidence_log

    ledger = runtime().ledger()
    checkpoint = sign_checkpoint(size)
    for first in range(start, size, SEGMENT):
        end = min(first + SEGMENT, size)
        lines = b"".join(lines_of(evidence_log.entries(ledger.sessions, first, end)))
        outside.put(f"{SEGMENTS}{first:012d}-{end:012d}.jsonl", lines, "application/jsonl", at=checkpoint.at)
    note = ledger.checkpoint_note(size)
    # Last: a checkpoint is only there with everything that it speaks of.
    key = f"{CHECKPOINTS}{size:012d}.note"
    outside.put(key, note.encode(), "text/plain; charset=utf-8", at=checkpoint.at)
    return {
        "origin": checkpoint.origin,
        "root": checkpoint.root.hex(),
        "key": connecting.signer().key_id,
        "checkpoint": f"s3://{outside.name}/{outside.prefix}{key}",
        "timestamp": _stamp(outside, size, note, checkpoint),
    }


def sign_checkpoint(size: int) -> Checkpoint:
    """The signed checkpoint of that size, kept in the ledger; signed once, it stays the same."""
    from include.privacy.ledger import evidence_log

    signer, ledger = connecting.signer(), runtime().ledger()
    with ledger.sessions.begin() as session:
        root, at = evidence_log.root_at(session, size), evidence_log.database_time(session)
        made = Checkpoint(signer.name, size, root, at)
        note = evidence_log.keep_checkpoint(session, size, root, signer.sign(made.body()), at)
    return Checkpoint.parse(open_note(note, connecting.verifier_keys()))


def last_published(outside: EvidenceBucket) -> Checkpoint | None:
    """The newest checkpoint in the bucket; :class:`EvidenceBrokenError` if nobody we know signed it."""
    keys = [key for key in outside.keys(CHECKPOINTS) if key.endswith(".note")]
    if not keys:
        return None
    note = outside.read(keys[-1]) or b""
    try:
        found = Checkpoint.parse(open_note(note.decode(), connecting.verifier_keys()))
    except (NoteError, UnicodeDecodeError) as error:
        raise EvidenceBrokenError(
            f"{keys[-1]} in bucket {outside.name!r} cannot be relied on: {error}. If the key that signed it "
            "was yours, list it in config/evidence.yaml; otherwise somebody else wrote into the bucket"
        ) from None
    if found.origin != connecting.settings().origin:
        raise EvidenceBrokenError(f"{keys[-1]} in bucket {outside.name!r} is of another log: {found.origin}")
    return found


def lines_of(entries: Iterator[Entry]) -> Iterator[bytes]:
    """The entries as JSON lines: index, leaf, hash and chain."""
    for entry in entries:
        line = {"chain": entry.chain.hex(), "hash": entry.hash.hex(), "index": entry.idx, "leaf": entry.leaf}
        yield json.dumps(line, ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode() + b"\n"


def _sound_the_alarm(ledger_run: str, findings: list[str], *, dry_run: bool) -> NoReturn:
    for each in findings:
        log.error("evidence: %s", each)
    if not dry_run:
        note = "; ".join(findings[:5])
        runtime().ledger().record_breach(UUID(ledger_run), RULE, STORE, len(findings), None, note)
    raise EvidenceBrokenError(
        "the log of evidence is not what was published, so nothing was published:\n"
        + "\n".join(f"  - {each}" for each in findings)
        + "\nThe copy in the bucket is the truth. docs/OPERATIONS.md says how to find out what happened, and "
        "how to begin a new log"
    )


def _stamp(outside: EvidenceBucket, size: int, note: str, checkpoint: Checkpoint) -> str:
    """Have a third party say when; the log does not depend on it, so a failure is told and not raised."""
    conn_id = connecting.settings().timestamps
    if conn_id is None:
        return "none"
    key = f"{CHECKPOINTS}{size:012d}.tsr"
    try:
        if outside.read(key) is None:
            token = stamp(note.encode(), runtime().connection(conn_id))
            outside.put(key, token, "application/timestamp-reply", at=checkpoint.at)
    except Exception as error:  # noqa: BLE001 - whatever an authority answers, the next checkpoint is stamped too
        log.error("checkpoint %d was not time-stamped: %s", size, type(error).__name__)
        return "failed"
    return "stamped"
