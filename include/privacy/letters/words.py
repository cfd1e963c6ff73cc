"""``config/letters/<language>/words.yaml``: dates, rights, reasons, extensions, grounds, questions."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime
from enum import StrEnum
from typing import Annotated, Any, TypeVar, get_args
from zoneinfo import ZoneInfo

from pydantic import Field, ValidationError, field_validator

from include.privacy.letters.kinds import Ground, Right
from include.privacy.letters.reasons import CompellingGround, ExtensionReason, Question, RefusalReason
from include.privacy.policy.documents import Document, parse_document
from include.privacy.policy.explain import explain
from include.privacy.policy.letters import LetterConfig
from include.privacy.policy.policy import PolicyModel
from include.privacy.policy.problems import ConfigError, Problem

FILE = "words.yaml"
Text = Annotated[str, Field(min_length=1)]
V = TypeVar("V")


class ReasonText(PolicyModel):
    """Why a request is refused, and what the person can do next."""

    why: Text
    then: Text


class QuestionText(PolicyModel):
    """What is asked, and what happens without an answer."""

    ask: Text
    otherwise: Text


class RightText(PolicyModel):
    """A request as a noun phrase after "your", and what happens once it is taken up."""

    name: Text
    next: Text


class Words(PolicyModel):
    """One language. ``date_form`` is made of ``{day}``, ``{month}`` and ``{year}``, ``instant_form`` of
    ``{date}``, ``{time}`` and ``{offset}``.
    """

    months: Annotated[tuple[Text, ...], Field(min_length=12, max_length=12)]
    date_form: Text
    instant_form: Text
    rights: dict[str, RightText]
    reasons: dict[str, ReasonText]
    extensions: dict[str, Text]
    grounds: dict[str, Text]
    compelling: dict[str, Text]
    questions: dict[str, QuestionText]

    @field_validator("date_form")
    @classmethod
    def _check_date_form(cls, value: str) -> str:
        return _form(value, day=1, month="January", year=2026)

    @field_validator("instant_form")
    @classmethod
    def _check_instant_form(cls, value: str) -> str:
        return _form(value, date="1 January 2026", time="12:00", offset="UTC")

    @field_validator("rights")
    @classmethod
    def _every_right(cls, value: dict[str, RightText]) -> dict[str, RightText]:
        return _complete(value, get_args(Right))

    @field_validator("reasons")
    @classmethod
    def _every_reason(cls, value: dict[str, ReasonText]) -> dict[str, ReasonText]:
        return _complete(value, _codes(RefusalReason))

    @field_validator("extensions")
    @classmethod
    def _every_extension(cls, value: dict[str, str]) -> dict[str, str]:
        return _complete(value, _codes(ExtensionReason))

    @field_validator("compelling")
    @classmethod
    def _every_compelling_ground(cls, value: dict[str, str]) -> dict[str, str]:
        return _complete(value, _codes(CompellingGround))

    @field_validator("grounds")
    @classmethod
    def _every_ground(cls, value: dict[str, str]) -> dict[str, str]:
        return _complete(value, [code for union in get_args(Ground) for code in get_args(union)])

    @field_validator("questions")
    @classmethod
    def _every_question(cls, value: dict[str, QuestionText]) -> dict[str, QuestionText]:
        return _complete(value, _codes(Question))

    def day(self, value: date | datetime, zone: ZoneInfo) -> str:
        """A day as people write it; of an instant, the day in that zone."""
        local = value.astimezone(zone) if isinstance(value, datetime) else value
        return self.date_form.format(day=local.day, month=self.months[local.month - 1], year=local.year)

    def moment(self, value: datetime, zone: ZoneInfo) -> str:
        """Day and time in that zone, with its distance from UTC: people may be elsewhere."""
        local = value.astimezone(zone)
        return self.instant_form.format(
            date=self.day(local, zone), time=local.strftime("%H:%M"), offset=f"UTC{local.isoformat()[-6:]}"
        )


def read_words(config: LetterConfig, language: str) -> tuple[Words | None, list[Problem]]:
    """The words of one language and what is wrong with their file."""
    name = f"{language}/{FILE}"
    text = config.texts.get(name)
    if text is None:
        missing = Document(f"{config.folder}/{name}")
        fix = f"copy {config.head.default_language}/{FILE} and translate it"
        return None, [missing.problem((), "the file does not exist", fix)]
    document, problems = parse_document(text, f"{config.folder}/{name}")
    if not isinstance(document.value, dict):
        return None, problems
    try:
        return Words.model_validate(document.value), problems
    except ValidationError as error:
        return None, [*problems, *explain(error, document, Words)]


def words_of(config: LetterConfig, language: str) -> Words:
    """The words of one language. Raises ``ConfigError``."""
    words, problems = read_words(config, language)
    if words is None or problems:
        raise ConfigError(problems)
    return words


def _codes(codes: type[StrEnum]) -> list[str]:
    return [code.value for code in codes]


def _complete(value: dict[str, V], known: Iterable[str]) -> dict[str, V]:
    wanted = list(known)
    if missing := [code for code in wanted if code not in value]:
        raise ValueError(f"add a text for {', '.join(missing)}")
    if unknown := [code for code in value if code not in wanted]:
        raise ValueError(f"remove {', '.join(unknown)}; known here: {', '.join(wanted)}")
    return value


def _form(value: str, **samples: Any) -> str:
    try:
        value.format(**samples)
    except (KeyError, IndexError, ValueError, AttributeError):
        raise ValueError(f"use only {', '.join('{' + name + '}' for name in samples)}") from None
    if missing := [name for name in samples if "{" + name + "}" not in value]:
        raise ValueError(f"lacks {', '.join('{' + name + '}' for name in missing)}")
    return value
