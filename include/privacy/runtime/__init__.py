"""What a task needs to touch the world: connections, stores and the ledger, each built when first asked for.

The one place that turns a connection into an adapter. Imports nothing heavy at module level, so that
a DAG file may import the use cases at no cost; tests put a :class:`Runtime` of their own in place.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal, cast

from include.privacy import cloud_clients
from include.privacy.connections import UnusableConnectionError
from include.privacy.runtime.base import Base

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

    from include.privacy.ledger import Ledger
    from include.privacy.letters.rendering import Letters
    from include.privacy.mail import MailPort
    from include.privacy.mail.bulk import BulkMail
    from include.privacy.policy.bucket_map import BucketMap
    from include.privacy.policy.data_map import StoreMap
    from include.privacy.processors.protocol import Processor
    from include.privacy.stores.archive_bucket import ArchiveBucket
    from include.privacy.stores.doorbell import Doorbell
    from include.privacy.stores.invoice_archive import InvoiceBucket
    from include.privacy.stores.postbox import Postbox
    from include.privacy.stores.postgres import PostgresStore
    from include.privacy.stores.postgres.account_book import AccountBook
    from include.privacy.stores.protocol import ExportStore
    from include.privacy.stores.s3 import S3Store
    from include.privacy.stores.snapshots import SnapshotStore

LEDGER = "privacy_ledger"
LEDGER_OWNER = "privacy_ledger_owner"
SENDGRID = "sendgrid"
REQUEST_QUEUE = "request_queue"


class Runtime(Base):
    """Adapters by name. Everything is cached for the life of the task's process."""

    def stores(self) -> tuple[StoreMap, ...]:
        """The maps of all stores in the order of erasure: the root store last."""
        return self.config().data_map.stores

    def root(self) -> PostgresStore:
        """The database whose root table lists the data subjects."""
        return self.database(self.config().data_map.root.store)

    def store(self, name: str) -> Any:
        """The adapter of any store, or set of snapshots, as an ``ErasureStore``."""
        from include.privacy.policy.data_map import DatabaseMap

        if name in self.config().clouds.names():
            return self.snapshots(name)
        if isinstance(self.config().data_map[name], DatabaseMap):
            return self.database(name)
        return self.bucket(name)

    def database(self, name: str) -> PostgresStore:
        """The adapter of a database."""
        from include.privacy.policy.data_map import DatabaseMap
        from include.privacy.stores.postgres import PostgresStore

        store = self.config().data_map[name]
        if not isinstance(store, DatabaseMap):
            raise TypeError(f"store {name!r} is a bucket, not a database")
        return cast(
            "PostgresStore",
            self._once(("store", name), lambda: PostgresStore(store, self.dsn(store.connection))),
        )

    def bucket(self, name: str) -> S3Store:
        """The adapter of a bucket, in S3 or Google Cloud Storage."""
        from include.privacy.policy.data_map import DatabaseMap

        store = self.config().data_map[name]
        if isinstance(store, DatabaseMap):
            raise TypeError(f"store {name!r} is a database, not a bucket")
        return cast("S3Store", self._once(("store", name), lambda: self._bucket(store)))

    def snapshots(self, name: str) -> SnapshotStore:
        """The adapter of a set of database snapshots, in RDS or Cloud SQL."""
        mapped = self.config().clouds[name]

        def make() -> SnapshotStore:
            info = self.connection(mapped.connection)
            return cloud_clients.snapshot_store(mapped, info, self.ledger())

        return cast("SnapshotStore", self._once(("snapshots", name), make))

    def archives(self) -> ArchiveBucket:
        """The bucket for archives. Its connection's extra names the KMS key (``kms_key_id``)."""
        from include.privacy.stores.archive_bucket import ArchiveBucket

        mapped, key = self._written_by_us("answers")
        return cast(
            "ArchiveBucket",
            self._once("archives", lambda: ArchiveBucket(mapped, self._s3(mapped.connection), key)),
        )

    def invoices(self) -> InvoiceBucket:
        """Where invoices go that tax law wants, before a processor's copy is erased."""
        from include.privacy.stores.invoice_archive import InvoiceBucket

        mapped, key = self._written_by_us("invoices")
        return cast(
            "InvoiceBucket",
            self._once("invoices", lambda: InvoiceBucket(mapped, self._s3(mapped.connection), key)),
        )

    def _written_by_us(self, holds: Literal["answers", "invoices"]) -> tuple[BucketMap, str]:
        from include.privacy.policy.bucket_map import BucketMap

        buckets = (s for s in self.stores() if isinstance(s, BucketMap))
        mapped = next((b for b in buckets if b.archive(holds)), None)
        if mapped is None:
            raise LookupError(f"no bucket of the data map has `archives:` that hold {holds}; map one")
        key = self.connection(mapped.connection).extra.get("kms_key_id")
        if not key:
            raise UnusableConnectionError(
                f"connection {mapped.connection!r}: extra needs kms_key_id, the id, ARN or alias of a KMS key"
            )
        return mapped, str(key)

    def export_stores(self) -> tuple[ExportStore, ...]:
        """Every store and processor that holds data of single people, in the order of the map."""
        from include.privacy.policy.bucket_map import BucketMap
        from include.privacy.processors.exporting import ProcessorExport

        holding = [s for s in self.stores() if not (isinstance(s, BucketMap) and not s.content)]
        asked = [p for p in self.config().processors.values() if "access" in p.rights]
        return (
            *(self.store(s.store) for s in holding),
            *(ProcessorExport(self.processor(p.processor), p) for p in asked),
        )

    def processor(self, name: str) -> Processor:
        """The adapter of a processor."""
        from include.privacy.processors.connecting import connect

        mapped = self.config().processors.get(name)
        if mapped is None:
            raise LookupError(f"processor {name!r} is not mapped in config/processors/")
        info = self.connection(mapped.connection)
        return cast(
            "Processor", self._once(("processor", name), lambda: connect(mapped, info, self.invoices))
        )

    def ledger(self) -> Ledger:
        """The ledger, as the role that DAGs use."""
        return cast("Ledger", self._once("ledger", self._ledger))

    def _ledger(self) -> Ledger:
        from include.privacy.ledger import Ledger

        return Ledger(self.dsn(LEDGER), self.master_key(), self.config().policy.version)

    def postbox(self) -> Postbox:
        """The platform's inbox and outbox, in the root database."""
        from include.privacy.stores.postbox import Postbox

        root = self.config().data_map.root
        return cast(
            "Postbox", self._once("postbox", lambda: Postbox(self.dsn(root.connection), root.schema_))
        )

    def account_book(self, name: str | None = None) -> AccountBook:
        """Who hears of policy changes and accepts them: in the root database, or what another one knows."""
        from include.privacy.stores.postgres.account_book import AccountBook

        database = self.database(name or self.config().data_map.root.store).map
        return AccountBook(database, self.dsn(database.connection))

    def letters(self) -> Letters:
        """Writes letters to people, from ``config/letters/``."""
        from include.privacy.letters.rendering import Letters

        config = self.config()
        return cast("Letters", self._once("letters", lambda: Letters(config.letters, config.policy.timezone)))

    def mail(self) -> MailPort:
        """Sends letters, through SendGrid."""
        from include.privacy.processors.connecting import mail

        info, head = self.connection(SENDGRID), self.config().letters.head
        return cast("MailPort", self._once("mail", lambda: mail(info, head)))

    def bulk_mail(self, name: str) -> BulkMail:
        """Sends one letter to many, through the provider (and connection) of that name."""
        from include.privacy.processors.connecting import bulk_mail

        info, config = self.connection(name), self.config()
        return cast("BulkMail", self._once(("bulk", name), lambda: bulk_mail(name, info, config)))

    def doorbell(self) -> Doorbell:
        """The queue that wakes the intake."""
        info = self.connection(REQUEST_QUEUE)
        return cast("Doorbell", self._once("doorbell", lambda: cloud_clients.doorbell(info)))

    def aws(self, service: str, conn_id: str) -> Any:
        """boto3's client of a service of AWS; making one costs a fifth of a second."""
        info = self.connection(conn_id)
        return self._once(("aws", service, conn_id), lambda: cloud_clients.aws(service, info))

    def _s3(self, conn_id: str) -> S3Client:
        return cloud_clients.s3(self.connection(conn_id))

    def _bucket(self, store: BucketMap) -> Any:
        if store.kind == "s3":
            from include.privacy.stores.s3 import S3Store

            return S3Store(store, self._s3(store.connection), batch_log=self.ledger())
        from include.privacy.stores.gcs import GcsStore

        google = cloud_clients.gcs(self.connection(store.connection))
        return GcsStore(store, google, batch_log=self.ledger())


_current: Runtime | None = None


def runtime() -> Runtime:
    """The runtime of this process."""
    global _current
    if _current is None:
        _current = Runtime()
    return _current


@contextmanager
def use_runtime(replacement: Runtime) -> Iterator[Runtime]:
    """Put another runtime in place for a while (tests)."""
    global _current
    before, _current = _current, replacement
    try:
        yield replacement
    finally:
        _current = before
