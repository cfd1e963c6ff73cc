"""Backups of Google Cloud SQL, by its Admin API: backup runs of instances, and backups of the project.

The second list has what the first cannot: final backups, and those of instances that are gone. What is in
both is one backup.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Mapping
from datetime import datetime
from typing import Any
from urllib.parse import quote

from include.privacy.clock import parse_instant
from include.privacy.stores.google_api import GoogleApi, GoogleRefusedError
from include.privacy.stores.snapshots import Snapshot

HOST = "sqladmin.googleapis.com"
PATIENCE_S = 300.0
"""How long one deletion is waited for. It goes on there all the same, and the next run sees the result."""
PAUSE_S = 2.0
# Gone, or never there: no data in it.
_EMPTY = frozenset({"DELETED", "FAILED", "SKIPPED", "ENQUEUED", "OVERDUE"})


class CloudSql:
    """The backups of one project; ``sources`` are the instances whose backup runs are listed."""

    def __init__(
        self,
        api: GoogleApi,
        project: str,
        sources: Collection[str],
        *,
        patience_s: float = PATIENCE_S,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._api, self._base = api, f"/v1/projects/{quote(project, safe='')}"
        self._sources = sources
        self._patience_s, self._sleep = patience_s, sleep
        self._operations: dict[Snapshot, str] = {}

    def snapshots(self) -> Iterator[Snapshot]:
        """Backup runs of the mapped instances, then what the project has besides."""
        seen: set[str] = set()
        for instance in self._sources:
            for raw in self._runs(instance):
                if raw.get("status") in _EMPTY:
                    continue
                run = f"instances/{instance}/backupRuns/{raw['id']}"
                seen.add(run)
                yield Snapshot(instance, run, _kind(raw), _first(raw, "startTime", "windowStartTime"))
        for raw in self._api.pages(
            HOST,
            f"{self._base}/backups",
            "backups",
            permission="cloudsql.backupRuns.list",
            size=("pageSize", 500),
        ):
            run = str(raw.get("backupRun") or "")
            if raw.get("state") in _EMPTY or any(run.endswith(each) for each in seen):
                continue
            captured = _first(raw.get("backupInterval") or {}, "startTime", "endTime")
            key = f"backups/{str(raw['name']).rpartition('/')[2]}"
            yield Snapshot(str(raw.get("instance", "")), key, _kind(raw), captured)

    def _runs(self, instance: str) -> Iterator[dict[str, Any]]:
        path = f"{self._base}/instances/{quote(instance, safe='')}/backupRuns"
        try:
            yield from self._api.pages(
                HOST, path, "items", permission="cloudsql.backupRuns.list", size=("maxResults", 500)
            )
        except GoogleRefusedError as error:
            if error.status != 404:
                raise
            # The instance is gone; its backups that are kept are in the project's list.

    def delete(self, snapshot: Snapshot) -> str | None:
        """Begin a deletion; Cloud SQL works at one thing at a time in an instance, so settle it next."""
        path = f"{self._base}/{quote(snapshot.key)}"
        try:
            begun = self._api.call("DELETE", HOST, path, permission="cloudsql.backupRuns.delete")
        except GoogleRefusedError as error:
            if error.status == 404:
                return None
            if error.status in (401, 403):
                raise
            busy = "; the instance is at work, the next run tries again" if error.status == 409 else ""
            return f"Cloud SQL refuses it (status {error.status}){busy}"
        if begun.get("name"):
            self._operations[snapshot] = str(begun["name"])
        return None

    def settle(self, snapshot: Snapshot) -> str | None:
        """Wait until the operation is done, for :data:`PATIENCE_S` at most."""
        name = self._operations.pop(snapshot, None)
        if name is None:
            return None
        path = f"{self._base}/operations/{quote(name, safe='')}"
        waited = 0.0
        while True:
            operation = self._api.call("GET", HOST, path, permission="cloudsql.instances.get")
            if operation.get("status") == "DONE":
                errors = (operation.get("error") or {}).get("errors") or []
                codes = ", ".join(sorted({str(e.get("code", "unknown")) for e in errors}))
                return f"Cloud SQL could not delete it ({codes})" if errors else None
            if waited >= self._patience_s:
                return "the deletion has begun and is not over yet; the next run looks again"
            self._sleep(PAUSE_S)
            waited += PAUSE_S


def _kind(raw: Mapping[str, Any]) -> str:
    return str(raw.get("type", "ON_DEMAND")).lower()


def _first(raw: Mapping[str, Any], *fields: str) -> datetime | None:
    for field in fields:
        if raw.get(field):
            try:
                return parse_instant(str(raw[field]))
            except ValueError:
                continue
    return None
