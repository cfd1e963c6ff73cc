"""Whether a campaign may begin is asked of a person, who sees what everybody will read."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from include.privacy.notices.campaigns import dates_of, unasked
from include.privacy.runtime import runtime
from include.privacy.steps import runs

if TYPE_CHECKING:
    from include.privacy.ledger.notice_campaigns import CampaignRow

log = logging.getLogger(__name__)

APPROVE, REJECT = "Send it to everybody", "Do not send it"
RESPONSE_TIMEOUT = timedelta(days=5)


def take() -> dict[str, str] | None:
    """The proposal that is put before somebody now: its version, and the digest of what they will see.

    One at a time: the next is asked about by a run of its own.
    """
    now = runs.current_instant()
    rows = unasked(now)
    if not rows:
        log.info("no notice waits for a decision")
        return None
    runtime().ledger().present_notice(rows[0].id, now)
    return {"version": rows[0].version, "digest": rows[0].digest}


def question(taken: Mapping[str, str] | None) -> list[dict[str, Any]]:
    """The arguments of the task that asks; none when nobody has to be asked."""
    row = runtime().ledger().notice_campaign(taken["version"]) if taken else None
    if row is None:
        return []
    return [
        {
            "subject": f"Policy version {row.version}: may its notice be sent to everybody?",
            "body": describe(row),
            "options": [APPROVE, REJECT],
            "response_timeout": RESPONSE_TIMEOUT,
        }
    ]


def describe(row: CampaignRow) -> str:
    """The question in Markdown: dates, how many people, what changes, and the letter as they will read it."""
    from include.privacy.letters.notices import NoticeWriter

    config = runtime().config()
    notice = config.notices.notice(row.version)
    head, dates = notice.head, dates_of(notice)
    people = sum(1 for _ in runtime().account_book().audience())
    letter = NoticeWriter(notice, config.notices, config.letters, config.policy.timezone).write(
        head.default_language
    )
    lines = [
        f"**Version {head.version}** follows {head.previous} and applies from **{head.effective}**.",
        "",
        f"- Sending begins on {dates.launch_at:%Y-%m-%d}, or at once if that has passed.",
        f"- The last person has to be written to by {dates.dispatch_by:%Y-%m-%d %H:%M} UTC (P8.1).",
        f"- {people:,} people would be written to today, in {', '.join(head.languages)}.",
        "",
        "What changes:",
        "",
        *(f"- {change.promise}: {change.summary[head.default_language]}" for change in head.changes),
        "",
        f"The letter in {head.default_language} (the others: `python -m include.privacy notice preview "
        f"{head.version} --into DIR`; to receive one: `preview_policy_notice`):",
        "",
        f"> **{letter.subject}**",
        ">",
        *(f"> {line}" for line in letter.text.splitlines()),
        "",
        "A letter that was sent cannot be called back. Silence is no approval.",
    ]
    return "\n".join(lines)


def write_decision(answers: Iterable[Mapping[str, Any]], taken: Mapping[str, str] | None) -> str:
    """Write the answer into the ledger; returns what became of it.

    Only the option that says so approves, and only what reads as it did when it was asked. Raises
    ``ValueError`` when the answer does not say who gave it.
    """
    done = "nothing was asked"
    for answer in answers if taken else ():
        who = answer.get("responded_by_user") or {}
        by = str(who.get("id") or who.get("name") or "") if isinstance(who, Mapping) else ""
        if not by:
            raise ValueError("the answer does not say who gave it; nothing was decided")
        assert taken is not None
        row = runtime().ledger().notice_campaign(taken["version"])
        approved = list(answer.get("chosen_options") or []) == [APPROVE]
        decided = row is not None and runtime().ledger().decide_notice(
            row.id, taken["digest"], approved, by, runs.current_instant()
        )
        what = "approved" if approved else "rejected"
        if not decided:
            what = "the notice has changed since it was asked about; it is asked about again"
        done = f"version {taken['version']}: {what}"
        log.info("%s", done)
    return done


def ask_again() -> int:
    """Nobody answered, or the answer could not be written: the question may be put again."""
    ledger = runtime().ledger()
    open_ones = [row for row in ledger.notice_campaigns() if row.state == "proposed"]
    for row in open_ones:
        ledger.present_notice(row.id, None)
    return len(open_ones)
