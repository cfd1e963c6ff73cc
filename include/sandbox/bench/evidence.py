"""Evidence: a place in the log beside the row itself, and verification beside a bare loop of SHA-256."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from uuid import UUID, uuid4

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from include.privacy.evidence.notes import Checkpoint, NoteSigner
from include.privacy.evidence.publishing import SEGMENT, lines_of
from include.privacy.ledger import Ledger, evidence_log, migrate
from include.privacy.ledger.evidence import append_many
from include.sandbox.bench.measure import Report, peak_mib, seconds
from include.sandbox.postgres import DAG_ROLE
from include.sandbox.world import World
from include.tools import verify_evidence as verifier

# For a quick look: BENCH_ROWS=20000 .venv/bin/python -m include.sandbox.bench evidence
ROWS = int(os.environ.get("BENCH_ROWS", "1000000"))
_AT_ONCE = 1_000


def log(world: World, report: Report) -> None:
    """Rows written, sequenced, audited in the ledger, exported, and verified by the other program."""
    name = f"ledger_{uuid4().hex[:8]}"
    world.postgres.create_database(name, "ledger_owner")
    migrate(world.dsn(name, "ledger_owner"), DAG_ROLE)
    folder = Path(tempfile.mkdtemp(prefix="privacy-evidence-"))
    try:
        with Ledger(world.dsn(name, DAG_ROLE), bytes(32)) as ledger:
            _measure(ledger, folder, report)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        world.postgres.drop_database(name)


def _measure(ledger: Ledger, folder: Path, report: Report) -> None:
    written = seconds(partial(_write, ledger, ROWS))
    sequenced = seconds(ledger.sequence_evidence)
    report.add(
        f"sequencing of {ROWS:,} rows",
        rows_a_second=ROWS / sequenced,
        inserts_a_second=ROWS / written,
        ratio=sequenced / written,
    )
    audited = seconds(lambda: evidence_log.audit(ledger.sessions, ROWS, [ROWS]))
    signer = NoteSigner("bench", Ed25519PrivateKey.generate())
    _export(ledger, folder, signer)
    segments = sorted((folder / "segments").iterdir())
    keys = [verifier.Key.read(signer.verifier_key)]
    bare = seconds(lambda: [hashlib.sha256(line).digest() for path in segments for line in path.open("rb")])
    verified = seconds(partial(verifier.verify_export, folder, keys))
    report.add(
        f"verification of {ROWS:,} rows",
        rows_a_second=ROWS / verified,
        bare_sha256=ROWS / bare,
        ratio=verified / bare,
        audit_in_ledger=ROWS / audited,
    )
    _write(ledger, 20_000)
    report.add(
        "memory of the log",
        sequencing_mib=peak_mib(ledger.sequence_evidence),
        audit_mib=peak_mib(lambda: evidence_log.audit(ledger.sessions, 60_000)),
        verification_mib=peak_mib(partial(verifier.verify_export, _part(folder, 6), keys)),
    )


def _write(ledger: Ledger, rows: int) -> None:
    for first in range(0, rows, _AT_ONCE):
        with ledger.sessions.begin() as session:
            append_many(session, "outcome", None, list(_bodies(first, min(_AT_ONCE, rows - first))))


def _bodies(first: int, count: int) -> Iterator[tuple[UUID, dict[str, object]]]:
    for n in range(first, first + count):
        yield (
            uuid4(),
            {
                "plan": uuid4(),
                "shard": n % 8,
                "action": "erase",
                "store": "practice",
                "removed": {"attempts": n % 977, "sessions": n % 31},
                "held_subjects": 0,
                "seconds": n % 100 / 8,
            },
        )


def _export(ledger: Ledger, folder: Path, signer: NoteSigner) -> None:
    (folder / "segments").mkdir()
    (folder / "checkpoints").mkdir()
    for first in range(0, ROWS, SEGMENT):
        end = min(first + SEGMENT, ROWS)
        with (folder / "segments" / f"{first:012d}-{end:012d}.jsonl").open("wb") as file:
            file.writelines(lines_of(evidence_log.entries(ledger.sessions, first, end)))
    with ledger.sessions.begin() as session:
        root, at = evidence_log.root_at(session, ROWS), evidence_log.database_time(session)
    note = signer.sign(Checkpoint(signer.name, ROWS, root, at).body())
    (folder / "checkpoints" / f"{ROWS:012d}.note").write_text(note, encoding="utf-8")


def _part(folder: Path, segments: int) -> Path:
    """A copy with the first segments only: memory is traced, which is slow."""
    part = folder / "part"
    (part / "segments").mkdir(parents=True)
    (part / "checkpoints").mkdir()
    for path in sorted((folder / "segments").iterdir())[:segments]:
        shutil.copy(path, part / "segments")
    return part
