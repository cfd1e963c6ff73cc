"""What processors hold of people as part of an archive (P6.1): a processor as an ``ExportStore``."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import Any

from include.privacy.planning.exporting import Collection, ExportField, Extract, Records
from include.privacy.planning.models import Cohort, Member
from include.privacy.policy.processors import ProcessorCollection, ProcessorMap
from include.privacy.processors.protocol import (
    Exported,
    Person,
    Processor,
    ProcessorError,
    ProcessorUnavailableError,
)

log = logging.getLogger(__name__)

ASKED_AT_ONCE = 100
"""People whose data are asked for together, and lie in memory together."""


class ProcessorExport:
    """A processor, read person by person in the order of the cohort; satisfies ``ExportStore``.

    The processor is asked about the next people only when the archives of those before are made.
    """

    def __init__(self, processor: Processor, mapped: ProcessorMap) -> None:
        self.name = mapped.processor
        self._processor, self._mapped = processor, mapped

    @contextmanager
    def export(self, cohort: Cohort, *, portable: bool = False) -> Iterator[_Opened]:
        """Open what the processor holds of the cohort. Raises what the processor raises, when it is read."""
        yield _Opened(self._processor, self._mapped, cohort, portable=portable)


class _Opened:
    def __init__(self, processor: Processor, mapped: ProcessorMap, cohort: Cohort, *, portable: bool) -> None:
        self._processor, self._mapped, self._portable = processor, mapped, portable
        self._members = enumerate(cohort.members(), start=1)
        self._page: dict[int, Exported] = {}
        self._asked = 0

    def of(self, ordinal: int, member: Member) -> Iterator[Extract]:
        """What the person has there. People may be passed over, but not gone back to."""
        while ordinal > self._asked and (page := list(islice(self._members, ASKED_AT_ONCE))):
            people = [person_of(str(n), each, self._mapped) for n, each in page]
            self._page = dict(self._answers(people))
            self._asked = page[-1][0]
        exported = self._page.pop(ordinal, None)
        if exported is None:
            # A part is not the whole: this archive waits, those of the others do not.
            raise ProcessorUnavailableError(f"{self._processor.name} refused to answer about one person")
        for name, records in exported.collections.items():
            described = self._mapped.collections.get(name, ProcessorCollection(title=name.replace("_", " ")))
            if records and (described.portable or not self._portable):
                yield Records(_collection(self._mapped, name, described, records), records)

    def _answers(self, people: Sequence[Person]) -> Iterator[tuple[int, Exported]]:
        """What came until the processor failed: whoever is missing is told so one by one."""
        try:
            for exported in self._processor.export(people):
                yield int(exported.reference), exported
        except ProcessorError as error:
            log.warning("%s: not every person was answered: %s", self._processor.name, error)


def person_of(reference: str, member: Member, mapped: ProcessorMap) -> Person:
    """A member of a cohort as the processor may know them."""
    known = {k: tuple(v) for k, v in member.identifiers.items() if k in mapped.identifiers}
    return Person(reference, known.pop("email", ()), known)


def _collection(
    mapped: ProcessorMap, name: str, described: ProcessorCollection, records: Sequence[Mapping[str, Any]]
) -> Collection:
    """Everything that came is handed out; what the map explains is explained."""
    names = dict.fromkeys([*described.fields, *(key for record in records for key in record)])
    fields = []
    for field in names:
        known = described.fields.get(field)
        fields.append(
            ExportField(
                field,
                description=known.description if known else "",
                category=known.category if known else described.category,
                origin=described.origin,
                purposes=described.purposes,
            )
        )
    return Collection(
        store=mapped.processor,
        table=name,
        description=described.title,
        fields=tuple(fields),
        retention=described.retention or None,
    )
