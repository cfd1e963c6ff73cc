"""A letter, ready to be sent or shown; and the rules for text that came from outside."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass, field

LONGEST_SUBJECT = 200
# They reorder what follows them on the screen: "moc.elpmaxe" would read as "example.com".
_REORDERING = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f\u061c")


@dataclass(frozen=True)
class Letter:
    """Subject, plain text and HTML of one letter; all three may be personal and stay out of ``repr``.

    Raises ``ValueError`` for a subject that could begin another header line.
    """

    kind: str
    language: str
    subject: str = field(repr=False)
    text: str = field(repr=False)
    html: str = field(repr=False)

    def __post_init__(self) -> None:
        if not self.subject or self.subject != one_line(self.subject):
            raise ValueError(f"the subject of a letter {self.kind!r} must be one line of visible text")


def one_line(text: str) -> str:
    """``text`` fit for a header: no control or reordering character, single spaces, not too long."""
    visible = (" " if unicodedata.category(c) in ("Cc", "Zl", "Zp") else c for c in plain(text))
    joined = " ".join("".join(visible).split())
    return joined if len(joined) <= LONGEST_SUBJECT else joined[: LONGEST_SUBJECT - 1].rstrip() + "…"


def plain(text: str) -> str:
    """``text`` without control characters (but line breaks, tabs), reordering marks and half characters."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n")
    return "".join(
        c
        for c in lines
        if c in "\n\t" or (unicodedata.category(c) not in ("Cc", "Cs") and c not in _REORDERING)
    ).strip()
