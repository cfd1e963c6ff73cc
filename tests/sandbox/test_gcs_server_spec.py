"""Requests and answers of our server against Google's published API description, where it is at hand."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from google.api_core import exceptions
from google.cloud.storage import Client

from include.sandbox.gcs import gcs_client as client_of
from include.sandbox.gcs.exchange import Request, Response
from include.sandbox.gcs.server import GcsServer

SPEC = Path(__file__).parents[3] / "shared" / "specs" / "gcs" / "storage.json"
pytestmark = pytest.mark.skipif(
    not SPEC.exists(), reason=f"no API description in ../{SPEC.parent.parent.parent.name}"
)

# In every method's common parameters, or of the upload protocol.
COMMON = {"uploadType", "upload_id", "alt", "fields", "prettyPrint"}


@dataclass
class Exchange:
    request: Request
    response: Response


@cache
def spec() -> dict[str, Any]:
    return dict(json.loads(SPEC.read_text()))


@pytest.fixture
def recorded(tmp_path: Path) -> Iterator[tuple[Client, list[Exchange]]]:
    """The client of a server that remembers what was said; batched calls come one by one."""
    server, said = GcsServer(0, tmp_path), list[Exchange]()
    call = server.api._call

    def remember(request: Request) -> Response:
        response = call(request)
        said.append(Exchange(request, response))
        return response

    server.api._call = remember  # type: ignore[method-assign]
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield client_of(f"http://127.0.0.1:{server.server_address[1]}"), said
    server.shutdown()
    server.server_close()


def use_everything(client: Client) -> None:
    """Touch every method that the server has."""
    bucket = client.bucket("spec-bucket")
    bucket.versioning_enabled = True
    bucket.create(enable_object_retention=True)
    bucket.add_lifecycle_delete_rule(age=5)
    bucket.labels = {"a": "b"}
    bucket.patch()
    list(client.list_buckets())
    for _ in range(2):
        bucket.blob("a/1").upload_from_string("x")
    blob = bucket.get_blob("a/1")
    blob.metadata = {"k": "v"}
    blob.temporary_hold = True
    blob.patch()
    blob.temporary_hold = False
    blob.custom_time = datetime(2026, 1, 1, tzinfo=UTC)
    blob.retention.mode = "Unlocked"
    blob.retention.retain_until_time = datetime.now(UTC) + timedelta(hours=1)
    blob.update()
    bucket.copy_blob(bucket.blob("a/1"), bucket, "b")
    bucket.blob("c").rewrite(bucket.blob("b"))
    big = bucket.blob("big", chunk_size=256 * 1024)
    with big.open("wb") as stream:
        stream.write(b"x" * 600_000)
    list(client.list_blobs(bucket, versions=True, prefix="a", start_offset="a", page_size=1))
    list(client.list_blobs(bucket, delimiter="/", fields="items(name),prefixes,nextPageToken"))
    bucket.blob("c").download_as_bytes()
    generation = bucket.get_blob("c").generation
    with client.batch():
        bucket.blob("c", generation=generation).delete(if_metageneration_match=1)
    list(client.list_blobs(bucket, soft_deleted=True))
    bucket.get_blob("c", generation=generation, soft_deleted=True)
    bucket.restore_blob("c", generation=generation)
    bucket.retention_period = 1
    bucket.patch()
    bucket.lock_retention_policy()
    with pytest.raises(exceptions.Conflict):
        bucket.delete()


def operation(request: Request) -> tuple[str, dict[str, Any], set[str]]:
    """The described path, method and parameters that this request is one of."""
    path = re.sub(r"^/(upload|download)", "", request.path).removeprefix("/storage/v1")
    # The more literal path wins: …/o/{object}/restore before …/{anything}.
    for template in sorted(spec()["paths"], key=lambda each: (each.count("{"), -len(each))):
        if re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", template), path):
            described = spec()["paths"][template]
            if request.method.lower() in described:
                method = described[request.method.lower()]
                everywhere = [resolve(each) for each in described.get("parameters", [])]
                own = [resolve(each) for each in method.get("parameters", [])]
                return template, method, {each["name"] for each in [*everywhere, *own]}
    if request.path.startswith("/upload") and request.method in ("PUT", "DELETE"):
        return path, {}, set()
    raise AssertionError(f"{request.method} {path} is not in the description")


def resolve(node: dict[str, Any]) -> dict[str, Any]:
    while "$ref" in node:
        target: Any = spec()
        for part in node["$ref"].removeprefix("#/").split("/"):
            target = target[part]
        node = target
    return node


def check(value: Any, schema: dict[str, Any], where: str) -> list[str]:
    """What in the value the schema does not have, or has with another type."""
    schema = resolve(schema)
    kinds = {
        "object": dict,
        "array": list,
        "string": str,
        "boolean": bool,
        "integer": int,
        "number": (int, float),
    }
    expected = kinds.get(schema.get("type", ""))
    if expected and not isinstance(value, expected):
        return [f"{where}: {type(value).__name__} instead of {schema['type']}"]
    if isinstance(value, list):
        return [line for each in value for line in check(each, schema.get("items", {}), where)]
    properties = schema.get("properties")
    if not isinstance(value, dict) or properties is None:
        return []
    found = [f"{where}.{name} is not described" for name in value if name not in properties]
    for name in value.keys() & properties.keys():
        found += check(value[name], properties[name], f"{where}.{name}")
    return found


def test_every_request_and_answer_is_one_that_google_describes(recorded: tuple[Client, list[Exchange]]):
    client, said = recorded
    use_everything(client)
    schemas = spec()["components"]["schemas"]
    kinds = {
        f"storage#{name[0].lower()}{name[1:]}": schemas[name]
        for name in ("Bucket", "Buckets", "Object", "Objects", "RewriteResponse")
    }
    problems, seen = [], set()
    for exchange in said:
        template, _, parameters = operation(exchange.request)
        seen.add((exchange.request.method, template))
        unknown = set(exchange.request.query) - parameters - COMMON
        problems += [f"{exchange.request.method} {template}: parameter {name}" for name in unknown]
        if not exchange.response.headers.get("Content-Type", "").startswith("application/json"):
            continue
        body = json.loads(exchange.response.body)
        if "error" in body:
            assert set(body["error"]) == {"code", "message", "errors"}
        elif "kind" in body:
            problems += check(body, kinds[body["kind"]], body["kind"])
    assert problems == []
    assert len(seen) >= 15
