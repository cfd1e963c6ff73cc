"""What an objection to a purpose does, and which purposes a restriction closes (Art. 18 and 21 GDPR)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Literal

from include.privacy.policy.documents import Document, Loc
from include.privacy.policy.policy import Policy, Purpose
from include.privacy.policy.problems import Problem, suggestion

#: The purpose that means all of them but storage and legal claims: a restriction under Art. 18.
GENERAL = "*"

#: Tables of the contract with the platform (docs/INTEGRATION.md).
RESTRICTIONS = "privacy_restrictions"
SUPPRESSED = "suppressed_contacts"
RESTRICTION_COLUMNS = frozenset({"account_id", "purpose", "reason", "since"})
SUPPRESSED_COLUMNS = frozenset({"mark", "purpose", "since"})

Effect = Literal["stop", "weigh", "none"]

_PLAIN_KEY = re.compile(r"[a-z][a-z0-9_]*(\.[a-z0-9_]+)*")
_LONGEST_NAME = 63  # PostgreSQL cuts longer ones without a word


def effect_of_objection(key: str, purpose: Purpose) -> Effect:
    """What follows from an objection to the purpose.

    ``stop``: at once and without weighing: direct marketing (Art. 21(3)), what rests on consent
    (Art. 7(3)), and what is optional. ``weigh``: restricted until somebody has decided (Art. 21(1) and
    18(1)(d)). ``none``: there is no right to object to what a contract or the law requires.
    """
    if is_direct_marketing(key) or purpose.legal_basis == "consent" or purpose.optional:
        return "stop"
    return "weigh" if purpose.legal_basis in ("legitimate_interests", "public_task") else "none"


def is_direct_marketing(key: str) -> bool:
    """Whether the data use is direct marketing (fideslang ``marketing`` and everything below)."""
    return key == "marketing" or key.startswith("marketing.")


def closed_by_restriction(key: str, purpose: Purpose) -> bool:
    """Whether a general restriction closes the purpose: all but storage and legal claims (Art. 18(2))."""
    stored = key == "functional.storage" or key.startswith("functional.storage.")
    return not (stored or purpose.legal_basis == "legal_obligation")


def view_schema(key: str) -> str:
    """The schema with the views of a purpose: ``for_personalize_content``."""
    return "for_" + key.replace(".", "_")


def readers(purposes: Mapping[str, Purpose]) -> dict[str, str]:
    """Purposes that are read through views, with the database role that reads for each."""
    return {key: purpose.reader for key, purpose in purposes.items() if purpose.reader is not None}


def objection_problems(policy: Policy, document: Document) -> Iterator[Problem]:
    """Objections that do not follow from the legal basis of their purpose, and readers that cannot be."""
    taken: dict[str, str] = {}
    for key, purpose in policy.purposes.items():
        loc: Loc = ("purposes", key)
        right = effect_of_objection(key, purpose)
        if purpose.optional and purpose.legal_basis in ("contract", "legal_obligation", "vital_interests"):
            yield document.problem(
                (*loc, "optional"),
                f"what rests on {purpose.legal_basis} is not optional",
                "remove it, or name the legal basis that really applies",
            )
        elif purpose.objection is not None and purpose.objection != right:
            yield document.problem(
                (*loc, "objection"),
                f"an objection to it means {right}: {_because(key, purpose)}",
                f"write {right}" + (", or say `optional: true`" if right == "weigh" else ""),
            )
        if purpose.reader is not None:
            yield from _reader_problems(key, purpose.reader, taken, document, (*loc, "reader"))
            taken[purpose.reader] = key


def _reader_problems(
    key: str, reader: str, taken: Mapping[str, str], document: Document, loc: Loc
) -> Iterator[Problem]:
    if reader == "public" or reader.startswith("pg_"):
        yield document.problem(
            loc, "is a role of PostgreSQL itself", "name a role of the platform's jobs for this purpose"
        )
    if not _PLAIN_KEY.fullmatch(key) or len(view_schema(key)) > _LONGEST_NAME:
        yield document.problem(
            loc,
            "the purpose's key does not make the name of a schema",
            "use a key of lower-case words and dots, at most 59 characters long",
        )
    if any(view_schema(other) == view_schema(key) for other in taken.values()):
        yield document.problem(
            loc, f"another purpose has the schema {view_schema(key)} too", "rename one of the purposes"
        )
    if reader in taken:
        yield document.problem(
            loc,
            f"{reader} reads for {taken[reader]} already: an objection to one purpose would be undone "
            "through the views of the other",
            "give each purpose a role of its own",
        )


def check_objection(purposes: Mapping[str, Purpose], key: str) -> Effect:
    """The effect of an objection to the purpose ``key``.

    Raises ``LookupError`` naming what is known; an unknown key, which somebody typed, is not repeated.
    """
    if key not in purposes:
        raise LookupError(f"the purpose objected to is not in policy.yaml; {suggestion('', purposes)}")
    return effect_of_objection(key, purposes[key])


def _because(key: str, purpose: Purpose) -> str:
    if is_direct_marketing(key):
        return "it is direct marketing"
    if purpose.optional:
        return "it is optional"
    return f"it rests on {purpose.legal_basis.replace('_', ' ')}"
