"""``objects.insert``: simple, multipart and resumable uploads."""

from __future__ import annotations

import email.parser
import email.policy
import json
import re
import secrets
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from include.sandbox.gcs import preconditions
from include.sandbox.gcs.errors import ApiError
from include.sandbox.gcs.exchange import Request, Response
from include.sandbox.gcs.resources import object_resource
from include.sandbox.gcs.store import Store, check_name


@dataclass
class Session:
    """A resumable upload: what it will become and the bytes so far."""

    bucket: str
    name: str
    attributes: dict[str, Any]
    request: Request
    data: bytearray = field(default_factory=bytearray)


class UploadApi:
    """Bytes come in here; an object exists only once all of them are there and match their checksum."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.sessions: dict[str, Session] = {}

    def start(self, request: Request, bucket: str) -> Response:
        """``POST /upload/…/b/{bucket}/o?uploadType=media|multipart|resumable``."""
        self.store.bucket(bucket)
        kind = request.query.get("uploadType")
        if kind == "media":
            attributes = {"contentType": request.headers.get("content-type")}
            return self._finish(request, bucket, request.query.get("name", ""), attributes, request.body)
        if kind == "multipart":
            attributes, data = _split(request)
            name = request.query.get("name") or str(attributes.get("name") or "")
            return self._finish(request, bucket, name, attributes, data)
        if kind == "resumable":
            return self._open(request, bucket)
        raise ApiError(400, f"Invalid uploadType: {kind!r}", location="uploadType")

    def _open(self, request: Request, bucket: str) -> Response:
        attributes = request.json()
        attributes.setdefault("contentType", request.headers.get("x-upload-content-type"))
        name = request.query.get("name") or str(attributes.get("name") or "")
        check_name(name)
        preconditions.check(request, self.store.bucket(bucket).live(name))
        key = secrets.token_urlsafe(24)
        self.sessions[key] = Session(bucket, name, attributes, request)
        query = urlencode({"uploadType": "resumable", "upload_id": key})
        location = f"{request.base_url}/upload/storage/v1/b/{bucket}/o?{query}"
        return Response(200, headers={"Location": location, "X-GUploader-UploadID": key})

    def resume(self, request: Request, bucket: str) -> Response:
        """``PUT`` to the session's address: a chunk, the last chunk, or a question how far it is."""
        key = request.query.get("upload_id", "")
        session = self.sessions.get(key)
        if session is None or session.bucket != bucket:
            raise ApiError(404, "No such resumable upload session.")
        given = request.headers.get("content-range", "")
        if not given:
            session.data[:] = request.body
            return self._complete(key, session, request)
        ranged = re.fullmatch(r"bytes (?:(\d+)-(\d+)|\*)/(\d+|\*)", given)
        if not ranged:
            raise ApiError(400, f"Invalid Content-Range: {given}", location="Content-Range")
        first, last, total = ranged.groups()
        if first is not None:
            start = int(first)
            if start > len(session.data) or int(last) - start + 1 != len(request.body):
                raise ApiError(503, "The chunk does not continue the upload.")
            session.data[start:] = request.body
        if total != "*" and len(session.data) == int(total):
            return self._complete(key, session, request)
        headers = {"Range": f"bytes=0-{len(session.data) - 1}"} if session.data else {}
        return Response(308, headers=headers)

    def cancel(self, request: Request, bucket: str) -> Response:
        """``DELETE`` of the session's address: 499, as documented."""
        session = self.sessions.pop(request.query.get("upload_id", ""), None)
        if session is None or session.bucket != bucket:
            raise ApiError(404, "No such resumable upload session.")
        return Response(499)

    def _complete(self, key: str, session: Session, request: Request) -> Response:
        expected = dict(part.strip().split("=", 1) for part in _hashes(request) if "=" in part)
        names = {"crc32c": "crc32c", "md5": "md5Hash"}
        attributes = session.attributes | {
            names[kind]: value for kind, value in expected.items() if kind in names
        }
        answer = self._finish(session.request, session.bucket, session.name, attributes, bytes(session.data))
        del self.sessions[key]
        return answer

    def _finish(
        self, request: Request, bucket_name: str, name: str, attributes: dict[str, Any], data: bytes
    ) -> Response:
        bucket = self.store.bucket(bucket_name)
        check_name(name)
        preconditions.check(request, bucket.live(name))
        content = self.store.keep(data)
        for field_name, actual in (("crc32c", content.crc32c), ("md5Hash", content.md5)):
            if attributes.get(field_name) not in (None, actual):
                raise ApiError(
                    400, f"Provided {field_name} does not match the data received.", location=field_name
                )
        version = self.store.insert(bucket, name, content, attributes)
        return Response.of_json(object_resource(bucket, version, request.base_url))


def _hashes(request: Request) -> list[str]:
    return request.headers.get("x-goog-hash", "").split(",")


def _split(request: Request) -> tuple[dict[str, Any], bytes]:
    """The metadata and the bytes of a multipart/related body."""
    kind = request.headers.get("content-type", "")
    found = re.search(r'boundary="?([^";]+)"?', kind)
    parts = request.body.split(b"--" + found.group(1).encode()) if found else []
    if len(parts) != 4:
        raise ApiError(400, "A multipart upload has exactly two parts: metadata and media.")
    (_, metadata), (head, data) = _part(parts[1]), _part(parts[2])
    try:
        attributes = json.loads(metadata or b"{}")
    except ValueError:
        raise ApiError(400, "Parse Error", reason="parseError") from None
    headers = email.parser.BytesParser(policy=email.policy.HTTP).parsebytes(head, headersonly=True)
    attributes.setdefault("contentType", headers.get("content-type"))
    return attributes, data


def _part(raw: bytes) -> tuple[bytes, bytes]:
    head, _, data = raw.removeprefix(b"\r\n").partition(b"\r\n\r\n")
    return head, data.removesuffix(b"\r\n")
