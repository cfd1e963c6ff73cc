"""Archives of the two databases, made and read back by PostgreSQL's own programs."""

from __future__ import annotations

import hashlib
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from psycopg.conninfo import conninfo_to_dict

# Attempts are most of the bytes. They are in the newest archive only, so that a year of archives
# fits into the memory of a sandbox; each manifest says what its archive leaves out.
BULKY = ("public.attempts", "public.attempt_events", "public.access_log")


@dataclass(frozen=True)
class Dump:
    """A ``pg_dump`` archive in the custom format."""

    database: str
    path: Path
    sha256: str
    bytes: int
    excluded_data: tuple[str, ...]
    pg_dump: str
    """Version of the program."""


def dump(dsn: str, database: str, folder: Path, binaries: Path, *, exclude: tuple[str, ...] = ()) -> Dump:
    """Write ``<folder>/<database>….dump``; ``exclude`` names tables whose rows are left out.

    Raises ``RuntimeError`` with pg_dump's last words.
    """
    path = folder / f"{database}{'-lean' if exclude else ''}.dump"
    left_out = [f"--exclude-table-data-and-children={table}" for table in exclude]
    _run(binaries / "pg_dump", dsn, "--format=custom", "--no-owner", *left_out, f"--file={path}")
    version = subprocess.run([binaries / "pg_dump", "--version"], capture_output=True, text=True, check=True)
    data = path.read_bytes()
    return Dump(database, path, hashlib.sha256(data).hexdigest(), len(data), exclude, version.stdout.strip())


def restore(archive: Path, dsn: str, binaries: Path, *, owners: bool = False) -> None:
    """Restore an archive into an empty database; any error of pg_restore raises ``RuntimeError``.

    ``owners``: everything belongs to whom it belonged, as a real restore wants it; needs a superuser.
    """
    options = [] if owners else ["--no-owner"]
    _run(binaries / "pg_restore", dsn, *options, "--exit-on-error", str(archive))


def _run(program: Path, dsn: str, *arguments: str) -> None:
    """The password travels in the environment: a command line can be read by everyone."""
    parts = {name: str(value) for name, value in conninfo_to_dict(dsn).items() if value is not None}
    password = parts.pop("password", None)
    env = {"PATH": os.environ.get("PATH", ""), "LC_ALL": "C"}
    if "LD_LIBRARY_PATH" in os.environ:
        env["LD_LIBRARY_PATH"] = os.environ["LD_LIBRARY_PATH"]
    if password is not None:
        env["PGPASSWORD"] = password
    target = " ".join(f"{name}='{value}'" for name, value in parts.items())
    done = subprocess.run(
        [program, f"--dbname={target}", *arguments],
        env=env,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"{program.name} failed with {done.returncode}: {done.stderr.strip()[-500:]}")
