"""Proof in the demo: what the audits found, and the evidence as an outsider verifies it."""

from __future__ import annotations

import json
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import yaml

from include.privacy.policy.loading import load_config
from include.sandbox import evidence
from include.sandbox.objects import s3_client
from include.sandbox.verify import Check
from include.sandbox.world import World

CONTROLS, DATA_MAP, PUBLISH = "audit_controls", "audit_data_map", "publish_evidence"
REPORT = "promise-report.html"


def date_audits(config: Path) -> None:
    """Third-party audits of the configuration were ten weeks ago: the dates of the shipped one age."""
    path = config / "controls.yaml"
    controls = yaml.safe_load(path.read_text())
    for each in controls["third_party_audits"]["audits"]:
        each["day"] = (datetime.now(UTC) - timedelta(weeks=10)).date()
    path.write_text(yaml.safe_dump(controls, sort_keys=False))


def check(world: World, bucket: str, verifier_key: str) -> list[Check]:
    """The audits' summaries, and the bucket of evidence fetched and verified by a program of its own.

    Leaves the promise report in the world's folder, to be opened in a browser.
    """
    controls, mapped = (_summary(world, kind) for kind in ("control_audit", "data_map_audit"))
    verdicts = controls.get("verdicts", {})
    origin = load_config().evidence
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if origin is not None:
            evidence.fetch(s3_client(world.s3_endpoint), bucket, origin.origin, folder)
        holds, said = evidence.verify(folder, verifier_key)
        reports = sorted((folder / "reports").glob("*.html"))
        if reports:
            (world.folder / REPORT).write_text(reports[-1].read_text())
        states = [_promises(path.with_suffix(".json")) for path in reports[-1:]]
    return [
        Check(
            "P7.1",
            "every control was looked at, and none is broken or cannot be told",
            bool(verdicts) and controls.get("red") == [],
            ", ".join(f"{count} {verdict}" for verdict, count in verdicts.items()),
        ),
        Check(
            "P2.4",
            "stores and processors hold what the data map says, and nothing else that looks personal",
            mapped.get("found") == {} and mapped.get("red") == [],
            f"{mapped.get('looked_at', 0)} places, {mapped.get('values_sampled', 0):,} values",
        ),
        Check("all", "a program that shares no code with ours verifies the published evidence", holds, said),
        Check(
            "all",
            "the promise report shows every promise with its keeper and last run",
            bool(states) and len(states[0]) >= 33,
            str(world.folder / REPORT),
        ),
    ]


def _promises(path: Path) -> list[Any]:
    return list(json.loads(path.read_text()).get("promises", [])) if path.exists() else []


def _summary(world: World, kind: str) -> dict[str, Any]:
    with psycopg.connect(world.dsn("ledger")) as ledger:
        row = ledger.execute(
            "SELECT summary FROM ledger.run WHERE kind = %s AND finished_at IS NOT NULL "
            "ORDER BY started_at DESC LIMIT 1",
            [kind],
        ).fetchone()
    return dict(row[0]) if row and row[0] else {}
