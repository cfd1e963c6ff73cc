"""Reads ``config/``: every problem of every file in one go, or a configuration that holds together."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from include.privacy.business_days import WorkingCalendar, country_calendar
from include.privacy.policy.bucket_map import BucketMap
from include.privacy.policy.calendar import CalendarConfig
from include.privacy.policy.calendar_validation import calendar_problems
from include.privacy.policy.clouds import Clouds, cloud_problems
from include.privacy.policy.data_map import DatabaseMap, DataMap
from include.privacy.policy.documents import Document, read_document
from include.privacy.policy.drill import DrillSettings
from include.privacy.policy.explain import explain
from include.privacy.policy.letters import HEAD, LetterConfig, Letterhead, read_texts
from include.privacy.policy.notice_validation import (
    acceptance_problems,
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
from include.privacy.policy.problems import ConfigError, Problem
from include.privacy.policy.processors import MappedProcessor, ProcessorMap, by_name, processor_problems
from include.privacy.policy.recipients import Recipients, recipient_problems
from include.privacy.policy.rule_validation import policy_problems
from include.privacy.policy.validation import MappedStore, data_map_problems

M = TypeVar("M", bound=BaseModel)

ROOT = Path(__file__).parents[3]
_STORE_MODELS: Mapping[str, type[DatabaseMap] | type[BucketMap]] = {
    "postgres": DatabaseMap,
    "s3": BucketMap,
    "gcs": BucketMap,
}


@dataclass(frozen=True)
class Config:
    """Policy, calendar, data map and processors, checked against each other, and the letters to people.

    ``digest`` is the SHA-256 of what they say (comments and line breaks of YAML do not change it).
    ``documents`` are the files behind ``policy``, ``calendar``, ``letters``, each store and each
    processor, to point at lines later.
    """

    policy: Policy
    calendar: CalendarConfig
    data_map: DataMap
    letters: LetterConfig
    digest: str
    processors: Mapping[str, ProcessorMap] = field(default_factory=dict)
    documents: Mapping[str, Document] = field(default_factory=dict, compare=False, repr=False)
    clouds: Clouds = field(default_factory=Clouds)
    recipients: Recipients = field(default_factory=Recipients)
    notices: Notices = field(default_factory=Notices)
    drill: DrillSettings = field(default_factory=DrillSettings)

    def working_calendar(self) -> WorkingCalendar:
        """The company's working days, in its zone."""
        return country_calendar(
            self.policy.timezone,
            self.calendar.country,
            self.calendar.subdivision,
            weekend=self.calendar.weekend_days(),
            closures=self.calendar.closed_days(),
        )


def config_folder() -> Path:
    """``config/`` of the project, or the folder that PRIVACY_CONFIG_DIR names."""
    override = os.environ.get("PRIVACY_CONFIG_DIR")
    return Path(override) if override else ROOT / "config"


def load_policy(path: Path) -> Policy:
    """Read ``policy.yaml`` alone. Raises ``ConfigError``."""
    policy, _, problems = _read_policy(path)
    if policy is None or problems:
        raise ConfigError(problems)
    return policy


def load_data_map(folder: Path) -> DataMap:
    """Read all files of a data-map folder in the order of their names, which is the order of erasure.

    Raises ``ConfigError``.
    """
    stores, problems = _read_stores(folder)
    problems += data_map_problems(stores, complete=not problems)
    if problems:
        raise ConfigError(problems)
    return DataMap(stores=tuple(s.map for s in stores))


def load_config(folder: Path | None = None) -> Config:
    """Read and check everything in the folder (default: :func:`config_folder`).

    Raises ``ConfigError`` with all problems of all files.
    """
    folder = folder or config_folder()
    policy, document, problems = _read_policy(folder / "policy.yaml")
    calendar, calendar_document, calendar_faults = _read_calendar(folder / "calendar.yaml")
    problems += calendar_faults
    stores, store_problems = _read_stores(folder / "data_map")
    complete = not store_problems
    problems += store_problems + data_map_problems(stores, policy=policy, complete=complete)
    clouds, clouds_document, cloud_faults = _read_optional(folder / "clouds.yaml", Clouds)
    recipients, recipients_document, recipient_faults = _read_optional(folder / "recipients.yaml", Recipients)
    problems += [*cloud_faults, *recipient_faults]
    drill, _, drill_faults = _read_optional(folder / "drill.yaml", DrillSettings)
    problems += drill_faults
    if complete:
        databases = [s.map.store for s in stores if isinstance(s.map, DatabaseMap)]
        names = [s.map.store for s in stores]
        problems += cloud_problems(clouds, clouds_document, names, databases)
        if recipients_document.value is not None:
            problems += recipient_problems(recipients, recipients_document, databases)
    if policy is not None:
        known = None if cloud_faults else (clouds, clouds_document)
        problems += policy_problems(policy, document, stores if complete else None, known)
    processors, processor_faults = _read_processors(folder / "processors")
    maps = [s.map for s in stores] if complete else None
    problems += [*processor_faults, *processor_problems(processors, policy, maps)]
    letters, letterhead, letter_problems = _read_letters(folder / "letters")
    problems += letter_problems
    notices, notice_faults = _read_notices(folder / "notices", policy)
    problems += notice_faults
    if complete and notices.settings is not None:
        settings_document, _ = read_document(
            folder / "notices" / SETTINGS, _shown(folder / "notices" / SETTINGS)
        )
        problems += acceptance_problems(notices.settings, settings_document, [s.map for s in stores])
    if problems or policy is None or calendar is None or letters is None:
        raise ConfigError(problems)
    data_map = DataMap(stores=tuple(s.map for s in stores))
    content = "".join(
        [
            policy.model_dump_json(),
            calendar.model_dump_json(by_alias=True),
            data_map.model_dump_json(by_alias=True),
            letters.content(),
            *(each.map.model_dump_json() for each in processors),
            *(part.model_dump_json() for part in (clouds, recipients, drill) if part.model_fields_set),
            *(notices.settings.model_dump_json() for _ in "1" if notices.settings),
            *(each.digest for each in notices.versions),
        ]
    )
    digest = hashlib.sha256(content.encode()).hexdigest()
    documents = {"policy": document, "calendar": calendar_document, "letters": letterhead}
    documents |= {s.map.store: s.document for s in stores}
    documents |= {each.map.processor: each.document for each in processors}
    mapped = by_name(each.map for each in processors)
    documents |= {"clouds": clouds_document, "recipients": recipients_document}
    return Config(
        policy,
        calendar,
        data_map,
        letters,
        digest,
        mapped,
        documents,
        clouds=clouds,
        recipients=recipients,
        notices=notices,
        drill=drill,
    )


def _read_policy(path: Path) -> tuple[Policy | None, Document, list[Problem]]:
    document, problems = read_document(path, _shown(path))
    policy, more = _validate(document, Policy) if isinstance(document.value, dict) else (None, [])
    return policy, document, problems + more


def _read_calendar(path: Path) -> tuple[CalendarConfig | None, Document, list[Problem]]:
    if not path.exists():
        empty = Document(_shown(path))
        fix = (
            "write country, weekend, clocks, regimes and default_regime into it; "
            "the project's own config/calendar.yaml is an example with comments"
        )
        return None, empty, [empty.problem((), "the file does not exist", fix)]
    document, problems = read_document(path, _shown(path))
    calendar, more = _validate(document, CalendarConfig) if isinstance(document.value, dict) else (None, [])
    if calendar is not None:
        more += calendar_problems(calendar, document)
    return calendar, document, problems + more


def _read_letters(folder: Path) -> tuple[LetterConfig | None, Document, list[Problem]]:
    document, problems = read_document(folder / HEAD, _shown(folder / HEAD))
    head, more = _validate(document, Letterhead) if isinstance(document.value, dict) else (None, [])
    texts, unreadable = read_texts(folder, _shown(folder))
    letters = LetterConfig(head, texts, _shown(folder)) if head is not None else None
    return letters, document, problems + more + unreadable


def _read_notices(folder: Path, current: Policy | None) -> tuple[Notices, list[Problem]]:
    """None need exist: a policy that does not change is not announced."""
    if not folder.is_dir():
        return Notices(), []
    shown = _shown(folder)
    document, problems = read_document(folder / SETTINGS, _shown(folder / SETTINGS))
    settings, more = _validate(document, NoticeSettings) if isinstance(document.value, dict) else (None, [])
    shared, unreadable = read_texts(folder, shown)
    problems += [*more, *unreadable]
    found: list[PolicyNotice] = []
    for each in notice_folders(folder):
        head_document, faults = read_document(each / NOTICE, _shown(each / NOTICE))
        head, more = (
            _validate(head_document, NoticeHead) if isinstance(head_document.value, dict) else (None, [])
        )
        policy, policy_document, policy_faults = _read_policy(each / POLICY)
        texts, unreadable = read_texts(each, _shown(each))
        problems += [*faults, *more, *policy_faults, *unreadable]
        if head is not None and policy is not None:
            notice = PolicyNotice(head, policy, texts, _shown(each), head_document)
            problems += notice_problems(notice, current, policy_document)
            found.append(notice)
    problems += succession_problems(found)
    own = {name: text for name, text in shared.items() if "/" not in name}
    return Notices(settings, tuple(sorted(found, key=lambda n: n.head.effective)), own), problems


def _read_stores(folder: Path) -> tuple[list[MappedStore], list[Problem]]:
    files = sorted(p for p in folder.glob("*.y*ml") if not p.name.startswith("."))
    if not files:
        empty = Document(_shown(folder))
        return [], [
            empty.problem((), "the folder holds no data map", "write one YAML file per store into it")
        ]
    stores: list[MappedStore] = []
    problems: list[Problem] = []
    for path in files:
        document, found = read_document(path, _shown(path))
        problems += found
        if not isinstance(document.value, dict):
            continue
        model = _STORE_MODELS.get(str(document.value.get("kind")))
        if model is None:
            problems.append(
                document.problem(("kind",), "says no known kind of store", "write kind: postgres, s3 or gcs")
            )
            continue
        store, more = _validate(document, model)
        problems += more
        if store is not None:
            stores.append(MappedStore(store, document))
    return stores, problems


def _read_processors(folder: Path) -> tuple[list[MappedProcessor], list[Problem]]:
    """None need exist: a platform may have no processors but its stores."""
    found: list[MappedProcessor] = []
    problems: list[Problem] = []
    for path in sorted(p for p in folder.glob("*.y*ml") if not p.name.startswith(".")):
        document, faults = read_document(path, _shown(path))
        mapped, more = _validate(document, ProcessorMap) if isinstance(document.value, dict) else (None, [])
        problems += [*faults, *more]
        if mapped is not None:
            found.append(MappedProcessor(mapped, document))
    return found, problems


def _read_optional(path: Path, model: type[M]) -> tuple[M, Document, list[Problem]]:
    """Of a file that need not exist: the model of nothing, when it does not or cannot be used."""
    if not path.exists():
        return model(), Document(_shown(path)), []
    document, problems = read_document(path, _shown(path))
    found, more = _validate(document, model) if isinstance(document.value, dict) else (None, [])
    return found or model(), document, problems + more


def _validate(document: Document, model: type[M]) -> tuple[M | None, list[Problem]]:
    try:
        return model.model_validate(document.value), []
    except ValidationError as error:
        return None, list(explain(error, document, model))


def _shown(path: Path) -> str:
    """The path as a person would type it: relative to the project or the working directory."""
    for base in (ROOT, Path.cwd()):
        if path.absolute().is_relative_to(base):
            return str(path.absolute().relative_to(base))
    return str(path)


__all__ = ["Config", "ConfigError", "Problem", "config_folder", "load_config", "load_data_map", "load_policy"]
