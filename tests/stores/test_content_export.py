"""Objects of people in an export: every version, on S3 and on Google Cloud Storage."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from include.privacy.planning.exporting import Extract
from include.privacy.planning.models import Member
from include.privacy.policy.bucket_map import BucketMap
from include.privacy.stores.gcs import GcsStore
from include.privacy.stores.objects.export import BucketExport, collection_of
from include.privacy.stores.objects.model import ObjectVersion
from include.privacy.stores.s3 import S3Store
from tests.stores.buckets import cohort, content_map, version

Put = Callable[[str, bytes], None]


@pytest.fixture(params=["s3", "gcs"])
def store(
    request: pytest.FixtureRequest, bucket: Any, s3_client: Any, gcs_client: Any, gcs_bucket: Any
) -> tuple[Any, Put, Callable[[str], None]]:
    """A store, a function that stores an object, and one that deletes it for the platform."""
    if request.param == "s3":
        name = bucket()
        return (
            S3Store(content_map(name), s3_client),
            lambda key, body: s3_client.put_object(Bucket=name, Key=key, Body=body),
            lambda key: s3_client.delete_object(Bucket=name, Key=key),
        )
    made = gcs_bucket()
    return (
        GcsStore(content_map(made.name, "gcs"), gcs_client),
        lambda key, body: made.blob(key).upload_from_string(body),
        lambda key: made.blob(key).delete(),
    )


def read(extract: Extract) -> tuple[dict[str, bytes], list[dict[str, Any]]]:
    files = {f.path: b"".join(f.chunks) for f in extract.files()}
    return files, [json.loads(line) for batch in extract.lines() for line in batch]


def test_every_version_is_exported_also_under_a_delete_marker(store: Any) -> None:
    adapter, put, delete = store
    large = bytes(range(256)) * 40_000
    put("user-content/12/avatar.PNG", b"first")
    put("user-content/12/avatar.PNG", b"second")
    put("user-content/12/Zdenka's recording", large)
    put("user-content/12/empty.txt", b"")
    put("user-content/123/other.png", b"another person's")
    delete("user-content/12/avatar.PNG")
    who = cohort("12", "7")
    with adapter.export(who) as export:
        (extract,) = export.of(1, Member("12"))
        files, index = read(extract)
        (nobody,) = export.of(2, Member("7"))
        assert read(nobody) == ({}, [])
    assert sorted(files.values(), key=len) == [b"", b"first", b"second", large]
    assert {(row["name"], files[row["file"]], row["bytes"]) for row in index} == {
        ("avatar.PNG", b"first", 5), ("avatar.PNG", b"second", 6),
        ("Zdenka's recording", large, len(large)), ("empty.txt", b"", 0),
    }  # fmt: skip
    assert not any("Zdenka" in path for path in files), "names of members can be read without the passphrase"
    assert {path.rpartition(".")[2] for path in files} >= {"png", "txt"}
    assert all(path.startswith("files/content/user-content/") for path in files)
    assert all(datetime.fromisoformat(row["stored_at"]).tzinfo for row in index)


def test_a_person_cannot_widen_the_prefix(store: Any) -> None:
    adapter, put, _ = store
    put("user-content/12/a", b"x")
    with adapter.export(cohort("12")) as export, pytest.raises(ValueError, match="may not enter a prefix"):
        list(export.of(1, Member("../12")))


class Vanishing:
    """A bucket whose second object goes between the listing and the reading."""

    name = "memory"

    def versions(self, prefix: str) -> Iterator[list[ObjectVersion]]:
        yield [version(f"{prefix}{name}", datetime(2026, 1, 1, tzinfo=UTC)) for name in ("a", "b", "c")]

    def stream(self, found: ObjectVersion) -> Iterator[bytes] | None:
        return None if found.key.endswith("b") else iter([b"12", b"3"])


def test_what_is_removed_meanwhile_is_named_without_a_file() -> None:
    (extract,) = BucketExport(content_map("memory"), Vanishing(), portable=False).of(1, Member("1"))  # type: ignore[arg-type]
    files, index = read(extract)
    assert len(files) == 2
    assert [(row["name"], row["file"] is None, row["bytes"]) for row in index] == [
        ("a", False, 3), ("b", True, 0), ("c", False, 3),
    ]  # fmt: skip
    assert [[len(row) for row in batch] for batch in extract.table()] == [[4, 4, 4]]


def test_inferred_objects_are_not_portable() -> None:
    described: Any = content_map("memory").model_dump()
    described["content"][0]["origin"] = "inferred"
    inferred = BucketMap.model_validate(described)
    assert list(BucketExport(inferred, Vanishing(), portable=True).of(1, Member("1"))) == []  # type: ignore[arg-type]
    assert collection_of(inferred, inferred.content[0]).name == "user-content"
