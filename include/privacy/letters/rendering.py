"""Facts and templates → a letter."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from functools import cached_property
from typing import Any
from zoneinfo import ZoneInfo

from jinja2 import FunctionLoader, StrictUndefined
from jinja2.sandbox import ImmutableSandboxedEnvironment

from include.privacy.letters.facts import DecisionNeeded, Extended, Refused, facts_of
from include.privacy.letters.kinds import Facts, LetterKind
from include.privacy.letters.letter import Letter, one_line
from include.privacy.letters.words import Words, words_of
from include.privacy.policy.letters import LetterConfig

SUBJECT = "Subject:"


class Letters:
    """Writes letters in the company's zone (an IANA name) and the languages that ``letters.yaml`` names."""

    def __init__(self, config: LetterConfig, timezone: str) -> None:
        self._config = config
        self._zone = ZoneInfo(timezone)
        self._books: dict[str, Book] = {}

    def language(self, wanted: str | None) -> str:
        """The language to write in for somebody who prefers ``wanted`` (``de``, ``de-AT``, ``de_AT``)."""
        short = re.split(r"[-_]", wanted or "", maxsplit=1)[0].lower()
        head = self._config.head
        return short if short in head.languages else head.default_language

    def render(
        self, kind: LetterKind | str, facts: Mapping[str, Any] | Facts, *, language: str | None = None
    ) -> Letter:
        """The letter of that kind; ``facts`` is its model or what the model is made of.

        Raises :class:`FactsError` when facts are missing, unknown or contradictory, and ``ConfigError``
        or ``jinja2.TemplateError`` when the configuration is broken, which ``make check`` finds before.
        """
        checked = facts_of(kind, facts)
        chosen = self.language(language)
        if chosen not in self._books:
            self._books[chosen] = Book(self._config, chosen, words_of(self._config, chosen), self._zone)
        return self._books[chosen].write(checked)


@dataclass(frozen=True)
class Book:
    """The templates of one language, ready to be filled in."""

    config: LetterConfig
    language: str
    words: Words
    zone: ZoneInfo

    @cached_property
    def environment(self) -> ImmutableSandboxedEnvironment:
        """Jinja2 with HTML escaped, undefined variables refused and the letterhead at hand."""
        environment = environment_of(sources(self.config, self.language))
        environment.filters |= filters(self.words, self.zone)
        environment.globals |= head_facts(self.config, self.language)
        return environment

    def write(self, facts: Facts) -> Letter:
        """The letter that these facts make."""
        given = facts_in_words(facts, self.words)
        subject = one_line(self.environment.get_template(f"{facts.kind}.subject").render(given))
        text = self.environment.get_template(f"{facts.kind}.txt").render(given)
        html = self.environment.get_template(f"{facts.kind}.html").render(given, subject=subject)
        return Letter(facts.kind.value, self.language, subject, tidied(text), html.strip() + "\n")


def environment_of(templates: Mapping[str, str]) -> ImmutableSandboxedEnvironment:
    """The environment that renders and checks. ``|safe`` is gone: nothing from outside gets in unescaped."""

    def load(name: str) -> tuple[str, str, None] | None:
        # The second is what tracebacks call the template.
        return (templates[name], name, None) if name in templates else None

    environment = ImmutableSandboxedEnvironment(
        loader=FunctionLoader(load),
        undefined=StrictUndefined,
        autoescape=lambda name: bool(name and name.endswith(".html")),
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    del environment.filters["safe"]
    return environment


def sources(config: LetterConfig, language: str) -> dict[str, str]:
    """Template name → source: the language's files, those shared by all, and each subject apart."""
    found = {name: text for name, text in config.texts.items() if "/" not in name}
    own = f"{language}/"
    found |= {name.removeprefix(own): text for name, text in config.texts.items() if name.startswith(own)}
    for kind in LetterKind:
        if (text := found.get(f"{kind}.txt")) is not None:
            found[f"{kind}.subject"], found[f"{kind}.txt"] = split_subject(text)
    return found


def split_subject(text: str) -> tuple[str, str]:
    """The subject's template ("" when the first line is none) and the body's, lines numbered as before."""
    first, _, rest = text.partition("\n")
    if not first.startswith(SUBJECT):
        return "", text
    return first.removeprefix(SUBJECT).strip(), "\n" + rest


def head_facts(config: LetterConfig, language: str) -> dict[str, Any]:
    """What every template may use beside the facts."""
    head = config.head
    return {
        "language": language,
        "company": {"name": head.company.name, "postal_address": head.company.postal_address},
        "contact": {
            "name": head.privacy_contact.name[language],
            "address": head.privacy_contact.address,
        },
        "authority": {"name": head.authority.name[language], "url": head.authority.url},
        "court_remedy": head.court_remedy[language],
    }


def facts_in_words(facts: Facts, words: Words) -> dict[str, Any]:
    """The variables of a template: every field of the facts, and what its codes mean in words."""
    given: dict[str, Any] = {name: getattr(facts, name) for name in type(facts).model_fields}
    right = words.rights[facts.right]
    given |= {"right_name": right.name, "next": right.next}
    if isinstance(facts, Refused):
        reason = words.reasons[facts.reason]
        given |= {"reason": facts.reason.value, "why": reason.why, "then": reason.then}
    if isinstance(facts, Extended):
        given |= {"reason": facts.reason.value, "why": words.extensions[facts.reason]}
    if isinstance(facts, DecisionNeeded):
        question = words.questions[facts.question]
        given |= {"question": facts.question.value, "ask": question.ask, "otherwise": question.otherwise}
    return given


def filters(words: Words, zone: ZoneInfo) -> dict[str, Callable[..., str]]:
    """``day``: a date in words; ``moment``: date and time in words; ``ground``: why something is kept.

    ``compelling``: why a purpose goes on.
    """

    def day(value: date | datetime) -> str:
        return words.day(value, zone)

    def moment(value: datetime) -> str:
        return words.moment(value, zone)

    return {
        "day": day,
        "moment": moment,
        "ground": words.grounds.__getitem__,
        "compelling": words.compelling.__getitem__,
    }


def tidied(text: str) -> str:
    """One empty line between paragraphs, whatever the template's conditions left behind."""
    lines = "\n".join(line.rstrip() for line in text.splitlines())
    return re.sub(r"\n{3,}", "\n\n", lines).strip() + "\n"
