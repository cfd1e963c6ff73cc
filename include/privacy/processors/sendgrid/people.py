"""People as SendGrid knows them: by addresses in lower case; so many to a batch as an erase job takes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from include.privacy.processors.protocol import ObjectOutcome, Person, Report, State

PER_ERASE_JOB = 5_000
LARGEST_ERASE_JOB = 256 * 1024
_AROUND = 64
"""Bytes of an erase job that are no addresses."""


def addresses_of(person: Person) -> tuple[str, ...]:
    """The addresses of a person, each once."""
    return tuple(dict.fromkeys(each.lower() for each in person.emails if each))


def everybody(people: Sequence[Person]) -> list[str]:
    """The addresses of all of them, each once."""
    return list(dict.fromkeys(address for person in people for address in addresses_of(person)))


def batches(people: Sequence[Person]) -> Iterator[list[Person]]:
    """As many people together as fit an erase job: 5,000 addresses, or 256 KB of them."""
    batch: list[Person] = []
    count, size = 0, _AROUND
    for person in people:
        own = addresses_of(person)
        # As JSON: quotes, a comma, a space.
        length = sum(len(address.encode("ascii", "backslashreplace")) + 4 for address in own)
        if batch and (count + len(own) > PER_ERASE_JOB or size + length > LARGEST_ERASE_JOB):
            yield batch
            batch, count, size = [], 0, _AROUND
        batch.append(person)
        count, size = count + len(own), size + length
    if batch:
        yield batch


def no_address(person: Person) -> Report:
    """Whoever has no address is unknown here."""
    return Report(person.reference, (ObjectOutcome("contact", State.not_held),))
