"""The seeded platform with two people who share what can be shared, and their uploads."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import psycopg
import pytest

from include.privacy.archives.contents import Person, open_contents
from include.privacy.planning.models import Member
from include.privacy.policy.bucket_map import BucketMap
from include.privacy.policy.data_map import DatabaseMap
from include.privacy.stores.postgres import PostgresStore
from include.privacy.stores.s3 import S3Store
from include.sandbox.objects import create_bucket
from include.sandbox.platform.content import upload_content
from include.sandbox.platform.people import MARKERS
from tests.archives.support import cohort, config

if TYPE_CHECKING:
    from tests.conftest import Platform

ADA, BEN = MARKERS  # two people whose traces cannot be mistaken for anybody else's

# Ben is Ada's mentor, reviews her, plans for her, answers her comment and likes it, lends her his
# device, was recommended by her, pays her plan, and is named in a ticket of hers. Ada invites him.
SHARED = {
    "accounts": """
        UPDATE accounts SET referred_by = %(ada)s WHERE id = %(ben)s;
        UPDATE accounts SET default_subscription_id =
          (SELECT min(id) FROM subscriptions WHERE account_id = %(ben)s) WHERE id = %(ada)s;
        INSERT INTO support_tickets VALUES (900001, %(ada)s, %(ben_email)s, %(ben_name)s, 'shared',
          'shared ticket', 'open', 1, now(), NULL);
        INSERT INTO ticket_messages VALUES (900001, 1, 2, 'shared message', now());
        INSERT INTO ticket_attachments VALUES (900001, 900001, 1, 'shared.PDF', 'application/pdf',
          'shared file');
        """,
    "practice": """
        UPDATE learners SET mentor_id = %(ben)s WHERE account_id = %(ada)s;
        INSERT INTO mentor_reviews VALUES (900001, %(ada)s, %(ben)s, %(ben_name)s, 5, 'shared review', now());
        INSERT INTO mentor_reviews VALUES (900002, %(ada)s, %(ada)s, 'myself', 5, 'own review', now());
        INSERT INTO mentor_reviews VALUES (900003, %(ada)s, NULL, 'A former mentor', 5, 'old review', now());
        INSERT INTO plan_revisions SELECT 900001, id, %(ben)s, 'shared plan', now() FROM practice_plans
          WHERE learner_id = %(ada)s;
        INSERT INTO comments SELECT 900001, %(ben)s, exercise_id, id, 'shared answer', now() FROM comments
          WHERE author_id = %(ada)s ORDER BY id LIMIT 1;
        INSERT INTO comment_reactions SELECT id, %(ben)s, 'shared emoji' FROM comments
          WHERE author_id = %(ada)s ORDER BY id LIMIT 1 ON CONFLICT DO NOTHING;
        INSERT INTO sessions SELECT gen_random_uuid(), %(ada)s, id, '203.0.113.99', 'shared browser', 'hash',
          now(), NULL FROM devices WHERE learner_id = %(ben)s LIMIT 1;
        INSERT INTO invitations VALUES (900001, %(ada)s, %(ben_email)s, 'shared invitation', now());
        """,
}
PARAMETERS = {
    "ada": ADA.account_id, "ben": BEN.account_id, "ben_email": BEN.emails[0], "ben_name": BEN.full_name,
}  # fmt: skip


@dataclass(frozen=True)
class Estate:
    """The stores as DAGs reach them, and the platform as its owners do."""

    platform: Platform
    stores: tuple[Any, ...]

    def members(self, *keys: int) -> list[Member]:
        """People with the identifiers frozen for them."""
        root = self.stores[-1]
        return list(root.freeze_identifiers([str(k) for k in keys]))

    def people(self, *keys: int, portable: bool = False) -> Any:
        """``with estate.people(…) as people``."""
        return open_contents(self.stores, cohort(self.members(*keys)), portable=portable)

    def build(self, make: Callable[[Person], Any], *keys: int, portable: bool = False) -> list[Any]:
        """One result for each person."""
        with self.people(*keys, portable=portable) as people:
            return [make(person) for person in people]

    def query(self, store: str, query: str, *parameters: Any) -> list[dict[str, Any]]:
        """Rows as JSON makes them, asked as the database's owner and by nothing of ours."""
        with psycopg.connect(self.platform.dsn(store), options="-c timezone=UTC") as connection:
            found = connection.execute(
                f"SELECT to_jsonb(x) FROM ({query}) x".encode(), parameters or None
            ).fetchall()
        return [row[0] for row in found]


@pytest.fixture(scope="session")
def estate(platform_template: Platform, s3_client: Any) -> Iterator[Estate]:
    """Nothing of it is changed by the tests, so they share it."""
    world, names = platform_template.world, {}
    for store in ("accounts", "practice"):
        names[store] = f"{store}_archives_{uuid4().hex[:8]}"
        world.postgres.create_database(names[store], "platform", getattr(platform_template, store))
    platform = replace(platform_template, **names)
    for store, statements in SHARED.items():
        with psycopg.connect(platform.dsn(store), cursor_factory=psycopg.ClientCursor) as connection:
            connection.execute(statements.encode(), PARAMETERS)
    bucket = create_bucket(s3_client, f"test-{uuid4().hex[:12]}")
    upload_content(s3_client, bucket, platform.dsn("accounts"), share=0, limit=2)
    stores: list[Any] = []
    for mapped in config().data_map.stores:
        if isinstance(mapped, DatabaseMap):
            stores.append(PostgresStore(mapped, platform.dsn(mapped.store, "privacy_dags")))
        elif isinstance(mapped, BucketMap) and mapped.content:
            here = mapped.model_copy(update={"bucket": bucket})
            stores.append(S3Store(here, s3_client))
    yield Estate(platform, tuple(stores))
    for name in names.values():
        world.postgres.drop_database(name)
