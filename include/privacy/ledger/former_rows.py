"""The table of former identifiers; see :mod:`.models`."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from include.privacy.ledger.base import Base
from include.privacy.ledger.models import SealingKey


class FormerIdentifier(Base):
    """An identifier that a person had before it was corrected, sealed under a key of its own."""

    __tablename__ = "former_identifier"
    mark: Mapped[bytes] = mapped_column(primary_key=True)
    subject_match: Mapped[bytes]
    recorded_at: Mapped[datetime]
    key_id: Mapped[UUID] = mapped_column(ForeignKey(SealingKey.id), unique=True)
    sealed: Mapped[bytes]
