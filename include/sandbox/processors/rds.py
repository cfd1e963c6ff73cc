"""A stand-in for Amazon RDS, as far as its snapshots go: the query protocol with XML answers, and state.

It tells automated snapshots from manual ones and refuses to delete them, keeps the original's time for a
copy of an instance's snapshot and not for one of a cluster's, and lists AWS Backup's only when asked for
them. It checks no signature. Settings: ``snapshots`` (adds or replaces; fields of :class:`Stored`),
``share`` ({id: [accounts]}), ``page_size``, ``unencrypted`` (names of servers and snapshots whose storage is
not encrypted), ``forget`` (true: everything stored so far). Its servers are those that snapshots are of.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl
from xml.sax.saxutils import escape

from include.sandbox.processors.exchange import Request, Response

ACCOUNT, REGION = "000000000000", "eu-central-1"
NAMESPACE = "http://rds.amazonaws.com/doc/2014-10-31/"
_MISSING = {"": "DBSnapshotNotFound", "Cluster": "DBClusterSnapshotNotFoundFault"}
_WRONG_STATE = {"": "InvalidDBSnapshotState", "Cluster": "InvalidDBClusterSnapshotStateFault"}


@dataclass
class Stored:
    """One snapshot. ``created`` and ``original``: ISO 8601; ``original`` is kept by copies of instances'."""

    id: str
    source: str
    created: str
    type: str = "manual"
    status: str = "available"
    cluster: bool = False
    original: str | None = None
    copy_of: str | None = None
    tags: dict[str, str] = field(default_factory=dict)
    shared: list[str] = field(default_factory=list)

    @property
    def word(self) -> str:
        """What makes the names of calls and elements those of clusters."""
        return "Cluster" if self.cluster else ""


class RdsSnapshots:
    """The snapshots of one account and region."""

    def __init__(self, folder: Path, key: str) -> None:
        self._lock = threading.Lock()
        self._stored: dict[str, Stored] = {}
        self._page_size = 100
        self._unencrypted: set[str] = set()

    def configure(self, settings: dict[str, Any]) -> None:
        """See the module's text."""
        if unknown := settings.keys() - {"snapshots", "share", "page_size", "unencrypted", "forget"}:
            raise ValueError(f"no such settings: {', '.join(sorted(unknown))}")
        with self._lock:
            if settings.get("forget"):
                self._stored.clear()
                self._unencrypted.clear()
            for given in settings.get("snapshots", ()):
                stored = Stored(**given)
                self._stored[stored.id] = stored
            for name, accounts in settings.get("share", {}).items():
                self._stored[name].shared = list(accounts)
            self._page_size = int(settings.get("page_size", self._page_size))
            self._unencrypted = set(settings.get("unencrypted", self._unencrypted))

    def seed(self, people: list[dict[str, Any]]) -> None:
        """Snapshots are nobody's in particular."""

    def describe(self) -> dict[str, Any]:
        """Every snapshot by its id."""
        with self._lock:
            return {"snapshots": {name: asdict(stored) for name, stored in self._stored.items()}}

    def refusal(self, status: int) -> Response:
        """An error of that status."""
        code = {400: "ValidationError", 403: "AccessDenied", 429: "Throttling", 503: "ServiceUnavailable"}
        return _error(status, code.get(status, "InternalFailure"), "refused")

    def answer(self, request: Request) -> Response:
        """One action of the query protocol."""
        given = dict(parse_qsl(request.body.decode(), keep_blank_values=True)) | dict(request.query)
        action = given.get("Action", "")
        word = "Cluster" if "DBCluster" in action else ""
        with self._lock:
            match action.replace("DBCluster", "DB"):
                case "DescribeDBInstances" | "DescribeDBs":
                    return self._servers(action, "Cluster" if action == "DescribeDBClusters" else "")
                case "DescribeDBSnapshots":
                    return self._list(action, word, given)
                case "DescribeDBSnapshotAttributes":
                    return self._attributes(action, word, given)
                case "DeleteDBSnapshot":
                    return self._delete(action, word, given)
        return _error(400, "InvalidAction", f"Could not find operation {action}")

    def _list(self, action: str, word: str, given: dict[str, str]) -> Response:
        wanted = given.get("SnapshotType")
        found = [
            s
            for s in self._stored.values()
            if s.word == word and (s.type == wanted if wanted else s.type in ("manual", "automated"))
        ]
        start = int(given.get("Marker") or 0)
        end = start + self._page_size
        element = f"DB{word}Snapshot"
        members = "".join(f"<{element}>{self._shown(s)}</{element}>" for s in found[start:end])
        more = f"<Marker>{end}</Marker>" if end < len(found) else ""
        return _result(action, f"{more}<{element}s>{members}</{element}s>")

    def _attributes(self, action: str, word: str, given: dict[str, str]) -> Response:
        stored = self._find(word, given)
        if stored is None:
            return _error(404, _MISSING[word], "not found")
        element = f"DB{word}SnapshotAttribute"
        values = _each("AttributeValue", stored.shared)
        inner = (
            f"<{element}><AttributeName>restore</AttributeName>"
            f"<AttributeValues>{values}</AttributeValues></{element}>"
        )
        identifier = f"DB{word}SnapshotIdentifier"
        body = f"<{identifier}>{escape(stored.id)}</{identifier}><{element}s>{inner}</{element}s>"
        return _result(action, f"<DB{word}SnapshotAttributesResult>{body}</DB{word}SnapshotAttributesResult>")

    def _delete(self, action: str, word: str, given: dict[str, str]) -> Response:
        stored = self._find(word, given)
        if stored is None:
            return _error(404, _MISSING[word], "not found")
        if stored.type != "manual" or stored.status != "available":
            return _error(400, _WRONG_STATE[word], f"cannot delete a snapshot that is {stored.type}")
        del self._stored[stored.id]
        stored.status = "deleted"
        return _result(action, f"<DB{word}Snapshot>{self._shown(stored)}</DB{word}Snapshot>")

    def _servers(self, action: str, word: str) -> Response:
        kind = word or "Instance"
        names = sorted({s.source for s in self._stored.values() if s.word == word})
        members = "".join(
            f"<DB{kind}><DB{kind}Identifier>{escape(name)}</DB{kind}Identifier>"
            f"<StorageEncrypted>{self._encrypted(name)}</StorageEncrypted></DB{kind}>"
            for name in names
        )
        return _result(action, f"<DB{kind}s>{members}</DB{kind}s>")

    def _shown(self, stored: Stored) -> str:
        element = "StorageEncrypted" if stored.cluster else "Encrypted"
        return f"{_snapshot(stored)}<{element}>{self._encrypted(stored.id)}</{element}>"

    def _encrypted(self, name: str) -> str:
        return "false" if name in self._unencrypted else "true"

    def _find(self, word: str, given: dict[str, str]) -> Stored | None:
        stored = self._stored.get(given.get(f"DB{word}SnapshotIdentifier", ""))
        return stored if stored is not None and stored.word == word else None


def _snapshot(stored: Stored) -> str:
    arn = f"arn:aws:rds:{REGION}:{ACCOUNT}:{'cluster-' if stored.cluster else ''}snapshot:{stored.id}"
    word = stored.word
    fields: dict[str, str | None] = {
        f"DB{word}SnapshotIdentifier": stored.id,
        f"DB{word}SnapshotArn": arn,
        f"DB{'Cluster' if word else 'Instance'}Identifier": stored.source,
        "SnapshotCreateTime": stored.created,
        "OriginalSnapshotCreateTime": None if word else stored.original or stored.created,
        "SnapshotType": stored.type,
        "Status": stored.status,
        "Engine": "aurora-postgresql" if word else "postgres",
        "SourceDBClusterSnapshotArn" if word else "SourceDBSnapshotIdentifier": stored.copy_of,
    }
    tags = "".join(
        f"<Tag><Key>{escape(k)}</Key><Value>{escape(v)}</Value></Tag>" for k, v in stored.tags.items()
    )
    shown = "".join(f"<{name}>{escape(value)}</{name}>" for name, value in fields.items() if value)
    return f"{shown}<TagList>{tags}</TagList>"


def _each(name: str, values: Iterable[str]) -> str:
    return "".join(f"<{name}>{escape(value)}</{name}>" for value in values)


def _result(action: str, inner: str) -> Response:
    text = (
        f'<{action}Response xmlns="{NAMESPACE}"><{action}Result>{inner}</{action}Result>'
        f"<ResponseMetadata><RequestId>sandbox</RequestId></ResponseMetadata></{action}Response>"
    )
    return Response(200, text.encode(), {"Content-Type": "text/xml"})


def _error(status: int, code: str, message: str) -> Response:
    kind = "Sender" if status < 500 else "Receiver"
    text = (
        f'<ErrorResponse xmlns="{NAMESPACE}"><Error><Type>{kind}</Type><Code>{code}</Code>'
        f"<Message>{escape(message)}</Message></Error><RequestId>sandbox</RequestId></ErrorResponse>"
    )
    return Response(status, text.encode(), {"Content-Type": "text/xml"})
