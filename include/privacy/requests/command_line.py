"""What ``python -m include.privacy`` does about requests: decisions with words, and the generated pages."""

from __future__ import annotations

import argparse
import os
import pwd
import sys
from collections.abc import Callable
from pathlib import Path
from uuid import UUID

from include.privacy.letters.words import words_of
from include.privacy.policy import coverage
from include.privacy.policy.loading import load_config
from include.privacy.policy.pages import write_page
from include.privacy.requests import decisions, pages
from include.privacy.requests.decisions import Reasons
from include.privacy.runtime import runtime
from include.privacy.steps import runs


class NotDecidedError(RuntimeError):
    """Nothing was decided; the message says why and what to do."""


def decide(
    decision_id: UUID, answer: str | None, grounds: str | None = None, reasons_file: str | None = None
) -> str:
    """Answer a question as whoever is logged in on this machine; without an answer, only show it.

    Returns what to print. ``reasons_file``: the words for the person (``-``: standard input), sealed in the
    ledger. The next run of ``ask_decisions`` carries the answer out. Raises :class:`NotDecidedError`.
    """
    from include.privacy.ledger.errors import LedgerError

    ledger = runtime().ledger()
    try:
        decision = ledger.decision(decision_id)
        if answer is None:
            return decisions.describe(decision, ledger.request(decision.request_id))
        reasons = Reasons(grounds, _words(reasons_file))
        made = decisions.decide(decision, answer, reasons, who_is_here(), runs.current_instant())
    except (LedgerError, decisions.CannotStandError) as error:
        raise NotDecidedError(str(error)) from None
    return f"decided: {made.answer}; ask_decisions carries it out within five minutes"


def show_recipient(request: UUID, recipient: str) -> str:
    """What a processor has to do about a request: its objects, and where it is done by hand, what to send.

    Personal: ids under which the processor knows the person. Raises :class:`NotDecidedError`.
    """
    from include.privacy.requests.by_hand import describe

    ledger = runtime().ledger()
    known = ledger.find_request(str(request))
    if recipient not in runtime().config().processors:
        raise NotDecidedError(f"{recipient!r} is not in config/processors/")
    request_id = known.id if known else request
    tasks = [t for t in ledger.recipient_tasks(request_id) if t.recipient == recipient]
    if not tasks:
        raise NotDecidedError(f"request {request} has nothing to do with {recipient}")
    return "\n".join(line for task in tasks for line in describe(ledger.request(request_id), task))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of ``decide``."""
    parser.add_argument("decision", type=UUID, help="the ledger's id of the question")
    parser.add_argument("--answer", help="one of its options; without it the question is shown")
    parser.add_argument("--grounds", help="the code of the grounds, where the answer needs one")
    parser.add_argument(
        "--reasons-file", help="words for the person, sealed in the ledger; - reads them here"
    )


def write_pages(folder: Path, *, check_only: bool) -> list[str]:
    """Write PROMISES.md and REQUESTS.md; returns the names of those that changed. Raises ``PageError``."""
    config = load_config()
    reasons = words_of(config.letters, config.letters.head.default_language).reasons
    why = {code: text.why for code, text in reasons.items()}
    renders: dict[str, Callable[[str | None], str]] = {
        "PROMISES.md": lambda current: coverage.rendered(config.policy, current),
        "REQUESTS.md": lambda current: pages.rendered(config.calendar, why, current),
    }
    return [name for name, r in renders.items() if write_page(folder / name, r, check_only=check_only)]


def who_is_here() -> str:
    """The operating system's name of whoever runs this; not an environment variable that anybody can set."""
    return pwd.getpwuid(os.getuid()).pw_name


def _words(reasons_file: str | None) -> str | None:
    if reasons_file is None:
        return None
    try:
        text = sys.stdin.read() if reasons_file == "-" else Path(reasons_file).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise NotDecidedError(f"--reasons-file cannot be read: {type(error).__name__}") from None
    if not text.strip():
        raise NotDecidedError("--reasons-file is empty; write what the person is to be told")
    return text.strip()
