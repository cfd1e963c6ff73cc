"""The table of drills; see :mod:`.models`."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ForeignKey, text
from sqlalchemy.orm import Mapped, mapped_column

from include.privacy.ledger.base import Base
from include.privacy.ledger.models import SealingKey


class Drill(Base):
    """One drill. ``notes``: ids of its requests and names of stores; who was planted is sealed."""

    __tablename__ = "drill"
    id: Mapped[UUID] = mapped_column(primary_key=True)
    state: Mapped[str]
    began_at: Mapped[datetime]
    moved_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    failure: Mapped[str | None]
    notes: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'"))
    key_id: Mapped[UUID | None] = mapped_column(ForeignKey(SealingKey.id))
    planted_sealed: Mapped[bytes | None]
