"""What an operator can do to a campaign, and a notice to an address of our own."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from secrets import token_urlsafe
from typing import Any

from include.privacy.letters.letter import Letter, one_line
from include.privacy.notices.campaigns import campaign, settings
from include.privacy.runtime import runtime
from include.privacy.steps import runs
from include.privacy.steps.runs import ParameterError

log = logging.getLogger(__name__)

STOP, RESUME, PACE, WITHDRAW = "stop", "resume", "change the pace", "withdraw"
ACTIONS = (STOP, RESUME, PACE, WITHDRAW)


def steer(*, params: Mapping[str, Any] | None = None) -> str:
    """Stop, resume, slow down or withdraw a campaign; takes effect before the next call to a provider."""
    given = params or {}
    version, action = str(given.get("version") or ""), given.get("action")
    people = given.get("people_per_minute")
    try:
        row = campaign(version)
    except LookupError as error:
        raise ParameterError(f"version: {error.args[0]}") from None
    ledger = runtime().ledger()
    if action == WITHDRAW:
        if not ledger.withdraw_notice(row.id):
            raise ParameterError("action: too late to withdraw: people have been written to; stop it instead")
        return f"version {version}: withdrawn; it is proposed again in the next run"
    if action == PACE and not (isinstance(people, int) and people > 0):
        raise ParameterError("people_per_minute must be a whole number above 0 to change the pace")
    if action not in ACTIONS:
        raise ParameterError(f"action must be one of {', '.join(ACTIONS)}")
    ledger.steer_notice(
        row.id,
        runs.current_instant(),
        stopped={STOP: True, RESUME: False}.get(str(action)),
        people_per_minute=people if action == PACE else None,
    )
    return f"version {version}: {action}"


def send_test(*, params: Mapping[str, Any] | None = None) -> str:
    """Send the notice to an address of the allow-list, marked as a test; returns the language it is in.

    Nothing of it is in the ledger's audience, and the campaign is not begun by it.
    """
    from include.privacy.letters.notices import NoticeWriter

    given = params or {}
    version, to = str(given.get("version") or ""), str(given.get("to") or "")
    known = settings().test_addresses
    if to not in known:
        names = ", ".join(sorted(known)) or "it has none"
        raise ParameterError(f"to must be a name of test_addresses in config/notices/notices.yaml: {names}")
    try:
        config = runtime().config()
        notice = config.notices.notice(version)
    except LookupError as error:
        raise ParameterError(f"version: {error.args[0]}") from None
    language = notice.language(given.get("language"))
    letter = NoticeWriter(notice, config.notices, config.letters, config.policy.timezone).write(language)
    runtime().mail().send(known[to], _marked(letter), reference=token_urlsafe(16))
    log.info("version %s: a test in %s was sent to %s", version, language, to)
    return language


def _marked(letter: Letter) -> Letter:
    return replace(letter, subject=one_line(f"[Test] {letter.subject}"))
