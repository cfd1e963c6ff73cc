"""Whether a value that somebody typed fits a field, and how it is written. Values are in no message."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from datetime import date
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from include.privacy.policy.rectify import Rectify

# One @, no spaces, quotes or brackets: what every mail program accepts, and no header can be smuggled in.
_EMAIL = re.compile(r"[^\s@<>(),:;\"\\\[\]]{1,64}@([^\W_]([\w-]{0,61}[^\W_])?\.)+[^\W\d_][\w-]{0,61}[^\W_]")
_LOCALE = re.compile(r"[A-Za-z]{2,3}([-_][A-Za-z0-9]{2,8}){0,3}")
_COUNTRY = re.compile(r"[A-Z]{2}")


def refusal(rectify: Rectify, value: object) -> tuple[str, str | None]:
    """The value as it is to be written, and why it does not fit (``None``: it does).

    Trimmed, in Unicode form NFC, in lower case where the map says so; runs of spaces in a name are one.
    """
    if not isinstance(value, str):
        return "", "must be text"
    written = unicodedata.normalize("NFC", value).strip()
    if rectify.format == "name":
        written = " ".join(written.split())
    if rectify.case == "lower":
        written = written.lower()
    if not written:
        return "", "is empty"
    if len(written) > rectify.longest:
        return "", f"is longer than {rectify.longest} characters"
    if not _printable(written, lines=rectify.format == "text"):
        return "", "holds characters that cannot be printed"
    if not _FITS[rectify.format](written):
        return "", _WANTED[rectify.format]
    if rectify.pattern is not None and not re.fullmatch(rectify.pattern, written):
        return "", "has not the form that the data map asks for"
    return written, None


def _printable(text: str, *, lines: bool) -> bool:
    allowed = "\n\t" if lines else ""
    return all(c.isprintable() or c in allowed for c in text)


def _is_name(text: str) -> bool:
    return any(c.isalpha() for c in text) and not set(text) & set("<>@")


def _is_time_zone(text: str) -> bool:
    try:
        ZoneInfo(text)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True


def _is_date(text: str) -> bool:
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


_FITS: dict[str, Callable[[str], object]] = {
    "text": bool,
    "name": _is_name,
    "email": _EMAIL.fullmatch,
    "locale": _LOCALE.fullmatch,
    "time_zone": _is_time_zone,
    "country": _COUNTRY.fullmatch,
    "date": _is_date,
}
_WANTED = {
    "text": "is empty",
    "name": "is no name: it needs a letter, and neither @ nor angle brackets",
    "email": "is no e-mail address",
    "locale": "is no locale such as de or en-GB",
    "time_zone": "is no time zone such as Europe/Berlin",
    "country": "is no country in two capital letters such as DE",
    "date": "is no date such as 2026-11-25",
}
