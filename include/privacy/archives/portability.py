"""The package that answers a portability request (Art. 20 GDPR): what was provided or observed.

```
datapackage.json                          Frictionless Data Package: every file with its schema
data/<store>/<collection>.jsonl  .csv     the same rows twice: JSON Lines, and CSV (RFC 4180, UTF-8)
files/<store>/<collection>/…              what was uploaded or attached
index.html                                what this is, for a person
manifest.json                             SHA-256, size and number of rows of every file
```
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from include.privacy.archives.access import Found, chained
from include.privacy.archives.datapackage import NULL, file_resource, table_resource
from include.privacy.archives.information import Answer, fixed_information
from include.privacy.archives.pages import render
from include.privacy.archives.writer import Listing, Member, Rows, pack
from include.privacy.planning.exporting import Extract

if TYPE_CHECKING:
    from include.privacy.policy.loading import Config


class PortabilityArchive:
    """One person's package. ``packed`` may be read once; ``found`` and ``listing`` are filled by it.

    ``extracts`` are those of stores opened with ``portable=True``.
    """

    def __init__(self, extracts: Iterable[Extract], answer: Answer, config: Config) -> None:
        self._controller = fixed_information(config.policy).controller
        self.listing = Listing()
        self.found: list[Found] = []
        self._extracts, self._answer = extracts, answer
        self._resources: list[dict[str, Any]] = []

    def packed(self, passphrase: str) -> Iterator[bytes]:
        """The encrypted ZIP in chunks. Raises what a store raises when it is lost midway."""
        return pack(self.members(), passphrase, as_of=self._answer.as_of)

    def members(self) -> Iterator[Member]:
        """The files of the package, each to be read before the next is asked for."""
        for extract in self._extracts:
            yield from self._collection(extract)
        yield self.listing.document("datapackage.json", self._package())
        page = render(
            "portability.html", answer=self._answer, controller=self._controller, found=self.found, null=NULL
        )
        yield self.listing.text("index.html", page)
        yield self.listing.manifest("manifest.json", self._about())

    def _collection(self, extract: Extract) -> Iterator[Member]:
        collection = extract.collection
        files = 0
        for stored in extract.files():
            files += 1
            yield self.listing.member(stored.path, stored.chunks)
            self._resources.append(file_resource(self.listing.entries[stored.path]))
        batches = extract.lines()
        first = next(batches, None)
        if first is None:
            return
        base = f"data/{collection.store}/{collection.name}"
        lines, table = Rows(), Rows()
        header = [f.name for f in collection.fields]
        yield self.listing.member(f"{base}.jsonl", lines.lines(chained(first, batches)), lambda: lines.count)
        yield self.listing.member(
            f"{base}.csv", csv_lines(header, extract.table(), table), lambda: table.count
        )
        for path in (f"{base}.jsonl", f"{base}.csv"):
            self._resources.append(table_resource(collection, self.listing.entries[path]))
        self.found.append(Found(collection, f"{base}.csv", lines.count, files, extract.redacted))

    def _package(self) -> dict[str, Any]:
        return {
            "profile": "data-package",
            "name": f"portability-{self._answer.request_id}".lower(),
            "title": f"Data from {self._controller.name}",
            "created": self._answer.as_of.isoformat(),
            "resources": self._resources,
        }

    def _about(self) -> dict[str, object]:
        return {
            "right": "portability",
            "request": self._answer.request_id,
            "as_of": self._answer.as_of.isoformat(),
            "records": sum(f.rows for f in self.found),
        }


def csv_lines(
    header: Sequence[str], batches: Iterable[Sequence[Sequence[str | None]]], rows: Rows
) -> Iterator[bytes]:
    """RFC 4180 with a header, in UTF-8 without a byte order mark; null as :data:`NULL`."""
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer, lineterminator="\r\n")
    writer.writerow(header)
    for batch in batches:
        rows.count += len(batch)
        writer.writerows([NULL if value is None else value for value in row] for row in batch)
        yield buffer.getvalue().encode()
        buffer.seek(0)
        buffer.truncate()
    yield buffer.getvalue().encode()
