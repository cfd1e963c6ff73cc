"""A migrated ledger of its own for each test, and a few ready shapes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from include.privacy.ledger import Ledger, migrate
from include.privacy.planning.models import Plan

if TYPE_CHECKING:
    from include.sandbox.world import World

MASTER_KEY = bytes(range(32))
AS_OF = datetime(2026, 3, 1, 12, tzinfo=UTC)
DAG_ROLE = "privacy_dags"
OWNER = "ledger_owner"


@dataclass(frozen=True)
class LedgerDatabase:
    """One migrated database, as its owner and as the DAGs see it."""

    owner_dsn: str
    dag_dsn: str

    @contextmanager
    def as_owner(self) -> Iterator[psycopg.Connection]:
        with psycopg.connect(self.owner_dsn, autocommit=True) as connection:
            yield connection

    @contextmanager
    def as_dags(self) -> Iterator[psycopg.Connection]:
        with psycopg.connect(self.dag_dsn, autocommit=True) as connection:
            yield connection

    def open(self) -> AbstractContextManager[Ledger]:
        return Ledger(self.dag_dsn, MASTER_KEY)

    def rows(self, query: str) -> list[tuple[object, ...]]:
        with self.as_owner() as connection:
            return list(connection.execute(query.encode()))

    def evidence(self, kind: str) -> list[dict[str, object]]:
        with self.as_owner() as connection:
            rows = connection.execute("SELECT body FROM ledger.evidence WHERE kind = %s ORDER BY id", [kind])
            return [body for (body,) in rows]


@pytest.fixture(scope="session")
def migrated_template(world: World) -> Iterator[str]:
    """A migrated, empty ledger that each test copies: a copy is quicker than a migration."""
    name = f"ledger_template_{uuid4().hex[:8]}"
    world.postgres.create_database(name, OWNER, "template1")
    migrate(world.dsn(name, OWNER), DAG_ROLE)
    yield name
    world.postgres.drop_database(name)


@pytest.fixture
def database(migrated_template: str, fresh_database: Callable[..., str], world: World) -> LedgerDatabase:
    dsn = fresh_database(OWNER, migrated_template)
    return LedgerDatabase(dsn, world.dsn(str(conninfo_to_dict(dsn)["dbname"]), DAG_ROLE))


@pytest.fixture
def ledger(database: LedgerDatabase) -> Iterator[Ledger]:
    with database.open() as opened:
        yield opened


@pytest.fixture
def run_id(ledger: Ledger) -> UUID:
    return new_run(ledger)


def new_run(ledger: Ledger, kind: str = "fulfil_erasure_requests", *, dry_run: bool = False) -> UUID:
    return ledger.open_run(kind, uuid4().hex, AS_OF, dry_run, "2026-01", "0" * 64)


def receive(
    ledger: Ledger,
    subject: str,
    *,
    external_id: str | None = None,
    verified: bool = True,
    right: str = "erasure",
    after: int = 0,
    details: dict[str, object] | None = None,
) -> UUID:
    request = ledger.receive_request(
        external_id or str(uuid4()),
        right,
        subject,
        AS_OF + timedelta(minutes=after),
        AS_OF if verified else None,
        "account_page",
        details or {"note": f"please erase {subject}"},
        AS_OF + timedelta(days=20),
    )
    if ledger.request(request).state == "received":
        ledger.acknowledge_request(request)
    return request


def make_plan(
    cohort_id: UUID | None = None, *, store: str = "practice", rule: str | None = None, shards: int = 1
) -> Plan:
    return Plan(
        id=uuid4(),
        cohort_id=cohort_id,
        store=store,
        action="erase",
        rule=rule,
        as_of=AS_OF,
        shards=shards,
        subjects=2,
        population=100,
        matched=50,
    )
