"""The notice of a policy change: the letter, and what is wrong with its templates."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any
from zoneinfo import ZoneInfo

from jinja2 import TemplateError, meta

from include.privacy.letters.checking import REMOTE
from include.privacy.letters.letter import Letter, one_line
from include.privacy.letters.rendering import environment_of, head_facts, split_subject, tidied
from include.privacy.letters.words import words_of
from include.privacy.policy.documents import Document
from include.privacy.policy.letters import LetterConfig
from include.privacy.policy.notices import Notices, NoticeSettings, PolicyNotice
from include.privacy.policy.problems import Problem

KIND = "policy_notice"
MUST = frozenset({"effective", "changes", "policy_url", "version", "company", "contact"})
"""What every notice says, in text and in HTML (P8.1)."""
_MAY = frozenset(
    {"language", "subject", "previous", "authority", "court_remedy", "original_effective", "material"}
)
_UNSUBSCRIBE = re.compile(r"list-unsubscribe|unsubscribe_url|%unsubscribe%|\[unsubscribe\]", re.IGNORECASE)


@dataclass(frozen=True)
class ToldChange:
    """A change in one language, for the templates. ``before`` or ``after`` may be empty."""

    promise: str
    summary: str
    before: str
    after: str


class NoticeWriter:
    """Writes the notice of one version; the same text for everybody who reads one language."""

    def __init__(self, notice: PolicyNotice, notices: Notices, letters: LetterConfig, timezone: str) -> None:
        if notices.settings is None:
            raise LookupError("config/notices/notices.yaml is missing: it says how notices are sent")
        self._notice, self._shared, self._letters = notice, notices.shared, letters
        self._settings: NoticeSettings = notices.settings
        self._zone = ZoneInfo(timezone)

    def write(self, language: str, *, effective: date | None = None) -> Letter:
        """The letter in one of the version's languages.

        ``effective``: the day from which the version applies, when it is not the one that notice.yaml says
        because sending took too long. Raises ``jinja2.TemplateError``, which ``make check`` finds before.
        """
        templates = self._templates(language)
        environment = environment_of(templates)
        words = words_of(self._letters, language)
        environment.filters |= {"day": lambda value: words.day(value, self._zone)}
        given = self._given(language, effective)
        subject = one_line(environment.get_template("notice.subject").render(given))
        text = environment.get_template("notice.txt").render(given)
        html = environment.get_template("notice.html").render(given, subject=subject)
        return Letter(KIND, language, subject, tidied(text), html.strip() + "\n")

    def _templates(self, language: str) -> dict[str, str]:
        own = f"{language}/"
        found = dict(self._shared)
        found |= {
            name.removeprefix(own): text for name, text in self._notice.texts.items() if name.startswith(own)
        }
        found["notice.subject"], found["notice.txt"] = split_subject(found.get("notice.txt", ""))
        return found

    def _given(self, language: str, effective: date | None) -> dict[str, Any]:
        head = self._notice.head
        changes = [
            ToldChange(c.promise, c.summary[language], c.before.get(language, ""), c.after.get(language, ""))
            for c in head.changes
        ]
        return {
            **head_facts(self._letters, language),
            "version": head.version,
            "previous": head.previous,
            "material": head.material,
            "effective": effective or head.effective,
            "original_effective": head.effective,
            "changes": changes,
            "policy_url": self._settings.policy_url,
        }

    def problems(self) -> Iterator[Problem]:
        """What keeps a notice from being written in one of its languages, or from saying what it must."""
        for language in self._notice.head.languages:
            if language not in self._letters.head.languages:
                said = f"names {language}, in which config/letters/ has no words"
                yield self._notice.document.problem(("languages",), said, "add the language there first")
                continue
            found = [*self._missing(language), *self._silent(language)]
            yield from found or self._rendered(language)

    def _missing(self, language: str) -> Iterator[Problem]:
        for end in ("txt", "html"):
            if f"{language}/notice.{end}" not in self._notice.texts:
                yield self._at(language, f"notice.{end}", "the file does not exist", "write it")

    def _silent(self, language: str) -> Iterator[Problem]:
        templates = self._templates(language)
        if templates["notice.txt"] and not templates["notice.subject"]:
            yield self._at(language, "notice.txt", "has no subject", "begin its first line with `Subject: …`")
        environment = environment_of(templates)
        environment.filters |= {"day": str}
        for name in ("notice.txt", "notice.html"):
            try:
                said = _names(environment, templates, name)
            except TemplateError as error:
                reason = " ".join(str(error).split())[:200]
                yield self._at(language, name, f"Jinja2: {reason}", "correct the template")
                continue
            for silent in sorted(MUST - said):
                yield self._at(
                    language, name, f"does not say {silent}", f"put {{{{ {silent} }}}} where it belongs"
                )
            for unknown in sorted(said - MUST - _MAY):
                yield self._at(language, name, f"a notice knows no {unknown}", "remove it")

    def _rendered(self, language: str) -> Iterator[Problem]:
        try:
            letter = self.write(language)
        except (TemplateError, ArithmeticError, LookupError, TypeError, ValueError, AttributeError) as error:
            reason = " ".join(str(error).split())[:200]
            yield self._at(language, "notice.txt", f"does not render ({reason})", "correct the template")
            return
        if found := REMOTE.search(letter.html):
            why = "a notice loads and runs nothing"
            yield self._at(language, "notice.html", f"holds {found.group()!r}: {why}", "remove it")
        if found := _UNSUBSCRIBE.search(letter.html + letter.text):
            why = "nobody can unsubscribe from what the law obliges us to tell"
            yield self._at(language, "notice.html", f"holds {found.group()!r}: {why}", "remove it")

    def _at(self, language: str, name: str, message: str, fix: str) -> Problem:
        return Document(f"{self._notice.folder}/{language}/{name}").problem((), message, fix)


def notice_writer_problems(notices: Notices, letters: LetterConfig, timezone: str) -> list[Problem]:
    """The problems of every version's templates."""
    found: list[Problem] = []
    for notice in notices.versions:
        if notices.settings is None:
            found.append(
                notice.document.problem((), "cannot be sent: notices.yaml is missing", "write it beside")
            )
            continue
        found += NoticeWriter(notice, notices, letters, timezone).problems()
    return found


def _names(environment: Any, templates: Mapping[str, str], name: str) -> set[str]:
    """Variables that a template and whatever it includes use. Raises ``jinja2.TemplateError``."""
    found: set[str] = set()
    waiting, seen = [name], set()
    if name == "notice.txt":
        waiting.append("notice.subject")
    while waiting:
        part = waiting.pop()
        if part in seen or part not in templates:
            continue
        seen.add(part)
        tree = environment.parse(templates[part])
        environment.compile(templates[part], part)
        found |= meta.find_undeclared_variables(tree)
        waiting += [each for each in meta.find_referenced_templates(tree) if each]
    return found
