"""Reads ``config/``: every problem of every file in one go, or a configuration that holds together."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from include.privacy.business_days import WorkingCalendar, country_calendar
from include.privacy.policy.calendar import CalendarConfig
from include.privacy.policy.clouds import Clouds, cloud_problems
from include.privacy.policy.control_validation import control_problems
from include.privacy.policy.controls import Controls
from include.privacy.policy.data_map import DatabaseMap, DataMap
from include.privacy.policy.documents import Document, read_document
from include.privacy.policy.drill import DrillSettings
from include.privacy.policy.evidence import EvidenceConfig
from include.privacy.policy.letters import LetterConfig
from include.privacy.policy.notice_validation import (
    acceptance_problems,
)
from include.privacy.policy.notices import (
    SETTINGS,
    Notices,
)
from include.privacy.policy.policy import Policy
from include.privacy.policy.problems import ConfigError, Problem
from include.privacy.policy.processors import ProcessorMap, by_name, processor_problems
from include.privacy.policy.reading import (
    ROOT,
    read_calendar,
    read_evidence,
    read_letters,
    read_notices,
    read_optional,
    read_policy,
    read_processors,
    read_stores,
    shown_name,
)
from include.privacy.policy.recipients import Recipients, recipient_problems
from include.privacy.policy.rule_validation import policy_problems
from include.privacy.policy.validation import data_map_problems


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
    controls: Controls = field(default_factory=Controls)
    notices: Notices = field(default_factory=Notices)
    evidence: EvidenceConfig | None = None
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
    policy, _, problems = read_policy(path)
    if policy is None or problems:
        raise ConfigError(problems)
    return policy


def load_data_map(folder: Path) -> DataMap:
    """Read all files of a data-map folder in the order of their names, which is the order of erasure.

    Raises ``ConfigError``.
    """
    stores, problems = read_stores(folder)
    problems += data_map_problems(stores, complete=not problems)
    if problems:
        raise ConfigError(problems)
    return DataMap(stores=tuple(s.map for s in stores))


def load_config(folder: Path | None = None, *, policy_text: str | None = None) -> Config:
    """Read and check everything in the folder (default: :func:`config_folder`).

    ``policy_text`` stands in for its policy.yaml. Raises ``ConfigError`` with all problems of all files.
    """
    folder = folder or config_folder()
    policy, document, problems = read_policy(folder / "policy.yaml", policy_text)
    calendar, calendar_document, calendar_faults = read_calendar(folder / "calendar.yaml")
    problems += calendar_faults
    stores, store_problems = read_stores(folder / "data_map")
    complete = not store_problems
    problems += store_problems + data_map_problems(stores, policy=policy, complete=complete)
    clouds, clouds_document, cloud_faults = read_optional(folder / "clouds.yaml", Clouds)
    recipients, recipients_document, recipient_faults = read_optional(folder / "recipients.yaml", Recipients)
    controls, controls_document, control_faults = read_optional(folder / "controls.yaml", Controls)
    drill, drill_document, drill_faults = read_optional(folder / "drill.yaml", DrillSettings)
    problems += [*cloud_faults, *recipient_faults, *control_faults, *drill_faults]
    evidence, evidence_document, evidence_faults = read_evidence(folder / "evidence.yaml")
    problems += evidence_faults
    if complete:
        databases = [s.map.store for s in stores if isinstance(s.map, DatabaseMap)]
        names = [s.map.store for s in stores]
        problems += cloud_problems(clouds, clouds_document, names, databases)
        if recipients_document.value is not None:
            problems += recipient_problems(recipients, recipients_document, databases)
        if controls_document.value is not None:
            mapped = [s.map for s in stores if isinstance(s.map, DatabaseMap)]
            problems += control_problems(controls, controls_document, names, mapped)
    if policy is not None:
        known = None if cloud_faults else (clouds, clouds_document)
        problems += policy_problems(policy, document, stores if complete else None, known)
    processors, processor_faults = read_processors(folder / "processors")
    maps = [s.map for s in stores] if complete else None
    problems += [*processor_faults, *processor_problems(processors, policy, maps)]
    letters, letterhead, letter_problems = read_letters(folder / "letters")
    problems += letter_problems
    notices, notice_faults = read_notices(folder / "notices", policy)
    problems += notice_faults
    if complete and notices.settings is not None:
        settings_document, _ = read_document(
            folder / "notices" / SETTINGS, shown_name(folder / "notices" / SETTINGS)
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
            *(p.model_dump_json() for p in (clouds, recipients, controls, drill) if p.model_fields_set),
            *(notices.settings.model_dump_json() for _ in "1" if notices.settings),
            *(each.digest for each in notices.versions),
            evidence.model_dump_json() if evidence else "",
        ]
    )
    digest = hashlib.sha256(content.encode()).hexdigest()
    documents = {"policy": document, "calendar": calendar_document, "letters": letterhead}
    documents |= {s.map.store: s.document for s in stores}
    documents |= {each.map.processor: each.document for each in processors}
    asked = by_name(each.map for each in processors)
    documents |= {"clouds": clouds_document, "recipients": recipients_document, "controls": controls_document}
    documents |= {"evidence": evidence_document, "drill": drill_document}
    parts = (clouds, recipients, controls, notices, evidence, drill)
    return Config(policy, calendar, data_map, letters, digest, asked, documents, *parts)


__all__ = [
    "ROOT",
    "Config",
    "ConfigError",
    "Problem",
    "config_folder",
    "load_config",
    "load_data_map",
    "load_policy",
]
