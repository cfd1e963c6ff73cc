"""Airflow beside the embedded world: its settings, its four components, and their health.

``airflow standalone`` is not used: it leaves its children behind when it is told to stop. Each
component leads a process group of its own in the world's process table, so that stopping the world
stops Airflow first and leaves no orphan.
"""

from __future__ import annotations

import base64
import json
import os
import secrets
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from include.sandbox.airflow_api import AirflowApi
from include.sandbox.processes import SandboxError, alive, free_port, tail
from include.sandbox.world import ROOT, World, write_env

HOST = "127.0.0.1"
USER = "admin"
BIN = Path(sys.executable).parent
STORES_WAVE, AIRFLOW_WAVE, SCHEDULER_WAVE = 0, 1, 2  # the highest stops first: tasks before their API

_AIRFLOW = str(BIN / "airflow")
_PRELOADED = (sys.executable, "-m", "include.sandbox.preloaded")
# Logs are read from the shared disk; the log servers would listen on every interface.
COMPONENTS: dict[str, tuple[list[str], int]] = {
    "airflow-api-server": ([_AIRFLOW, "api-server"], AIRFLOW_WAVE),
    "airflow-dag-processor": ([*_PRELOADED, "dag-processor"], AIRFLOW_WAVE),
    "airflow-scheduler": ([*_PRELOADED, "scheduler", "--skip-serve-logs"], SCHEDULER_WAVE),
    "airflow-triggerer": ([_AIRFLOW, "triggerer", "--skip-serve-logs"], SCHEDULER_WAVE),
}
"""Each component's command, and when it stops."""


@dataclass(frozen=True)
class Airflow:
    """A running Airflow: where it is, how to sign in, and the environment of its components."""

    url: str
    user: str
    password: str
    env: Mapping[str, str]

    def api(self) -> AirflowApi:
        """A signed-in client of the REST API."""
        return AirflowApi.sign_in(self.url, self.user, self.password)


def configure(world: World, overrides: Mapping[str, str] | None = None) -> Airflow:
    """Make up what config/airflow.cfg leaves to the place it runs in: addresses, secrets and folders.

    Everything goes to ``<folder>/env``, readable by the owner only; ``overrides`` replaces settings by
    the name of their variable. Nothing is started.
    """
    own = _settings(world) | dict(overrides or {})
    home = Path(own["AIRFLOW_HOME"])
    shutil.rmtree(home, ignore_errors=True)
    (home / "logs").mkdir(parents=True)
    password = secrets.token_urlsafe(9)
    passwords = Path(own["AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE"])
    passwords.touch(mode=0o600)
    passwords.write_text(json.dumps({USER: password}) + "\n")
    env = world.folder / "env"
    write_env(env, {**world.env, **own})
    programs = os.pathsep.join(shlex.quote(str(p)) for p in (BIN, world.postgres.binaries))
    with env.open("a") as lines:
        lines.write(f'export PATH={programs}{os.pathsep}"$PATH"\n')
    airflow = Airflow(own["AIRFLOW__API__BASE_URL"], USER, password, environment(world, own))
    world.table.update(airflow={"url": airflow.url, "user": USER, "password": password, "settings": own})
    return airflow


def _settings(world: World) -> dict[str, str]:
    home = world.folder / "airflow"
    port = free_port()
    now = datetime.now(UTC).replace(microsecond=0)
    url = f"http://{HOST}:{port}"
    return {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW_CONFIG": str(ROOT / "config" / "airflow.cfg"),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": world.env["AIRFLOW_DATABASE_URL"],
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{url}/execution/",
        "AIRFLOW__CORE__FERNET_KEY": base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": f"{USER}:admin",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(home / "passwords.json"),
        "AIRFLOW__API__HOST": HOST,
        "AIRFLOW__API__PORT": str(port),
        "AIRFLOW__API__BASE_URL": url,
        "AIRFLOW__API__SECRET_KEY": secrets.token_hex(32),
        "AIRFLOW__API__WORKERS": "1",
        "AIRFLOW__API_AUTH__JWT_SECRET": secrets.token_hex(32),
        # Nothing runs for a slot from before this world began; see include/dag_defaults.py.
        "PRIVACY_START": now.isoformat(),
        "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(home / "logs"),
        "AIRFLOW__LOGGING__DAG_PROCESSOR_CHILD_PROCESS_LOG_DIRECTORY": str(home / "logs" / "dag_processor"),
        "AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_STORAGE_PATH": str(home / "bundles"),
    }


def environment(world: World, extra: Mapping[str, str]) -> dict[str, str]:
    """The environment of an Airflow process: no setting of the caller's own Airflow leaks in."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("AIRFLOW", "PRIVACY_", "AWS_", "PG"))}
    kept.pop("PYTHONDONTWRITEBYTECODE", None)  # without compiled modules every start takes seconds longer
    kept["PATH"] = f"{BIN}{os.pathsep}{kept.get('PATH', '')}"
    return {**kept, **world.env, **extra}


def start_airflow(
    world: World, airflow: Airflow, say: Callable[[str], None], *, seconds: float = 120
) -> None:
    """Create the metadata, import the pools, start the four components and wait until they are healthy.

    ``say`` is told each step. Raises ``SandboxError`` with the end of the log of what failed.
    """
    say("Airflow: creating its metadata")
    run_command([str(BIN / "airflow"), "db", "migrate"], airflow.env, seconds=seconds)
    say("Airflow: starting API server, scheduler, DAG processor and triggerer")
    for name, (command, wave) in COMPONENTS.items():
        world.table.spawn(name, command, env=airflow.env, cwd=ROOT, wave=wave)
    pools = Path(airflow.env["AIRFLOW_HOME"]) / "pools.json"
    pools.write_text(run_command([sys.executable, "-m", "include.privacy", "pools"], airflow.env, seconds=60))
    run_command([str(BIN / "airflow"), "pools", "import", str(pools)], airflow.env, seconds=60)
    wait_healthy(world, airflow, say, seconds=seconds)


def open_airflow(world: World) -> Airflow:
    """The Airflow that already runs beside this world; ``SandboxError`` when there is none."""
    facts = world.table.read().get("airflow")
    if not facts or not world.table.find("airflow-api-server"):
        raise SandboxError("Airflow is not running; start it with make demo")
    return Airflow(facts["url"], facts["user"], facts["password"], environment(world, facts["settings"]))


def wait_healthy(world: World, airflow: Airflow, say: Callable[[str], None], *, seconds: float) -> None:
    """Return when all four components report health; say which ones are still awaited."""
    deadline = time.monotonic() + seconds
    awaited: tuple[str, ...] = ()
    while True:
        for name in COMPONENTS:
            process = next((p for p in world.table.recorded() if p.name == name), None)
            if process is None or not alive(process):
                log = world.folder / "logs" / f"{name}.log"
                raise SandboxError(f"{name} stopped while starting. Its log ends: {tail(str(log))}")
        missing = AirflowApi.unhealthy(airflow.url)
        if not missing:
            return
        if missing != awaited:
            say(f"Airflow: waiting for {', '.join(missing)}")
            awaited = missing
        if time.monotonic() > deadline:
            raise SandboxError(
                f"Airflow was not healthy after {seconds:.0f} s: {', '.join(missing)}. "
                f"Logs: {world.folder / 'logs'}"
            )
        time.sleep(0.25)


def run_command(argv: list[str], env: Mapping[str, str], *, seconds: float) -> str:
    """Run a command of this project and return its output; ``SandboxError`` shows how it ended."""
    try:
        done = subprocess.run(
            argv, env=dict(env), cwd=ROOT, capture_output=True, text=True, timeout=seconds, check=False
        )
    except subprocess.TimeoutExpired:
        raise SandboxError(f"{' '.join(argv)} did not end within {seconds:.0f} s") from None
    if done.returncode:
        ending = "\n".join((done.stderr or done.stdout).splitlines()[-15:])
        raise SandboxError(f"{' '.join(argv)} ended with {done.returncode}:\n{ending}")
    return done.stdout
