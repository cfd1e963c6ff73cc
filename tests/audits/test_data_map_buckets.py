"""Folders that a bucket's map does not know, and what objects look like where nothing personal may be."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from include.privacy.audits.data_map import buckets
from include.privacy.detection.tally import Tally
from include.privacy.policy.bucket_map import BucketMap
from include.privacy.policy.live_prefixes import unknown_folders
from include.privacy.policy.loading import ROOT, load_policy
from include.privacy.policy.looks import Kind
from include.privacy.stores.objects.sampling import ObjectSample

POLICY = load_policy(ROOT / "config" / "policy.yaml")
PURPOSES = ("essential.service.upload",)


def bucket(kind: str = "s3", **more: Any) -> BucketMap:
    content = [{"prefix": "files/{subject}/", "category": "user.content", "purposes": PURPOSES}]
    content += more.pop("content", [])
    return BucketMap.model_validate(
        {
            "store": "files",
            "kind": kind,
            "connection": "files",
            "bucket": "the-files",
            "content": content,
            **more,
        }
    )


def folders(*names: str) -> Any:
    return lambda prefix: [n for n in names if n.startswith(prefix)] if not prefix else []


@pytest.mark.parametrize(("kind", "promise"), [("s3", "P5.3"), ("gcs", "P5.4")])
def test_an_unknown_prefix_breaks_the_promise_about_its_cloud(kind: str, promise: str) -> None:
    listed = folders("files/", "exports/", "jane.doe@example.org/")
    unknown = unknown_folders(bucket(kind), listed)
    found = list(buckets.judge_folders(bucket(kind), unknown))
    assert {(f.promise, f.code) for f in found} == {(promise, "unknown_prefix")}
    assert len(found) == 2 and "jane" not in str(found), "a folder may be called after a person"
    more = [{"prefix": f"{name}{{subject}}/", "category": "user.content", "purposes": PURPOSES} for name in
            ("exports/", "jane.doe-example.org/")]  # fmt: skip
    assert unknown_folders(bucket(kind, content=more), folders("files/", "exports/")) == set()


def test_only_what_is_unknown_or_said_to_be_of_nobody_is_looked_into() -> None:
    public = [{"prefix": "public/{subject}/", "category": "system.operations", "purposes": PURPOSES}]
    logs = {"prefix": "logs/", "backup_of": "x", "category": "system.operations"}
    aged = [logs, {"prefix": "dumps/", "backup_of": "x"}]
    wanted = buckets.to_sample(bucket(content=public, backups=aged), {"new/"})
    assert wanted == ["public/", "logs/", "new/"]


@pytest.mark.parametrize(
    ("kind", "promise", "code"),
    [
        (Kind.email, "P2.1", "personal_content"),
        (Kind.token, "P2.1", "secret_content"),
        (Kind.free_text, "P2.2", "free_text"),
    ],
)
def test_names_and_contents_that_look_personal_are_found(kind: Kind, promise: str, code: str) -> None:
    tally = Tally(looked=20, found=Counter({kind: 3}))
    by_content = list(buckets.judge_contents({"logs/": ObjectSample(contents=tally)}, POLICY))
    by_name = list(buckets.judge_contents({"j.doe@example.org/": ObjectSample(names=tally)}, POLICY))
    assert [(f.promise, f.code) for f in [*by_content, *by_name]] == [(promise, code)] * 2
    assert "3 of 20 values looked at in objects under logs/" in str(by_content[0])
    assert "doe" not in str(by_name[0])
    few = Tally(looked=20, found=Counter({kind: 2}))
    assert list(buckets.judge_contents({"logs/": ObjectSample(contents=few)}, POLICY)) == []


def test_a_category_that_no_promise_names_is_found() -> None:
    ill = [{"prefix": "scans/{subject}/", "category": "user.health_and_medical", "purposes": PURPOSES}]
    found = list(buckets.judge_categories(bucket(content=ill), POLICY))
    assert [(f.promise, f.code) for f in found] == [("P5.3", "category_not_promised")]
    assert list(buckets.judge_categories(bucket(), POLICY)) == []
