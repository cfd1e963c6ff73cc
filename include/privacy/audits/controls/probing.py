"""Looking at the controls, a group at a time, and putting on record what was seen."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import TypedDict
from uuid import UUID

from include.privacy.audits.controls import (
    administrators,
    at_rest,
    copies,
    credentials,
    intrusion,
    key_rotation,
    third_parties,
    tls,
)
from include.privacy.audits.controls.verdicts import Judgement, Probe, Verdict, cannot_be_told
from include.privacy.audits.findings import breach_rule
from include.privacy.policy.controls import CONTROLS
from include.privacy.runtime import runtime
from include.privacy.steps.runs import read_run

log = logging.getLogger(__name__)

EVIDENCE = "control"
"""The kind of the evidence row that each look leaves."""

GROUPS: Mapping[str, Callable[[datetime], Iterator[Probe]]] = {
    "tls": tls.probes,
    "at_rest": at_rest.probes,
    "copies": copies.probes,
    "credentials": credentials.probes,
    "administrators": administrators.probes,
    "third_parties": third_parties.probes,
    "intrusion": intrusion.probes,
    "keys": key_rotation.probes,
}


class Group(TypedDict):
    """A group of probes, by its name."""

    group: str


def list_groups() -> list[Group]:
    """One task for each."""
    return [Group(group=name) for name in GROUPS]


def probe(ledger_run: str, group: str) -> dict[str, int]:
    """Look at every control of a group; returns how many there are of each verdict.

    Each look leaves a row of evidence. What is broken, or cannot be told although it has to be, becomes a
    breach; what holds or is exempt ends it. A dry run leaves evidence and touches no breach.
    """
    run = read_run(ledger_run)
    counts: Counter[str] = Counter()
    for each in GROUPS[group](run.as_of):
        judged = look(each)
        counts[judged.verdict.value] += 1
        told = log.info if judged.verdict in (Verdict.holds, Verdict.exempt) else log.error
        told("%s %s, %s: %s", CONTROLS[each.control].promise, each.control, each.place, judged)
        _record(ledger_run, each, judged, run.as_of, dry_run=run.dry_run)
    return dict(counts)


def look(probe: Probe) -> Judgement:
    """The verdict; whatever keeps us from one is the reason why it cannot be told.

    Of an error nobody foresaw its kind is told and not its text, which may quote what it was about.
    """
    from include.privacy.connections import UnusableConnectionError
    from include.privacy.stores.aws import CloudError
    from include.privacy.stores.objects.model import BucketError

    try:
        return probe.look()
    except (UnusableConnectionError, CloudError, BucketError, LookupError) as error:
        text = " ".join(str(error.args[0] if error.args else error).split())
        return cannot_be_told(text, "put that right; the next run looks again")
    except Exception as error:  # noqa: BLE001 - one place that is down must not hide the others
        return cannot_be_told(
            f"the look ended with {type(error).__name__}", "check the connection and the rights of its role"
        )


def is_red(control: str, verdict: Verdict) -> bool:
    """Broken always, and *cannot be told* unless the config says that nobody has to know."""
    if verdict is Verdict.cannot_be_told:
        return control not in runtime().config().controls.optional
    return verdict is Verdict.broken


def rule_of(control: str) -> str:
    """Under what name the ledger has the breach of a control."""
    return breach_rule(CONTROLS[control].promise, control)


def _record(ledger_run: str, probe: Probe, judged: Judgement, as_of: datetime, *, dry_run: bool) -> None:
    ledger = runtime().ledger()
    body = {
        "control": probe.control,
        "promise": CONTROLS[probe.control].promise,
        "place": probe.place,
        "verdict": judged.verdict.value,
        "reason": judged.reason,
        "fix": judged.fix,
        "facts": dict(judged.facts),
        "as_of": as_of,
        "dry_run": dry_run,
    }
    ledger.append_evidence(EVIDENCE, body, UUID(ledger_run))
    if dry_run:
        return
    if is_red(probe.control, judged.verdict):
        ledger.record_breach(UUID(ledger_run), rule_of(probe.control), probe.place, 1, None, str(judged))
    elif judged.verdict is not Verdict.cannot_be_told:
        ledger.resolve_breaches(rule_of(probe.control), probe.place, as_of)
