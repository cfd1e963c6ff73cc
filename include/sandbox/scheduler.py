"""Airflow's scheduler with everything loaded that tasks import: what it forks has it from the start.

For the sandbox only, whose code stands still while it runs. In production a bundle changes under a running
scheduler, and its tasks must load their own version.
"""

from __future__ import annotations

import sys
from importlib import import_module

LOADED = (
    "boto3",
    "httpx",
    "jinja2",
    "psycopg",
    "include.privacy.ledger",
    "include.privacy.letters.rendering",
    "include.privacy.mail",
    "include.privacy.policy.loading",
    "include.privacy.stores.gcs",
    "include.privacy.stores.postbox",
    "include.privacy.stores.postgres",
    "include.privacy.stores.s3",
)
"""Modules that open nothing and start no thread when they are imported."""


def main() -> None:
    """Load, then be ``airflow scheduler`` with the same arguments."""
    from airflow.__main__ import main as airflow

    for name in LOADED:
        import_module(name)
    sys.argv = ["airflow", "scheduler", *sys.argv[1:]]
    airflow()


if __name__ == "__main__":
    main()
