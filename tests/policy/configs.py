"""A small, sound configuration in a folder of its own, for tests to break in one place."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from include.privacy.policy.loading import ROOT
from include.privacy.policy.promises import PROMISES

DUMPER = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
COLUMN = {"category": "user.unique_id"}
SYSTEM = {"category": "system.operations"}


def policy() -> dict[str, Any]:
    guard = {"max_share": 0.1, "max_count": 100}
    enforced = {
        "P4.1": "ended",
        "P4.2": "purge",
        "P4.3": "archives",
        "P2.4": "tokens",
    }
    return {
        "version": "1",
        "effective": "2026-01-01",
        "timezone": "Europe/Berlin",
        "verification": {"token_url": "https://app.example/confirm?request={request}&token={token}"},
        "promises": {
            p: {"title": p, "enforced_by": enforced.get(p, {"planned": "audit_controls"})} for p in PROMISES
        },
        "purposes": {"essential.service.operations": {"title": "The service", "legal_basis": "contract"}},
        "rules": [
            {
                "id": "ended", "kind": "subject_lifecycle", "action": "mark_deleted", "promise": "P4.1",
                "store": "people", "target_days": 30, "limit_days": 37, "guard": guard,
            },
            {
                "id": "purge", "kind": "subject_lifecycle", "action": "purge", "promise": "P4.2",
                "store": "people", "target_days": 30, "limit_days": 90, "guard": guard,
            },
            {
                "id": "tokens", "kind": "record_age", "promise": "P2.4", "store": "people", "table": "tokens",
                "clock": "created_at", "target_days": 7, "limit_days": 30, "guard": guard,
            },
            {
                "id": "archives", "kind": "object_age", "promise": "P4.3", "store": "archive",
                "prefix": "backups/people/", "target_days": 170, "limit_days": 180, "guard": guard,
            },
        ],
    }  # fmt: skip


def calendar() -> dict[str, Any]:
    return {
        "country": "DE",
        "subdivision": "BE",
        "weekend": ["saturday", "sunday"],
        "closures": [
            {"day": "2026-12-24", "reason": "Christmas Eve"},
            {"from": "2026-12-28", "to": "2026-12-30", "reason": "Nobody is in"},
        ],
        "clocks": {
            "policy_promise": {"promise": "P6.6", "business_days": 14},
            "gdpr": {
                "law": "Art. 12(3) GDPR",
                "months": 1,
                "ends_on_working_day": True,
                "extension": {"months": 2},
            },
            "uk_gdpr": {"law": "Art. 12A", "months": 1, "pause": {"identity": "restarts"}},
        },
        "regimes": {
            "everybody": {"clocks": ["policy_promise", "gdpr"]},
            "uk": {"clocks": ["policy_promise", "uk_gdpr"]},
        },
        "default_regime": "everybody",
        "roles": {"privacy_team": {"connection": "privacy_team_mail"}, "head_of_engineering": {}},
        "reminders": [
            {"at": 0.5, "to": ["privacy_team"]},
            {"at": 0.9, "to": ["privacy_team", "head_of_engineering"]},
        ],
    }


def archive() -> dict[str, Any]:
    return {
        "store": "archive",
        "kind": "s3",
        "connection": "archive_s3",
        "bucket": "some-archive",
        "content": [
            {
                "prefix": "files/{subject}/",
                "category": "user.content",
                "purposes": ["essential.service.operations"],
            }
        ],
        "backups": [{"prefix": "backups/people/", "backup_of": "people"}],
    }


def people() -> dict[str, Any]:
    purposes = ["essential.service.operations"]
    return {
        "store": "people",
        "kind": "postgres",
        "connection": "people_db",
        "root": {
            "table": "accounts",
            "key": "id",
            "lifecycle": {"service_ended_at": "service_ended_at", "deleted_at": "deleted_at"},
        },
        "tables": {
            "accounts": {
                "purposes": purposes,
                "subjects": {"holder": {"path": "id", "erasure": "delete"}},
                "columns": {
                    "id": COLUMN,
                    "email": {"category": "user.contact.email", "identifier": "email"},
                    "service_ended_at": {"category": "user.account"},
                    "deleted_at": {"category": "user.account"},
                },
            },
            "tokens": {
                "purposes": purposes,
                "subjects": {"holder": {"path": "account_id", "erasure": "delete"}},
                "columns": {"id": SYSTEM, "account_id": COLUMN, "created_at": {"category": "user.account"}},
            },
            "posts": {
                "purposes": purposes,
                "subjects": {
                    "author": {"path": "author_id", "erasure": "delete"},
                    "answered": {
                        "path": {"columns": ["parent_id"], "references": "posts", "role": "author"},
                        "erasure": {"anonymise": {"parent_id": {"set": None}}},
                    },
                },
                "columns": {
                    "id": SYSTEM,
                    "author_id": COLUMN,
                    "parent_id": SYSTEM,
                    "body": {"category": "user.content"},
                },
            },
            "invoices": {
                "purposes": purposes,
                "subjects": {
                    "holder": {
                        "path": "account_id",
                        "erasure": {
                            "keep": {
                                "basis": "legal_obligation",
                                "reason": "Tax law asks for it.",
                                "until": {"column": "issued_at", "days": 3653},
                            },
                            "anonymise": {"account_id": {"set": None}, "billing_name": {"set": "erased"}},
                        },
                    }
                },
                "columns": {
                    "id": SYSTEM,
                    "account_id": COLUMN,
                    "billing_name": {"category": "user.name"},
                    "issued_at": SYSTEM,
                },
            },
            "leads": {
                "purposes": purposes,
                "subjects": {
                    "lead": {"path": {"column": "email", "identifier": "email"}, "erasure": "delete"}
                },
                "columns": {"email": {"category": "user.contact.email"}},
            },
            "plans": {"columns": {"code": SYSTEM}},
        },
    }


def write(
    folder: Path,
    *,
    policy_value: dict[str, Any] | None = None,
    calendar_value: dict[str, Any] | None = None,
    people_value: dict[str, Any] | None = None,
    archive_value: dict[str, Any] | None = None,
) -> Path:
    """The configuration as files; anything not given is the sound one."""
    (folder / "data_map").mkdir(parents=True, exist_ok=True)
    if not (folder / "letters").exists():
        (folder / "letters").symlink_to(ROOT / "config" / "letters")
    files = {
        "policy.yaml": policy_value or policy(),
        "calendar.yaml": calendar_value or calendar(),
        "data_map/10_archive.yaml": archive_value or archive(),
        "data_map/90_people.yaml": people_value or people(),
    }
    for name, value in files.items():
        (folder / name).write_text(
            yaml.dump(value, Dumper=DUMPER, sort_keys=False, allow_unicode=True), encoding="utf-8"
        )
    return folder
