"""``config/notices/``: how policy changes are announced, and one folder per version that is announced.

A version's folder holds ``notice.yaml`` (dates, what changes), ``policy.yaml`` (the policy as it will be) and
a folder per language with ``notice.txt`` and ``notice.html``. Reads and checks what needs no rendering.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from include.privacy.policy.documents import Document
from include.privacy.policy.letters import Address, HttpsUrl, Language
from include.privacy.policy.policy import PROMISE_ID, Policy, PolicyModel

SETTINGS, HEAD, POLICY = "notices.yaml", "notice.yaml", "policy.yaml"
PROMISED_DAYS = 30
"""P8.1: how long before it applies everybody has heard of a material change."""

Text = Annotated[str, Field(max_length=2_000, pattern=r"^[^\x00-\x08\x0b-\x1f\x7f]*$")]
Version = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,39}$")]


class Use(PolicyModel):
    """Where the platform records that somebody used the service: a table with the person and the instant."""

    store: str
    table: str
    person: str
    at: str


class Acceptances(PolicyModel):
    """Where the platform keeps its documents and who accepted which, in the root store (P1.1, P8.2)."""

    documents: str
    document_version: str
    document_effective: str
    table: str
    person: str
    version: str
    at: str
    use: Use


class NoticeSettings(PolicyModel):
    """How notices are sent, whatever the version.

    ``lead_days``: days before the effective date at which sending should begin. ``people_per_minute``: not
    faster than that, over all providers. ``at_once``: calls under way at the same time. ``fallback``: the
    provider for those whom the first one cannot reach for reasons of its own, and for all when that has been
    down for ``fallback_after_minutes``. ``test_addresses``: the only
    addresses that a test may go to, by a name that may be shown.
    """

    lead_days: Annotated[int, Field(gt=PROMISED_DAYS, le=180)] = 35
    people_per_minute: Annotated[int, Field(gt=0)] = 60_000
    at_once: Annotated[int, Field(gt=0, le=16)] = 4
    fallback: Literal["postmark"] | None = None
    fallback_after_minutes: Annotated[int, Field(gt=0)] = 120
    policy_url: HttpsUrl
    test_addresses: dict[Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,39}$")], Address] = Field(
        default_factory=dict
    )
    acceptances: Acceptances


class Change(PolicyModel):
    """One thing that changes, in every language. ``before`` or ``after`` is empty for what is new or ends."""

    promise: Annotated[str, Field(pattern=PROMISE_ID)]
    summary: dict[Language, Text]
    before: dict[Language, Text] = Field(default_factory=dict)
    after: dict[Language, Text] = Field(default_factory=dict)


class NoticeHead(PolicyModel):
    """``notice.yaml``. ``effective``: the first day, in the company's zone, on which the version applies."""

    version: Version
    previous: Version
    effective: date
    material: bool
    languages: Annotated[tuple[Language, ...], Field(min_length=1)]
    default_language: Language
    changes: Annotated[tuple[Change, ...], Field(min_length=1)]

    @field_validator("languages")
    @classmethod
    def _each_once(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(value)) < len(value):
            raise ValueError("name each language once")
        return value

    @model_validator(mode="after")
    def _consistent(self) -> NoticeHead:
        if self.version == self.previous:
            raise ValueError("version and previous are the same")
        if self.default_language not in self.languages:
            raise ValueError(f"default_language must be one of languages ({', '.join(self.languages)})")
        return self


@dataclass(frozen=True)
class PolicyNotice:
    """A version that is announced. ``texts``: its templates by path (``en/notice.txt``)."""

    head: NoticeHead
    policy: Policy
    texts: Mapping[str, str] = field(repr=False)
    folder: str
    document: Document = field(compare=False, repr=False, default=Document(""))

    @property
    def digest(self) -> str:
        """SHA-256 of everything that people will read and that will apply: this is what is approved."""
        parts = [self.head.model_dump_json(), self.policy.model_dump_json()]
        parts += [f"{name}\n{text}" for name, text in sorted(self.texts.items())]
        return hashlib.sha256("\x00".join(parts).encode()).hexdigest()

    def language(self, wanted: str | None) -> str:
        """The language to write in for somebody who prefers ``wanted`` (``de``, ``de-AT``, ``de_AT``)."""
        short = (wanted or "").replace("_", "-").split("-")[0].lower()
        return short if short in self.head.languages else self.head.default_language


@dataclass(frozen=True)
class Notices:
    """The settings and every version's folder, by effective date. Without settings none is announced."""

    settings: NoticeSettings | None = None
    versions: tuple[PolicyNotice, ...] = ()
    shared: Mapping[str, str] = field(default_factory=dict, repr=False)

    def recorded(self) -> Acceptances | None:
        """Where acceptances are recorded, if anywhere."""
        return self.settings.acceptances if self.settings else None

    def notice(self, version: str) -> PolicyNotice:
        """The version's; ``LookupError`` names the known ones."""
        for each in self.versions:
            if each.head.version == version:
                return each
        known = ", ".join(each.head.version for each in self.versions) or "none"
        raise LookupError(f"config/notices/ holds no version {version!r} (it holds {known})")


def notice_folders(folder: Path) -> list[Path]:
    """The folders of versions."""
    return sorted(path.parent for path in folder.glob(f"*/{HEAD}"))
