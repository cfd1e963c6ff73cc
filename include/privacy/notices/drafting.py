"""A version's folder, drafted from the difference of two policies; the wording is left to people."""

from __future__ import annotations

import shutil
from datetime import date
from pathlib import Path
from typing import Any

import yaml

from include.privacy.policy.differences import Difference, differences
from include.privacy.policy.loading import Config, load_policy
from include.privacy.policy.notices import HEAD, POLICY

TEMPLATES = "templates"
_COMMENT = """\
# What everybody is told of version {version}, which follows {previous}.
# Drafted from the difference of the two policies; say in your own words what it means for people. `summary`
# is the heading of each change. A change that is new has no `before`, one that ends no `after`.
#   make check                                                   says what is missing, and the dates
#   python -m include.privacy notice preview {version} --into DIR    writes the letters, to be read
"""


class DraftError(ValueError):
    """The folder cannot be drafted; the message says why and what to do."""


def draft(config: Config, notices: Path, policy_file: Path, languages: tuple[str, ...]) -> Path:
    """Write ``notices/<version>/`` from the policy that is to apply; returns the folder.

    Texts are drafted in English; in other languages they are left empty, and ``make check`` asks for them.
    Raises :class:`DraftError` when the folder exists, the version is the one in force, or nothing differs,
    and ``ConfigError`` for a policy that cannot be read.
    """
    old, new = config.policy, load_policy(policy_file)
    folder = notices / new.version
    if new.version == old.version:
        raise DraftError(f"{policy_file} is version {new.version}, as config/policy.yaml is: name another")
    if folder.exists():
        raise DraftError(f"{folder} exists; edit it, or remove it to draft it anew")
    found = differences(old, new)
    if not found:
        raise DraftError(f"{policy_file} promises what config/policy.yaml promises: nobody need be told")
    missing = [each for each in languages if not (notices / TEMPLATES / each).is_dir()]
    if missing:
        raise DraftError(f"{notices / TEMPLATES} has no templates in {', '.join(missing)}; write them first")
    folder.mkdir(parents=True)
    for language in languages:
        shutil.copytree(notices / TEMPLATES / language, folder / language)
    shutil.copyfile(policy_file, folder / POLICY)
    (folder / HEAD).write_text(
        _head(old.version, new.version, new.effective, languages, found), encoding="utf-8"
    )
    return folder


def _head(
    previous: str, version: str, effective: date, languages: tuple[str, ...], found: list[Difference]
) -> str:
    value = {
        "version": version,
        "previous": previous,
        "effective": effective,
        "material": True,
        "languages": list(languages),
        "default_language": languages[0],
        "changes": [_change(each, languages) for each in found],
    }
    text = yaml.safe_dump(value, sort_keys=False, allow_unicode=True, width=110)
    return _COMMENT.format(version=version, previous=previous) + text


def _change(difference: Difference, languages: tuple[str, ...]) -> dict[str, Any]:
    def said(text: str | None) -> dict[str, str]:
        return {each: (text or "") if each == "en" else "" for each in languages}

    change: dict[str, Any] = {"promise": difference.promise, "summary": said(difference.subject)}
    if difference.before is not None:
        change["before"] = said(difference.before)
    if difference.after is not None:
        change["after"] = said(difference.after)
    return change
