"""What content can look like, and which category of data that is. The data map excuses a column by kind."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum


class Kind(StrEnum):
    """What a value, or the name of a column, looks like."""

    email = "email"
    ip = "ip"
    phone = "phone"
    card = "card"
    """A payment card's number."""
    iban = "iban"
    name = "name"
    """A value like a name under a label that says so."""
    gateway_id = "gateway_id"
    """The id of a person or payment at a payment gateway."""
    password = "password"  # noqa: S105 - a kind of text
    """A password, or the hash of one."""
    token = "token"  # noqa: S105 - a kind of text
    """A key, a signed token, a secret of a session."""
    free_text = "free_text"
    """Sentences: they can say anything about anybody."""
    processor = "processor"
    """The label has the name of a company that processes data."""


CATEGORIES: Mapping[Kind, str] = {
    Kind.email: "user.contact.email",
    Kind.ip: "user.device.ip_address",
    Kind.phone: "user.contact.phone_number",
    Kind.card: "user.financial.credit_card",
    Kind.iban: "user.financial.bank_account",
    Kind.name: "user.name",
    Kind.gateway_id: "user.unique_id",
    Kind.password: "user.authorization.password",
    Kind.token: "user.authorization.credentials",
    Kind.free_text: "user.content.private",
    Kind.processor: "user.unique_id",
}
"""The fideslang category of what looks so: what to write in the map, and which promise speaks of it."""

WORDS: Mapping[Kind, str] = {
    Kind.email: "e-mail addresses",
    Kind.ip: "IP addresses",
    Kind.phone: "telephone numbers",
    Kind.card: "card numbers",
    Kind.iban: "IBANs",
    Kind.name: "names of people",
    Kind.gateway_id: "ids of a payment gateway",
    Kind.password: "passwords or hashes of passwords",
    Kind.token: "tokens or keys",
    Kind.free_text: "sentences",
    Kind.processor: "the name of a processor",
}

SECRET = frozenset({Kind.password, Kind.token})
