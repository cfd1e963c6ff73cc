"""A stand-in for Google Cloud: backups of Cloud SQL (Admin API v1), log buckets, sinks and audit entries
(Logging API v2), keys (Cloud KMS v1), and the directory of a Workspace (Directory API v1).

Modelled on Google's discovery documents. A deletion is an operation that takes time, and an instance works
at one at a time (409). It checks no token. Settings: ``backup_runs`` and ``backups`` (add; resources as the
API shows them), ``gone`` (instances that are no more), ``buckets`` and ``sinks`` (replace, by name),
``operation_polls`` (calls that pass while an operation runs), ``operation_error`` (the code it ends with),
``page_size``, ``audit`` (log → instant of its last entry, ``now``, or null), ``keys`` (name → its
rotationPeriod, or null), ``people`` (as the directory shows users), ``denied`` (beginnings of paths),
``forget`` (true: all backups stored so far).
"""

from __future__ import annotations

import re
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from include.sandbox.processors.exchange import Request, Response

_RUN = re.compile(r"/v1/projects/([^/]+)/instances/([^/]+)/backupRuns(?:/(\d+))?")
_BACKUP = re.compile(r"/v1/projects/([^/]+)/backups(?:/([^/]+))?")
_OPERATION = re.compile(r"/v1/projects/([^/]+)/operations/([^/]+)")
_BUCKETS = re.compile(r"/v2/projects/([^/]+)/locations/-/buckets")
_BUCKET = re.compile(r"/v2/(projects/[^/]+/locations/[^/]+/buckets/[^/]+)")
_SINKS = re.compile(r"/v2/projects/([^/]+)/sinks")
_INSTANCE = re.compile(r"/v1/projects/([^/]+)/instances/([^/]+)")
_ENTRIES = re.compile(r"/v2/entries:list")
_KEY = re.compile(r"/v1/(projects/[^/]+/locations/[^/]+/keyRings/[^/]+/cryptoKeys/[^/]+)")
_USERS = re.compile(r"/admin/directory/v1/users")
_AUDIT = re.compile(r'logName="[^"]*cloudaudit\.googleapis\.com%2F([a-z_]+)"')
REQUIRED = {"retentionDays": 400, "locked": True, "lifecycleState": "ACTIVE"}
DEFAULT = {"retentionDays": 30, "lifecycleState": "ACTIVE"}
_SETTINGS = frozenset(
    {
        "backup_runs",
        "backups",
        "gone",
        "buckets",
        "sinks",
        "operation_polls",
        "operation_error",
        "page_size",
        "audit",
        "keys",
        "people",
        "denied",
        "forget",
    }
)


class GoogleCloud:
    """One project."""

    def __init__(self, folder: Path, key: str) -> None:
        self._lock = threading.Lock()
        self._runs: dict[tuple[str, str], dict[str, Any]] = {}
        self._backups: dict[str, dict[str, Any]] = {}
        self._gone: set[str] = set()
        self._operations: dict[str, dict[str, Any]] = {}
        self._buckets: dict[str, dict[str, Any]] = {"_Required": dict(REQUIRED), "_Default": dict(DEFAULT)}
        self._sinks: dict[str, dict[str, Any]] = {}
        self._polls, self._error, self._page_size = 1, "", 500
        self._audit: dict[str, str | None] = {"activity": "now", "data_access": "now"}
        self._keys: dict[str, str | None] = {}
        self._people: list[dict[str, Any]] = []
        self._denied: tuple[str, ...] = ()

    def configure(self, settings: dict[str, Any]) -> None:
        """See the module's text."""
        if unknown := settings.keys() - _SETTINGS:
            raise ValueError(f"no such settings: {', '.join(sorted(unknown))}")
        with self._lock:
            if settings.get("forget"):
                for each in (self._runs, self._backups, self._operations):
                    each.clear()
                self._gone.clear()
            for run in settings.get("backup_runs", ()):
                self._runs[run["instance"], str(run["id"])] = {"kind": "sql#backupRun", **run}
            for backup in settings.get("backups", ()):
                self._backups[backup["name"].rpartition("/")[2]] = {"kind": "sql#backup", **backup}
            self._gone |= set(settings.get("gone", ()))
            self._buckets |= settings.get("buckets", {})
            self._sinks = settings.get("sinks", self._sinks)
            self._polls = int(settings.get("operation_polls", self._polls))
            self._error = settings.get("operation_error", self._error)
            self._page_size = int(settings.get("page_size", self._page_size))
            self._audit = settings.get("audit", self._audit)
            self._keys = settings.get("keys", self._keys)
            self._people = settings.get("people", self._people)
            self._denied = tuple(settings.get("denied", self._denied))

    def seed(self, people: list[dict[str, Any]]) -> None:
        """Backups and logs are nobody's in particular."""

    def describe(self) -> dict[str, Any]:
        """Backup runs, backups and log buckets."""
        with self._lock:
            runs = sorted(f"{instance}/{number}" for instance, number in self._runs)
            return {"backup_runs": runs, "backups": sorted(self._backups), "buckets": self._buckets}

    def refusal(self, status: int) -> Response:
        """The documented error document."""
        error = {"code": status, "message": "refused", "status": "UNKNOWN"}
        return Response.of_json({"error": error}, status)

    def answer(self, request: Request) -> Response:
        """One call of either API."""
        with self._lock:
            self._pass_time()
            if self._denied and request.path.startswith(self._denied):
                return self.refusal(403)
            for pattern, handler in (
                (_RUN, self._run),
                (_BACKUP, self._backup),
                (_OPERATION, self._operation),
                (_BUCKETS, self._list_buckets),
                (_BUCKET, self._bucket),
                (_SINKS, self._list_sinks),
                (_INSTANCE, self._instance),
                (_ENTRIES, self._entries),
                (_KEY, self._key),
                (_USERS, self._users),
            ):
                found = pattern.fullmatch(request.path)
                if found:
                    return handler(request, *found.groups())
        return self.refusal(404)

    def _run(self, request: Request, project: str, instance: str, number: str | None) -> Response:
        if instance in self._gone:
            return self.refusal(404)
        if number is None:
            runs = [run for (of, _), run in self._runs.items() if of == instance]
            return self._page(request, "items", runs, "maxResults")
        if request.method != "DELETE" or (instance, number) not in self._runs:
            return self.refusal(404)
        return self._begin(instance, lambda: self._runs.pop((instance, number), None))

    def _backup(self, request: Request, project: str, name: str | None) -> Response:
        if name is None:
            return self._page(request, "backups", list(self._backups.values()), "pageSize")
        if request.method != "DELETE" or name not in self._backups:
            return self.refusal(404)
        return self._begin(self._backups[name]["instance"], lambda: self._backups.pop(name, None))

    def _begin(self, instance: str, effect: Any) -> Response:
        if any(o["targetId"] == instance and o["status"] != "DONE" for o in self._operations.values()):
            return self.refusal(409)
        name = f"op-{len(self._operations) + 1}"
        operation = {"kind": "sql#operation", "name": name, "targetId": instance, "status": "PENDING"}
        operation |= {"operationType": "DELETE_BACKUP"}
        self._operations[name] = {**operation, "left": self._polls, "effect": effect}
        return Response.of_json(operation)

    def _operation(self, request: Request, project: str, name: str) -> Response:
        found = self._operations.get(name)
        if found is None:
            return self.refusal(404)
        return Response.of_json({k: v for k, v in found.items() if k not in ("left", "effect")})

    def _pass_time(self) -> None:
        for each in self._operations.values():
            if each["status"] == "DONE":
                continue
            if each["left"] > 0:
                each["left"] -= 1
                each["status"] = "RUNNING"
                continue
            each["status"] = "DONE"
            if self._error:
                each["error"] = {"kind": "sql#operationErrors", "errors": [{"code": self._error}]}
            else:
                each["effect"]()

    def _list_buckets(self, request: Request, project: str) -> Response:
        shown = [{"name": self._name(project, name), **settings} for name, settings in self._buckets.items()]
        return self._page(request, "buckets", shown, "pageSize")

    def _bucket(self, request: Request, full_name: str) -> Response:
        project = full_name.split("/")[1]
        known = {self._name(project, name): name for name in self._buckets}
        if full_name not in known:
            return self.refusal(404)
        bucket = self._buckets[known[full_name]]
        if request.method == "PATCH":
            if request.query.get("updateMask") != "retentionDays" or bucket.get("locked"):
                return self.refusal(400)
            bucket["retentionDays"] = int(request.json()["retentionDays"])
        return Response.of_json({"name": full_name, **bucket})

    def _list_sinks(self, request: Request, project: str) -> Response:
        own = f"logging.googleapis.com/projects/{project}/locations/global/buckets/_Default"
        sinks = [{"name": "_Default", "destination": own}]
        sinks += [{"name": name, **settings} for name, settings in self._sinks.items()]
        return self._page(request, "sinks", sinks, "pageSize")

    def _instance(self, request: Request, project: str, name: str) -> Response:
        if name in self._gone:
            return self.refusal(404)
        return Response.of_json({"kind": "sql#instance", "name": name, "state": "RUNNABLE"})

    def _entries(self, request: Request) -> Response:
        named = _AUDIT.fullmatch(str(request.json().get("filter", "")))
        last = self._audit.get(named[1]) if named else None
        last = datetime.now(UTC).isoformat() if last == "now" else last
        return Response.of_json({"entries": [{"timestamp": last}]} if last else {})

    def _key(self, request: Request, name: str) -> Response:
        if name not in self._keys:
            return self.refusal(404)
        period = self._keys[name]
        return Response.of_json({"name": name, **({"rotationPeriod": period} if period else {})})

    def _users(self, request: Request) -> Response:
        if not request.query.get("customer"):
            return self.refusal(400)
        return self._page(request, "users", self._people, "maxResults")

    def _name(self, project: str, name: str) -> str:
        location, _, bucket = name.rpartition("/")
        return f"projects/{project}/locations/{location or 'global'}/buckets/{bucket}"

    def _page(self, request: Request, items: str, found: list[dict[str, Any]], size: str) -> Response:
        start = int(request.query.get("pageToken") or 0)
        end = start + min(int(request.query.get(size) or 100), self._page_size)
        more = {"nextPageToken": str(end)} if end < len(found) else {}
        return Response.of_json({items: found[start:end], **more})
