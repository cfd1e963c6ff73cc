"""A component of Airflow with all modules loaded that DAGs and tasks import: what it forks has them at once.

For the sandbox only, whose code stands still while it runs. In production a bundle changes under a running
scheduler, and its tasks must load their own version.
"""

from __future__ import annotations

import pkgutil
import sys
from importlib import import_module

import include.privacy
from include.privacy.stores.aws import aws_client

LIBRARIES = (
    "airflow.providers.standard.operators.hitl",
    "airflow.providers.standard.operators.trigger_dagrun",
    "airflow.sdk.execution_time.task_runner",
    "boto3",
    "google.cloud.storage",
    "holidays.countries",
    "httpx",
    "jinja2",
    "psycopg",
    "python_http_client",
    "sendgrid",
    "stripe",
)
"""Modules that open nothing and start no thread when they are imported, like those of the project."""
AWS = ("s3", "sqs", "kms", "rds", "logs")


def load() -> None:
    """Import the libraries, and every module of the domain."""
    for name in LIBRARIES:
        import_module(name)
    for module in pkgutil.walk_packages(include.privacy.__path__, "include.privacy."):
        # The command line is a script, and so is what Alembic runs by itself.
        if not module.name.endswith(("__main__", "migrations.env")):
            import_module(module.name)
    for service in AWS:
        # Makes no call. What botocore has read of a service is shared by all clients of the process.
        aws_client(service, region="eu-central-1", endpoint_url="http://127.0.0.1:1")


def main() -> None:
    """Load, then be ``airflow`` with the same arguments."""
    from airflow.__main__ import main as airflow

    load()
    sys.argv[0] = "airflow"
    airflow()


if __name__ == "__main__":
    main()
