"""Which method answers which path, and what surrounds every call: faults, errors, partial responses."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from urllib.parse import unquote

from include.sandbox.gcs.admin import AdminApi
from include.sandbox.gcs.batch import answer_batch
from include.sandbox.gcs.bucket_api import BucketApi
from include.sandbox.gcs.clock import SettableClock
from include.sandbox.gcs.errors import ApiError
from include.sandbox.gcs.exchange import Request, Response
from include.sandbox.gcs.faults import Faults, failure
from include.sandbox.gcs.fields import select
from include.sandbox.gcs.object_api import ObjectApi
from include.sandbox.gcs.store import Store
from include.sandbox.gcs.upload_api import UploadApi

Handler = Callable[..., Response]
ADMIN = "/_sandbox/"


class Api:
    """The whole server without its socket: a request in, a response out."""

    def __init__(self, folder: Path) -> None:
        self.store = Store(folder, SettableClock())
        self.faults = Faults()
        bucket, item, upload = BucketApi(self.store), ObjectApi(self.store), UploadApi(self.store)
        admin = AdminApi(self.store, self.faults)
        name, base = "([^/]+)", "/storage/v1"
        one, two = f"{base}/b/{name}/o/{name}", f"/b/{name}/o/{name}"
        table: list[tuple[str, str, Handler]] = [
            ("POST", f"{base}/b", bucket.insert),
            ("GET", f"{base}/b", bucket.list),
            ("GET", f"{base}/b/{name}", bucket.get),
            ("PATCH", f"{base}/b/{name}", bucket.patch),
            ("PUT", f"{base}/b/{name}", bucket.update),
            ("DELETE", f"{base}/b/{name}", bucket.delete),
            ("POST", f"{base}/b/{name}/lockRetentionPolicy", bucket.lock),
            ("GET", f"{base}/b/{name}/iam", bucket.get_iam_policy),
            ("PUT", f"{base}/b/{name}/iam", bucket.set_iam_policy),
            ("GET", f"{base}/b/{name}/o", item.list),
            ("GET", one, item.get),
            ("PATCH", one, item.patch),
            ("PUT", one, item.update),
            ("DELETE", one, item.delete),
            ("POST", f"{one}/restore", item.restore),
            ("POST", f"{one}/copyTo{two}", item.copy),
            ("POST", f"{one}/rewriteTo{two}", item.rewrite),
            ("GET", f"/download{one}", item.download),
            ("POST", f"/upload{base}/b/{name}/o", upload.start),
            ("PUT", f"/upload{base}/b/{name}/o", upload.resume),
            ("DELETE", f"/upload{base}/b/{name}/o", upload.cancel),
            ("GET", f"{ADMIN}clock", admin.read_clock),
            ("POST", f"{ADMIN}clock", admin.set_clock),
            ("GET", f"{ADMIN}faults", admin.read_faults),
            ("POST", f"{ADMIN}faults", admin.add_fault),
            ("DELETE", f"{ADMIN}faults", admin.clear_faults),
        ]
        self._routes = [(method, re.compile(pattern), handler) for method, pattern, handler in table]

    def answer(self, request: Request) -> Response:
        """Answer one HTTP request, a batch included."""
        if request.path.startswith(ADMIN):
            return self._call(request)
        fault = self.faults.strike(request, "request")
        if fault is not None and fault.when == "before":
            return failure(fault)
        response = self._batch(request) if request.path.startswith("/batch") else self._single(request)
        return failure(fault) if fault is not None else response

    def _batch(self, request: Request) -> Response:
        try:
            return answer_batch(request, self._single)
        except ApiError as error:
            return Response.of_error(error)

    def _single(self, request: Request) -> Response:
        fault = self.faults.strike(request, "call")
        if fault is not None and fault.when == "before":
            return failure(fault)
        response = self._call(request)
        return failure(fault) if fault is not None else response

    def _call(self, request: Request) -> Response:
        try:
            with self.store.lock:
                self.store.purge()
                response = self._dispatch(request)
            fields = request.query.get("fields")
            if (
                fields
                and response.status == 200
                and response.headers.get("Content-Type", "").startswith("application/json")
            ):
                response.body = json.dumps(select(json.loads(response.body), fields)).encode()
        except ApiError as error:
            return Response.of_error(error)
        return response

    def _dispatch(self, request: Request) -> Response:
        known = False
        for method, pattern, handler in self._routes:
            found = pattern.fullmatch(request.path)
            if found and method == request.method:
                return handler(request, *(unquote(part) for part in found.groups()))
            known = known or bool(found)
        raise (
            ApiError(405, "Method Not Allowed", reason="methodNotAllowed")
            if known
            else ApiError(404, "Not Found")
        )
