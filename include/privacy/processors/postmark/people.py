"""People as Postmark knows them: by addresses, in lower case."""

from __future__ import annotations

from collections.abc import Sequence

from include.privacy.processors.protocol import ObjectOutcome, Person, Report, State


def addresses_of(person: Person) -> tuple[str, ...]:
    """The addresses of a person, each once."""
    return tuple(dict.fromkeys(each.lower() for each in person.emails if each))


def everybody(people: Sequence[Person]) -> list[str]:
    """The addresses of all of them, each once."""
    return list(dict.fromkeys(address for person in people for address in addresses_of(person)))


def nothing(person: Person) -> Report:
    """There is nothing here that this could mean."""
    return Report(person.reference, (ObjectOutcome("message", State.not_held),))
