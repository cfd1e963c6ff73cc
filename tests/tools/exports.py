"""An export as the writer makes it, without a database: rows, segments, checkpoints."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from include.privacy.evidence.notes import Checkpoint, NoteSigner
from include.privacy.evidence.publishing import lines_of
from include.privacy.ledger.evidence_log import Entry
from include.privacy.ledger.leaves import GENESIS, chained, hash_of, leaf_of
from include.privacy.ledger.merkle import tree_hash

ORIGIN = "practice-engine.example/privacy-evidence"
BEGIN = datetime(2026, 11, 1, 4, 0, tzinfo=UTC)
SIGNER = NoteSigner(ORIGIN, Ed25519PrivateKey.from_private_bytes(bytes(range(32))))


def leaves(count: int, seed: int = 7) -> list[dict[str, Any]]:
    """Rows of every type of value, a minute apart."""
    rng = random.Random(seed)
    bodies = [
        {"count": 7, "store": "practice", "ok": True, "none": None},
        {"seconds": 0.1234, "removed": {"attempts": 12, "ä": 1.0}, "kept": []},
        {"text": 'a "quoted" line\nand \u2028 more €', "n": -3.5e-9, "states": ["erased", {"until": None}]},
    ]
    return [
        leaf_of(
            n + 1,
            BEGIN + timedelta(minutes=n),
            rng.choice(["outcome", "probe", "run_closed"]),
            UUID(int=rng.getrandbits(128), version=4),
            UUID(int=n, version=4) if n % 3 else None,
            {**rng.choice(bodies), "salt": rng.randrange(10**6)},
        )
        for n in range(count)
    ]


def entries(rows: list[dict[str, Any]]) -> list[Entry]:
    """The rows in their places."""
    made, chain = [], GENESIS
    for index, leaf in enumerate(rows):
        hash_ = hash_of(leaf)
        chain = chained(chain, hash_)
        made.append(Entry(index, leaf["id"], hash_, chain, leaf))
    return made


def checkpoint(rows: list[dict[str, Any]], size: int, signer: NoteSigner = SIGNER) -> str:
    """A signed note over the first ``size`` rows, a minute after the last of them."""
    root = tree_hash([hash_of(each) for each in rows[:size]])
    return signer.sign(Checkpoint(signer.name, size, root, BEGIN + timedelta(minutes=size)).body())


def write(folder: Path, rows: list[dict[str, Any]], sizes: list[int], segment: int = 16) -> Path:
    """Segments and checkpoints as they lie in the bucket."""
    (folder / "segments").mkdir(parents=True)
    (folder / "checkpoints").mkdir()
    made = entries(rows)
    for first in range(0, len(made), segment):
        part = made[first : first + segment]
        name = f"{first:012d}-{first + len(part):012d}.jsonl"
        (folder / "segments" / name).write_bytes(b"".join(lines_of(iter(part))))
    for size in sizes:
        (folder / "checkpoints" / f"{size:012d}.note").write_text(checkpoint(rows, size))
    return folder
