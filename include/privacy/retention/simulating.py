"""Another policy, tried on real counts before it is anybody's promise: two reports side by side."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import UUID

from include.privacy.policy import coverage
from include.privacy.policy.comparing import Change, changes
from include.privacy.policy.documents import Document
from include.privacy.policy.loading import ROOT, Config, load_config
from include.privacy.policy.problems import ConfigError, Problem
from include.privacy.retention.measuring import Figures, measure
from include.privacy.retention.side_by_side import lines
from include.privacy.runtime import runtime
from include.privacy.steps.runs import FindingError, ParameterError, open_run, read_run

log = logging.getLogger(__name__)

EVIDENCE = "policy_simulation"
LONGEST = 512 * 1024
"""Bytes of a policy; ours has a thirtieth of it."""


class PolicyRefusedError(FindingError):
    """The other policy breaks a promise, or does not hold together; the summary names line and fix."""


@dataclass(frozen=True)
class Simulation:
    """``then`` is empty and ``problems`` is not where the other policy is refused."""

    as_of: datetime
    version_now: str
    version_then: str | None
    now: list[Figures]
    then: list[Figures]
    changes: list[Change]
    problems: list[Problem]

    @property
    def refused(self) -> bool:
        """Whether the other policy cannot be used at all."""
        return bool(self.problems)

    def lines(self) -> list[str]:
        """The report for people."""
        return list(lines(self))


def simulate(text: str, as_of: datetime) -> Simulation:
    """Compare the policy in ``text`` with the one in force; deletes nothing.

    The data map is the present one. A policy that allows more than a promise does (90, 180 days), or leaves
    something without a rule, is refused with its line, and only the present one is measured.
    """
    config = runtime().config()
    try:
        other: Config | None = load_config(policy_text=text)
        problems = _unknown_dags(other) if other else []
    except ConfigError as error:
        other, problems = None, list(error.problems)
    now = measure(config.policy, as_of)
    if other is None or problems:
        return Simulation(as_of, config.policy.version, None, now, [], [], problems)
    return Simulation(
        as_of,
        config.policy.version,
        other.policy.version,
        now,
        measure(other.policy, as_of),
        changes(config.policy, other.policy),
        [],
    )


def open_simulation(*, params: Mapping[str, Any] | None = None, dag_run: Any = None) -> str:
    """Open a dry run of the ledger for the form; returns its id. Raises :class:`ParameterError`."""
    text = (params or {}).get("policy")
    if not isinstance(text, str) or not text.strip():
        raise ParameterError("policy must be the text of a policy.yaml")
    if len(text.encode()) > LONGEST:
        raise ParameterError(f"policy must not be longer than {LONGEST // 1024} KiB")
    return open_run(EVIDENCE, params={**(params or {}), "dry_run": True}, dag_run=dag_run)


def report_simulation(ledger_run: str, *, params: Mapping[str, Any] | None = None) -> dict[str, int]:
    """Simulate what the form says, and leave figures and evidence in the ledger.

    The text is not kept, only its digest. Raises :class:`PolicyRefusedError` for one that cannot be used.
    """
    run = read_run(ledger_run)
    text = str((params or {})["policy"])
    found = simulate(text, run.as_of)
    for line in found.lines():
        log.info("%s", line)
    body = {
        "as_of": run.as_of,
        "policy_sha256": sha256(text.encode()).hexdigest(),
        "version_now": found.version_now,
        "version_then": found.version_then,
        "now": [asdict(f) for f in found.now],
        "then": [asdict(f) for f in found.then],
        "changes": [str(c) for c in found.changes],
        "refused": [str(p) for p in found.problems],
    }
    ledger = runtime().ledger()
    ledger.append_evidence(EVIDENCE, body, UUID(ledger_run))
    ledger.close_run(UUID(ledger_run), {**body, "as_of": run.as_of.isoformat(), "report": found.lines()})
    if found.refused:
        raise PolicyRefusedError("this policy is refused:\n" + "\n".join(f"  - {p}" for p in found.problems))
    return {
        "deletes_now": sum(f.deletes for f in found.now),
        "deletes_then": sum(f.deletes for f in found.then),
        "weaker": sum(c.effect == "weaker" for c in found.changes),
    }


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """``simulate PATH``; ``--as-of`` is added where instants are read."""
    parser.add_argument("path", type=Path, help="another policy.yaml")


def command(options: argparse.Namespace) -> int:
    """Print what another policy.yaml would delete, keep and refuse on real counts, beside the present one."""
    try:
        text = options.path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            [
                Problem(
                    str(options.path),
                    1,
                    "(whole file)",
                    f"cannot be read ({type(error).__name__})",
                    "give a file",
                )
            ]
        ) from None
    found = simulate(text, options.as_of)
    print(*found.lines(), sep="\n")
    return 1 if found.refused else 0


def _unknown_dags(config: Config) -> list[Problem]:
    document: Document = config.documents["policy"]
    return coverage.dag_problems(config.policy, ROOT / "dags", document)
