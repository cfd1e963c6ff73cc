"""The next version of the platform's policy: a copy of the configuration in which it is announced."""

from __future__ import annotations

import shutil
from datetime import date
from pathlib import Path
from typing import Any

import yaml

from include.privacy.notices.drafting import draft
from include.privacy.policy.loading import ROOT, load_config

VERSION = "2027"
_TEXTS: dict[str, dict[str, dict[str, str]]] = {
    "summary": {
        "access": {
            "en": "We forget sooner from where you used the service",
            "de": "Wir vergessen früher, von wo aus Sie den Dienst genutzt haben",
        },
        "records": {
            "en": "We keep the record of your privacy requests longer",
            "de": "Wir bewahren die Unterlagen Ihrer Datenschutzanfragen länger auf",
        },
    },
    "before": {
        "access": {
            "en": "The log is kept for 90 days at most.",
            "de": "Das Protokoll bleibt höchstens 90 Tage.",
        },
        "records": {"en": "Three years after the answer.", "de": "Drei Jahre nach der Antwort."},
    },
    "after": {
        "access": {"en": "Sixty days at most.", "de": "Höchstens sechzig Tage."},
        "records": {"en": "Four years after the answer.", "de": "Vier Jahre nach der Antwort."},
    },
}


def copy_config(into: Path) -> Path:
    """A fresh copy of ``config/`` that a deployment may edit, in place of any other; returns the folder."""
    shutil.rmtree(into, ignore_errors=True)
    shutil.copytree(ROOT / "config", into)
    return into


def announce(config: Path, effective: date, *, version: str = VERSION) -> Path:
    """Draft the next version in a copy of the configuration, and say in words what changes.

    Two things change: the access log is kept 60 days instead of 90, the record of a request four years
    instead of three. Returns the version's folder.
    """
    policy: dict[str, Any] = yaml.safe_load((config / "policy.yaml").read_text())
    policy |= {"version": version, "effective": effective, "request_records_days": 1461}
    rule = next(each for each in policy["rules"] if each["id"] == "old_access_log")
    rule["limit_days"] = 60
    proposed = config.parent / f"policy-{version}.yaml"
    proposed.write_text(yaml.safe_dump(policy, sort_keys=False, allow_unicode=True))
    folder = draft(load_config(config), config / "notices", proposed, ("en", "de"))
    head = folder / "notice.yaml"
    said = yaml.safe_load(head.read_text())
    for change in said["changes"]:
        what = "access" if "access log" in change["summary"]["en"] else "records"
        change.update({part: texts[what] for part, texts in _TEXTS.items()})
    head.write_text(yaml.safe_dump(said, sort_keys=False, allow_unicode=True))
    return folder
