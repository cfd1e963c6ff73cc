"""All stores opened for one cohort, and read person by person."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from include.privacy.planning.exporting import Extract
from include.privacy.planning.models import Cohort, Member

if TYPE_CHECKING:
    from include.privacy.stores.protocol import CohortExport, ExportStore


@dataclass(frozen=True)
class Person:
    """One person of the cohort, and the stores in which their data are looked for."""

    ordinal: int
    member: Member
    exports: tuple[CohortExport, ...]

    def extracts(self) -> Iterator[Extract]:
        """Store by store, collection by collection; to be read in that order, once."""
        for export in self.exports:
            yield from export.of(self.ordinal, self.member)


@contextmanager
def open_contents(
    stores: Iterable[ExportStore], cohort: Cohort, *, portable: bool = False
) -> Iterator[Iterator[Person]]:
    """The people of the cohort, in its order.

    Every store is opened before the first person is read, each in one snapshot where it can give one.
    A person whose archive fails may be passed over: the next one starts where theirs begins. Raises
    what the stores raise when they cannot be opened, so that no archive is made that lacks one of them.
    """
    with ExitStack() as opened:
        exports = tuple(opened.enter_context(s.export(cohort, portable=portable)) for s in stores)
        yield (Person(ordinal, member, exports) for ordinal, member in enumerate(cohort.members(), start=1))
