"""Tables of the evidence log: leaves, stored subtrees, checkpoints, certificates, reports. Insert-only."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, SmallInteger, func, text
from sqlalchemy.orm import Mapped, mapped_column

from include.privacy.ledger.base import Base


class EvidenceLeaf(Base):
    """A row of evidence that has its place in the log.

    ``hash``: SHA-256(0x00 ‖ canonical bytes); ``chain``: SHA-256(chain of the leaf before ‖ hash).
    """

    __tablename__ = "evidence_leaf"
    idx: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    evidence_id: Mapped[int] = mapped_column(BigInteger, unique=True)
    hash: Mapped[bytes]
    chain: Mapped[bytes]


class EvidenceNode(Base):
    """The hash of a complete subtree of 256 (level 1), 256² (level 2), … leaves, so that proofs are quick."""

    __tablename__ = "evidence_node"
    level: Mapped[int] = mapped_column(SmallInteger, primary_key=True)
    position: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    hash: Mapped[bytes]


class EvidenceSettled(Base):
    """One row: every id up to ``evidence_id`` is in the log, or its transaction was rolled back.

    Only a short cut: a full sequencing asks every row, whatever stands here.
    """

    __tablename__ = "evidence_settled"
    singleton: Mapped[bool] = mapped_column(primary_key=True, server_default=text("true"))
    evidence_id: Mapped[int] = mapped_column(BigInteger)


class EvidenceCheckpoint(Base):
    """A checkpoint that was signed, as a C2SP note; published or only part of a certificate."""

    __tablename__ = "evidence_checkpoint"
    size: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    root: Mapped[bytes]
    note: Mapped[str]
    signed_at: Mapped[datetime]


class Certificate(Base):
    """A version of a request's erasure certificate. No foreign key: it outlives the record of the request."""

    __tablename__ = "certificate"
    request_id: Mapped[UUID] = mapped_column(primary_key=True)
    version: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    statement_digest: Mapped[str]
    body: Mapped[dict[str, Any]]
    issued_at: Mapped[datetime]


class PromiseReport(Base):
    """A promise report that was made: its figures, and where its page lies in the bucket of evidence."""

    __tablename__ = "promise_report"
    run_id: Mapped[UUID] = mapped_column(primary_key=True)
    as_of: Mapped[datetime]
    location: Mapped[str]
    body: Mapped[dict[str, Any]]
    recorded_at: Mapped[datetime] = mapped_column(server_default=func.now())
