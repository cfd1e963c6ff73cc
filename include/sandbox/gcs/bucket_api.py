"""The ``buckets`` methods."""

from __future__ import annotations

from include.sandbox.gcs import preconditions
from include.sandbox.gcs.buckets import change_bucket, lock_retention, new_bucket
from include.sandbox.gcs.errors import ApiError
from include.sandbox.gcs.exchange import Request, Response
from include.sandbox.gcs.iam import change_iam_policy, iam_policy
from include.sandbox.gcs.resources import bucket_resource
from include.sandbox.gcs.store import Store


class BucketApi:
    """Each method answers one request; path parts come in decoded."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def insert(self, request: Request) -> Response:
        """``POST /b``."""
        body = request.json()
        retention = request.flag("enableObjectRetention")
        project = request.query.get("project")
        if not project:
            raise ApiError(400, "Required parameter: project", reason="required", location="project")
        bucket = new_bucket(body, project, self.store.clock.now(), object_retention=retention)
        if bucket.name in self.store.buckets:
            message = "Your previous request to create the named bucket succeeded and you already own it."
            raise ApiError(409, message)
        self.store.buckets[bucket.name] = bucket
        return Response.of_json(bucket_resource(bucket, request.base_url))

    def list(self, request: Request) -> Response:
        """``GET /b``; all in one page."""
        prefix = request.query.get("prefix", "")
        names = sorted(name for name in self.store.buckets if name.startswith(prefix))
        items = [bucket_resource(self.store.buckets[name], request.base_url) for name in names]
        return Response.of_json({"kind": "storage#buckets"} | ({"items": items} if items else {}))

    def get(self, request: Request, name: str) -> Response:
        """``GET /b/{bucket}``."""
        bucket = self.store.bucket(name)
        preconditions.check(request, bucket)
        return Response.of_json(bucket_resource(bucket, request.base_url))

    def patch(self, request: Request, name: str) -> Response:
        """``PATCH /b/{bucket}``."""
        return self._change(request, name, replace=False)

    def update(self, request: Request, name: str) -> Response:
        """``PUT /b/{bucket}``."""
        return self._change(request, name, replace=True)

    def _change(self, request: Request, name: str, *, replace: bool) -> Response:
        bucket = self.store.bucket(name)
        preconditions.check(request, bucket)
        change_bucket(bucket, request.json(), self.store.clock.now(), replace=replace)
        return Response.of_json(bucket_resource(bucket, request.base_url))

    def get_iam_policy(self, request: Request, name: str) -> Response:
        """``GET /b/{bucket}/iam``: what Google gives a new bucket, until somebody sets another."""
        return Response.of_json(iam_policy(self.store.bucket(name)))

    def set_iam_policy(self, request: Request, name: str) -> Response:
        """``PUT /b/{bucket}/iam``. Public access prevention refuses everybody (412)."""
        bucket = self.store.bucket(name)
        change_iam_policy(bucket, request.json())
        return Response.of_json(iam_policy(bucket))

    def lock(self, request: Request, name: str) -> Response:
        """``POST /b/{bucket}/lockRetentionPolicy``; needs ``ifMetagenerationMatch``."""
        bucket = self.store.bucket(name)
        if request.integer("ifMetagenerationMatch") is None:
            message = "Required parameter: ifMetagenerationMatch"
            raise ApiError(400, message, reason="required", location="ifMetagenerationMatch")
        preconditions.check(request, bucket)
        lock_retention(bucket, self.store.clock.now())
        return Response.of_json(bucket_resource(bucket, request.base_url))

    def delete(self, request: Request, name: str) -> Response:
        """``DELETE /b/{bucket}``; 409 while it holds live or noncurrent versions."""
        bucket = self.store.bucket(name)
        preconditions.check(request, bucket)
        if len(bucket.versions):
            raise ApiError(409, "The bucket you tried to delete is not empty.")
        # Soft-deleted objects go with it; Google keeps such a bucket restorable, which is not modelled.
        del self.store.buckets[name]
        return Response(204)
