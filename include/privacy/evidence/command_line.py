"""What ``python -m include.privacy`` does with evidence: export, print the key, fetch a certificate."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from uuid import UUID

from include.privacy.evidence import connecting
from include.privacy.evidence.certificate_page import page_of
from include.privacy.evidence.publishing import CHECKPOINTS, SEGMENT, SEGMENTS, lines_of, sign_checkpoint
from include.privacy.runtime import runtime

Add = Callable[[str, Callable[[argparse.Namespace], int]], argparse.ArgumentParser]


class NoEvidenceError(RuntimeError):
    """What was asked for is not there, or may not be written; the message says why."""


def add_commands(add: Add) -> None:
    """``certificate`` and ``evidence``."""
    sub = add("certificate", certificate)
    sub.add_argument("request", type=UUID, help="the ledger's or the platform's id of the request")
    sub.add_argument("--page", action="store_true", help="print the page for people instead of the file")
    sub = add("evidence", evidence)
    sub.add_argument("what", choices=("export", "key"))
    sub.add_argument("folder", nargs="?", type=Path, help="where to write the export; must not exist")


def certificate(options: argparse.Namespace) -> int:
    """Print the certificate of a request for erasure: the file that anybody can verify, or its page."""
    ledger = runtime().ledger()
    known = ledger.find_request(str(options.request))
    found = ledger.newest_certificate(known.id if known else options.request)
    if found is None:
        raise NoEvidenceError(
            f"request {options.request} has no certificate; only completed erasures have one"
        )
    print(page_of(found.body) if options.page else json.dumps(found.body, indent=1, ensure_ascii=False))
    return 0


def evidence(options: argparse.Namespace) -> int:
    """Write the log for ``verify_evidence.py`` (``export FOLDER``), or print the key it needs (``key``)."""
    if options.what == "key":
        print(connecting.signer().verifier_key)
        return 0
    if options.folder is None:
        raise NoEvidenceError("say into which folder: evidence export FOLDER")
    size = export(options.folder)
    print(f"wrote {size} entries to {options.folder}; verify them with include/tools/verify_evidence.py")
    return 0


def export(folder: Path) -> int:
    """Write the whole log with all checkpoints, a new one at its end; returns its size.

    Laid out as in the bucket. Raises :class:`NoEvidenceError` when the folder exists.
    """
    from include.privacy.ledger import evidence_log

    ledger = runtime().ledger()
    try:
        (folder / SEGMENTS).mkdir(parents=True)
        (folder / CHECKPOINTS).mkdir()
    except FileExistsError:
        raise NoEvidenceError(f"{folder} exists; name a new folder") from None
    ledger.sequence_evidence(full=True)
    size = ledger.evidence_size()
    for first in range(0, size, SEGMENT):
        end = min(first + SEGMENT, size)
        with (folder / SEGMENTS / f"{first:012d}-{end:012d}.jsonl").open("wb") as file:
            file.writelines(lines_of(evidence_log.entries(ledger.sessions, first, end)))
    if size:
        sign_checkpoint(size)
    for each in ledger.checkpoints():
        (folder / CHECKPOINTS / f"{each.size:012d}.note").write_text(each.note, encoding="utf-8")
    return size
