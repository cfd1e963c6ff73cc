"""What each column of a table is called in the draft: its category, and what goes with it."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from include.privacy.detection.patterns import label
from include.privacy.drafting.roles import Role
from include.privacy.drafting.vocabulary import guess_column
from include.privacy.policy.live_schema import LiveColumn, LiveTable
from include.privacy.policy.looks import WORDS, Kind

STAFF_RECORD = "staff record under the employment contract"
_TEXT = re.compile(r"(?:text|citext|character varying|character)(?:\((\d+)\))?")
# Of a table that leads to nobody, only these names make a column personal; a title is no proof.
_SURELY = (
    "user.contact",
    "user.name",
    "user.authorization",
    "user.government_id",
    "user.financial",
    "user.demographic",
)


@dataclass
class DraftColumn:
    """``described``: what stands under its name in the map. ``checks``: what somebody has to decide."""

    name: str
    described: dict[str, Any]
    checks: list[str] = field(default_factory=list)

    @property
    def personal(self) -> bool:
        """Whether it is mapped as personal."""
        return str(self.described["category"]).startswith("user")


def is_mail(name: str, type_: str, kinds: Collection[Kind]) -> bool:
    """Whether the column holds one address: by its name, or by what its values look like."""
    if _TEXT.fullmatch(type_) is None:
        return False
    found = guess_column(name, type_, kinds)
    return found is not None and found.category == "user.contact.email"


def surely_personal(name: str, type_: str, kinds: Collection[Kind]) -> bool:
    """Whether a column is somebody's whatever its table is."""
    found = guess_column(name, type_, kinds)
    return found is not None and found.category.startswith(_SURELY)


def draft_columns(
    table: LiveTable,
    kinds: Mapping[str, Collection[Kind]],
    roles: Sequence[Role],
    *,
    root_key: str | None = None,
    keys: Collection[str] = (),
    staff: bool = False,
) -> list[DraftColumn]:
    """``root_key``: of the root table, its key. ``keys``: columns that point at other tables."""
    return [
        _column(name, live, table, kinds.get(name, ()), roles, root_key, keys, staff=staff)
        for name, live in table.columns.items()
    ]


def _column(
    name: str,
    live: LiveColumn,
    table: LiveTable,
    kinds: Collection[Kind],
    roles: Sequence[Role],
    root_key: str | None,
    keys: Collection[str],
    *,
    staff: bool,
) -> DraftColumn:
    own = {c for role in roles if role.references is None and role.identifier is None for c in role.columns}
    if name == root_key or name in own:
        return DraftColumn(name, {"category": "user.unique_id"})
    if name in {c for role in roles for c in role.columns if role.references is not None} or (
        name in table.primary_key and (name in keys or label(name) in ("id", "uuid"))
    ):
        return DraftColumn(name, {"category": "system.operations"})
    if not roles:
        return _of_nobody(name, live, kinds, staff=staff)
    return _of_somebody(name, live, kinds, roles, keys)


def _of_somebody(
    name: str, live: LiveColumn, kinds: Collection[Kind], roles: Sequence[Role], keys: Collection[str]
) -> DraftColumn:
    found = None if name in keys else guess_column(name, live.type, kinds)
    if found is None:
        # What is left of a row that lets go of its person says nothing about anybody.
        return DraftColumn(name, {"category": "user.behavior" if roles[0].deletes else "system.operations"})
    described: dict[str, Any] = {"category": found.category}
    checks = [found.check] if found.check else []
    if found.secret:
        described["secret"] = True
    if found.identifier and roles[0].references is None and roles[0].identifier is None:
        described["identifier"] = found.identifier
    if not roles[0].deletes:
        described["unmasked_because"] = "the row stays without its person"
        checks.append("is it nobody's once the row has let go of its person? else replace it under anonymise")
    return DraftColumn(name, described, checks)


def _of_nobody(name: str, live: LiveColumn, kinds: Collection[Kind], *, staff: bool) -> DraftColumn:
    found = guess_column(name, live.type, kinds)
    by_content = set(kinds) - {Kind.free_text}
    if found is not None and (by_content or found.category.startswith(_SURELY)):
        described: dict[str, Any] = {"category": found.category}
        if found.secret:
            described["secret"] = True
        if staff:
            return DraftColumn(name, described | {"unmasked_because": STAFF_RECORD})
        seen = ", ".join(WORDS[kind] for kind in sorted(by_content)) or "personal, by its name"
        return DraftColumn(
            name, described, [f"{seen}: say under subjects whose row it is, or unmasked_because"]
        )
    described = {"category": "system.operations"}
    if Kind.free_text in kinds:
        described["looks_like"] = {"free_text": "written by us, not by people"}
        return DraftColumn(
            name, described, ["sentences: who writes them? if people do, whose rows are they?"]
        )
    return DraftColumn(name, described)


def text_length(type_: str) -> int | None:
    """How many characters a text column takes; ``None`` where there is no limit, or it is no text."""
    found = _TEXT.fullmatch(type_)
    return int(found[1]) if found and found[1] else None


def is_text(type_: str) -> bool:
    """Whether a correction, which is text, fits the column."""
    return _TEXT.fullmatch(type_) is not None
