"""The command line: ``python -m include.privacy <command>``; every command has ``--help``.

Exit codes: 0 all is well, 1 something was found (each problem on a line of its own), 2 wrong usage.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from uuid import UUID

from include.privacy.clock import parse_instant
from include.privacy.commands import checking, planning
from include.privacy.commands.refusing import RefusedError, complain
from include.privacy.connections import UnusableConnectionError
from include.privacy.drafting import command_line as drafting
from include.privacy.evidence import command_line as evidence_commands
from include.privacy.notices import command_line as notices
from include.privacy.planning.models import PlanError
from include.privacy.policy import grant_documents, grants
from include.privacy.policy.data_map import DatabaseMap
from include.privacy.policy.loading import ROOT, ConfigError, load_config
from include.privacy.policy.pages import PageError
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
        complain(error.problems)
    except _SAID as error:
        print(error, file=sys.stderr)
    except BrokenPipeError:  # `… | head` has seen enough
        sys.stdout = None
    return 1


_SAID = (
    *(RefusedError, PlanError, PageError, UnusableConnectionError, notices.NoticeCommandError),
    *(command_line.NotDecidedError, evidence_commands.NoEvidenceError),
)
"""Errors whose message is all that there is to say."""


def migrate(options: argparse.Namespace) -> int:
    """Create or upgrade the ledger, and our schema and the jobs' views in every database."""
    from include.privacy.ledger.migrate import migrate as migrate_ledger

    role = options.role or runtime().connection(LEDGER).login
    if not role:
        raise RefusedError(
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
        raise RefusedError(f"store {options.store!r} is no database; write one of {', '.join(names)}")
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
        raise RefusedError(f"store {options.store!r} is not mapped; known: {list(found)}")
    for name, (what, text) in found.items():
        if options.store in (None, name):
            plain = options.store == name or what == grant_documents.SQL
            print(text if plain else f"-- {name}: {what}\n{text}\n")
    return 0


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

    sub = add("check", checking.check)
    sub.add_argument("--live", action="store_true", help="compare with the stores behind the connections")
    sub = add("plan", planning.plan)
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
    evidence_commands.add_commands(add)
    add("pools", pools)
    sub = add("grants", print_grants)
    sub.add_argument("--store", help="only this store")
    sub.add_argument("--role", default="privacy_dags", help="the database role of the DAGs")
    return parser


if __name__ == "__main__":
    sys.exit(main())
