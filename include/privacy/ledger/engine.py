"""The ledger's own connections: small pool, time-outs, UTC, no parameters in errors."""

from __future__ import annotations

from sqlalchemy import URL, Engine, create_engine, make_url

STATEMENT_TIMEOUT_MS = 60_000
CONNECT_TIMEOUT_S = 10


def ledger_engine(url: str) -> Engine:
    """An engine for ``postgresql://…`` or ``postgresql+psycopg://…``; connects at first use."""
    return create_engine(
        _with_driver(make_url(url)),
        pool_size=2,
        max_overflow=6,
        pool_pre_ping=True,
        pool_recycle=1800,
        hide_parameters=True,  # an error must not carry what a statement was about
        connect_args={
            "application_name": "privacy-ledger",
            "connect_timeout": CONNECT_TIMEOUT_S,
            "options": f"-c statement_timeout={STATEMENT_TIMEOUT_MS} -c timezone=UTC",
        },
    )


def _with_driver(url: URL) -> URL:
    if url.drivername in ("postgresql", "postgres", "postgresql+psycopg"):
        return url.set(drivername="postgresql+psycopg")
    raise ValueError(f"the ledger needs a postgresql:// URL, not {url.drivername}://")
