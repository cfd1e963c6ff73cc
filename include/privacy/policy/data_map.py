"""Models of ``config/data_map/*.yaml``: where personal data live and what each right does to them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, SerializerFunctionWrapHandler, field_validator, model_serializer, model_validator

from include.privacy.policy.bucket_map import BucketMap
from include.privacy.policy.looks import Kind
from include.privacy.policy.map_model import MapModel, Name, Origin
from include.privacy.policy.rectify import History, Rectify

LegalBasis = Literal[
    "consent",
    "contract",
    "legal_obligation",
    "vital_interests",
    "public_task",
    "legitimate_interests",
]

STAFF = "staff"
"""Stands in ``of:`` for employees: such a column is never shown to a customer."""


class Column(MapModel):
    """One column: what kind of data it holds and for what.

    ``category`` is a fideslang data category; those under ``user`` are personal.
    ``purposes`` replaces the table's. ``identifier`` names the kind of identifier the column
    holds (``email``, ``stripe_customer_id``): such values are frozen before an erasure, found
    through :class:`IdentifierPath`, probed afterwards and kept as keyed tombstones.
    ``unmasked_because`` lets an anonymised or kept row retain a personal column, with a reason.

    For archives: ``description`` explains the column to the person. ``origin`` replaces the table's.
    ``of`` names the roles whose data the column is, where a row is shared (``sharing.owners`` says
    what holds without it). ``file_name``: the column that names the file which this bytea column holds.
    ``rectify``: the column holds a fact (a jsonb document: several) that a person may have corrected.
    ``history``: it records what such a fact was.

    ``looks_like``: what values of a column that is not personal look like all the same, with the reason why
    they are not (``{ip: version numbers}``); the audit of the data map leaves that kind alone.
    """

    category: Annotated[str, Field(pattern=r"^(user|system)(\.[a-z0-9_]+)*$")]
    purposes: tuple[str, ...] | None = None
    identifier: str | None = None
    secret: bool = False
    unmasked_because: str | None = None
    description: str = ""
    origin: Origin | None = None
    of: Annotated[tuple[Name, ...], Field(min_length=1)] | None = None
    file_name: Name | None = None
    rectify: tuple[Rectify, ...] = ()
    history: History | None = None
    looks_like: dict[Kind, Annotated[str, Field(min_length=8)]] = Field(default_factory=dict)

    @field_validator("rectify", mode="before")
    @classmethod
    def _one_or_several(cls, value: Any) -> Any:
        return (value,) if isinstance(value, dict) else value

    @property
    def personal(self) -> bool:
        """Whether the column holds personal data."""
        return self.category == "user" or self.category.startswith("user.")


class KeyPath(MapModel):
    """The column holds the subject key itself (``path: account_id``)."""

    column: Name


class ReferencePath(MapModel):
    """The row belongs to whoever the referenced row belongs to.

    ``columns`` point at ``key`` (default: the primary key) of the table ``references``, whose
    subject in ``role`` (default: its only role) is meant.
    """

    columns: Annotated[tuple[Name, ...], Field(min_length=1)]
    references: Name
    key: tuple[Name, ...] | None = None
    role: Name | None = None


class IdentifierPath(MapModel):
    """The row belongs to whoever has this identifier (a ticket that knows only an e-mail)."""

    column: Name
    identifier: str


Path = KeyPath | ReferencePath | IdentifierPath


class Replacement(MapModel):
    """What anonymising writes into a column; exactly one of the fields.

    ``set``: a constant or null. ``random``: a fresh value for unique columns.
    ``drop_keys``: removes top-level keys from a json(b) document.
    """

    set: Any = None
    random: Literal["uuid", "email", "text"] | None = None
    drop_keys: tuple[str, ...] | None = None

    @model_validator(mode="after")
    def _exactly_one(self) -> Replacement:
        if len(self.model_fields_set) != 1:
            raise ValueError("give exactly one of set, random, drop_keys")
        return self

    @model_serializer(mode="wrap")
    def _as_it_was_given(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        # ``set: null`` says something; the two fields beside it, null because nobody set them, do not.
        return {name: value for name, value in dump(self).items() if name in self.model_fields_set}


class KeepUntil(MapModel):
    """Kept until ``days`` after the instant or date in ``column``."""

    column: Name
    days: Annotated[int, Field(gt=0)]


class Keep(MapModel):
    """Kept despite erasure: on which legal basis, why, and until when."""

    basis: LegalBasis
    reason: Annotated[str, Field(min_length=8)]
    until: KeepUntil


class Decide(MapModel):
    """A person decides before an erasure touches rows of this kind: those whose ``column`` is null.

    An unpaid invoice may be needed to establish a legal claim (Art. 17(3)(e) GDPR). Silence erases.
    """

    column: Name
    reason: Annotated[str, Field(min_length=8)]


class Disposition(MapModel):
    """What erasure does with the rows of a subject: ``delete``, ``anonymise`` or ``keep``.

    ``keep`` may be joined by ``anonymise``: what the law does not ask for is removed all the same.
    ``decide`` has a person asked first where certain rows exist.
    """

    delete: bool = False
    anonymise: dict[Name, Replacement] = Field(default_factory=dict)
    keep: Keep | None = None
    decide: Decide | None = None

    @model_validator(mode="before")
    @classmethod
    def _shorthand(cls, value: Any) -> Any:
        return {"delete": True} if value == "delete" else value

    @model_validator(mode="after")
    def _one_verb(self) -> Disposition:
        if self.delete == bool(self.anonymise or self.keep):
            raise ValueError("say 'delete', or 'anonymise: {…}' and/or 'keep: {…}'")
        return self


class Subject(MapModel):
    """How rows of a table reach a data subject, and what that person's erasure does to them.

    ``origin`` says where the rows come from as seen in this role, whatever their columns say: a review
    is ``provided`` by its mentor, and for its learner made by somebody else (``inferred``). ``title``
    tells the person what the rows are to them, where it is not what the table's says.
    """

    path: Path
    erasure: Disposition
    origin: Origin | None = None
    title: str = ""

    @model_validator(mode="before")
    @classmethod
    def _direct_path(cls, value: Any) -> Any:
        if isinstance(value, dict) and isinstance(value.get("path"), str):
            return {**value, "path": {"column": value["path"]}}
        return value


class Table(MapModel):
    """One table, partitioned table or materialised view.

    ``subjects`` is keyed by role: a review belongs to its learner *and* its mentor. A table
    without subjects must have no personal column.

    ``description`` is for engineers, ``title`` for the person whose archive shows the rows.
    ``origin``: ``provided`` by the person, ``observed`` from what they did, or ``inferred``, which is
    made about them by us or by others: part of an access archive, never of a portability archive.
    ``consultations``: each row is one consultation of the person's data, at the instant in that column.
    """

    kind: Literal["table", "materialised_view"] = "table"
    title: str = ""
    description: str = ""
    purposes: tuple[str, ...] = ()
    origin: Origin = "observed"
    consultations: Name | None = None
    subjects: dict[Name, Subject] = Field(default_factory=dict)
    columns: dict[Name, Column]


class Lifecycle(MapModel):
    """The columns of the root table that carry the retention clock (DESIGN §3)."""

    service_ended_at: Name
    deleted_at: Name
    on_deleted: dict[Name, Any] = Field(default_factory=dict)


class FormerContact(MapModel):
    """The table of addresses used before. ``replaced_at`` tells which was on file at an instant."""

    table: Name
    email: Name
    replaced_at: Name


class Contact(MapModel):
    """Where letters to a person go: columns of the root table."""

    email: Name
    language: Name | None = None
    former: FormerContact | None = None


class Root(MapModel):
    """The table whose rows are the data subjects. Without ``contact`` answers are in the app only."""

    table: Name
    key: Name
    lifecycle: Lifecycle
    contact: Contact | None = None


class DatabaseMap(MapModel):
    """A PostgreSQL database.

    ``other_schemas``: schemas beside the mapped one that hold nothing of people, each with the reason.
    """

    store: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
    kind: Literal["postgres"]
    description: str = ""
    connection: str
    schema_: Annotated[str, Field(alias="schema")] = "public"
    subject_key_type: Literal["bigint", "integer", "uuid", "text"] = "bigint"
    root: Root | None = None
    max_shards: Annotated[int, Field(ge=1, le=32)] = 4
    other_schemas: dict[Name, Annotated[str, Field(min_length=8)]] = Field(default_factory=dict)
    tables: dict[Name, Table]


StoreMap = DatabaseMap | BucketMap


class DataMap(MapModel):
    """All stores, in the order in which erasure visits them: the root store comes last."""

    stores: tuple[StoreMap, ...]

    def __getitem__(self, name: str) -> StoreMap:
        for store in self.stores:
            if store.store == name:
                return store
        raise KeyError(f"store {name!r} is not in the data map; it knows {[s.store for s in self.stores]}")

    @property
    def root(self) -> DatabaseMap:
        """The one database whose root table lists the data subjects."""
        return next(s for s in self.stores if isinstance(s, DatabaseMap) and s.root)
