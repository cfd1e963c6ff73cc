"""The ``objects`` methods but upload."""

from __future__ import annotations

import re

from include.sandbox.gcs import preconditions
from include.sandbox.gcs.errors import ApiError
from include.sandbox.gcs.exchange import Request, Response
from include.sandbox.gcs.listing import list_versions
from include.sandbox.gcs.resources import OBJECT_FIELDS, Bucket, Version, object_resource
from include.sandbox.gcs.store import Store


class ObjectApi:
    """Each method answers one request; path parts come in decoded."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def list(self, request: Request, bucket_name: str) -> Response:
        """``GET /b/{bucket}/o``."""
        bucket = self.store.bucket(bucket_name)
        page = list_versions(bucket, request)
        answer: dict[str, object] = {"kind": "storage#objects"}
        if page.next_token:
            answer["nextPageToken"] = page.next_token
        if page.prefixes:
            answer["prefixes"] = page.prefixes
        if page.items:
            answer["items"] = [object_resource(bucket, version, request.base_url) for version in page.items]
        return Response.of_json(answer)

    def get(self, request: Request, bucket_name: str, name: str) -> Response:
        """``GET /b/{bucket}/o/{object}``; ``alt=media`` for its bytes."""
        bucket = self.store.bucket(bucket_name)
        generation = request.integer("generation")
        if request.flag("softDeleted"):
            if generation is None:
                raise ApiError(
                    400, "Required parameter: generation", reason="required", location="generation"
                )
            version = self.store.find_soft_deleted(bucket, name, generation)
        else:
            version = self.store.find(bucket, name, generation)
        preconditions.check(request, version)
        if request.query.get("alt") == "media":
            return _media(request, version)
        return _resource(request, bucket, version)

    def download(self, request: Request, bucket_name: str, name: str) -> Response:
        """``GET /download/…``: always the bytes."""
        request.query["alt"] = "media"
        return self.get(request, bucket_name, name)

    def patch(self, request: Request, bucket_name: str, name: str) -> Response:
        """``PATCH /b/{bucket}/o/{object}``."""
        return self._change(request, bucket_name, name, replace=False)

    def update(self, request: Request, bucket_name: str, name: str) -> Response:
        """``PUT /b/{bucket}/o/{object}``."""
        return self._change(request, bucket_name, name, replace=True)

    def _change(self, request: Request, bucket_name: str, name: str, *, replace: bool) -> Response:
        bucket = self.store.bucket(bucket_name)
        version = self.store.find(bucket, name, request.integer("generation"))
        preconditions.check(request, version)
        override = request.flag("overrideUnlockedRetention")
        self.store.patch(bucket, version, request.json(), replace=replace, override=override)
        return _resource(request, bucket, version)

    def delete(self, request: Request, bucket_name: str, name: str) -> Response:
        """``DELETE /b/{bucket}/o/{object}``; permanent when a generation is named."""
        bucket = self.store.bucket(bucket_name)
        generation = request.integer("generation")
        version = self.store.find(bucket, name, generation)
        preconditions.check(request, version)
        self.store.delete(bucket, version, permanently=generation is not None)
        return Response(204)

    def restore(self, request: Request, bucket_name: str, name: str) -> Response:
        """``POST /b/{bucket}/o/{object}/restore?generation=``."""
        bucket = self.store.bucket(bucket_name)
        generation = request.integer("generation")
        if generation is None:
            raise ApiError(400, "Required parameter: generation", reason="required", location="generation")
        version = self.store.find_soft_deleted(bucket, name, generation)
        preconditions.check(request, bucket.live(name))
        return _resource(request, bucket, self.store.restore(bucket, version))

    def copy(self, request: Request, source: str, name: str, target: str, target_name: str) -> Response:
        """``…/copyTo/…``: the new object."""
        bucket, version = self._copy(request, source, name, target, target_name)
        return _resource(request, bucket, version)

    def rewrite(self, request: Request, source: str, name: str, target: str, target_name: str) -> Response:
        """``…/rewriteTo/…``; always done in one call, whatever the size."""
        bucket, version = self._copy(request, source, name, target, target_name)
        size = str(version.content.size)
        progress = {
            "kind": "storage#rewriteResponse",
            "done": True,
            "objectSize": size,
            "totalBytesRewritten": size,
        }
        return Response.of_json(progress | {"resource": object_resource(bucket, version, request.base_url)})

    def _copy(
        self, request: Request, source: str, name: str, target: str, target_name: str
    ) -> tuple[Bucket, Version]:
        origin, destination = self.store.bucket(source), self.store.bucket(target)
        version = self.store.find(origin, name, request.integer("sourceGeneration"))
        preconditions.check(request, version, source=True)
        preconditions.check(request, destination.live(target_name))
        # Holds and retention belong to the object, not to its content: a copy starts without them.
        protective = ("temporaryHold", "eventBasedHold", "retention", "storageClass")
        kept = {field: value for field, value in version.attributes.items() if field not in protective}
        given = {field: value for field, value in request.json().items() if field in OBJECT_FIELDS}
        return destination, self.store.insert(destination, target_name, version.content, given or kept)


def _resource(request: Request, bucket: Bucket, version: Version) -> Response:
    return Response.of_json(object_resource(bucket, version, request.base_url))


def _media(request: Request, version: Version) -> Response:
    data = version.content.read()
    headers = {
        "Content-Type": version.attributes.get("contentType") or "application/octet-stream",
        "X-Goog-Generation": str(version.generation),
        "X-Goog-Metageneration": str(version.metageneration),
        "X-Goog-Hash": f"crc32c={version.content.crc32c},md5={version.content.md5}",
        "X-Goog-Stored-Content-Length": str(len(data)),
    }
    asked = re.fullmatch(r"bytes=(\d*)-(\d*)", request.headers.get("range", ""))
    if not asked or asked.group() == "bytes=-":
        return Response(200, data, headers)
    first, last = asked.groups()
    start = int(first) if first else max(len(data) - int(last), 0)
    end = min(int(last), len(data) - 1) if first and last else len(data) - 1
    if start >= len(data):
        raise ApiError(416, "The requested range cannot be satisfied.")
    headers["Content-Range"] = f"bytes {start}-{end}/{len(data)}"
    return Response(206, data[start : end + 1], headers)
