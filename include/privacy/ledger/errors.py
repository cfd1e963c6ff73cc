"""What the ledger refuses, each with the reason and what to do."""

from __future__ import annotations


class LedgerError(RuntimeError):
    """The ledger cannot do what was asked; the message says what, where and what to do."""


class NotInLedger(LedgerError, LookupError):  # noqa: N818  (reads as the fact it states)
    """No row with that id."""


class IllegalTransition(LedgerError):  # noqa: N818
    """The state machine has no such step; nothing was changed."""


class KeyDestroyed(LedgerError):  # noqa: N818
    """The sealing key was destroyed: what it sealed is gone for good, on purpose."""


class SealBroken(LedgerError):  # noqa: N818
    """A sealed value does not open: the master key is another one, or the value was moved or changed."""


class NotExecutable(LedgerError):  # noqa: N818
    """The plan waits for approval, or was rejected or replaced; nothing may be deleted by it."""
