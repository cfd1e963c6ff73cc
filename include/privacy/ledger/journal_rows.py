"""The table of the replay journal."""

from __future__ import annotations

from datetime import date, datetime

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from include.privacy.ledger.base import Base
from include.privacy.ledger.models import TombstoneEpoch


class JournalEntry(Base):
    """What a restored backup does not know of somebody who was not erased; the latest of each kind.

    ``mark`` names the entry (keyed), ``sealed`` is under the key of its tombstone epoch.
    """

    __tablename__ = "journal_entry"
    action: Mapped[str] = mapped_column(primary_key=True)
    mark: Mapped[bytes] = mapped_column(primary_key=True)
    epoch: Mapped[date] = mapped_column(ForeignKey(TombstoneEpoch.epoch))
    subject_match: Mapped[bytes | None]
    active: Mapped[bool]
    recorded_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    sealed: Mapped[bytes]
