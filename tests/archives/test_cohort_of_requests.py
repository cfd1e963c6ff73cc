"""From connections to a link in a person's hands: one archive for each request of a cohort."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any
from urllib.request import urlopen
from uuid import uuid4

import pytest

from include.privacy.archives.access import AccessArchive
from include.privacy.archives.contents import open_contents
from include.privacy.archives.writer import new_passphrase
from include.privacy.connections import ConnectionInfo, UnusableConnectionError
from include.privacy.policy.data_map import DataMap
from include.privacy.policy.loading import Config
from include.privacy.runtime import Runtime
from tests.archives.conftest import ADA, BEN, Estate
from tests.archives.support import ANSWER, cohort, config, rows, unpack


def here(estate: Estate, bucket: str) -> Config:
    """The shipped configuration with this test's own buckets."""
    content = estate.stores[0].map.bucket
    names = {"user_content": content, "archives": bucket}
    stores = tuple(
        s.model_copy(update={"bucket": names[s.store]}) if s.store in names else s
        for s in config().data_map.stores
    )
    return replace(config(), data_map=DataMap(stores=stores))


@pytest.fixture
def runtime(
    estate: Estate, world: Any, bucket: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> Runtime:
    env = {k.removeprefix("AIRFLOW_CONN_").lower(): v for k, v in world.env.items() if "AIRFLOW_CONN_" in k}
    databases = {"accounts_db": estate.platform.accounts, "practice_db": estate.platform.practice}

    def connect(conn_id: str) -> ConnectionInfo:
        found = json.loads(env[conn_id])
        found["schema"] = databases.get(conn_id, found.get("schema"))
        return ConnectionInfo(conn_id, **found)

    monkeypatch.setenv("PRIVACY_MASTER_KEY", base64.b64encode(bytes(32)).decode())
    made, name = Runtime(connect), bucket()
    made._load = lambda: here(estate, name)
    return made


def test_every_request_of_a_cohort_gets_its_own_archive(estate: Estate, runtime: Runtime) -> None:
    requests = {str(key): uuid4() for key in (BEN.account_id, 4711, ADA.account_id)}
    members = list(runtime.root().freeze_identifiers(requests))
    bucket, answered = runtime.archives(), {}
    with open_contents(runtime.export_stores(), cohort(members)) as people:
        for person in people:
            archive_id = requests[person.member.key]
            archive = AccessArchive(person.extracts(), ANSWER, runtime.config())
            passphrase = new_passphrase()
            stored = bucket.upload(archive_id, archive.packed(passphrase))
            answered[person.member.key] = (bucket.link(stored, timedelta(days=7)), passphrase, stored)
    assert set(answered) == set(requests)
    for key, (link, passphrase, stored) in answered.items():
        with urlopen(link) as answer:
            data = answer.read()
        assert hashlib.sha256(data).hexdigest() == stored.sha256
        files = unpack(data, passphrase)
        accounts = rows(files, "data/accounts/accounts.json")
        assert [str(a["id"]) for a in accounts] == ([] if key == "4711" else [key])
        assert key not in link and key not in stored.key
    assert bucket.revoke(requests["4711"]) == 1


def test_stores_that_hold_nobody_are_not_opened(runtime: Runtime) -> None:
    stores = ["user_content", "practice", "accounts"]
    processors = ["paypal", "postmark", "sendgrid", "stripe"]
    assert [s.name for s in runtime.export_stores()] == [*stores, *processors]


def test_a_connection_without_a_key_is_refused(runtime: Runtime) -> None:
    known = runtime._connect
    runtime._connect = lambda conn_id: replace(known(conn_id), extra={})
    with pytest.raises(UnusableConnectionError, match="'privacy_archives': extra needs kms_key_id"):
        runtime.archives()


def test_a_map_without_archives_is_refused(runtime: Runtime) -> None:
    stores = tuple(s for s in config().data_map.stores if s.store != "archives")
    runtime._load = lambda: replace(config(), data_map=DataMap(stores=stores))
    with pytest.raises(LookupError, match="no bucket of the data map"):
        runtime.archives()
