"""Opening a run: which instant, which policy, and whether it is a dry one."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import TYPE_CHECKING, Any
from uuid import UUID

from include.privacy.clock import parse_instant, require_utc
from include.privacy.runtime import runtime

if TYPE_CHECKING:
    from include.privacy.ledger.rows import RunRow

log = logging.getLogger(__name__)

CLOCK_SKEW = timedelta(minutes=5)
"""How far the clocks of two machines may differ before an instant counts as future."""


class FindingError(RuntimeError):
    """The run is red because of what it found: trying the task again would only find it again."""


class ParameterError(ValueError):
    """A parameter of the run is unusable; the message names it and what to write instead."""


def open_run(kind: str, *, params: Mapping[str, Any] | None = None, dag_run: Any = None) -> str:
    """Open the ledger's run for this Airflow run and return its id; a retry gets the same one.

    Raises :class:`ParameterError` for an ``as_of`` that is no instant, or lies in the future of a live
    run: rules applied early would delete what is still promised to be kept.
    """
    params = params or {}
    dry_run = params.get("dry_run", False)
    if not isinstance(dry_run, bool):
        raise ParameterError("dry_run must be true or false")
    as_of = _as_of(params.get("as_of"), dag_run)
    if not dry_run and as_of > current_instant() + CLOCK_SKEW:
        raise ParameterError(
            "as_of lies in the future: a live run would delete too early; set dry_run or leave it empty"
        )
    config = runtime().config()
    ledger = runtime().ledger()
    ledger.record_policy_version(config.policy.version, config.digest, config.policy.effective)
    key = sha256(f"{dag_run.dag_id}\n{dag_run.run_id}".encode()).hexdigest()
    ledger_run = ledger.open_run(kind, key, as_of, dry_run, config.policy.version, config.digest)
    log.info("%s run %s as of %s%s", kind, ledger_run, as_of.isoformat(), " (dry run)" if dry_run else "")
    return str(ledger_run)


def current_instant() -> datetime:
    """Now. Asked only at the edge, to refuse instants that lie in the future; rules take ``as_of``."""
    return datetime.now(UTC)


def read_run(ledger_run: str) -> RunRow:
    """The run that an earlier task opened."""
    return runtime().ledger().run(UUID(ledger_run))


def _as_of(given: str | None, dag_run: Any) -> datetime:
    if not given:
        return require_utc(dag_run.run_after)
    try:
        return parse_instant(given)
    except ValueError:
        raise ParameterError("as_of must be an instant with its zone, such as 2026-03-01T00:00:00Z") from None
