"""Does a text that should be about nobody look personal? For page addresses and properties of web analytics.

It is made for texts like ``/blog/2026/ten-ways`` and ``plan=team``; what a person wrote is not its matter. A
hit names the kind of pattern, never the text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import StrEnum
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from urllib.parse import unquote_plus

LONGEST = 4_096
"""Characters of a text that are looked at."""


class Pattern(StrEnum):
    """What a text looks like."""

    email = "email"
    uuid = "uuid"
    ip = "ip"
    phone = "phone"
    digits = "digits"
    """Nine digits or more in a row: an account, a card, a telephone."""
    account = "account"
    """The id of a person: of a gateway, or behind a word such as ``users``."""
    name = "name"
    """A parameter that is called like a name, an address or a birthday, with something in it."""
    token = "token"  # noqa: S105 - a kind of text
    """A secret of somebody's session or link."""


_EMAIL = re.compile(r"[\w.+%'-]+@(?:[a-z0-9](?:[a-z0-9-]*[a-z0-9])?\.)+([a-z]{2,24})(?![a-z0-9])", re.I)
_FILES = frozenset({"png", "jpg", "jpeg", "gif", "svg", "webp", "avif", "ico", "css", "js", "mjs", "map"})
"""``logo@2x.png`` is a picture."""
_UUID = re.compile(r"(?<![0-9a-f])[0-9a-f]{8}-?(?:[0-9a-f]{4}-?){3}[0-9a-f]{12}(?![0-9a-f])", re.I)
_IPV4 = re.compile(r"(?<![\w.])\d{1,3}(?:\.\d{1,3}){3}(?![\w.]|-\w)")
_IPV6 = re.compile(r"(?<![\w:.])(?:[0-9a-f]{0,4}:){2,7}[0-9a-f]{0,4}(?![\w:])", re.I)
_PHONE = re.compile(r"(?<![\w+])\+\d(?:[\s()./-]{0,2}\d){7,14}(?!\d)")
_DIGITS = re.compile(r"(?<![0-9a-z])\d{9,}(?![0-9a-z])", re.I)
_GATEWAY = re.compile(r"(?<![a-z0-9])(?:cus|sub|pi|ch|pm|seti|in)_[a-z0-9]{6,}(?![a-z0-9])", re.I)
_MEMBER = re.compile(
    r"(?:^|/)(?:users?|accounts?|members?|customers?|profiles?|people|persons?|subscribers?|payers?)/"
    r"(?!(?:19|20)\d\d(?:-\d\d){0,2}(?:$|[/?#]))"
    r"(?:\d+|[a-z]{1,3}[-_]?\d{3,}|(?=[0-9a-f-]*\d)[0-9a-f-]{8,})(?=$|[/?#])",
    re.I,
)
"""A year or a date is no id."""
_TOKEN = re.compile(r"(?<![a-z0-9])(?=(?:[a-z]*\d){4})(?=\d*[a-z])[a-z0-9]{24,}(?![a-z0-9])", re.I)
_JWT = re.compile(r"eyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]+")
_PAIR = re.compile(r"(?:^|[?&;#])([\w.\[\]-]{1,64})=([^?&#;]+)")
_FULL_NAME = re.compile(r"[^\W\d_]+(?:[-'][^\W\d_]+)*(?: [^\W\d_]+(?:[-'][^\W\d_]+)*){1,3}")
_NAMES = re.compile(
    r"(?:first|last|full|sur|given|family|user|display)name|e?mail(?:address)?|(?:mobile|tele)?phone(?:number)?"
    r"|mobile|street|(?:postal)?address|birth(?:day|date)|dateofbirth|dob|ssn|taxid|iban|ip(?:address)?"
)
_IDS = re.compile(r"(?:user|account|customer|member|person|payer|subscriber|client|u)id")
_SECRETS = re.compile(r"(?:access|reset)?token|sig(?:nature)?|session(?:id)?|sid|password|secret|apikey")


def patterns(text: str, *, key: str | None = None) -> frozenset[Pattern]:
    """What the text looks like; empty for one that looks ordinary.

    ``key``: what the text is the value of (a property, a parameter), where it has a name. Percent-encoding
    is undone, also twice.
    """
    return frozenset(_patterns(text[:LONGEST], key))


def _patterns(text: str, key: str | None) -> Iterator[Pattern]:
    once = unquote_plus(text)
    if key:
        yield from _named(key, once.strip())
    for read in dict.fromkeys((text, once, unquote_plus(once))):
        yield from _written(read)
        for name, value in _PAIR.findall(read):
            read_value = unquote_plus(value).strip()
            yield from _named(name, read_value)
            if name.lower() == "name" and _FULL_NAME.fullmatch(read_value):
                yield Pattern.name


def _written(text: str) -> Iterator[Pattern]:
    """By how it is written alone."""
    if any(found[1].lower() not in _FILES for found in _EMAIL.finditer(text)):
        yield Pattern.email
    without = _UUID.sub(" ", text)
    if without != text:
        yield Pattern.uuid
    if any(map(_is_ip, _IPV4.findall(text))) or any(map(_is_ip, _IPV6.findall(text))):
        yield Pattern.ip
    if _PHONE.search(text):
        yield Pattern.phone
    elif _DIGITS.search(without):
        yield Pattern.digits
    if _GATEWAY.search(text) or _MEMBER.search(text):
        yield Pattern.account
    if _JWT.search(text) or _TOKEN.search(without):
        yield Pattern.token


def _named(name: str, value: str) -> Iterator[Pattern]:
    """By what it is the value of."""
    # Forms write user[email] and user.email.
    word = re.sub(r"[^a-z]", "", re.split(r"[.\[]", name.lower())[-1])
    if not value or value == "(none)":
        return
    if _NAMES.fullmatch(word):
        yield Pattern.name
    elif _IDS.fullmatch(word) and any(c.isdigit() for c in value):
        yield Pattern.account
    elif _SECRETS.fullmatch(word) and len(value) >= 8:
        yield Pattern.token


def _is_ip(text: str) -> bool:
    try:
        if ":" in text:
            # Two groups could be a time or a ratio.
            return len([g for g in text.split(":") if g]) > 2 and bool(IPv6Address(text))
        return bool(IPv4Address(text))
    except AddressValueError:
        return False
