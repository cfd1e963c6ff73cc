"""Samples of a bucket, in S3 and in Google's cloud: a few objects' first bytes; only counts come out."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from include.privacy.policy.looks import Kind
from include.privacy.stores.gcs_bucket import GcsBucket
from include.privacy.stores.objects.model import BucketError, ObjectBucket
from include.privacy.stores.objects.sampling import is_empty, sample
from include.privacy.stores.s3_bucket import S3Bucket

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

OBJECTS = {
    "exports/rows.csv": b"id,mail\n" + b"".join(b"%d,somebody%d@example.org\n" % (n, n) for n in range(50)),
    "exports/one.json": json.dumps([{"ip": "203.0.113.7"}, {"phone": "0151 2345678"}]).encode(),
    "exports/lines.jsonl": b'{"last_name": "Lovelace"}\n{"last_name": "Hopper"}\n',
    "exports/picture.png": b"\x89PNG\x00\x1a nobody@example.org",
    "exports/cut.txt": "é".encode() * 9000,
    "people/jane.doe@example.org/notes.txt": b"x",
}


@pytest.fixture(params=["s3", "gcs"])
def filled(request: pytest.FixtureRequest) -> ObjectBucket:
    if request.param == "s3":
        client: S3Client = request.getfixturevalue("s3_client")
        name = request.getfixturevalue("bucket")()
        for key, body in OBJECTS.items():
            client.put_object(Bucket=name, Key=key, Body=body)
        return S3Bucket(client, name)
    create: Callable[..., Any] = request.getfixturevalue("gcs_bucket")
    made = create()
    for key, body in OBJECTS.items():
        made.blob(key).upload_from_string(body)
    return GcsBucket(request.getfixturevalue("gcs_client"), made.name)


def test_lines_leaves_and_names_are_looked_at_and_pictures_are_not(filled: ObjectBucket) -> None:
    found = sample(filled, "exports/", objects=5, size=16_383)
    assert (found.seen, found.binary) == (5, 1)
    assert found.contents.found == {Kind.email: 50, Kind.ip: 1, Kind.phone: 1, Kind.name: 2}
    assert found.names.found == {}
    assert sample(filled, "people/", objects=5, size=100).names.found == {Kind.email: 1}
    assert "@" not in repr(found), "counts, and nothing else"


def test_no_more_is_read_than_was_asked_for(filled: ObjectBucket) -> None:
    found = sample(filled, "exports/", objects=2, size=60)
    assert found.seen == 5
    assert found.contents.looked + found.binary <= 5
    assert found.contents.found[Kind.email] <= 2


def test_an_empty_prefix_is_told_from_a_bucket_that_is_not_there(
    filled: ObjectBucket, s3_client: S3Client
) -> None:
    assert is_empty(filled, "nothing/")
    assert not is_empty(filled, "exports/")
    with pytest.raises(BucketError):
        is_empty(S3Bucket(s3_client, "there-is-no-such-bucket"), "exports/")
