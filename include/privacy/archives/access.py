"""The archive that answers an access request (Art. 15 GDPR).

```
index.html                         start here: what there is, in plain language
information.html  .json            purposes, recipients, periods, rights (Art. 15(1))
glossary.html     .json            what every field means
data/<store>/<collection>.json     the rows, one on each line
files/<store>/<collection>/…       what was uploaded or attached
redactions.json   secrets.json     what was left out, and why
manifest.json                      SHA-256, size and number of rows of every file
```
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from include.privacy.archives.glossary import ORIGINS, glossary
from include.privacy.archives.information import Answer, fixed_information, information
from include.privacy.archives.pages import render
from include.privacy.archives.writer import Listing, Member, Rows, pack
from include.privacy.planning.exporting import Collection, Extract, Reason

if TYPE_CHECKING:
    from include.privacy.policy.loading import Config

_WHY = {
    Reason.staff: "it tells which of our employees acted (CJEU C-579/21)",
    Reason.other_person: "it is another person's (Art. 15(4) GDPR)",
}


@dataclass(frozen=True)
class Found:
    """One collection of the archive."""

    collection: Collection
    path: str
    rows: int
    files: int
    redacted: Counter[str] = field(default_factory=Counter)


class AccessArchive:
    """One person's archive. ``packed`` may be read once; ``found`` and ``listing`` are filled by it.

    ``extracts`` come from the stores, from the ledger and from processors alike.
    """

    def __init__(self, extracts: Iterable[Extract], answer: Answer, config: Config) -> None:
        fixed_information(config.policy)
        self.listing = Listing()
        self.found: list[Found] = []
        self.searched: list[Collection] = []
        self._extracts, self._answer, self._config = extracts, answer, config

    def packed(self, passphrase: str) -> Iterator[bytes]:
        """The encrypted ZIP in chunks. Raises what a store raises when it is lost midway."""
        return pack(self.members(), passphrase, as_of=self._answer.as_of)

    def members(self) -> Iterator[Member]:
        """The files of the archive, each to be read before the next is asked for."""
        for extract in self._extracts:
            yield from self._collection(extract)
        yield from self._explanations()
        yield self.listing.manifest("manifest.json", self._about())

    @property
    def redactions(self) -> list[dict[str, Any]]:
        """What was withheld or redacted, field by field, and why."""
        entries = []
        for found in self.found:
            for held in found.collection.withheld:
                if held.reason in _WHY:
                    entries.append(self._redaction(found, held.column, held.reason, held.roles, found.rows))
            for f in found.collection.fields:
                if count := found.redacted[f.name]:
                    entries.append(self._redaction(found, f.name, Reason.other_person, f.only_if, count))
        return entries

    @property
    def secrets(self) -> list[dict[str, Any]]:
        """Secrets that exist and are not exported."""
        return [
            {
                "collection": f"{found.collection.store}.{found.collection.name}",
                "field": held.column,
                "description": held.description,
                "rows": found.rows,
            }
            for found in self.found
            for held in found.collection.withheld
            if held.reason is Reason.secret
        ]

    def _collection(self, extract: Extract) -> Iterator[Member]:
        collection = extract.collection
        self.searched.append(collection)
        files = 0
        for stored in extract.files():
            files += 1
            yield self.listing.member(stored.path, stored.chunks)
        batches = extract.lines()
        first = next(batches, None)
        if first is None:
            return
        rows = Rows()
        path = f"data/{collection.store}/{collection.name}.json"
        yield self.listing.member(path, rows.array(chained(first, batches)), lambda: rows.count)
        self.found.append(Found(collection, path, rows.count, files, extract.redacted))

    def _explanations(self) -> Iterator[Member]:
        listing, found = self.listing, self.found
        info = information(self._config, self._answer, [(f.path, f.collection, f.rows) for f in found])
        words = glossary(self._config, [(f.path, f.collection) for f in found])
        redactions, secrets = self.redactions, self.secrets
        seen = {(f.collection.store, f.collection.name) for f in found}
        nothing = [c for c in self.searched if (c.store, c.name) not in seen]
        yield listing.document("information.json", info)
        yield listing.document("glossary.json", words)
        yield listing.document("redactions.json", redactions)
        yield listing.document("secrets.json", secrets)
        yield listing.text("information.html", render("information.html", info=info))
        yield listing.text("glossary.html", render("glossary.html", collections=words, origins=ORIGINS))
        yield listing.text(
            "index.html",
            render(
                "access.html",
                info=info,
                found=found,
                nothing=nothing,
                redactions=redactions,
                secrets=secrets,
            ),
        )

    def _redaction(
        self, found: Found, column: str, reason: Reason, roles: Iterable[str], rows: int
    ) -> dict[str, Any]:
        return {
            "collection": f"{found.collection.store}.{found.collection.name}",
            "file": found.path,
            "field": column,
            "belongs_to": list(roles),
            "reason": reason.value,
            "why": _WHY[reason],
            "rows": rows,
        }

    def _about(self) -> dict[str, object]:
        return {
            "right": "access",
            "request": self._answer.request_id,
            "as_of": self._answer.as_of.isoformat(),
            "records": sum(f.rows for f in self.found),
        }


def chained(first: Any, rest: Iterator[Any]) -> Iterator[Any]:
    """What was looked at to see whether there is anything, and the rest."""
    yield first
    yield from rest
