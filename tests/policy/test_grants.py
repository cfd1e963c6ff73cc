"""Least privilege made from the map: what is not mapped is not reachable."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from include.privacy.policy.bucket_map import BucketMap
from include.privacy.policy.data_map import DatabaseMap
from include.privacy.policy.grants import WORK_SCHEMA, database_grants, gcs_role, pools, s3_policy
from include.privacy.policy.loading import ROOT, Config, load_config
from include.privacy.stores.postgres import joins
from tests.policy import configs


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return load_config(configs.write(tmp_path))


def archive(config: Config, **change: object) -> BucketMap:
    bucket = config.data_map["archive"]
    assert isinstance(bucket, BucketMap)
    return bucket.model_copy(update=change)


def test_a_table_gets_the_verbs_that_its_dispositions_need(config: Config) -> None:
    sql = database_grants(config.data_map.root, config.policy.rules, "dags").splitlines()
    assert 'GRANT SELECT, DELETE ON "public"."tokens" TO "dags";' in sql
    assert 'GRANT SELECT, UPDATE ON "public"."invoices" TO "dags";' in sql
    assert 'GRANT SELECT, UPDATE, DELETE ON "public"."posts" TO "dags";' in sql
    assert 'GRANT SELECT, UPDATE, DELETE ON "public"."accounts" TO "dags";' in sql
    assert [line for line in sql if '"plans"' in line] == [
        'GRANT SELECT ("code") ON "public"."plans" TO "dags";'
    ], "nothing but a look at what is not personal"


def test_the_tables_of_the_contract_and_of_the_views_are_granted_and_the_roles_of_the_jobs_made() -> None:
    config = load_config(ROOT / "config")
    purposes = config.policy.purposes
    practice, accounts = config.data_map["practice"], config.data_map["accounts"]
    assert isinstance(practice, DatabaseMap)
    assert isinstance(accounts, DatabaseMap)
    sql = database_grants(practice, (), "dags", purposes)
    assert 'GRANT SELECT, INSERT, DELETE ON "public"."privacy_restrictions" TO "dags";' in sql
    assert 'GRANT SELECT ON "public"."exercises" TO "dags";' in sql, "a view reads with its owner's rights"
    assert 'CREATE SCHEMA IF NOT EXISTS "for_personalize_content" AUTHORIZATION "dags";' in sql
    assert 'CREATE ROLE "platform_recommender" NOLOGIN' in sql
    assert "platform_marketing" not in sql
    assert "SEQUENCES" not in sql
    sql = database_grants(accounts, (), "dags", purposes)
    assert 'GRANT SELECT, INSERT, DELETE ON "public"."suppressed_contacts" TO "dags";' in sql
    assert "platform_recommender" not in sql


def test_names_are_quoted(config: Config) -> None:
    assert 'TO "od""d";' in database_grants(config.data_map.root, (), 'od"d')


def test_the_workspace_is_the_one_that_the_store_uses() -> None:
    assert WORK_SCHEMA == joins.WORK_SCHEMA


def test_the_s3_policy_names_the_mapped_prefixes_only(config: Config) -> None:
    document = s3_policy(archive(config))
    listed, _, objects = document["Statement"]
    assert listed["Condition"]["StringLike"]["s3:prefix"] == ["", "backups/", "files/*", "backups/people/*"]
    assert objects["Resource"] == [
        "arn:aws:s3:::some-archive/files/*",
        "arn:aws:s3:::some-archive/backups/people/*",
    ]
    assert "s3:PutObject" not in json.dumps(document)
    assert "s3:*" not in json.dumps(document)
    assert "PutLifecycle" not in json.dumps(document)


def test_a_managed_lifecycle_may_be_written(config: Config) -> None:
    backup = archive(config).backups[0].model_copy(update={"lifecycle": "manage"})
    assert "s3:PutLifecycleConfiguration" in json.dumps(s3_policy(archive(config, backups=(backup,))))
    assert "storage.buckets.update" in json.dumps(gcs_role(archive(config, kind="gcs", backups=(backup,))))


def test_the_cloud_storage_role_is_bound_to_the_mapped_prefixes(config: Config) -> None:
    role = gcs_role(archive(config, kind="gcs"))
    assert (
        'resource.name.startsWith("projects/_/buckets/some-archive/objects/backups/people/")'
        in role["bindings"][1]["condition"]["expression"]
    )
    assert "storage.objects.create" not in json.dumps(role)


def test_every_store_has_a_pool(config: Config) -> None:
    assert pools(config.data_map.stores)["people"]["slots"] == config.data_map.root.max_shards
    assert set(pools(config.data_map.stores)) == {"archive", "people"}
