"""What one text looks like, by how it is written and by what it is called.

Check digits and numbering plans come from libraries that are kept up to date (phonenumbers, python-stdnum).
No model is asked: a name is recognised only under a label that says it is one (docs/LIMITS.md).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from ipaddress import AddressValueError, IPv4Address, IPv6Address

from include.privacy.policy.looks import Kind

LONGEST = 4_096
"""Characters of a text that are looked at."""
_LONGEST_NAME = 100  # a key of a document may be anything

_EMAIL = re.compile(
    r"(?<![\w.+%'-])[\w+%'-][\w.+%'-]{0,63}@(?:[a-z0-9](?:[a-z0-9-]{0,62})\.)+([a-z]{2,24})(?![a-z0-9])", re.I
)
_FILES = frozenset({"png", "jpg", "jpeg", "gif", "svg", "webp", "avif", "ico", "css", "js", "mjs", "map"})
"""``logo@2x.png`` is a picture."""
# What ends in /24 is a network and nobody's address; 4.2.1 and 4.2.1.0-beta are versions.
_IPV4 = re.compile(r"(?<![\w.])\d{1,3}(?:\.\d{1,3}){3}(?![\w./]|-\w)")
_IPV6 = re.compile(r"(?<![\w:.])(?:[0-9a-f]{0,4}:){2,7}[0-9a-f]{0,4}(?![\w:./])", re.I)
_INTERNATIONAL = re.compile(r"\+\s?\d")
_DIALLED = re.compile(r"\+?\(?\d[\d\s()/.-]{5,20}\d")
_CARD = re.compile(r"(?<![\w.-])\d(?:[ -]?\d){12,18}(?![\w.-])")
# The ranges that Visa, Mastercard, American Express, Diners, Discover, JCB and UnionPay issue.
_ISSUED = re.compile(
    r"4\d{12}(?:\d{3}){0,2}|5[1-5]\d{14}|2(?:22[1-9]|2[3-9]\d|[3-6]\d\d|7[01]\d|720)\d{12}|3[47]\d{13}"
    r"|3(?:0[0-5]|[689]\d)\d{11}|6(?:011|5\d\d|4[4-9]\d)\d{12}|35(?:2[89]|[3-8]\d)\d{12}|62\d{14,17}"
)
_IBAN = re.compile(r"(?<![A-Za-z0-9])[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?(?![A-Za-z0-9])")
_PASSWORD = re.compile(
    r"\$2[abxy]\$\d\d\$[./A-Za-z0-9]{53}|\$argon2(?:id|i|d)\$|\$scrypt\$|\bscrypt:\d+:|\$7\$[./A-Za-z0-9]{11}"
    r"|\$?pbkdf2[:_-]sha\d+[$:]|\$[156y]\$[^$\s]{1,80}\$[./A-Za-z0-9$]{20,}|\{S?SHA\d*\}[A-Za-z0-9+/=]{20,}"
)
_TOKEN = re.compile(
    r"\beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]+|\b[srp]k_(?:live|test)_[A-Za-z0-9]{16,}|\bwhsec_[A-Za-z0-9+/=]{16,}"
    r"|\b(?:AKIA|ASIA)[A-Z0-9]{16}\b|\bAIza[\w-]{35}|\bgh[pousr]_[A-Za-z0-9]{36}|\bgithub_pat_\w{22,}"
    r"|\bglpat-[\w-]{20,}|\bxox[abeoprs]-[\w-]{10,}|\bSG\.[\w-]{16,}\.[\w-]{16,}|\bya29\.[\w-]{20,}"
    r"|-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----"
)
_GATEWAY = re.compile(
    r"(?<![A-Za-z0-9])(?:cus|sub|pi|ch|pm|seti|in)_[A-Za-z0-9]{8,}(?![A-Za-z0-9])|\bI-[A-Z0-9]{12}\b"
)
_NAME_SHAPE = re.compile(r"[^\W\d_]+[.'’]?(?:[-'’ ]{1,2}[^\W\d_]+[.'’]?){0,5}")
_LETTERS = re.compile(r"[^\W\d_]{2,}")
_WITHOUT_SPACES = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\u0e00-\u0e7f]")

_NAMED = re.compile(
    r"(?:first|last|full|sur|given|family|middle|maiden|display|nick|legal|contact|billing|customer|recipient"
    r"|author|user|owner|holder|member|mentor|patient|client|requester|sender)_?name|surname|forename"
    r"|vor_?name|nach_?name|prenom|nom|apellidos?"
)
_DIALLED_NAMES = re.compile(
    r"(?:.*_)?(?:phone|mobile|telephone|tel|fax|cell|msisdn|handy|telefon)(?:_?(?:no|number|nr))?"
)
_PASSWORD_NAMES = re.compile(r"(?:.*_)?(?:password|passwd|pwd|passwort|passphrase)(?:_?(?:hash|digest))?")
_TOKEN_NAMES = re.compile(
    r"(?:.*_)?(?:secret|api_?key|private_?key|access_?key|(?:access|refresh|auth|bearer|session|reset|csrf|api|id)"
    r"_?token|session_?key)"
)


def looks(text: str, name: str = "") -> frozenset[Kind]:
    """What the text looks like; empty for one that looks ordinary. ``name``: its column, key or field."""
    return frozenset(_looks(text[:LONGEST], label(name[:_LONGEST_NAME])))


def label(name: str) -> str:
    """``userName`` and ``User-Name`` as ``user_name``."""
    return re.sub(r"[^a-z0-9]+", "_", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()).strip("_")


def card_shaped(text: str) -> bool:
    """Whether there is a number as long as a card's in an issued range, whatever its check digit."""
    return any(_ISSUED.fullmatch(digits) for digits in _long_numbers(text[:LONGEST]))


def _looks(text: str, name: str) -> Iterator[Kind]:
    if "@" in text and any(found[1].lower() not in _FILES for found in _EMAIL.finditer(text)):
        yield Kind.email
    if any(map(_is_address, _IPV4.findall(text))) or any(map(_is_address, _IPV6.findall(text))):
        yield Kind.ip
    if _is_phone(text, name):
        yield Kind.phone
    if any(_is_card(digits) for digits in _long_numbers(text)):
        yield Kind.card
    if any(map(_is_iban, _IBAN.findall(text))):
        yield Kind.iban
    if _GATEWAY.search(text):
        yield Kind.gateway_id
    bare = text.strip()
    if _PASSWORD.search(text) or (len(bare) >= 4 and _PASSWORD_NAMES.fullmatch(name)):
        yield Kind.password
    if _TOKEN.search(text) or (len(bare) >= 16 and " " not in bare and _TOKEN_NAMES.fullmatch(name)):
        yield Kind.token
    if 2 <= len(bare) <= 80 and _NAMED.fullmatch(name) and _NAME_SHAPE.fullmatch(bare):
        yield Kind.name
    if _is_prose(bare):
        yield Kind.free_text


def _is_address(text: str) -> bool:
    """A machine's own and unspecified addresses are nobody's."""
    try:
        address = IPv6Address(text) if ":" in text else IPv4Address(text)
    except AddressValueError:
        return False
    return not (address.is_loopback or address.is_unspecified or address.is_multicast)


def _is_phone(text: str, name: str) -> bool:
    if _DIALLED_NAMES.fullmatch(name) and _DIALLED.fullmatch(text.strip()):
        return True
    if not _INTERNATIONAL.search(text):
        return False
    from phonenumbers import Leniency, PhoneNumberMatcher

    return PhoneNumberMatcher(text, None, leniency=Leniency.VALID, max_tries=20).has_next()


def _long_numbers(text: str) -> Iterator[str]:
    for found in _CARD.findall(text):
        yield re.sub(r"[ -]", "", found)


def _is_card(digits: str) -> bool:
    if not _ISSUED.fullmatch(digits):
        return False
    from stdnum import luhn

    return bool(luhn.is_valid(digits))


def _is_iban(text: str) -> bool:
    from stdnum import iban

    return bool(iban.is_valid(text))


def _is_prose(text: str) -> bool:
    if len(_WITHOUT_SPACES.findall(text)) >= 12:
        return True
    return len(text) >= 30 and text.count(" ") >= 5 and len(_LETTERS.findall(text)) >= 6
