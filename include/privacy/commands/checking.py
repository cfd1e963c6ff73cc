"""``check``: whether ``config/`` holds together, and fits what the stores really hold."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

from include.privacy.commands.refusing import complain
from include.privacy.notices import command_line as notices
from include.privacy.policy import coverage, live, live_prefixes
from include.privacy.policy.data_map import DatabaseMap
from include.privacy.policy.loading import ROOT, Config, Problem, load_config
from include.privacy.policy.purpose_views import compare_views
from include.privacy.runtime import runtime


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
        complain(problems)
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
