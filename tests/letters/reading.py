"""Reads a letter's HTML as a person would: its words, in order, and nothing else."""

from __future__ import annotations

import re
from html.parser import HTMLParser


class _Words(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.words: list[str] = []
        self.links: list[str] = []
        self.tags: list[str] = []
        self._silent = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [value or "" for name, value in attrs if name == "href"]
        self._silent += tag in ("head", "style", "title", "h1")

    def handle_endtag(self, tag: str) -> None:
        self._silent -= tag in ("head", "style", "title", "h1") and self._silent > 0

    def handle_data(self, data: str) -> None:
        if not self._silent:
            self.words += data.split()


def read(html: str) -> _Words:
    """Words of the body without its first heading, which is the subject; links; tags."""
    reader = _Words()
    # A phrase set in bold has no space of its own before a full stop.
    reader.feed(
        re.sub(r"</?(strong|a)\b[^>]*>", lambda tag: tag.group() if "href" in tag.group() else "", html)
    )
    return reader


def said(html: str) -> list[str]:
    """The words of an HTML letter."""
    return _joined(read(html).words)


def said_in_text(text: str) -> list[str]:
    """The words of a text letter, without what is only there for layout."""
    lines = (re.sub(r"^- ", "", line) for line in text.splitlines() if line != "--")
    return _joined([word for line in lines for word in line.split()])


def _joined(words: list[str]) -> list[str]:
    """Case and the space between a link and the sign after it do not count."""
    return list("".join(words).casefold())
