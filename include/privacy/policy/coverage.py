"""Which promise is kept by what: the page docs/PROMISES.md, and whether the DAGs it names exist."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from include.privacy.policy.documents import Document, Loc
from include.privacy.policy.objection import effect_of_objection
from include.privacy.policy.pages import BEGIN, END, renewed
from include.privacy.policy.policy import (
    ObjectAgeRule,
    Policy,
    RecordAgeRule,
    Rule,
    SnapshotAgeRule,
    SubjectLifecycleRule,
)
from include.privacy.policy.problems import Problem, suggestion
from include.privacy.policy.promises import Keeper, keepers

#: The DAGs that carry out rules.
DATABASE_DAG = "enforce_database_retention"
BACKUP_DAG = "enforce_backup_retention"

_OBJECTION = {"stop": "stops it at once", "weigh": "is weighed", "none": "is not possible"}

_PAGE = f"""# The promises and what keeps them

Every promise of the privacy policy, from `config/policy.yaml`. *Kept*: a rule or a DAG of this project
enforces it today. *In part*: something does, and more is planned. *Planned*: the DAG named does not exist
yet. *Outside*: somebody else answers for it.

{BEGIN}
{END}
"""


def dag_problems(policy: Policy, dags: Path, document: Document | None = None) -> list[Problem]:
    """Promises that name a DAG which does not exist, or call one planned that does."""
    file = document or Document("policy.yaml")
    existing = {p.stem for p in dags.glob("*.py")}
    problems = []
    for name, keeper in _keepers(policy):
        loc: Loc = ("promises", name, "enforced_by")
        if keeper.malformed:
            continue
        if keeper.kind == "dag" and keeper.name not in existing:
            known = existing | {r.id for r in policy.rules}
            problems.append(
                file.problem(
                    loc,
                    f"{keeper.name} is neither a rule nor a DAG",
                    f"{suggestion(keeper.name, known)}, or {{planned: {keeper.name}}}",
                )
            )
        if keeper.kind == "planned" and keeper.name in existing:
            problems.append(
                file.problem(loc, f"the DAG {keeper.name} exists", f"write {keeper.name} without planned")
            )
    return problems


def promise_table(policy: Policy) -> str:
    """Promises, rules and purposes as Markdown tables."""
    rules = {rule.id: rule for rule in policy.rules}
    lines = [
        f"Policy version {policy.version}, effective {policy.effective.isoformat()}.",
        "",
        "| id | the policy promises | status | kept by |",
        "|---|---|---|---|",
    ]
    for name in sorted(policy.promises):
        promise = policy.promises[name]
        entries = list(keepers(promise, rules.keys()))
        kept_by = "; ".join(_describe(e, rules) for e in entries)
        lines.append(f"| {name} | {_cell(promise.title)} | {_status(entries)} | {_cell(kept_by)} |")
    lines += [
        "",
        "## Retention rules",
        "",
        "A rule acts at its target; what is still there at its limit is a breach. Beyond the guard a run",
        "removes nothing and asks for approval.",
        "",
        "| rule | promise | what it does | target | limit | guard |",
        "|---|---|---|---|---|---|",
    ]
    lines += [
        f"| `{r.id}` | {r.promise} | {_cell(_does(r))} | {r.target_days} d | {r.limit_days} d "
        f"| {r.guard.max_share:.0%} or {r.guard.max_count:,} |"
        for r in policy.rules
    ]
    lines += [
        "",
        f"What was erased is looked for again after {policy.probe_again_after_days} days.",
        f"The record of a closed request is kept for {policy.request_records_days} days.",
    ]
    lines += [
        "",
        "## Purposes",
        "",
        "An objection stops the use at once, or restricts it until somebody has weighed it. A reader is the",
        "database role of the platform's jobs, whose views leave out whoever objected.",
        "",
        "| purpose | what for | legal basis | an objection | reader |",
        "|---|---|---|---|---|",
    ]
    lines += [
        f"| `{key}` | {_cell(p.title)} | {p.legal_basis.replace('_', ' ')} "
        f"| {_OBJECTION[effect_of_objection(key, p)]} | {f'`{p.reader}`' if p.reader else ''} |"
        for key, p in policy.purposes.items()
    ]
    return "\n".join(lines) + "\n"


def rendered(policy: Policy, current: str | None) -> str:
    """The page with its generated part renewed. Raises ``PageError``."""
    return renewed(current or _PAGE, promise_table(policy), "PROMISES.md")


def _keepers(policy: Policy) -> Iterator[tuple[str, Keeper]]:
    rules = {rule.id for rule in policy.rules}
    for name, promise in policy.promises.items():
        for keeper in keepers(promise, rules):
            yield name, keeper


def _status(entries: list[Keeper]) -> str:
    kinds = {entry.kind for entry in entries}
    if kinds & {"rule", "dag"}:
        return "in part" if "planned" in kinds else "kept"
    if "outside" in kinds:
        return "outside"
    return "planned"


def _describe(entry: Keeper, rules: dict[str, Rule]) -> str:
    if entry.kind == "rule":
        dag = BACKUP_DAG if isinstance(rules[entry.name], ObjectAgeRule | SnapshotAgeRule) else DATABASE_DAG
        return f"rule `{entry.name}` in `{dag}`"
    if entry.kind == "outside":
        return f"outside: {entry.name}"
    return f"planned: `{entry.name}`" if entry.kind == "planned" else f"`{entry.name}`"


def _does(rule: Rule) -> str:
    match rule:
        case SubjectLifecycleRule(action="mark_deleted"):
            return f"marks accounts in {rule.store} as deleted, counted from the end of service"
        case SubjectLifecycleRule():
            return "erases people in every store, counted from the deletion of their account"
        case RecordAgeRule():
            return f"deletes rows of {rule.store}.{rule.table}, counted from {rule.clock}"
        case ObjectAgeRule():
            return f"deletes archives under {rule.prefix} in {rule.store}, counted from what they captured"
        case SnapshotAgeRule():
            return f"deletes database snapshots of {rule.store}, counted from what they captured"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
