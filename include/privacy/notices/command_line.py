"""``python -m include.privacy notice …``: draft a version, read its letters, see its dates and its report."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from include.privacy.notices import drafting, report_page
from include.privacy.notices.campaigns import dates_of, too_late
from include.privacy.policy.loading import Config, config_folder, load_config
from include.privacy.runtime import runtime
from include.privacy.steps import runs


class NoticeCommandError(ValueError):
    """What the person at the keyboard can put right; the message says what."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The commands behind ``notice``."""
    commands = parser.add_subparsers(required=True, metavar="what", dest="what")
    sub = commands.add_parser("draft", help="write a version's folder from the policy that is to apply")
    sub.add_argument("policy", type=Path, help="the policy.yaml that is to apply, with its version and date")
    sub.add_argument("--languages", help="as in config/letters/ by default; e.g. en,de")
    sub = commands.add_parser("preview", help="write the letters of a version, to be read")
    sub.add_argument("version")
    sub.add_argument("--into", type=Path, required=True, help="the folder to write into")
    sub = commands.add_parser("report", help="show how far a campaign is, or write its report")
    sub.add_argument("version")
    sub.add_argument("--html", type=Path, help="write the page to this file")


def run(options: argparse.Namespace) -> str:
    """Carry one of them out; returns what to print. Raises :class:`NoticeCommandError`."""
    try:
        if options.what == "draft":
            return _draft(options)
        if options.what == "preview":
            return _preview(options)
        return _report(options)
    except (drafting.DraftError, LookupError) as error:
        raise NoticeCommandError(str(error.args[0])) from None


def _draft(options: argparse.Namespace) -> str:
    config = load_config()
    languages = options.languages.split(",") if options.languages else config.letters.head.languages
    folder = drafting.draft(config, config_folder() / "notices", options.policy, tuple(languages))
    return f"wrote {folder}; edit notice.yaml, then run: python -m include.privacy check"


def _preview(options: argparse.Namespace) -> str:
    from include.privacy.letters.notices import NoticeWriter

    config = load_config()
    notice = config.notices.notice(options.version)
    writer = NoticeWriter(notice, config.notices, config.letters, config.policy.timezone)
    options.into.mkdir(parents=True, exist_ok=True)
    for language in notice.head.languages:
        letter = writer.write(language)
        (options.into / f"notice_{language}.html").write_text(letter.html, encoding="utf-8")
        text = f"Subject: {letter.subject}\n\n{letter.text}"
        (options.into / f"notice_{language}.txt").write_text(text, encoding="utf-8")
    return f"wrote the notice of {options.version} in {', '.join(notice.head.languages)} to {options.into}"


def _report(options: argparse.Namespace) -> str:
    row = runtime().ledger().notice_campaign(options.version)
    if row is None:
        raise NoticeCommandError(f"version {options.version} has no campaign yet")
    if row.report is None:
        return f"version {row.version}: {row.state}; nobody has been written to yet"
    if options.html:
        options.html.write_text(report_page.page(row.report), encoding="utf-8")
        return f"wrote {options.html}"
    return json.dumps(row.report, indent=2)


def dates_in_words(config: Config, as_of: datetime | None = None) -> Iterator[str]:
    """A line for each version that does not apply yet: until when sending can begin."""
    now = as_of or runs.current_instant()
    for notice in config.notices.versions:
        if not notice.head.material or notice.head.version == config.policy.version:
            continue
        dates = dates_of(notice)
        yield (
            f"policy {notice.head.version} applies from {dates.effective_on}: sending should begin on "
            f"{dates.launch_at:%Y-%m-%d} and can begin until {dates.last_day}"
        )
        if problem := too_late(notice, now):
            yield f"  unless its campaign has begun: {problem}"
