"""What happened: requests, holds, tombstones, plans, outcomes, evidence."""

from __future__ import annotations

from include.privacy.ledger.errors import (
    IllegalTransition,
    KeyDestroyed,
    LedgerError,
    NotExecutable,
    NotInLedger,
    SealBroken,
)
from include.privacy.ledger.ledger import Ledger
from include.privacy.ledger.migrate import migrate

__all__ = [
    "IllegalTransition",
    "KeyDestroyed",
    "Ledger",
    "LedgerError",
    "NotExecutable",
    "NotInLedger",
    "SealBroken",
    "migrate",
]
