"""``python -m include.privacy``: what each command prints and how it ends."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from uuid import uuid4

import psycopg
import pytest

from include.privacy.__main__ import main
from include.privacy.connections import ConnectionInfo, UnusableConnectionError
from include.privacy.policy.data_map import DatabaseMap
from include.privacy.policy.grants import database_grants
from include.privacy.policy.loading import ROOT, load_config
from include.privacy.runtime import Runtime, use_runtime
from include.sandbox.platform.seed import create_schema, seed
from tests.policy import configs

if TYPE_CHECKING:
    from include.sandbox.world import World

AS_OF = datetime(2026, 11, 20, 9, 30, tzinfo=UTC)
ROLE = "privacy_dags"


@pytest.fixture
def broken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    value = configs.policy()
    value["rules"][2]["clock"] = "made_at"
    value["timezone"] = "Mars/Base"
    monkeypatch.setenv("PRIVACY_CONFIG_DIR", str(configs.write(tmp_path, policy_value=value)))
    return tmp_path


@pytest.fixture(scope="module")
def names(world: World) -> Iterator[dict[str, str]]:
    """Databases of the platform and an empty one for the ledger, by connection id."""
    names = {c: f"cli_{c}_{uuid4().hex[:8]}" for c in ("accounts_db", "practice_db", "privacy_ledger")}
    for connection, name in names.items():
        world.postgres.create_database(name, "ledger_owner" if connection == "privacy_ledger" else "platform")
    accounts, practice = (world.dsn(names[c]) for c in ("accounts_db", "practice_db"))
    create_schema(accounts, practice)
    seed(accounts, practice, people=300, attempts_per_person=5, seed=7, as_of=AS_OF)
    config = load_config(ROOT / "config")
    for store in config.data_map.stores:
        if isinstance(store, DatabaseMap):
            with psycopg.connect(world.dsn(names[store.connection]), autocommit=True) as admin:
                admin.execute(
                    database_grants(store, config.policy.rules, ROLE, config.policy.purposes).encode()
                )
    yield names
    for name in names.values():
        world.postgres.drop_database(name)


@pytest.fixture
def live(world: World, names: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Runtime]:
    """A runtime whose connections lead to these databases; everything else is unknown."""
    monkeypatch.setenv("PRIVACY_MASTER_KEY", world.env["PRIVACY_MASTER_KEY"])

    def connect(conn_id: str) -> ConnectionInfo:
        owner = conn_id == "privacy_ledger_owner"
        name = names.get("privacy_ledger" if owner else conn_id)
        if name is None:
            raise UnusableConnectionError(f"connection {conn_id!r} is not known")
        url = urlsplit(world.dsn(name, "ledger_owner" if owner else ROLE))
        return ConnectionInfo(
            conn_id,
            "postgres",
            url.hostname,
            url.port,
            url.username,
            url.password,
            url.path.removeprefix("/"),
        )

    with use_runtime(Runtime(connect)) as runtime:
        main(["migrate"])
        yield runtime


Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    def call(*arguments: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = main(arguments)
        out, err = capsys.readouterr()
        return code, out, err

    return call


def test_check_prints_every_problem_on_a_line_and_fails(broken: Path, run: Run) -> None:
    code, out, err = run("check")
    assert (code, out) == (1, "")
    lines = err.splitlines()
    assert lines[-1] == "2 problem(s)"
    assert all("policy.yaml:" in line for line in lines[:-1])


def test_a_broken_configuration_stops_every_command_the_same_way(broken: Path, run: Run) -> None:
    for arguments in (["pools"], ["grants"], ["docs", "--check"], ["plan", "--rule", "purge"]):
        code, _, err = run(*arguments)
        assert code == 1
        assert "is not a time zone" in err


def test_check_live_reads_every_store_and_goes_on_when_one_is_out_of_reach(live: Runtime, run: Run) -> None:
    _, _, err = run("check", "--live")
    unread = [line for line in err.splitlines() if "could not be read" in line]
    assert {
        name for name in ("user_content", "backups_s3", "backups_gcs") if any(name in u for u in unread)
    } == {
        "user_content",
        "backups_s3",
        "backups_gcs",
    }
    assert not any("tables." in line for line in err.splitlines())


def test_a_purge_is_planned_in_every_store_with_exact_counts(live: Runtime, run: Run) -> None:
    code, out, err = run(
        "plan", "--rule", "deleted_account_purge", "--store", "accounts", "--as-of", AS_OF.isoformat()
    )
    assert (code, err) == (0, "")
    head = out.splitlines()[0]
    assert head.startswith("accounts, rule deleted_account_purge, as of 2026-11-20T09:30:00+00:00: ")
    due = len(live.root().due_keys(live.config().policy.rule("deleted_account_purge"), as_of=AS_OF))  # type: ignore[arg-type]
    assert f"{due:,} people of 300" in head
    assert any(
        line.split()[1:4] == ["delete", "accounts", "holder"] and line.split()[4] == str(due)
        for line in out.splitlines()
    )
    assert "@" not in out


def test_a_plan_leaves_nothing_behind(world: World, live: Runtime, run: Run, names: dict[str, str]) -> None:
    run("plan", "--subject", "1", "--store", "practice")
    with psycopg.connect(world.dsn(names["practice_db"])) as admin:
        left = admin.execute(
            "SELECT relname FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace "
            "WHERE nspname = 'privacy_work' AND relname ~ '^(cohort|identifier)_' AND relkind = 'r'"
        ).fetchall()
    assert left == []


def test_the_other_rules_of_the_databases_are_planned_too(live: Runtime, run: Run) -> None:
    code, out, _ = run("plan", "--rule", "expired_verification_tokens", "--as-of", AS_OF.isoformat())
    assert code == 0
    assert "verification_tokens" in out
    code, out, _ = run("plan", "--rule", "account_service_ended", "--as-of", AS_OF.isoformat())
    assert code == 0
    assert "would mark" in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["plan", "--rule", "purge_all"], "it knows ["),
        (["plan", "--rule", "deleted_account_purge", "--store", "acounts"], "write one of user_content"),
        (["plan", "--rule", "expired_verification_tokens", "--store", "practice"], "acts on store accounts"),
        (
            ["plan", "--request", "00000000-0000-0000-0000-000000000000"],
            "00000000-0000-0000-0000-000000000000",
        ),
        (["plan", "--rule", "backups_s3_accounts"], "connection 'backups_s3' is not known"),
        (["grants", "--store", "acounts"], "is not mapped"),
    ],
)
def test_a_wrong_word_gets_one_clear_line(
    live: Runtime, run: Run, arguments: list[str], message: str
) -> None:
    code, _, err = run(*arguments)
    assert code == 1
    assert message in err
    assert "Traceback" not in err


def test_an_instant_without_zone_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["plan", "--rule", "x", "--as-of", "2026-01-01"])
    assert caught.value.code == 2
    assert "2026-03-01T00:00:00Z" in capsys.readouterr().err


def test_migrating_twice_is_harmless(live: Runtime, run: Run) -> None:
    code, out, _ = run("migrate")
    assert code == 0
    assert out.splitlines()[0] == "ledger: up to date"
    assert sum("privacy_work" in line for line in out.splitlines()) == 2


def test_the_views_of_the_jobs_are_printed_and_a_bucket_has_none(live: Runtime, run: Run) -> None:
    code, out, _ = run("views", "--store", "practice")
    assert code == 0
    assert 'CREATE OR REPLACE VIEW "for_personalize_content"."learners" WITH (security_barrier = true)' in out
    assert "for_marketing" not in out
    code, _, err = run("views", "--store", "backups_s3")
    assert code == 1
    assert "is no database; write one of practice, accounts" in err


def test_pools_are_what_airflow_imports(run: Run) -> None:
    _, out, _ = run("pools")
    pools = json.loads(out)
    assert {"accounts", "practice", "user_content", "backups_s3", "backups_gcs"} <= set(pools)
    assert all(
        set(p) == {"slots", "description", "include_deferred"} and p["slots"] > 0 for p in pools.values()
    )


def test_grants_of_one_store_are_ready_to_pipe(run: Run) -> None:
    _, out, _ = run("grants", "--store", "backups_s3")
    assert json.loads(out)["Version"] == "2012-10-17"
    _, out, _ = run("grants", "--store", "accounts", "--role", "retention")
    assert 'TO "retention";' in out
    _, out, _ = run("grants")
    assert "-- backups_gcs: Cloud Storage roles" in out


def test_the_module_starts_without_airflow_or_drivers() -> None:
    code = (
        "import sys, include.privacy.__main__\n"
        "heavy = {'airflow', 'boto3', 'psycopg', 'sqlalchemy', 'google.cloud.storage'} & set(sys.modules)\n"
        "sys.exit(f'imports {heavy}' if heavy else 0)"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, timeout=60)


def test_a_reader_that_has_seen_enough_is_no_error() -> None:
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", f"{sys.executable} -m include.privacy grants | head -1"],
        cwd=ROOT,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stderr == ""
