"""Models of ``config/processors/*.yaml``: the processors that may have data of people (P5.1 to P5.7).

The files together are the allow-list: whoever is not here, and no store of the data map, gets nothing (P3.2).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import Field

from include.privacy.policy.data_map import DatabaseMap
from include.privacy.policy.documents import Document
from include.privacy.policy.map_model import MapModel, Origin
from include.privacy.policy.policy import PROMISE_ID, Policy
from include.privacy.policy.problems import Problem

Right = Literal["access", "portability", "rectification", "erasure", "objection"]


class ProcessorField(MapModel):
    """A field of the processor's objects, as an archive explains it."""

    category: str
    description: str = ""


class ProcessorCollection(MapModel):
    """Objects of one kind that a person may have there.

    ``portable``: the person provided it, or it was observed of them (Art. 20(1) GDPR). ``fields``: those
    worth explaining; the others are handed out all the same.
    """

    title: str
    description: str = ""
    category: str = "user"
    purposes: tuple[str, ...] = ()
    origin: Origin = "observed"
    portable: bool = False
    retention: str = ""
    fields: dict[str, ProcessorField] = Field(default_factory=dict)


class Keep(MapModel):
    """Objects that the processor, or we, must keep: on what ground and how many days from their date."""

    basis: Literal["legal_obligation", "legal_claims"]
    reason: str
    days: Annotated[int, Field(gt=0)]


class ProcessorMap(MapModel):
    """One processor.

    ``role``: an independent controller decides for itself what it does with the data; the person is told so,
    and ``privacy_url`` is where they ask. ``identifiers``: what of the data map leads to a person there.
    ``rights``: those that reach it. ``objection``: purpose → what stops it there (a suppression group, a
    stream). ``keeps``: kind of object → why. ``settings``: what the adapter alone understands.
    """

    processor: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
    promise: Annotated[str, Field(pattern=PROMISE_ID)]
    title: str
    description: str = ""
    connection: str
    role: Literal["processor", "controller"] = "processor"
    privacy_url: str | None = None
    identifiers: tuple[str, ...] = ()
    rights: tuple[Right, ...] = ()
    objection: dict[str, str] = Field(default_factory=dict)
    collections: dict[str, ProcessorCollection] = Field(default_factory=dict)
    keeps: dict[str, Keep] = Field(default_factory=dict)
    settings: dict[str, Any] = Field(default_factory=dict)


@dataclass(frozen=True)
class MappedProcessor:
    """A processor with the file that maps it."""

    map: ProcessorMap
    document: Document


def processor_problems(
    processors: Iterable[MappedProcessor], policy: Policy | None, stores: Iterable[Any] | None
) -> Iterator[Problem]:
    """What does not hold together: names given twice, identifiers, purposes and promises nobody knows."""
    seen: dict[str, str] = {}
    databases = [s for s in stores or () if isinstance(s, DatabaseMap)]
    known = {c.identifier for s in databases for t in s.tables.values() for c in t.columns.values()}
    names = {s.store for s in stores or ()}
    for each in processors:
        mapped, document = each.map, each.document
        if mapped.processor in seen or mapped.processor in names:
            where = seen.get(mapped.processor, "the data map")
            yield document.problem(("processor",), f"is the name of another recipient ({where})", "rename it")
        seen[mapped.processor] = document.file
        if mapped.role == "controller" and not mapped.privacy_url:
            yield document.problem(
                ("role",), "names a controller, but not where people ask it", "add privacy_url"
            )
        if stores is not None:
            for position, kind in enumerate(mapped.identifiers):
                if kind not in known:
                    yield document.problem(
                        ("identifiers", position),
                        f"{kind!r} is no identifier of the data map",
                        f"choose from {', '.join(sorted(k for k in known if k))}",
                    )
        if policy is None:
            continue
        if mapped.promise not in policy.promises:
            yield document.problem(("promise",), "is no promise of policy.yaml", "add it there")
        for path, purpose in _purposes(mapped):
            if purpose not in policy.purposes:
                yield document.problem(path, f"{purpose!r} is no purpose of policy.yaml", "add it there")


def _purposes(mapped: ProcessorMap) -> Iterator[tuple[tuple[str | int, ...], str]]:
    for purpose in mapped.objection:
        yield ("objection", purpose), purpose
    for name, collection in mapped.collections.items():
        for position, purpose in enumerate(collection.purposes):
            yield ("collections", name, "purposes", position), purpose


def by_name(processors: Iterable[ProcessorMap]) -> Mapping[str, ProcessorMap]:
    """The processors by their names, in the order of their files."""
    return {each.processor: each for each in processors}
