"""The promise report: one page and its figures, beside the checkpoint that vouches for what it says."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from include.privacy.evidence import connecting
from include.privacy.evidence.certificate_page import environment
from include.privacy.evidence.figures import FIGURES, Figure
from include.privacy.evidence.promises import promises
from include.privacy.evidence.publishing import REPORTS, RULE
from include.privacy.runtime import runtime
from include.privacy.steps.runs import FindingError, read_run

log = logging.getLogger(__name__)

RESOLVED_OF = timedelta(days=90)


class EvidenceIncompleteError(FindingError):
    """The report is written, and the log, certificates or pictures are not as they should be."""


def write_report(
    ledger_run: str, published: Mapping[str, Any] | None = None, renewed: Mapping[str, int] | None = None
) -> dict[str, Any]:
    """Make the report, put it into the bucket and the ledger, end the run; returns where it is.

    Raises :class:`EvidenceIncompleteError` when the log was not published, a certificate could not be issued,
    or a store could not be read for its picture. A dry run writes nothing.
    """
    run, ledger = read_run(ledger_run), runtime().ledger()
    report, pictures = make_report(run.as_of, published)
    red = [] if published is not None else ["the log of evidence was not published: see the task publish_log"]
    if renewed is None or renewed.get("failed"):
        count = "all" if renewed is None else renewed["failed"]
        red.append(f"certificates that could not be issued: {count}; see the task renew_certificates")
    red += [f"no figures for {name}: see the log of this task" for name in report["unavailable"]]
    location = ""
    if not run.dry_run:
        location = _store(ledger_run, run.as_of, report, page_of(report, pictures))
        ledger.keep_report(UUID(ledger_run), run.as_of, location, report)
        log.info("promise report: %s", location)
    summary = {
        "as_of": run.as_of.isoformat(),
        "dry_run": run.dry_run,
        "report": location,
        "log": dict(published or {}),
        "certificates": dict(renewed or {}),
        "breaches": sum(len(each["open"]) for each in report["promises"]) + len(report["other_breaches"]),
        "without_evidence": sum(each["no_evidence_since"] is not None for each in report["promises"]),
        "red": red,
    }
    ledger.close_run(UUID(ledger_run), summary)
    if red and not run.dry_run:
        raise EvidenceIncompleteError("not complete:\n" + "\n".join(f"  - {line}" for line in red))
    return {"report": location, "breaches": summary["breaches"]}


def make_report(
    as_of: datetime, published: Mapping[str, Any] | None = None
) -> tuple[dict[str, Any], list[Figure]]:
    """The report as JSON, and its figures with their pictures. Nothing personal: counts, codes and dates."""
    policy, ledger = runtime().config().policy, runtime().ledger()
    breaches = ledger.breaches_since(as_of - RESOLVED_OF)
    figures, unavailable = [], []
    for make in FIGURES:
        try:
            figures.append(make(as_of))
        except Exception as error:  # noqa: BLE001 - a store that is down must not hide the rest of the report
            log.error("figure %s: %s", make.__name__, type(error).__name__)
            unavailable.append(make.__name__)
    listed = list(promises(policy, ledger.last_runs(), ledger.last_evidence(), breaches, as_of))
    report = {
        "as_of": as_of.isoformat(),
        "policy": {"version": policy.version, "effective": policy.effective.isoformat()},
        "log": dict(published) if published else None,
        "promises": listed,
        "other_breaches": [
            {"rule": b.rule, "store": b.store, "count": b.count, "since": b.opened_at.isoformat()}
            for b in breaches
            if b.rule == RULE and b.resolved_at is None
        ],
        "figures": [each.as_json() for each in figures],
        "unavailable": unavailable,
    }
    return report, figures


def page_of(report: Mapping[str, Any], figures: list[Figure]) -> str:
    """One self-contained HTML page without scripts."""
    from markupsafe import Markup

    pictures = {each.name: Markup(each.picture) for each in figures}  # noqa: S704 - made by charts.py, which escapes
    return environment().get_template("report.html").render(r=report, pictures=pictures)


def _store(ledger_run: str, as_of: datetime, report: Mapping[str, Any], page: str) -> str:
    from include.privacy.ledger.evidence_log import database_time

    name = f"{REPORTS}{as_of:%Y-%m-%dT%H%M%SZ}-{ledger_run[:8]}"
    with runtime().ledger().sessions.begin() as session:
        at = database_time(session)
    data = json.dumps(report, indent=1, sort_keys=True).encode()
    with connecting.bucket() as outside:
        outside.put_first(f"{name}.json", data, "application/json", at=at)
        outside.put_first(f"{name}.html", page.encode(), "text/html; charset=utf-8", at=at)
        return f"s3://{outside.name}/{outside.prefix}{name}.html"
