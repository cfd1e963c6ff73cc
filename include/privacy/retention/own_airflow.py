"""Airflow's own memory: its metadata, pruned by its own command, and its log files.

Nothing personal enters Airflow; who pressed which button does, and that has a period too.
"""

from __future__ import annotations

import logging
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

from include.privacy.connections import ConnectionInfo, UnusableConnectionError, postgres_url
from include.privacy.runtime import runtime
from include.privacy.steps.runs import FindingError, read_run

log = logging.getLogger(__name__)

METADATA = "airflow_metadata"
"""The connection with Airflow's own database. Airflow keeps it from tasks, so it has to be given."""
BLOCKED = "airflow-db-not-allowed"
SETTING = "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"
TIMEOUT_S = 3000
_FOUND = re.compile(r"Checking table (\w+)\s+Found (\d+) rows")


class AirflowNotPrunedError(FindingError):
    """Airflow's metadata could not be pruned; the message says what to do."""


def prune_metadata(ledger_run: str) -> dict[str, int]:
    """Run ``airflow db clean`` without archives (it would keep the rows in tables of another name).

    Returns the rows that were due, by table. Raises :class:`AirflowNotPrunedError` when the metadata cannot
    be reached, or a table could not be cleaned.
    """
    run = read_run(ledger_run)
    before = run.as_of - timedelta(days=runtime().config().policy.own_retention.airflow_days)
    told = _airflow(
        "clean",
        "--clean-before-timestamp",
        before.isoformat(),
        "--skip-archive",
        "--yes",
        "--verbose",
        *(["--dry-run"] if run.dry_run else ["--error-on-cleanup-failure"]),
    )
    counts = {table: int(rows) for table, rows in _FOUND.findall(told) if int(rows)}
    if not run.dry_run:
        _airflow("drop-archived", "--yes")
    log.info("Airflow's metadata before %s: %s", before.date(), counts or "nothing")
    return counts


def prune_logs(ledger_run: str) -> dict[str, int]:
    """Remove log files that were last written before the period, and folders that are empty then.

    Links are not followed and nothing but logs is touched. Returns how many files, and how many bytes.
    """
    from airflow.configuration import conf

    run = read_run(ledger_run)
    before = run.as_of - timedelta(days=runtime().config().policy.own_retention.airflow_days)
    folder = Path(conf.get_mandatory_value("logging", "base_log_folder"))
    counts = remove_old_logs(folder, before, dry_run=run.dry_run)
    log.info("log files before %s: %s", before.date(), counts)
    return counts


def remove_old_logs(folder: Path, before: datetime, *, dry_run: bool = False) -> dict[str, int]:
    """See :func:`prune_logs`."""
    files = size = 0
    for path in _logs(folder):
        found = path.lstat()
        if found.st_mtime >= before.timestamp():
            continue
        if not dry_run:
            path.unlink(missing_ok=True)
        files, size = files + 1, size + found.st_size
    for name, _, _ in () if dry_run else os.walk(folder, topdown=False):
        below = Path(name)
        # A folder in which a task is about to write is not empty for long: it makes it again.
        if below != folder and below.lstat().st_mtime < before.timestamp() and not any(below.iterdir()):
            below.rmdir()
    return {"files": files, "bytes": size}


def _logs(folder: Path) -> Iterator[Path]:
    for name, _, files in os.walk(folder, followlinks=False):
        for file in files:
            path = Path(name) / file
            if ".log" in file and not path.is_symlink():
                yield path


def _airflow(*arguments: str) -> str:
    done = subprocess.run(  # noqa: S603 - our own interpreter's Airflow, arguments of our own making
        [sys.executable, "-m", "airflow", "db", *arguments],
        env=os.environ | {SETTING: _metadata_url()},
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    if done.returncode:
        # What it prints may quote rows; the kind of error is enough to know where to look.
        kinds = sorted(
            set(re.findall(r"\b[A-Z]\w+(?:Error|Violation|Exception)\b", done.stderr + done.stdout))
        )
        raise AirflowNotPrunedError(
            f"airflow db {arguments[0]} ended with {done.returncode} ({', '.join(kinds) or 'no reason'}); "
            "run it by hand with --verbose to see the table"
        )
    return done.stdout + done.stderr


def _metadata_url() -> str:
    """From the environment where tasks are given it, else from the connection."""
    known = os.environ.get(SETTING, "")
    if known and not known.startswith(BLOCKED):
        return known
    try:
        info: ConnectionInfo = runtime().connection(METADATA)
    except UnusableConnectionError as error:
        raise AirflowNotPrunedError(f"{error}; without it Airflow's metadata are never pruned") from None
    return postgres_url(info).replace("postgresql://", "postgresql+psycopg2://", 1)
