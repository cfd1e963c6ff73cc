"""``config/letters/``: who writes to people and whom they may complain to, and the texts as written.

Reads only: what the texts must say, and whether they render, is judged by ``include/privacy/letters``.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field, field_validator, model_validator

from include.privacy.policy.documents import Document
from include.privacy.policy.policy import PolicyModel
from include.privacy.policy.problems import Problem

HEAD = "letters.yaml"
# Only ASCII: SendGrid takes no other local part, and the standards for other domains disagree on some.
EMAIL = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+")


def _address(value: str) -> str:
    if not EMAIL.fullmatch(value):
        raise ValueError("write one plain e-mail address, e.g. privacy@example.org")
    return value


def _https(value: str) -> str:
    # Plain http goes to this machine only, which is where the demo's archives lie.
    if not re.fullmatch(r"(https://|http://(127\.0\.0\.1|localhost)[:/])[^\s\"'<>\\]+", value):
        raise ValueError("write a full address that begins with https://")
    return value


Line = Annotated[str, Field(min_length=1, max_length=500, pattern=r"^[^\x00-\x1f\x7f]*$")]
Address = Annotated[str, AfterValidator(_address)]
HttpsUrl = Annotated[str, Field(max_length=2000), AfterValidator(_https)]
Language = Annotated[str, Field(pattern=r"^[a-z]{2,3}$")]
Localised = dict[Language, Line]


class Sender(PolicyModel):
    """What stands in From. SendGrid takes neither ``;`` nor ``,`` in the name."""

    name: Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[^\x00-\x1f\x7f;,<>\"]*$")]
    address: Address


class Company(PolicyModel):
    """The controller, as it stands under every letter (Art. 13(1)(a) GDPR)."""

    name: Line
    postal_address: Annotated[tuple[Line, ...], Field(min_length=1)]


class Contact(PolicyModel):
    """Whom to write to about privacy; replies to letters go there."""

    name: Localised
    address: Address


class Authority(PolicyModel):
    """The supervisory authority that hears complaints (Art. 12(4), 77 GDPR)."""

    name: Localised
    url: HttpsUrl


class Letterhead(PolicyModel):
    """``letters.yaml``: everything in the letters that is the company's and not the template's.

    ``court_remedy`` completes a sentence after "you may" (Art. 12(4), 79 GDPR).
    """

    languages: Annotated[tuple[Language, ...], Field(min_length=1)]
    default_language: Language
    sender: Sender
    company: Company
    privacy_contact: Contact
    authority: Authority
    court_remedy: Localised

    @field_validator("languages")
    @classmethod
    def _each_once(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(value)) < len(value):
            raise ValueError("name each language once")
        return value

    @model_validator(mode="after")
    def _in_every_language(self) -> Letterhead:
        if self.default_language not in self.languages:
            raise ValueError(f"default_language must be one of languages ({', '.join(self.languages)})")
        localised = {
            "privacy_contact.name": self.privacy_contact.name,
            "authority.name": self.authority.name,
            "court_remedy": self.court_remedy,
        }
        for name, texts in localised.items():
            if missing := [language for language in self.languages if language not in texts]:
                raise ValueError(f"{name} lacks a text for {', '.join(missing)}; add it")
        return self


@dataclass(frozen=True)
class LetterConfig:
    """The letterhead, and every text file of the folder by its path in it (``en/refused.txt``).

    ``folder`` is how a person would name the folder, for problems.
    """

    head: Letterhead
    texts: Mapping[str, str] = field(repr=False)
    folder: str

    def content(self) -> str:
        """What it says, for the configuration's digest."""
        files = "".join(
            f"{name} {hashlib.sha256(text.encode()).hexdigest()}\n"
            for name, text in sorted(self.texts.items())
        )
        return self.head.model_dump_json() + files


def read_texts(folder: Path, shown: str) -> tuple[dict[str, str], list[Problem]]:
    """Every template and word list by its path in the folder, and the files that cannot be read."""
    texts: dict[str, str] = {}
    problems: list[Problem] = []
    for path in _files(folder):
        name = path.relative_to(folder).as_posix()
        try:
            texts[name] = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            reason = f"the file cannot be read ({type(error).__name__})"
            problems.append(Document(f"{shown}/{name}").problem((), reason, "make it readable UTF-8"))
    return texts, problems


def _files(folder: Path) -> Iterator[Path]:
    for pattern in ("*.txt", "*.html", "*/*.txt", "*/*.html", "*/*.yaml"):
        yield from (path for path in sorted(folder.glob(pattern)) if not path.name.startswith("."))
