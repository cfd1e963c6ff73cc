"""The application over a real ledger and real platform databases; only Airflow's word on callers is faked."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import psycopg
import pytest
from fastapi import HTTPException, Request
from psycopg.conninfo import conninfo_to_dict
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.testclient import TestClient

from include.privacy.api.app import MOUNTED_AT, create_app
from include.privacy.api.security import Access
from include.privacy.connections import ConnectionInfo, UnusableConnectionError
from include.privacy.ledger import Ledger, migrate
from include.privacy.policy.policy import OpenDsr
from include.privacy.requests.opendsr.processor import CONNECTION
from include.privacy.runtime import Runtime, use_runtime
from include.privacy.steps import runs
from tests.api.signing import CERTIFICATE, DOMAIN, PRIVATE_KEY
from tests.conftest import PLATFORM_AS_OF

if TYPE_CHECKING:
    from httpx import Response

    from include.privacy.ledger.rows import RequestRow
    from include.privacy.policy.loading import Config
    from include.sandbox.world import World
    from tests.conftest import Platform

ROOT = Path(__file__).resolve().parents[2]
MASTER_KEY = bytes(range(32))
NOW = PLATFORM_AS_OF + timedelta(hours=1)
V1, OPENDSR = f"{MOUNTED_AT}/api/v1", f"{MOUNTED_AT}/opendsr"


@pytest.fixture(scope="session")
def ledger_template(world: World) -> Iterator[str]:
    """A migrated, empty ledger that each test copies."""
    name = f"ledger_api_{uuid4().hex[:8]}"
    world.postgres.create_database(name, "ledger_owner")
    migrate(world.dsn(name, "ledger_owner"), "privacy_dags")
    yield name
    world.postgres.drop_database(name)


@dataclass
class Doors:
    """The application, who knocks, and what lies behind."""

    platform: Platform
    ledger: Ledger
    ledger_dsn: str
    runtime: Runtime
    client: TestClient
    queue_url: str
    connections: dict[str, ConnectionInfo]
    user: dict[str, str] = field(default_factory=lambda: {"Authorization": "Bearer writer"})

    def post(self, path: str, message: Any, **headers: str) -> Response:
        return self.client.post(V1 + path, json=message, headers=self.user | headers)

    def get(self, path: str, **headers: str) -> Response:
        return self.client.get(V1 + path, headers=self.user | headers)

    def open(self, right: str = "access", **more: Any) -> tuple[str, Response]:
        """Open a request with an id of its own."""
        request_id = str(uuid4())
        return request_id, self.post("/requests", {"request_id": request_id, "right": right} | more)

    def row(self, request_id: str) -> RequestRow:
        found = self.ledger.find_request(request_id)
        assert found is not None
        return found

    def person(self, place: int) -> tuple[str, str]:
        """Account number and address of one of the platform's people."""
        with psycopg.connect(self.platform.dsn("accounts")) as accounts:
            found = accounts.execute(
                "SELECT id::text, email FROM accounts ORDER BY id OFFSET %s LIMIT 1", (place,)
            ).fetchone()
        assert found is not None
        return found[0], found[1]

    def account(self, place: int) -> str:
        return self.person(place)[0]

    def address(self, place: int) -> str:
        return self.person(place)[1]

    def allow_callbacks(self, *hosts: str) -> None:
        config = self.runtime.config()
        policy = config.policy.model_copy(update={"opendsr": OpenDsr(callback_hosts=hosts)})
        self.runtime._made["config"] = replace(config, policy=policy)

    def dump(self, *tables: str) -> str:
        with psycopg.connect(self.ledger_dsn) as ledger:
            names = tables or [
                row[0]
                for row in ledger.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'ledger'")
            ]
            return str([ledger.execute(f"SELECT * FROM ledger.{name}".encode()).fetchall() for name in names])


def _judged(*allowed: str) -> Callable[[Request], None]:
    """Airflow's answer to a caller: 401 for nobody, 403 for the wrong one."""

    def judge(request: Request) -> None:
        bearer = request.headers.get("authorization", "").removeprefix("Bearer ")
        user = bearer or request.cookies.get("_token", "")
        if not user:
            raise HTTPException(401, "Not authenticated")
        if user not in allowed:
            raise HTTPException(403, "Forbidden")

    return judge


@pytest.fixture(scope="session")
def config() -> Config:
    """The project's own, read once."""
    from include.privacy.policy.loading import load_config

    return load_config(ROOT / "config")


@pytest.fixture(scope="module")
def ledger_name(world: World, ledger_template: str) -> Iterator[str]:
    """A ledger for the tests of one file: each asks about people, or under ids, of its own."""
    name = f"ledger_doors_{uuid4().hex[:8]}"
    world.postgres.create_database(name, "ledger_owner", ledger_template)
    yield name
    world.postgres.drop_database(name)


@pytest.fixture
def doors(
    world: World,
    platform_template: Platform,
    config: Config,
    ledger_name: str,
    queue_url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Doors]:
    platform = platform_template  # the doors only read it
    ledger_dsn = world.dsn(ledger_name, "privacy_dags")
    env = {}
    for conn_id, dsn in (
        ("privacy_ledger", ledger_dsn),
        ("accounts_db", platform.dsn("accounts", "privacy_dags")),
        ("practice_db", platform.dsn("practice", "privacy_dags")),
    ):
        parts = conninfo_to_dict(dsn)
        env[conn_id] = ConnectionInfo(
            conn_id,
            "postgres",
            parts["host"],
            int(parts["port"]),
            parts["user"],
            parts["password"],
            parts["dbname"],
        )
    env["request_queue"] = ConnectionInfo(
        "request_queue",
        "aws",
        login="test",
        password="test",
        extra={"region_name": "eu-central-1", "endpoint_url": world.s3_endpoint, "queue_url": queue_url},
    )
    env[CONNECTION] = ConnectionInfo(
        CONNECTION,
        "generic",
        host=DOMAIN,
        password=PRIVATE_KEY,
        extra={"certificate": CERTIFICATE, "controller_id": "practice-engine"},
    )

    def connect(conn_id: str) -> ConnectionInfo:
        if conn_id not in env:
            raise UnusableConnectionError(f"connection {conn_id!r} is not known")
        return env[conn_id]

    monkeypatch.setenv("PRIVACY_MASTER_KEY", base64.b64encode(MASTER_KEY).decode())
    monkeypatch.setattr(runs, "current_instant", lambda: NOW)
    access = Access(read=_judged("reader", "writer"), write=_judged("writer"))
    mounted = Starlette(routes=[Mount(MOUNTED_AT, create_app(access))])
    with Ledger(ledger_dsn, MASTER_KEY) as ledger, use_runtime(Runtime(connect, lambda: config)) as rt:
        yield Doors(platform, ledger, ledger_dsn, rt, TestClient(mounted), queue_url, env)
        rt.ledger().close()
