"""Reads the files of ``config/``, each by itself: a model, and what is wrong with it. Nothing is raised."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from include.privacy.policy.bucket_map import BucketMap
from include.privacy.policy.calendar import CalendarConfig
from include.privacy.policy.calendar_validation import calendar_problems
from include.privacy.policy.data_map import DatabaseMap
from include.privacy.policy.documents import Document, parse_document, read_document
from include.privacy.policy.evidence import EvidenceConfig
from include.privacy.policy.explain import explain
from include.privacy.policy.letters import HEAD, LetterConfig, Letterhead, read_texts
from include.privacy.policy.notice_validation import (
    notice_problems,
    succession_problems,
)
from include.privacy.policy.notices import (
    HEAD as NOTICE,
)
from include.privacy.policy.notices import (
    POLICY,
    SETTINGS,
    NoticeHead,
    Notices,
    NoticeSettings,
    PolicyNotice,
    notice_folders,
)
from include.privacy.policy.policy import Policy
from include.privacy.policy.problems import Problem
from include.privacy.policy.processors import MappedProcessor, ProcessorMap
from include.privacy.policy.validation import MappedStore

M = TypeVar("M", bound=BaseModel)

ROOT = Path(__file__).parents[3]
_STORE_MODELS: Mapping[str, type[DatabaseMap] | type[BucketMap]] = {
    "postgres": DatabaseMap,
    "s3": BucketMap,
    "gcs": BucketMap,
}


def read_policy(path: Path, text: str | None = None) -> tuple[Policy | None, Document, list[Problem]]:
    """``policy.yaml``, or a text in its place."""
    name = shown_name(path)
    document, problems = (
        read_document(path, name) if text is None else parse_document(text, "the other policy")
    )
    policy, more = validated(document, Policy) if isinstance(document.value, dict) else (None, [])
    return policy, document, problems + more


def read_calendar(path: Path) -> tuple[CalendarConfig | None, Document, list[Problem]]:
    """``calendar.yaml``."""
    if not path.exists():
        empty = Document(shown_name(path))
        fix = (
            "write country, weekend, clocks, regimes and default_regime into it; "
            "the project's own config/calendar.yaml is an example with comments"
        )
        return None, empty, [empty.problem((), "the file does not exist", fix)]
    document, problems = read_document(path, shown_name(path))
    calendar, more = validated(document, CalendarConfig) if isinstance(document.value, dict) else (None, [])
    if calendar is not None:
        more += calendar_problems(calendar, document)
    return calendar, document, problems + more


def read_letters(folder: Path) -> tuple[LetterConfig | None, Document, list[Problem]]:
    """``letters/``."""
    document, problems = read_document(folder / HEAD, shown_name(folder / HEAD))
    head, more = validated(document, Letterhead) if isinstance(document.value, dict) else (None, [])
    texts, unreadable = read_texts(folder, shown_name(folder))
    letters = LetterConfig(head, texts, shown_name(folder)) if head is not None else None
    return letters, document, problems + more + unreadable


def read_notices(folder: Path, current: Policy | None) -> tuple[Notices, list[Problem]]:
    """None need exist: a policy that does not change is not announced."""
    if not folder.is_dir():
        return Notices(), []
    shown = shown_name(folder)
    document, problems = read_document(folder / SETTINGS, shown_name(folder / SETTINGS))
    settings, more = validated(document, NoticeSettings) if isinstance(document.value, dict) else (None, [])
    shared, unreadable = read_texts(folder, shown)
    problems += [*more, *unreadable]
    found: list[PolicyNotice] = []
    for each in notice_folders(folder):
        head_document, faults = read_document(each / NOTICE, shown_name(each / NOTICE))
        head, more = (
            validated(head_document, NoticeHead) if isinstance(head_document.value, dict) else (None, [])
        )
        policy, policy_document, policy_faults = read_policy(each / POLICY)
        texts, unreadable = read_texts(each, shown_name(each))
        problems += [*faults, *more, *policy_faults, *unreadable]
        if head is not None and policy is not None:
            notice = PolicyNotice(head, policy, texts, shown_name(each), head_document)
            problems += notice_problems(notice, current, policy_document)
            found.append(notice)
    problems += succession_problems(found)
    own = {name: text for name, text in shared.items() if "/" not in name}
    return Notices(settings, tuple(sorted(found, key=lambda n: n.head.effective)), own), problems


def read_stores(folder: Path) -> tuple[list[MappedStore], list[Problem]]:
    """``data_map/``, in the order of the files' names."""
    files = sorted(p for p in folder.glob("*.y*ml") if not p.name.startswith("."))
    if not files:
        empty = Document(shown_name(folder))
        return [], [
            empty.problem((), "the folder holds no data map", "write one YAML file per store into it")
        ]
    stores: list[MappedStore] = []
    problems: list[Problem] = []
    for path in files:
        document, found = read_document(path, shown_name(path))
        problems += found
        if not isinstance(document.value, dict):
            continue
        model = _STORE_MODELS.get(str(document.value.get("kind")))
        if model is None:
            problems.append(
                document.problem(("kind",), "says no known kind of store", "write kind: postgres, s3 or gcs")
            )
            continue
        store, more = validated(document, model)
        problems += more
        if store is not None:
            stores.append(MappedStore(store, document))
    return stores, problems


def read_processors(folder: Path) -> tuple[list[MappedProcessor], list[Problem]]:
    """None need exist: a platform may have no processors but its stores."""
    found: list[MappedProcessor] = []
    problems: list[Problem] = []
    for path in sorted(p for p in folder.glob("*.y*ml") if not p.name.startswith(".")):
        document, faults = read_document(path, shown_name(path))
        mapped, more = validated(document, ProcessorMap) if isinstance(document.value, dict) else (None, [])
        problems += [*faults, *more]
        if mapped is not None:
            found.append(MappedProcessor(mapped, document))
    return found, problems


def read_optional(path: Path, model: type[M]) -> tuple[M, Document, list[Problem]]:
    """Of a file that need not exist: the model of nothing, when it does not or cannot be used."""
    if not path.exists():
        return model(), Document(shown_name(path)), []
    document, problems = read_document(path, shown_name(path))
    found, more = validated(document, model) if isinstance(document.value, dict) else (None, [])
    return found or model(), document, problems + more


def read_evidence(path: Path) -> tuple[EvidenceConfig | None, Document, list[Problem]]:
    """None need exist until evidence is published."""
    if not path.exists():
        return None, Document(shown_name(path)), []
    document, problems = read_document(path, shown_name(path))
    found, more = validated(document, EvidenceConfig) if isinstance(document.value, dict) else (None, [])
    return found, document, problems + more


def validated(document: Document, model: type[M]) -> tuple[M | None, list[Problem]]:
    """The model, or what is wrong with the document."""
    try:
        return model.model_validate(document.value), []
    except ValidationError as error:
        return None, list(explain(error, document, model))


def shown_name(path: Path) -> str:
    """The path as a person would type it: relative to the project or the working directory."""
    for base in (ROOT, Path.cwd()):
        if path.absolute().is_relative_to(base):
            return str(path.absolute().relative_to(base))
    return str(path)
