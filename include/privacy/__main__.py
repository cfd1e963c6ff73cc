"""The command line: ``python -m include.privacy <command>``; every command has ``--help``.

Exit codes: 0 all is well, 1 something was found (each problem on a line of its own), 2 wrong usage.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from uuid import UUID, uuid4

from include.privacy.clock import parse_instant
from include.privacy.connections import UnusableConnectionError
from include.privacy.drafting import command_line as drafting
from include.privacy.notices import command_line as notices
from include.privacy.planning.describing import describe
from include.privacy.planning.models import Cohort, Plan, PlanError
from include.privacy.policy import coverage, grant_documents, grants, live, live_prefixes
from include.privacy.policy.bucket_map import BucketMap
from include.privacy.policy.data_map import DatabaseMap
from include.privacy.policy.loading import ROOT, Config, ConfigError, Problem, load_config
from include.privacy.policy.pages import PageError
from include.privacy.policy.policy import (
    ObjectAgeRule,
    RecordAgeRule,
    Rule,
    SnapshotAgeRule,
    SubjectLifecycleRule,
)
from include.privacy.policy.purpose_views import compare_views
from include.privacy.requests import command_line
from include.privacy.retention import simulating
from include.privacy.runtime import LEDGER, LEDGER_OWNER, runtime


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    options = _parser().parse_args(arguments)
    command: Callable[[argparse.Namespace], int] = options.command
    try:
        return command(options)
    except ConfigError as error:
        _complain(error.problems)
    except _SAID as error:
        print(error, file=sys.stderr)
    except BrokenPipeError:  # `… | head` has seen enough
        sys.stdout = None
    return 1


class _RefusedError(Exception):
    """Something that the person at the keyboard can put right; the message says what."""


_SAID = (
    _RefusedError,
    PlanError,
    PageError,
    UnusableConnectionError,
    command_line.NotDecidedError,
    notices.NoticeCommandError,
)
"""Errors whose message is all that there is to say."""


def check(options: argparse.Namespace) -> int:
    """Validate config/; with ``--live`` also against what the stores really hold."""
    from include.privacy.letters.checking import letter_problems
    from include.privacy.letters.notices import notice_writer_problems

    config = load_config()
    problems = list(coverage.dag_problems(config.policy, ROOT / "dags", config.documents["policy"]))
    problems += letter_problems(config.letters, config.policy.timezone)
    problems += notice_writer_problems(config.notices, config.letters, config.policy.timezone)
    if options.live:
        problems += _live_problems(config)
    if problems:
        _complain(problems)
        return 1
    stores = ", ".join(s.store for s in config.data_map.stores)
    seen = "and the live stores agree" if options.live else "holds together"
    print(
        f"config {seen}: policy {config.policy.version}, {len(config.policy.promises)} promises, "
        f"{len(config.policy.rules)} rules; stores in order of erasure: {stores}; "
        f"letters in {', '.join(config.letters.head.languages)}"
    )
    for line in notices.dates_in_words(config):
        print(line)
    return 0


def _live_problems(config: Config) -> Iterator[Problem]:
    for store in config.data_map.stores:
        document = config.documents[store.store]
        try:
            if isinstance(store, DatabaseMap):
                database, purposes = runtime().database(store.store), config.policy.purposes
                found = live.compare_with_live(store, database.read_schema(), document, config.policy)
                found += compare_views(store, purposes, database.read_views(purposes), document)
            else:
                found = live_prefixes.compare_prefixes(
                    store, runtime().bucket(store.store).folder_names, document
                )
        except Exception as error:  # noqa: BLE001 - one store that is down must not hide the others
            reason = " ".join(str(error).split())[:200]
            yield document.problem(
                ("connection",),
                f"{store.store} could not be read ({type(error).__name__}: {reason})",
                f"check the connection {store.connection} and the grants of its role",
            )
        else:
            yield from found


def plan(options: argparse.Namespace) -> int:
    """Print what a rule, a request or the erasure of one person would do, with exact counts."""
    config = load_config()
    known = [*(s.store for s in config.data_map.stores), *config.clouds.names()]
    if options.store and options.store not in known:
        raise _RefusedError(f"store {options.store!r} is not mapped; write one of {', '.join(known)}")
    if options.rule:
        try:
            rule = config.policy.rule(options.rule)
        except KeyError as error:
            raise _RefusedError(str(error.args[0])) from None
        plans = _rule_plans(rule, options.store, options.as_of)
    else:
        plans = _people_plans([_subject(options)], options.store, options.as_of, rule=None)
    for made in plans:
        print(*describe(made), sep="\n")
    return 0


def _rule_plans(rule: Rule, store: str | None, as_of: datetime) -> Iterator[Plan]:
    acts_on_people = isinstance(rule, SubjectLifecycleRule) and rule.action == "purge"
    if store and store != rule.store and not acts_on_people:
        raise _RefusedError(f"rule {rule.id} acts on store {rule.store}; leave --store out or name that one")
    match rule:
        case RecordAgeRule():
            yield runtime().database(rule.store).plan_record_age(rule, uuid4(), as_of=as_of)
        case ObjectAgeRule() | SnapshotAgeRule():
            yield runtime().store(rule.store).plan_expiry(rule, uuid4(), as_of=as_of)
        case SubjectLifecycleRule(action="mark_deleted"):
            count = runtime().root().mark_deleted(rule, as_of=as_of, dry_run=True)
            print(f"{rule.store}, rule {rule.id}: would mark {count} accounts as deleted")
        case SubjectLifecycleRule():
            yield from _people_plans(runtime().root().due_keys(rule, as_of=as_of), store, as_of, rule=rule.id)


def _people_plans(
    keys: Sequence[str], store: str | None, as_of: datetime, rule: str | None
) -> Iterator[Plan]:
    from include.privacy.steps.freezing import members

    frozen = list(members(keys))
    cohort = Cohort(uuid4(), len(frozen), lambda: iter(frozen))
    for mapped in runtime().stores():
        if store not in (None, mapped.store) or (isinstance(mapped, BucketMap) and not mapped.content):
            continue
        adapter = runtime().store(mapped.store)
        made = adapter.plan_erasure(cohort, uuid4(), as_of=as_of)
        adapter.finish(made)  # planning leaves the cohort in work tables; nobody will execute this plan
        yield made.model_copy(update={"rule": rule})


def _subject(options: argparse.Namespace) -> str:
    if options.subject:
        return str(options.subject)

    from include.privacy.ledger.errors import LedgerError

    try:
        request = runtime().ledger().request(options.request)
    except LedgerError as error:
        raise _RefusedError(str(error)) from None
    if request.subject_key is None:
        raise _RefusedError(f"request {options.request} is closed: whom it was about is forgotten")
    return request.subject_key


def migrate(options: argparse.Namespace) -> int:
    """Create or upgrade the ledger, and our schema and the jobs' views in every database."""
    from include.privacy.ledger.migrate import migrate as migrate_ledger

    role = options.role or runtime().connection(LEDGER).login
    if not role:
        raise _RefusedError(
            f"connection {LEDGER} names no login; add it, or say which role DAGs use with --role"
        )
    migrate_ledger(runtime().dsn(LEDGER_OWNER), role)
    print("ledger: up to date")
    config = load_config()
    for store in config.data_map.stores:
        if isinstance(store, DatabaseMap):
            runtime().database(store.store).migrate_workspace()
            count = runtime().database(store.store).migrate_views(config.policy.purposes)
            print(f"{store.store}: schema {grants.WORK_SCHEMA} and {count} views are up to date")
    return 0


def views(options: argparse.Namespace) -> int:
    """Print the SQL of the views through which the platform's jobs read; ``migrate`` makes them."""
    config = load_config()
    names = [s.store for s in config.data_map.stores if isinstance(s, DatabaseMap)]
    if options.store not in (None, *names):
        raise _RefusedError(f"store {options.store!r} is no database; write one of {', '.join(names)}")
    for name in [options.store] if options.store else names:
        statements = runtime().database(name).view_statements(config.policy.purposes)
        print("\n".join([f"-- {name}: made from the data map; `migrate` runs it.", *statements]))
    return 0


def docs(options: argparse.Namespace) -> int:
    """Write docs/PROMISES.md and docs/REQUESTS.md, or with ``--check`` see that they are current."""
    for name in command_line.write_pages(ROOT / "docs", check_only=options.check):
        print(f"wrote docs/{name}")
    return 0


def decide(options: argparse.Namespace) -> int:
    """Show a question about a request, or with ``--answer`` decide it as whoever is logged in here."""
    print(command_line.decide(options.decision, options.answer, options.grounds, options.reasons_file))
    return 0


def recipient(options: argparse.Namespace) -> int:
    """Show what a processor still has to do about a request, and what to write to it by hand."""
    print(command_line.show_recipient(options.request, options.recipient))
    return 0


def notice(options: argparse.Namespace) -> int:
    """Draft the notice of a new version of the policy, preview its letters, or show its report."""
    print(notices.run(options))
    return 0


def pools(_: argparse.Namespace) -> int:
    """Print the Airflow pools, one per store and kind of work, for ``airflow pools import``."""
    from include.dag_defaults import PROCESSORS_POOL, REQUESTS_POOL, RETENTION_POOL

    work = (RETENTION_POOL, REQUESTS_POOL, PROCESSORS_POOL)
    print(json.dumps(grants.pools(load_config().data_map.stores, work), indent=2))
    return 0


def print_grants(options: argparse.Namespace) -> int:
    """Print least-privilege SQL grants, IAM policies and Cloud Storage roles made from the data map."""
    found = grant_documents.documents(load_config(), options.role)
    if options.store not in (None, *found):
        raise _RefusedError(f"store {options.store!r} is not mapped; known: {list(found)}")
    for name, (what, text) in found.items():
        if options.store in (None, name):
            plain = options.store == name or what == grant_documents.SQL
            print(text if plain else f"-- {name}: {what}\n{text}\n")
    return 0


def _complain(problems: Sequence[Problem]) -> None:
    print(*sorted(set(problems)), sep="\n", file=sys.stderr)
    print(f"{len(set(problems))} problem(s)", file=sys.stderr)


def _instant(text: str) -> datetime:
    try:
        return parse_instant(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m include.privacy", description="Keep the privacy policy's promises."
    )
    commands = parser.add_subparsers(required=True, metavar="command")

    def add(name: str, function: Callable[[argparse.Namespace], int]) -> argparse.ArgumentParser:
        text = (function.__doc__ or "").strip()
        sub = commands.add_parser(name, help=text.replace("``", ""), description=text.replace("``", ""))
        sub.set_defaults(command=function)
        return sub

    sub = add("check", check)
    sub.add_argument("--live", action="store_true", help="compare with the stores behind the connections")
    sub = add("plan", plan)
    sub.add_argument("--store", help="only this store; all that the rule or person concerns by default")
    who = sub.add_mutually_exclusive_group(required=True)
    who.add_argument("--rule", help="a rule id of policy.yaml")
    who.add_argument("--request", type=UUID, help="the ledger's id of a request")
    who.add_argument("--subject", help="a subject key: the value of the root table's key")
    sub.add_argument("--as-of", type=_instant, default=datetime.now(UTC), help="an instant; now by default")
    sub = add("simulate", simulating.command)
    simulating.add_arguments(sub)
    sub.add_argument("--as-of", type=_instant, default=datetime.now(UTC), help="an instant; now by default")
    sub = add("migrate", migrate)
    sub.add_argument("--role", help="the database role of the DAGs; by default the ledger connection's login")
    sub = add("views", views)
    sub.add_argument("--store", help="only this database")
    sub = add("docs", docs)
    sub.add_argument("--check", action="store_true", help="change nothing, fail when the page is not current")
    command_line.add_arguments(add("decide", decide))
    sub = add("recipient", recipient)
    sub.add_argument("request", type=UUID, help="the ledger's or the platform's id of the request")
    sub.add_argument("recipient", help="its name in config/processors/")
    notices.add_arguments(add("notice", notice))
    drafting.add_arguments(add("draft-map", drafting.run))
    add("pools", pools)
    sub = add("grants", print_grants)
    sub.add_argument("--store", help="only this store")
    sub.add_argument("--role", default="privacy_dags", help="the database role of the DAGs")
    return parser


if __name__ == "__main__":
    sys.exit(main())
