"""The hold gate: holds re-read at the moment of deletion, and none placed meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

from sqlalchemy.orm import Session, sessionmaker

from include.privacy.ledger.holds import hold_version, holds
from include.privacy.ledger.locks import enter_hold_gate
from include.privacy.ledger.sealing import Sealer
from include.privacy.planning.models import Holds


class LedgerHoldGate:
    """Satisfies ``HoldGate``. Commit the chunk inside the ``with`` block.

    Costs a few round trips on a pooled connection: holds are decrypted only when their version
    has changed. An error in reading them leaves the block unentered: nothing is deleted. Safe to
    share between threads.
    """

    def __init__(self, sessions: sessionmaker[Session], sealer: Sealer) -> None:
        self._sessions = sessions
        self._sealer = sealer
        self._known: tuple[int, Holds] = (-1, Holds())
        self._lock = Lock()

    @contextmanager
    def __call__(self) -> Iterator[Holds]:
        """Enter the gate for one chunk."""
        with self._sessions.begin() as session:
            enter_hold_gate(session)
            yield self._current(session)

    def _current(self, session: Session) -> Holds:
        # The version is read after the lock is held, so no placed hold can be missed.
        version = hold_version(session)
        with self._lock:
            if self._known[0] != version:
                self._known = (version, holds(session, self._sealer))
            return self._known[1]
