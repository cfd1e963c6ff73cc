"""Data keys in the database: made, opened, destroyed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import delete
from sqlalchemy.orm import Session

from include.privacy.ledger.errors import KeyDestroyed
from include.privacy.ledger.models import SealingKey
from include.privacy.ledger.sealing import Sealer, seal, unseal


@dataclass(frozen=True)
class DataKey:
    """A key in use. Seals text and JSON for one place in the ledger."""

    id: UUID
    secret: bytes = field(repr=False)

    def seal_text(self, value: str, context: str) -> bytes:
        """Seal text; ``context`` names the row and column it belongs to."""
        return seal(self.secret, value.encode(), context)

    def read_text(self, sealed: bytes, context: str) -> str:
        """Open what :meth:`seal_text` sealed."""
        return unseal(self.secret, sealed, context).decode()

    def seal_json(self, value: Any, context: str) -> bytes:
        """Seal a JSON value; dates and ids become text."""
        return self.seal_text(json.dumps(value, default=str, separators=(",", ":")), context)

    def read_json(self, sealed: bytes, context: str) -> Any:
        """Open what :meth:`seal_json` sealed."""
        return json.loads(self.read_text(sealed, context))


def create_key(session: Session, sealer: Sealer, purpose: str) -> DataKey:
    """A fresh key, its wrapped form stored."""
    key_id = uuid4()
    secret, wrapped = sealer.new_key(key_id)
    session.add(SealingKey(id=key_id, purpose=purpose, wrapped=wrapped))
    session.flush()
    return DataKey(key_id, secret)


def open_key(session: Session, sealer: Sealer, key_id: UUID | None, what: str) -> DataKey:
    """The key of ``what``; :class:`KeyDestroyed` when it is gone."""
    row = session.get(SealingKey, key_id) if key_id is not None else None
    if row is None:
        raise KeyDestroyed(f"{what}: its key was destroyed, so its personal details are gone for good")
    return DataKey(row.id, sealer.unwrap(row.id, row.wrapped))


def unwrapped(sealer: Sealer, key_id: UUID | None, wrapped: bytes | None) -> DataKey | None:
    """The key of a row joined with its ``sealing_key``; ``None`` when destroyed."""
    return (
        DataKey(key_id, sealer.unwrap(key_id, wrapped))
        if key_id is not None and wrapped is not None
        else None
    )


def destroy_key(session: Session, key_id: UUID | None) -> None:
    """Shred: what the key sealed can never be read again. Rows must no longer point at it."""
    if key_id is not None:
        session.flush()
        session.execute(delete(SealingKey).where(SealingKey.id == key_id))


def opened(key: DataKey | None, sealed: bytes | None, context: str) -> str | None:
    """Sealed text in plain, or ``None`` when key or value is gone."""
    return key.read_text(sealed, context) if key is not None and sealed is not None else None


def opened_json(key: DataKey | None, sealed: bytes | None, context: str) -> Mapping[str, Any] | None:
    """Sealed JSON in plain, or ``None`` when key or value is gone."""
    return key.read_json(sealed, context) if key is not None and sealed is not None else None
