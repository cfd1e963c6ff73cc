"""Models of the buckets of ``config/data_map/*.yaml``: content of people, backups, archives of answers."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from include.privacy.policy.map_model import MapModel, Origin


class ContentPrefix(MapModel):
    """Objects of one person: ``prefix`` ends in ``{subject}/``; erasure removes every version."""

    prefix: Annotated[str, Field(pattern=r"^([A-Za-z0-9._-]+/)*\{subject\}/$")]
    category: str
    purposes: tuple[str, ...]
    origin: Origin = "provided"
    description: str = ""


class BackupPrefix(MapModel):
    """Backup archives: expire by the age of what they captured, never person by person.

    ``captured_at`` lists where the capture time is read, best first. ``key_date`` is a
    strptime pattern of the key up to and including the archive's folder.
    """

    prefix: Annotated[str, Field(pattern=r"^([A-Za-z0-9._-]+/)+$")]
    backup_of: str
    captured_at: tuple[Literal["manifest", "metadata", "key", "last_modified"], ...] = (
        "manifest",
        "metadata",
        "key",
        "last_modified",
    )
    manifest: str = "manifest.json"
    key_date: str | None = None
    lifecycle: Literal["manage", "audit"] = "audit"
    category: str = "user"
    purposes: tuple[str, ...] = ()
    description: str = ""


class ArchivePrefix(MapModel):
    """What we write ourselves, object by object: it expires as a whole.

    ``holds``: ``answers`` to access and portability requests, by their LastModified; ``invoices`` that tax
    law wants when a processor's copy is erased, by the day of issue in their key (``key_date``).
    """

    prefix: Annotated[str, Field(pattern=r"^([A-Za-z0-9._-]+/)+$")]
    holds: Literal["answers", "invoices"] = "answers"
    key_date: str | None = None
    lifecycle: Literal["manage", "audit"] = "audit"
    category: str = "user"
    purposes: tuple[str, ...] = ()
    description: str = ""

    @property
    def captured_at(self) -> tuple[Literal["key", "last_modified"], ...]:
        """Nobody copies them: where the key has no date, the store's own time is the right one."""
        return ("key", "last_modified") if self.key_date else ("last_modified",)

    @property
    def manifest(self) -> str:
        """None: each archive is one object."""
        return ""


AgedPrefix = BackupPrefix | ArchivePrefix


class BucketMap(MapModel):
    """A bucket in S3 or Google Cloud Storage."""

    store: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
    kind: Literal["s3", "gcs"]
    description: str = ""
    connection: str
    bucket: Annotated[str, Field(min_length=3)]
    content: tuple[ContentPrefix, ...] = ()
    backups: tuple[BackupPrefix, ...] = ()
    archives: tuple[ArchivePrefix, ...] = ()

    def archive(self, holds: Literal["answers", "invoices"]) -> ArchivePrefix | None:
        """The prefix for what we write of that kind."""
        return next((a for a in self.archives if a.holds == holds), None)

    @property
    def aged(self) -> tuple[AgedPrefix, ...]:
        """The prefixes whose objects expire by age."""
        return (*self.backups, *self.archives)
