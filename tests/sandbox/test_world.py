"""The embedded world as a whole: what runs, who may do what, and how it starts and stops."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg
import pytest
from psycopg.rows import scalar_row

from include.sandbox import postgres
from include.sandbox.processes import SandboxError, identity_of
from include.sandbox.world import ROOT, World, open_world, start_world, stop_world


def ask(dsn: str, query: str) -> object:
    with psycopg.connect(dsn, row_factory=scalar_row) as conn:
        return conn.execute(query.encode()).fetchone()


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that PostgreSQL can reach under root as well."""
    path = Path(tempfile.mkdtemp(prefix="privacy-tests-"))
    yield path
    stop_world(path)
    postgres.remove_data(path)
    shutil.rmtree(path)


def test_each_database_belongs_to_its_owner_and_dags_see_only_theirs(world: World):
    for database, owner in postgres.OWNERS.items():
        assert ask(world.dsn(database, owner), "SELECT current_user::text") == owner
    for database in postgres.DAG_DATABASES:
        assert ask(world.dsn(database, postgres.DAG_ROLE), "SELECT current_database()::text") == database
    with pytest.raises(psycopg.OperationalError, match="permission denied"):
        psycopg.connect(world.dsn("airflow", postgres.DAG_ROLE))


def test_only_the_setup_role_is_a_superuser(world: World):
    privileged = "rolsuper OR rolcreaterole OR rolcreatedb OR rolbypassrls"
    query = f"SELECT string_agg(rolname, ',') FROM pg_roles WHERE {privileged}"
    assert ask(world.dsn("postgres"), query) == "postgres"


def test_the_database_ends_what_a_dead_scheduler_left_open(world: World):
    query = "SHOW idle_in_transaction_session_timeout"
    assert ask(world.dsn("airflow", "airflow"), query) == "1min"
    assert ask(world.dsn("accounts", "platform"), query) == "0", "only Airflow's sessions"


def test_a_wrong_password_is_refused(world: World):
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(world.dsn("accounts", "platform"), password="wrong")


def test_every_server_listens_on_loopback_only(world: World):
    for process in world.table.running():
        connections = psutil.Process(process.pid).net_connections(kind="inet")
        listening = {item.laddr.ip for item in connections if item.status == psutil.CONN_LISTEN}
        assert listening == {"127.0.0.1"}, process.name


def test_after_sourcing_the_env_file_the_usual_clients_talk_to_the_world(world: World):
    program = (
        "import boto3, psycopg; from google.cloud import storage; "
        "boto3.client('s3').list_buckets(); storage.Client(project='p'); "
        "print(psycopg.connect(dbname='accounts').info.dbname, "
        "*sorted(q.rpartition('/')[2] for q in boto3.client('sqs').list_queues()['QueueUrls']))"
    )
    command = f"set -e; source '{world.folder}/env'; '{sys.executable}' -c \"{program}\""
    clean = {"PATH": os.environ["PATH"]}
    done = subprocess.run(["bash", "-c", command], env=clean, capture_output=True, text=True, check=False)
    assert done.stdout.split() == [
        "accounts",
        "privacy-requests",
        "privacy-requests-dead-letters",
    ], done.stderr


def test_passwords_are_readable_by_their_owner_only(world: World):
    for name in ("env", "state.json"):
        assert (world.folder / name).stat().st_mode & 0o077 == 0


def test_a_copy_of_a_template_has_its_rows(world: World, fresh_database):
    template = fresh_database()
    with psycopg.connect(template) as conn:
        conn.execute("CREATE TABLE t AS SELECT 7 AS n")
    name = psycopg.conninfo.conninfo_to_dict(template)["dbname"]
    assert ask(fresh_database(template=str(name)), "SELECT n FROM t") == 7


def test_the_platform_copy_of_one_test_is_not_that_of_another(platform, platform_template):
    dags = platform.dsn("accounts", postgres.DAG_ROLE)
    before = ask(platform_template.dsn("accounts"), "SELECT count(*) FROM accounts")
    assert ask(dags, "SELECT count(*) FROM accounts") == before == platform.report.people
    with psycopg.connect(platform.dsn("accounts")) as conn:
        conn.execute("TRUNCATE accounts CASCADE")
    assert ask(platform_template.dsn("accounts"), "SELECT count(*) FROM accounts") == before


def test_a_demo_world_survives_a_database_crash_and_refuses_a_second_start(folder: Path):
    world = start_world(folder)
    assert ask(world.dsn("accounts"), "SHOW fsync") == "on"
    with pytest.raises(SandboxError, match="already runs"):
        start_world(folder)

    with psycopg.connect(world.dsn("accounts", "platform")) as conn:
        conn.execute("CREATE TABLE kept AS SELECT 1 AS n")
    server = world.table.find("postgres")
    assert server is not None
    psutil.Process(server.pid).kill()
    world.start_postgres()
    assert ask(world.dsn("accounts", "platform"), "SELECT n FROM kept") == 1

    seen = open_world(folder)
    assert seen.env == world.env
    pids = [process.pid for process in world.table.running()]
    assert len(pids) == 4
    assert stop_world(folder) == []
    assert not any(identity_of(pid) for pid in pids)
    with pytest.raises(SandboxError, match="make demo"):
        open_world(folder)

    start_world(folder)
    with pytest.raises(psycopg.errors.UndefinedTable):
        ask(open_world(folder).dsn("accounts"), "SELECT n FROM kept")


def test_a_world_whose_test_run_was_killed_goes_with_it(folder: Path):
    program = (
        "import os, signal, sys; from pathlib import Path; from include.sandbox.world import World\n"
        "world = World(Path(sys.argv[1]), durable=False, tied=True).start()\n"
        "print(*[process.pid for process in world.table.running()], flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    command = [sys.executable, "-c", program, str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)
    pids = [int(pid) for pid in done.stdout.split()]
    assert len(pids) == 4, done.stderr
    _, left = psutil.wait_procs([psutil.Process(pid) for pid in pids if psutil.pid_exists(pid)], timeout=10)
    assert not left


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has folders that the server's account cannot enter")
def test_under_root_a_closed_folder_is_left_closed_and_the_server_runs_elsewhere(folder: Path):
    closed = folder / "home"
    closed.mkdir(mode=0o700)
    inner = closed / "world"
    try:
        world = start_world(inner, durable=False)
        assert ask(world.dsn("accounts"), "SELECT 1") == 1
        assert closed.stat().st_mode & 0o777 == 0o700
        assert not world.postgres.data.is_relative_to(closed)
    finally:
        stop_world(inner)
        postgres.remove_data(inner)
    assert not world.postgres.data.parent.exists()


def test_without_the_wheel_an_installed_postgresql_is_used(monkeypatch):
    monkeypatch.setattr(postgres.importlib.util, "find_spec", lambda name: None)
    try:
        folder = postgres.find_binaries()
    except SandboxError:
        pytest.skip("no PostgreSQL is installed here")
    assert (folder / "initdb").exists()
    assert "site-packages" not in str(folder)


def test_without_any_postgresql_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setattr(postgres, "_candidates", list)
    with pytest.raises(SandboxError, match="apt-get install postgresql"):
        postgres.find_binaries()
